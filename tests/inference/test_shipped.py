"""The weights that come with jaxfer: whole, small, and as accurate as their card says."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

import jaxfer
from jaxfer.config import DataConfig
from jaxfer.data import load
from jaxfer.emotions import AFFECTNET_7, AFFECTNET_8
from jaxfer.inference.model import SHIPPED

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", SHIPPED)
def test_weights_that_ship_are_small_and_those_that_were_measured(name):
    folder = SHIPPED[name]
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors", "README.md"}
    weights = (folder / "model.safetensors").read_bytes()
    measured = json.loads((ROOT / "benchmarks" / "results" / f"weights-{name}.json").read_text())
    assert len(weights) == measured["file"]["bytes"] <= 4_000_000
    assert hashlib.sha256(weights).hexdigest() == measured["file"]["sha256"]
    assert measured["made"] == json.loads((folder / "config.json").read_text())["notes"]["made"]


def test_they_answer_with_eight_expressions_for_people_and_with_seven_labels_for_the_benchmark():
    model = jaxfer.load_model("small")
    faces = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3)).astype(np.uint8)
    assert (model.names(), model.names("expression")) == (AFFECTNET_8, AFFECTNET_7)
    assert model.probabilities(faces).shape == (2, 8)
    np.testing.assert_allclose(model.probabilities(faces, "expression").sum(1), 1, rtol=1e-5)


def test_a_folder_of_ones_own_of_that_name_is_reached_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for own in ("./small", Path("small")):
        with pytest.raises(jaxfer.UserError, match="small does not exist"):
            jaxfer.load_model(own)


@pytest.mark.skipif(
    "JAXFER_DATA" not in os.environ, reason="JAXFER_DATA does not name a folder with fer2013/fer2013.npz"
)
def test_they_are_as_accurate_on_fer2013s_public_test_as_their_card_says():
    data = load(DataConfig(data_dir=Path(os.environ["JAXFER_DATA"]) / "fer2013" / "fer2013.npz", image_size=48))
    model, split = jaxfer.load_model("small"), data.val
    assert (split.name, len(split)) == ("PublicTest", 3589)
    measured = json.loads((ROOT / "benchmarks" / "results" / "weights-small.json").read_text())
    for views in ("one", "ten"):
        probabilities = np.concatenate(
            [model.probabilities(split.images[i : i + 128], "expression", views) for i in range(0, len(split), 128)]
        )
        accuracy = np.mean(probabilities.argmax(1) == split.labels)
        assert f"{accuracy:.4f}" == f"{measured['views'][views]['accuracy']:.4f}"
    assert measured["float16"]["changed"]["expression"] <= 0.001 * len(split)
