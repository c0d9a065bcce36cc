"""StableHLO: programs that JAX runs without jaxfer, made on any machine for CPUs, GPUs and TPUs."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from leaving import check_answers, expected, faces, model_of, outputs
from networks import VARIANTS, Linear, drawn

from jaxfer.config import ModelConfig
from jaxfer.emotions import AFFECTNET_7
from jaxfer.inference import FaceModel, export_model
from jaxfer.inference.export import stablehlo
from jaxfer.models import compiled_for


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return export_model(
        model_of("published", heads=("affect", "votes"), gray=True, standardize=True, squeeze=8, answer="votes"),
        tmp_path_factory.mktemp("stablehlo") / "faces",
        "stablehlo",
    )


def program(folder, batch):
    return jax.export.deserialize(bytearray((folder / f"batch-{batch}.stablehlo").read_bytes()))


@pytest.mark.parametrize(("batch", "count"), [("1", 1), ("32", 32), ("any", 5)])
def test_each_program_answers_as_the_network_does(folder, batch, count):
    model = model_of("published", heads=("affect", "votes"), gray=True, standardize=True, squeeze=8, answer="votes")
    images = faces(count, 44)
    found = jax.device_get(program(folder, batch).call(images))
    check_answers(found, expected(model, outputs(model.network, model.variables, images)), 1e-5)


def test_one_program_is_for_all_platforms_and_holds_no_kernels_of_a_cpu(folder):
    for batch in ("1", "32", "any"):
        exported = program(folder, batch)
        assert exported.platforms == ("cpu", "cuda", "tpu")
        text = exported.mlir_module()
        # The stem and two blocks, for each platform apart where JAX has it so; a CPU's kernels are products.
        assert text.count("= stablehlo.convolution(") in (5, 15)
    assert sorted(path.name for path in folder.iterdir()) == [
        "batch-1.stablehlo",
        "batch-32.stablehlo",
        "batch-any.stablehlo",
        "metadata.json",
    ]
    said = json.loads((folder / "metadata.json").read_text())
    assert said["library"] == "jaxfer"


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_network_leaves(variant, tmp_path, monkeypatch):
    monkeypatch.setattr(stablehlo, "BATCHES", {"any": "b"})  # as the others, which would be traced for nobody
    model = model_of(variant)
    folder = export_model(model, tmp_path / "faces", "stablehlo")
    images = faces(5, 44)
    found = jax.device_get(program(folder, "any").call(images))
    check_answers(found, expected(model, outputs(model.network, model.variables, images)), 1e-5)


def test_a_network_of_ones_own_leaves_and_one_made_for_a_cpu_leaves_as_any(tmp_path):
    own = FaceModel(Linear(), drawn(Linear(), faces(1, 32)), AFFECTNET_7, 32, 2.0, ModelConfig(variant="a:b"), {})
    folder = export_model(own, tmp_path / "own", "stablehlo")
    assert not (folder / "batch-any.stablehlo").exists(), "it computes with the number of images"
    found = program(folder, "1").call(faces(1, 32))
    np.testing.assert_allclose(found["expression"], own.probabilities(faces(1, 32)), atol=1e-6)
    model = model_of("published")
    for_cpu = dataclasses.replace(model, network=compiled_for(model.network, "cpu"))
    for name, one in (("plain", model), ("cpu", for_cpu)):
        export_model(one, tmp_path / name, "stablehlo")
    plain, cpu = (program(tmp_path / name, "1").mlir_module() for name in ("plain", "cpu"))
    assert plain == cpu


def test_views_are_averaged_inside(tmp_path):
    model = dataclasses.replace(model_of("published"), views="flip", temperature=1.0)
    folder = export_model(model, tmp_path / "flip", "stablehlo")
    images = faces(1, 44)
    np.testing.assert_allclose(program(folder, "1").call(images)["expression"], model.probabilities(images), atol=1e-6)
