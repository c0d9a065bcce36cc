"""ONNX files: what ONNX Runtime says of faces is what the network says, for every network, head and size."""

import dataclasses
import json
import os
import re
from pathlib import Path

import flax.linen as nn
import numpy as np
import onnx
import onnxruntime
import pytest
from leaving import all_of, check_answers, expected, faces, model_of, outputs, padded
from networks import VARIANTS, drawn

import jaxfer
from jaxfer.errors import UserError
from jaxfer.inference import export_model
from jaxfer.inference.export import metadata
from jaxfer.inference.export.graph import graph_of
from jaxfer.inference.export.onnx import encode
from jaxfer.models import MODELS, unit_range


def session(content):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def answers(running, images):
    return dict(zip([one.name for one in running.get_outputs()], running.run(None, {"images": images}), strict=True))


def check(model, batches=(5,)):
    content = encode(graph_of(model), model.image_size, metadata(model))
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    running = session(content)
    for batch in batches:
        images = faces(batch, model.image_size)
        said = outputs(model.network, model.variables, images)
        check_answers(answers(running, images), expected(model, said), 1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_network_answers_as_it_does_in_jax(variant):
    check(model_of(variant))


@pytest.mark.parametrize("fields", [{"gray": True}, {"standardize": True}, {"gray": True, "standardize": True}])
def test_what_is_done_to_pixels_is_inside(fields):
    check(model_of("published", **fields))


@pytest.mark.parametrize("heads", [("affect",), ("votes",), ("affect", "votes")])
def test_every_head_is_an_output(heads):
    check(model_of("published", heads=heads, squeeze=8), batches=(5, 1))


def test_a_network_of_ones_own_with_other_padding():
    check(padded())


def test_any_number_of_faces_gets_the_models_own_answers():
    model = model_of("published", heads=("votes",), answer="votes")
    running, images = session(encode(graph_of(model), model.image_size, metadata(model))), faces(32, 44)
    found = answers(running, images)
    np.testing.assert_allclose(found["votes"], model.probabilities(images), rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["expression"], model.probabilities(images, "expression"), rtol=0, atol=1e-5)
    np.testing.assert_allclose(answers(running, images[:1])["votes"], found["votes"][:1], rtol=0, atol=1e-6)
    assert answers(running, images[:0])["votes"].shape == (0, 8)


@pytest.mark.slow
@pytest.mark.parametrize("size", [44, 48, 64, 112])
@pytest.mark.parametrize("variant", MODELS)
def test_every_network_as_wide_as_it_is_at_every_size(variant, size):
    check(model_of(variant, size, width=None, **all_of(variant)), batches=(1, 5, 32))


def test_the_file_says_what_it_takes_and_returns(tmp_path):
    model = model_of("published", heads=("votes", "affect"), answer="votes")
    path = export_model(model, tmp_path / "faces.onnx", "onnx")
    running = session(path.read_bytes())
    [image] = running.get_inputs()
    assert (image.name, image.type, image.shape) == ("images", "tensor(uint8)", ["b", 44, 44, 3])
    assert [(one.name, one.shape) for one in running.get_outputs()] == [
        ("votes", ["b", 8]),
        ("expression", ["b", 7]),
        ("affect", ["b", 2]),
    ]
    said = running.get_modelmeta().custom_metadata_map
    assert said["library"] == "jaxfer"
    assert json.loads(said["class_names"]) == list(model.names())
    assert json.loads(said["outputs"]) == {
        "votes": list(model.names("votes")),
        "expression": list(model.names("expression")),
        "affect": ["valence", "arousal"],
    }
    assert json.loads(said["temperature"]) == model.temperature


def test_answers_over_views_are_for_other_formats():
    model = dataclasses.replace(model_of("published"), views="flip")
    with pytest.raises(UserError, match=r"averaged over views \(flip\): export it as stablehlo"):
        graph_of(model)


class Pooled(nn.Module):
    """What ends in a pool that no file is written of."""

    @nn.compact
    def __call__(self, images, *, train=False, mask=None):
        x = nn.avg_pool(unit_range(images), (22, 22), (22, 22))
        return {"logits": nn.Dense(7, name="head")(x.mean((1, 2)))}


def test_an_operation_that_is_not_known_is_a_sentence(tmp_path):
    own = dataclasses.replace(padded(), network=Pooled(), variables=drawn(Pooled(), faces(1, 44)))
    words = r"has the operation reduce_window_sum, which this format cannot hold: export it as stablehlo or as a model"
    for form in ("onnx", "litert"):
        with pytest.raises(UserError, match=words):
            export_model(own, tmp_path / "faces", form)
    assert not list(tmp_path.iterdir())


def test_jaxfer_never_imports_onnx_runtime():
    root = Path(jaxfer.__file__).parent
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    assert not [
        path for path in root.rglob("*.py") if re.search(r"import onnxruntime|from onnxruntime", path.read_text())
    ]
