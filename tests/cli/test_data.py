"""`jaxfer data`, as the command is called."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import jaxfer
from formats import class_folders, encoded, face, put

from jaxfer.config import DataConfig
from jaxfer.data import load


@pytest.fixture
def faces(tmp_path):
    root = tmp_path / "faces"
    class_folders.words(root, 2)
    return root


def test_check_prints_what_it_found_and_writes_all_of_it(faces, tmp_path, capsys):
    put(faces / "archive (3)/Train/happy/copy.png", encoded(face("happy", 77), "PNG"))
    put(faces / "archive (3)/Test/SAD/twin.png", encoded(face("happy", 77), "PNG"))
    out, page = tmp_path / "check.json", tmp_path / "check.html"
    assert jaxfer("data", "check", faces, "--json", out, "--html", page) == 0
    printed = capsys.readouterr().out
    for words in ("class folders", "50 usable images", "Leaks: 1", "Conflicting labels: 2", str(out), str(page)):
        assert words in printed
    found = json.loads(out.read_text())
    assert found["layout"] == "class folders"
    assert found["splits"]["Train"]["classes"]["happy"] == 3
    assert [entry["path"] for entry in found["problems"]["leak"]] == ["Test/SAD/twin.png"]
    assert "<html" in page.read_text()


def test_prepare_makes_a_folder_to_train_on(faces, tmp_path, capsys):
    out = tmp_path / "prepared"
    assert jaxfer("data", "prepare", faces, "--out", out, "--image-size", 32, "--num-classes", 8) == 0
    assert "48 images" in capsys.readouterr().out
    data = load(DataConfig(data_dir=out, image_size=32, num_classes=8))
    assert (len(data.train), len(data.val)) == (16, 16)
    assert jaxfer("data", "prepare", faces, "--out", out, "--image-size", 32, "--num-classes", 8) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "{root}/nowhere"], "does not exist"),
        (["check", "{root}/digits"], "--label-order"),
        (["check", "{root}/faces", "--json", "{root}"], "cannot be written"),
        (["check", "{root}/faces", "--html", "{root}/no/page.html"], "cannot be written"),
        (["prepare", "{root}/faces", "--out", "{root}/faces/prepared"], "lies in the data"),
        (["prepare", "{root}/faces", "--out", "{root}/out", "--image-size", "8"], "image_size is 8: pass from"),
        (["prepare", "{root}/faces"], "--out"),
    ],
)
def test_what_cannot_be_done_ends_in_a_sentence_and_code_2(arguments, words, faces, tmp_path, capsys):
    class_folders.digits(tmp_path / "digits", 1)
    assert jaxfer("data", *(part.format(root=tmp_path) for part in arguments)) == 2
    error = " ".join(capsys.readouterr().err.replace("│", " ").split())  # a mistaken flag is said in a box
    assert words in error
    assert "Traceback" not in error


@pytest.mark.parametrize(("name", "why"), [("no/page.html", "no is no folder"), ("faces", "it is a folder")])
@pytest.mark.parametrize("flag", ["--html", "--json"])
def test_where_findings_cannot_be_written_is_said_before_the_work(
    flag, name, why, faces, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("jaxfer.data.checking.check", lambda *_, **__: pytest.fail("the work was begun"))
    assert jaxfer("data", "check", faces, flag, tmp_path / name) == 2
    assert f"{name} cannot be written: " in (error := capsys.readouterr().err)
    assert why in error


def test_the_command_is_installed_and_starts_without_jax(faces):
    command = Path(sys.executable).parent / "jaxfer"
    result = subprocess.run([command, "data", "check", faces], capture_output=True, text=True, timeout=600, check=True)
    assert "48 usable images" in result.stdout
    code = "import sys; sys.argv = ['jaxfer', 'data', 'check', '.']; from jaxfer.cli.main import main; main(); "
    code += "assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=faces, capture_output=True, timeout=600, check=True)


def test_a_folder_of_which_nothing_can_be_used_is_refused_with_the_reasons(tmp_path, capsys):
    for name in ("1.heic", "2.heic", "3.jpg"):
        path = tmp_path / "train" / "happy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = tmp_path / "found.json"
    assert jaxfer("data", "check", tmp_path, "--json", found) == 2
    assert json.loads(found.read_text())["images"] == 0
    error = capsys.readouterr().err
    assert f"no image of {tmp_path} can be used: not an image by its name (2), " in error
