"""`jaxfer export` and `jaxfer card`: what they write, and what they refuse in a sentence."""

import dataclasses
import re
import sys

import pytest
from leaving import faces, model_of
from made_runs import HISTORY, write_run
from networks import Linear, drawn

from jaxfer.cli.main import parse
from jaxfer.config import PRESETS, to_json
from jaxfer.errors import UserError
from jaxfer.inference import load_model, save_model
from jaxfer.runs.load import Trained


def run(*arguments):
    parse(list(map(str, arguments))).run()


@pytest.fixture
def saved(tmp_path):
    # As wide as it is: no config names a narrow one.
    return save_model(model_of("published", 32, width=None), tmp_path / "saved", card="# Mine\n")


@pytest.fixture
def unfinished(tmp_path, monkeypatch):
    """Return the folder of a run without a summary, whose checkpoint need not be read."""
    folder = write_run(tmp_path / "unfinished", history=HISTORY[:2])
    (folder / "summary.json").unlink()
    (folder / "checkpoints").mkdir()
    own = model_of("published", 32, width=None)
    data = dataclasses.replace(PRESETS["demo"].data, image_size=32, drawn_train=70, drawn_val=70)
    config = dataclasses.replace(PRESETS["demo"], data=data)
    (folder / "config.json").write_text(to_json(config))
    trained = Trained(folder, config, own.network, dict(own.variables), 120, 2, True, "last", "9f2c")
    monkeypatch.setattr("jaxfer.runs.load.load_run", lambda run, model=None: trained)
    return folder


def test_a_model_keeps_its_card_and_a_file_says_its_size(saved, tmp_path, capsys):
    run("export", saved, tmp_path / "again", "--format", "model")
    assert (tmp_path / "again" / "README.md").read_text() == "# Mine\n"
    run("export", saved, tmp_path / "faces.onnx", "--format", "onnx")
    assert capsys.readouterr().out.splitlines()[1] == f"Written: {tmp_path / 'faces.onnx'}, 0.6 MB"


def test_an_unfinished_run_leaves_with_a_card_that_says_so(unfinished, tmp_path):
    run("export", unfinished, tmp_path / "model", "--format", "model")
    assert "**The run has not ended.** After epoch 2" in (tmp_path / "model" / "README.md").read_text()
    images = faces(2, 32)
    assert load_model(tmp_path / "model").probabilities(images).shape == (2, 7)
    run("card", unfinished)
    assert "**The run has not ended.** After epoch 2" in (unfinished / "README.md").read_text()
    with pytest.raises(UserError, match=r"README\.md exists, and nothing is overwritten"):
        run("card", unfinished)


def test_a_card_is_of_a_run_alone(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in (saved, "small", "none", tmp_path):
        with pytest.raises(UserError, match=r"is no run, of whose files alone a card is written: pass the folder of"):
            run("card", place, "--out", tmp_path / "card.md")
    assert not (tmp_path / "card.md").exists()


def test_names_of_classes_do_nothing_but_show_themselves(tmp_path, capsys):
    own = dataclasses.replace(model_of("published", 32, width=None), class_names=("\x1b[31ma\nb", *"cdefgh"))
    run("export", save_model(own, tmp_path / "saved"), tmp_path / "faces.onnx", "--format", "onnx")
    assert capsys.readouterr().out.splitlines()[1] == "  expression: \\x1b[31ma\\nb, c, d, e, f, g, h"


@pytest.mark.parametrize("form", ["model", "onnx", "litert", "stablehlo"])
def test_what_exists_is_refused_and_stays(form, saved, tmp_path):
    (tmp_path / "there").write_text("mine")
    with pytest.raises(UserError, match="there exists, and nothing is overwritten: pass another name"):
        run("export", saved, tmp_path / "there", "--format", form)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="link exists"):
        run("export", saved, tmp_path / "link", "--format", form)
    assert (tmp_path / "there").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("form", "package"), [("onnx", "onnx"), ("litert", "ai_edge_litert"), ("stablehlo", "flatbuffers")]
)
def test_a_package_that_is_missing_is_a_sentence(form, package, saved, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"not installed: pip install 'jaxfer\[{form}\]'"):
        run("export", saved, tmp_path / "out", "--format", form)
    assert not (tmp_path / "out").exists()


def test_half_a_file_and_a_folder_edited_by_hand_are_refused(saved, tmp_path):
    config = saved / "config.json"
    whole = config.read_text()
    config.write_text(whole.replace('"happy",\n    "sad"', '"sad",\n    "happy"'))
    with pytest.raises(UserError, match=r"config\.json was changed after the model was saved: copy the model again"):
        run("export", saved, tmp_path / "out", "--format", "onnx")
    config.write_text(whole)
    weights = saved / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    with pytest.raises(UserError, match=r"is not the file that config\.json was written with: copy the model again"):
        run("export", saved, tmp_path / "out", "--format", "onnx")


def test_a_network_of_ones_own_is_named(tmp_path):
    own = dataclasses.replace(
        model_of("published", 32), network=Linear(), variables=drawn(Linear(), faces(1, 32)), answer="expression"
    )
    own = dataclasses.replace(own, config=dataclasses.replace(own.config, variant="networks:Linear", heads=()))
    folder = save_model(own, tmp_path / "own")
    run("export", folder, tmp_path / "again", "--format", "model", "--network", "networks:Linear")
    run("export", folder, tmp_path / "out", "--format", "stablehlo", "--network", "networks:Linear")
    with pytest.raises(UserError, match=r"networks:Linear is not one of jaxfer's"):
        run("export", folder, tmp_path / "third", "--format", "model")
    with pytest.raises(UserError, match="export it as stablehlo or as a model"):
        run("export", folder, tmp_path / "faces.onnx", "--format", "onnx", "--network", "networks:Linear")


@pytest.mark.long
def test_eight_bits_are_measured_by_the_runs_own_images(unfinished, saved, tmp_path, capsys):
    run("export", unfinished, tmp_path / "int8.onnx", "--format", "onnx", "--int8")
    written, names, cost = capsys.readouterr().out.splitlines()
    assert written == f"Written: {tmp_path / 'int8.onnx'}, 0.2 MB"
    assert names == "  expression: neutral, happy, sad, surprise, fear, disgust, anger"
    assert re.fullmatch(
        r"  int8: accuracy .*% in place of .*% on 56 validation images, the same answer for .*%.*", cost
    )
    with pytest.raises(UserError, match="saved is no run, by whose validation images --int8 is calibrated"):
        run("export", saved, tmp_path / "other.onnx", "--format", "onnx", "--int8")
