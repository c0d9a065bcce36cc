"""Distillation from the command line: born again of the same network, resumed, and mistaken."""

import json
import shutil

import commands
import pytest
from networks import Linear

from jaxfer.cli.main import parse
from jaxfer.cli.start import StartUp
from jaxfer.config import from_json
from jaxfer.data import load
from jaxfer.training import fit

SMALL = ["--network", "networks:Linear", "--drawn-train", "14", "--drawn-val", "7", "--image-size", "32"]
SMALL += ["--batch-size", "7", "--l2", "0", "--crop", "2", "--flip"]

pytestmark = pytest.mark.usefixtures("blank_figures")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """Return the folder of a run of one epoch."""
    folder = tmp_path_factory.mktemp("taught") / "first"
    config = parse(["train", "--run-dir", str(folder), "--epochs", "1", *SMALL]).config
    fit(config, load(config.data), run_dir=folder, model=Linear())
    return folder


@pytest.fixture
def jaxfer(teacher, tmp_path, monkeypatch, capsys):
    """Run the command in a folder with the teacher's; return its exit code, what it printed and its errors."""
    shutil.copytree(teacher, tmp_path / "first")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jaxfer.cli.train.start_jax", lambda *_: StartUp())

    return lambda *arguments: (commands.jaxfer(*arguments), *capsys.readouterr())


def test_the_flags_are_made_from_the_config():
    flags = ["--teachers", "runs/a", "runs/b", "--teacher-weight", "0.5", "--teacher-temperature", "2"]
    distill = parse(["train", *flags, "--teacher-places", "5"]).config.distill
    assert [str(path) for path in distill.teachers] == ["runs/a", "runs/b"]
    assert (distill.teacher_weight, distill.teacher_temperature, distill.teacher_places) == (0.5, 2.0, 5)
    assert parse(["train"]).config.distill.teachers == ()


# Slow: two networks are compiled with teachers, and the run is ended as commands end it, three times.
@pytest.mark.long
def test_a_run_is_born_again_and_resumed(jaxfer, tmp_path):
    again = ["--run-dir", "again", "--teachers", "first", "--seed", 1, "--schedule", "constant", *SMALL]
    code, printed, error = jaxfer("train", *again, "--epochs", 1)
    assert code == 0, error
    assert "teachers" in printed.partition("Start-up")[2]
    assert "note:" not in printed
    config = from_json((tmp_path / "again/config.json").read_text())
    assert [str(path) for path in config.distill.teachers] == ["first"]
    (file,) = (tmp_path / "again").glob("teachers-*.npz")
    made = file.stat().st_mtime_ns
    resume = ["train", "--run-dir", "again", "--resume", "--network", "networks:Linear", "--epochs", 2]
    code, _, error = jaxfer(*resume)
    assert code == 0, error
    assert file.stat().st_mtime_ns == made
    assert json.loads((tmp_path / "again/summary.json").read_text())["epochs"] == 2
    (tmp_path / "first").rename(tmp_path / "moved")
    code, _, error = jaxfer(*resume)
    assert code == 2
    assert "error: first holds no run (no config.json): pass the folder of a finished run (--teachers)" in error
    assert jaxfer(*resume, "--teachers", "moved")[0] == 0


@pytest.mark.long
def test_a_teacher_of_other_data_is_said(jaxfer):
    other = [*SMALL, "--drawn-train", "21"]
    code, printed, error = jaxfer("train", "--run-dir", "other", "--teachers", "first", "--epochs", 1, *other)
    assert code == 0, error
    assert "note: the teacher first was trained on other images or labels than these; where it has seen" in printed
