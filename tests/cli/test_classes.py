"""Classes on the command line: a network of some of them, trained, evaluated, resumed, saved and loaded."""

import json
import sys

import commands
import networks
import numpy as np
import pytest
from formats import encoded, face, put

from jaxfer.cli.flags import TrainingFlags
from jaxfer.cli.main import parse
from jaxfer.cli.start import StartUp
from jaxfer.config import DataConfig
from jaxfer.inference import FaceModel, load_model, save_model
from jaxfer.runs.load import load_run

OWN = ["--classes", "low,neutral,happy", "--merge", "sad=low,fear=low", "--class-names", "feliz=happy"]


@pytest.mark.parametrize(
    "words",
    [
        ["--classes", "neutral,happy"],
        ["--classes", "neutral", "happy"],
        ["--classes=neutral,happy"],
        ["--classes", "neutral,", "happy"],
    ],
)
def test_commas_and_spaces_part_classes(words):
    assert TrainingFlags.parse(words).config.data.classes == ("neutral", "happy")
    assert parse(["train", *words, "--seed", "1"]).config.data.classes == ("neutral", "happy")


def test_merges_and_the_words_of_the_data_are_flags_too():
    expected = DataConfig(
        classes=("low", "neutral", "happy"), merge=("sad=low", "fear=low"), class_names=("feliz=happy",)
    )
    assert parse(["train", *OWN]).config.data == expected
    assert parse(["sweep", *OWN, "--over", "seed=1,2"]).config.data == expected
    assert parse(["data", "prepare", "faces", "--out", "out", *OWN[4:]]).verb.config.class_names == ("feliz=happy",)
    assert parse(["data", "check", "faces", *OWN[4:]]).verb.class_names == ("feliz=happy",)


@pytest.fixture
def jaxfer(monkeypatch, capsys):
    """Return a function that runs the command here, and returns its code, what it printed and its errors."""
    for verb in ("train", "evaluate"):
        monkeypatch.setattr(f"jaxfer.cli.{verb}.start_jax", lambda *_: StartUp())
    monkeypatch.setattr(sys, "path", [*sys.path])

    network = "--network", "networks:Linear"
    return lambda *arguments: (commands.jaxfer(*arguments, *network), *capsys.readouterr())


@pytest.mark.long
def test_a_network_of_some_classes_goes_from_folders_to_a_saved_model(tmp_path, jaxfer):
    faces, run = tmp_path / "faces", tmp_path / "run"
    words = {"neutral": "neutral", "happy": "feliz", "sad": "sad", "fear": "fear", "anger": "anger"}
    for split in ("train", "val"):
        for name, word in words.items():
            for number in range(2):
                put(faces / split / word / f"{number}.png", encoded(face(name, number, 32), "PNG"))
    small = ["--image-size", "32", "--batch-size", "4", "--epochs", "1", "--l2", "0", "--heads"]
    code, printed, errors = jaxfer("train", "--data-dir", faces, "--run-dir", run, *OWN, *small)
    assert code == 0, errors
    assert "left out: 4 anger" in printed
    summary = json.loads((run / "summary.json").read_text())
    assert summary["val"]["class_names"] == ["low", "neutral", "happy"]
    assert summary["val"]["per_class"]["low"]["support"] == 4
    assert summary["data"]["left_out"] == {"anger": 4}
    assert "3 classes: low, neutral, happy" in (run / "report.html").read_text()

    code, _, errors = jaxfer("train", "--run-dir", run, "--resume")
    assert code == 0, errors
    code, _, errors = jaxfer("train", "--run-dir", run, "--resume", "--classes", "neutral,happy")
    assert code == 2
    assert "begun with another configuration (classes ('low', 'neutral', 'happy'), now ('neutral', 'happy'))" in errors

    code, printed, errors = jaxfer("evaluate", run, "--json")
    assert code == 0, errors
    (found,) = json.loads(printed)["evaluations"]
    assert (found["class_names"], found["examples"]) == (["low", "neutral", "happy"], 8)
    assert found["data"]["left_out"] == {"anger": 4}

    trained = load_run(run, "last", model=networks.Linear(num_classes=3))
    save_model(FaceModel.of_run(trained), tmp_path / "model")
    model = load_model(tmp_path / "model", network=networks.Linear(num_classes=3))
    assert model.names() == model.class_names == trained.class_names == ("low", "neutral", "happy")
    assert model.notes["made"]["config"]["data"]["merge"] == ["sad=low", "fear=low"]
    shares = model.probabilities(np.asarray(face("happy", 0, 32))[None])
    assert shares.shape == (1, 3)


def test_a_run_of_own_classes_answers_with_them_though_it_has_learnt_votes(tmp_path):
    flags = TrainingFlags.parse(["--classes", "neutral,happy", "--heads", "votes"])
    seven = TrainingFlags.parse(["--heads", "votes"])

    class Run:
        temperature, checkpoint, fingerprint, model, variables, run_dir = None, {}, "", None, {}, tmp_path

        def __init__(self, config):
            self.config, self.class_names = config, config.data.vocabulary

    assert FaceModel.of_run(Run(flags.config)).names() == ("neutral", "happy")
    assert FaceModel.of_run(Run(seven.config)).names()[-1] == "contempt"
