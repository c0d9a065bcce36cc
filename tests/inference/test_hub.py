"""Models on the hub, where a stand-in takes the place of huggingface_hub: what is fetched is verified as any folder."""

import shutil
import sys

import numpy as np
import pytest
from leaving import Hub, faces, model_of

from jaxfer import Predictor
from jaxfer.errors import UserError
from jaxfer.inference import load_model, push_model, save_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    model = model_of("published", 32, width=None)
    return save_model(model, tmp_path_factory.mktemp("models") / "faces", card="---\nlibrary_name: jaxfer\n---\n")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    hub = Hub(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    return hub


def test_what_is_put_there_comes_back(saved, hub):
    (saved / "notes.txt").write_text("mine")
    assert push_model(saved, "hub:ada/faces") == "https://hub/ada/faces/tree/main/"
    there = hub.root / "ada" / "faces"
    assert sorted(path.name for path in there.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    images = faces(2, 32)
    expected = load_model(saved).probabilities(images)
    np.testing.assert_array_equal(load_model("hub:ada/faces", revision="v1").probabilities(images), expected)
    np.testing.assert_array_equal(Predictor.load("hub:ada/faces", detector="whole").classify(images), expected)
    assert hub.asked == [("ada/faces", "v1"), ("ada/faces", None)]


def test_what_was_changed_there_is_refused(saved, hub):
    push_model(saved, "hub:ada/faces")
    weights = hub.root / "ada" / "faces" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"is not the file that config\.json was written with"):
        load_model("hub:ada/faces")


def test_what_cannot_be_verified_is_not_put_there(saved, hub, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "copy")
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=r"is not the file that config\.json was written with"):
        push_model(folder, "hub:ada/faces")
    assert not (hub.root / "ada").exists()


def test_a_hub_that_cannot_be_reached_is_a_sentence(saved, hub, monkeypatch):
    with pytest.raises(UserError, match=r"ada/none at v2 cannot be fetched from the hub \(404 Client Error\.\): check"):
        load_model("hub:ada/none", revision="v2")

    def fail(*arguments, **fields):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(hub, "upload_folder", fail, raising=False)
    with pytest.raises(UserError, match=r"cannot be put to ada/faces on the hub \(no route to host\): check the name"):
        push_model(saved, "hub:ada/faces")


def test_without_the_extra_and_without_a_name_it_is_a_sentence(saved, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for call in (lambda: load_model("hub:ada/faces"), lambda: push_model(saved, "hub:ada/faces")):
        with pytest.raises(UserError, match=r"pip install 'jaxfer\[hub\]'"):
            call()
    for name in ("hub:faces", "hub:../../etc", "hub:a/b/c", "hub:"):
        with pytest.raises(UserError, match="is no model on the hub: pass hub:USER/NAME"):
            load_model(name)
    with pytest.raises(UserError, match="has no revisions"):
        load_model(saved, revision="v1")
