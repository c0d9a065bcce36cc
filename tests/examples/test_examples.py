"""The examples, run as a person runs them."""

import ast
import dataclasses
import json
import os
import re
import runpy
import shlex
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import programs
import pytest
from PIL import Image

from jaxfer.config import PRESETS, DataConfig, ModelConfig
from jaxfer.data.synthetic import draw_faces
from jaxfer.emotions import AFFECTNET_7, AFFECTNET_8
from jaxfer.errors import Interrupted
from jaxfer.inference import load_model
from jaxfer.models import MODELS, ResNetFER

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
TRAIN = ROOT / "examples" / "train_affectnet.py"
SWEEP = ROOT / "examples" / "sweep_affectnet.py"
SMALL = ["--image-size", "32", "--batch-size", "21"]
"""The same for all examples, so that what one of them compiles serves the others."""

OWN = ["--network", "networks:Convolutional"]
"""A network that compiles in a moment. With jaxfer's own the same is told of by `make test-all`."""


def run(*arguments, cwd):
    """Run Python with these arguments in a process of its own."""
    command = [sys.executable, *map(str, arguments)]
    # Warnings end these processes as they end the tests.
    places = os.pathsep.join(filter(None, [str(programs.TESTS), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONWARNINGS": "error", "PYTHONPATH": places}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Return a function that runs an example here, where JAX has started, and returns what it said of errors."""
    monkeypatch.setattr("jaxfer.devices.cpu.tune_for_cpu", lambda: None)
    monkeypatch.chdir(tmp_path)

    def run(script, *arguments):
        monkeypatch.setattr(sys, "argv", [str(script), *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(script), run_name="__main__")
        assert ended.value.code == 2
        return capsys.readouterr().err

    return run


def photographs(root, classes=AFFECTNET_7, per_class=3):
    """Write a folder of words with a training and a validation split."""
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        for word in classes:
            folder = root / split / word
            folder.mkdir(parents=True)
            for index in range(per_class):
                pixels = random.integers(0, 256, (40, 40, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")
    return root


# Slow: the example trains, is resumed and evaluated, each in a process of its own.
@pytest.mark.parametrize("network", [OWN, pytest.param([], marks=pytest.mark.slow)], ids=["own", "published"])
def test_training_on_photographs_writes_a_whole_run_that_resumes_and_can_be_evaluated(tmp_path, refused, network):
    photographs(tmp_path / "faces")
    (tmp_path / "faces" / "train" / "happy" / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn")
    flags = ["--data-dir", "faces", "--preset", "published", "--run-dir", "run"]
    flags += ["--epochs", "2", *SMALL, *network, "--max-unreadable", "0.1"]
    finished = run(TRAIN, *flags, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert "left out: 1 unreadable" in finished.stdout
    assert "epoch 2/2" in finished.stdout
    assert "val: val, n = 21" in finished.stdout

    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert {"config", "epochs", "steps", "seconds", "train", "val"} <= summary.keys()
    for name in ("train", "val"):
        scores = summary[name]
        assert {"split", "examples", "loss", "accuracy", "macro_f1", "mse", "r2"} <= scores.keys()
        assert scores["examples"] == 21
        assert np.sum(scores["confusion_matrix"]) == 21
        assert scores["class_names"] == list(AFFECTNET_7)
    assert (summary["epochs"], summary["steps"]) == (2, 2)
    assert summary["start_up"]["seconds"].keys() == {"import", "devices", "load_data", "compile", "first_step"}
    assert summary["start_up"]["programs_loaded"] + summary["start_up"]["programs_compiled"] > 0
    assert "Start-up: import" in finished.stdout
    assert "torn.jpg" in summary["data"]["unreadable"][0][0]
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"config.json", "metrics.jsonl", "summary.json", "report.html", "checkpoints"}
    assert "torn.jpg" in (tmp_path / "run" / "report.html").read_text()

    assert refused(TRAIN, *flags).startswith("error: run already holds a run: continue it with --resume")
    resumed = run(TRAIN, "--run-dir", "run", "--resume", "--epochs", "3", *network, cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert "epoch 3/3" in resumed.stdout
    assert "epoch 2/3" not in resumed.stdout
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 3
    evaluated = run("-c", "from jaxfer.cli.main import main; main()", "evaluate", "run", *network, cwd=tmp_path)
    assert evaluated.returncode == 0, evaluated.stderr
    assert "Page: " in evaluated.stdout


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda root: root.mkdir(), "faces is empty"),
        (lambda root: None, "does not exist"),
        (lambda root: photographs(root, AFFECTNET_7[:6]), "anger"),
        (lambda root: photographs(root, [*AFFECTNET_7[:6], "sleepy"]), "sleepy"),
        (lambda root: photographs(root, list("0123456")), "label order"),
    ],
    ids=["empty folder", "no folder", "class without images", "unknown label", "label order not declared"],
)
def test_data_that_cannot_be_used_ends_in_a_sentence_before_anything_is_written(tmp_path, refused, prepare, words):
    prepare(tmp_path / "faces")
    errors = refused(TRAIN, "--data-dir", "faces", "--run-dir", "run")
    assert errors.startswith("error: ")
    assert words in errors.replace("-", " ")
    assert "Traceback" not in errors
    assert not (tmp_path / "run").exists()


def test_the_quickstart_runs_and_is_the_one_in_the_readme(tmp_path):
    script = ROOT / "examples" / "quickstart.py"
    _, _, program = script.read_text().partition('"""\n\n')
    assert program in (ROOT / "README.md").read_text()
    smaller, text = tmp_path / "quickstart.py", script.read_text()
    less = "Config(data=DataConfig(drawn_train=140, drawn_val=70, image_size=32), epochs=1, batch_size=21)"
    for asked, other in (
        ('PRESETS["demo"]', less),
        ("from jaxfer import PRESETS,", "from jaxfer.config import Config, DataConfig\nfrom jaxfer import"),
        ("labels=np.array([3]))", "labels=np.array([3]), image_size=32)"),
    ):
        assert asked in text
        text = text.replace(asked, other)
    smaller.write_text(text)
    finished = run(smaller, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert "on 70 images of val" in finished.stdout
    # After so little training it may name any; `test_the_quickstart_is_right` trains as long as the script does.
    assert finished.stdout.splitlines()[-1].startswith("it looks like ")


def test_the_program_of_the_readme_that_names_an_expression_is_right(tmp_path):
    (program,) = (
        program
        for program in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
        if "Predictor" in program
    )
    wanted = ["happy", "surprise"]
    faces = draw_faces(seed=5, labels=np.array([AFFECTNET_7.index(name) for name in wanted]), image_size=160)
    photograph = Image.new("RGB", (640, 320), "gray")
    for i, face in enumerate(faces):
        photograph.paste(Image.fromarray(face), (80 + 320 * i, 80))
    photograph.save(tmp_path / "photo.jpg", quality=95)
    told = "({face.confidence:.0%})"
    assert told in program
    finished = run("-c", program.replace(told, f"{told} at {{face.box}}"), cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    lines = finished.stdout.splitlines()
    found = {}
    for said, shares in zip(lines[::2], map(ast.literal_eval, lines[1::2]), strict=True):
        label, left = re.fullmatch(r"most people would see (\w+) \(\d+%\) at \(([\d.]+), .*\)", said).groups()
        assert max(shares, key=shares.get) == label
        assert tuple(shares) == AFFECTNET_8
        assert sum(shares.values()) == pytest.approx(1)
        found[float(left)] = label
    assert [found[left] for left in sorted(found)] == wanted


def test_a_group_is_drawn_found_and_named(tmp_path, refused):
    finished = run(ROOT / "examples" / "predict_group.py", "--model", "small", "--out", "there", cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert re.search(r"^8 of 8 faces found, \d named right$", finished.stdout, re.MULTILINE)
    for name in ("group.png", "group-predicted.png"):
        with Image.open(tmp_path / "there" / name) as picture:
            assert picture.size == (1440, 780)
    errors = refused(ROOT / "examples" / "predict_group.py")
    assert "there is no finished run in runs/: `make train` makes one" in errors


@pytest.mark.slow
def test_the_quickstart_is_right(tmp_path):
    finished = run(ROOT / "examples" / "quickstart.py", cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    (accuracy,) = re.findall(r"accuracy (0\.\d+), macro F1 0\.\d+ on 1400 images of val", finished.stdout)
    assert float(accuracy) > 0.9
    assert finished.stdout.splitlines()[-1] == "it looks like surprise"


# Slow: a grid of runs, in processes that are stopped and resumed.
@pytest.mark.parametrize("network", [OWN, pytest.param([], marks=pytest.mark.slow)], ids=["own", "published"])
def test_the_sweep_trains_a_grid_on_drawn_faces_and_goes_on_where_it_was_stopped(tmp_path, refused, network):
    small = ["--drawn-train", "42", "--drawn-val", "21", *SMALL, *network]
    grid = ["--rates", "0.003", "0.001", "--lengths", "1", "2", "--sweep-dir", "sweep"]
    finished = run(SWEEP, *grid, *small, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert "4 cells after their last epoch, on val, n = 21" in finished.stdout
    assert "took 4 epochs, 6 one by one" in " ".join(finished.stdout.split())
    first, second = sorted((tmp_path / "sweep" / "cells").iterdir())
    for cell in (first, second):
        names = {path.name for path in cell.iterdir()} - {"config.json", "metrics.jsonl", "report.html", "checkpoints"}
        assert names == {"summary.json", "summary-1.json"}
        shorter, whole = (json.loads((cell / name).read_text()) for name in ("summary-1.json", "summary.json"))
        assert (shorter["epochs"], shorter["checkpoint"]["step"], shorter["config"]["epochs"]) == (1, 2, 1)
        assert shorter["val"]["intervals"] != whole["val"]["intervals"]
        assert {path.name for path in (cell / "checkpoints").iterdir()} == {"2", "4"}
    table = (tmp_path / "sweep" / "table.csv").read_text()
    assert "Report: sweep/report.html" in finished.stdout
    assert "of 4 finished settings" in (tmp_path / "sweep" / "report.html").read_text()

    # As if it had been killed before the second run ended.
    (second / "summary.json").unlink()
    (tmp_path / "sweep" / "table.csv").unlink()
    resumed = run(SWEEP, "--sweep-dir", "sweep", "--resume", *network, cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert "run 2 of 2" in resumed.stdout
    assert "run 1 of 2" not in resumed.stdout
    assert (tmp_path / "sweep" / "table.csv").read_text() == table
    again = refused(SWEEP, *grid, *small)
    assert again.startswith("error: sweep already holds a sweep: continue it with --resume")


def fer2013(folder, rows=42, votes=42):
    """Write FER2013's csv with noise in it, and votes of FER+ for some of its rows."""
    folder.mkdir()
    random = np.random.default_rng(0)
    with (folder / "fer2013.csv").open("w") as file:
        file.write("emotion,pixels,Usage\n")
        for row in range(rows):
            pixels = " ".join(map(str, random.integers(0, 256, 48 * 48)))
            file.write(f"{row % 7},{pixels},{'PublicTest' if row >= rows // 2 else 'Training'}\n")
    with (folder / "fer2013new.csv").open("w") as file:
        file.write("Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n")
        for row in range(votes):
            counts = [0] * 10
            counts[row % 8] = 10
            usage = "PublicTest" if row >= rows // 2 else "Training"
            file.write(f"{usage},fer{row:07d}.png,{','.join(map(str, counts))}\n")


def test_training_on_fer2013_learns_labels_and_votes_and_goes_on(tmp_path, monkeypatch, capsys):
    fer2013(tmp_path / "faces")
    monkeypatch.setitem(MODELS, "published", partial(ResNetFER, width=8, stage_sizes=()))
    tiny = {"data": DataConfig(image_size=32), "model": ModelConfig(gray=True, standardize=True), "batch_size": 21}
    monkeypatch.setitem(PRESETS, "small", dataclasses.replace(PRESETS["small"], **tiny))
    monkeypatch.setattr("jaxfer.devices.cpu.tune_for_cpu", lambda: None)
    monkeypatch.chdir(tmp_path)
    for more in (["--epochs", "1"], ["--epochs", "1", "--resume"]):
        arguments = ["faces/fer2013.csv", "--votes", "faces/fer2013new.csv", "--run-dir", "run", *more]
        monkeypatch.setattr(sys, "argv", ["train_fer2013.py", *arguments])
        runpy.run_path(str(ROOT / "examples" / "train_fer2013.py"), run_name="__main__")
        assert "PublicTest, n = 21" in capsys.readouterr().out
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["config"]["model"]["heads"] == ["votes"]
    assert summary["val"]["votes_examples"] == 21
    model = load_model(tmp_path / "run" / "model-epoch-1")
    assert (model.answer, model.image_size, model.names("expression")) == ("votes", 32, AFFECTNET_7)
    assert str(tmp_path) not in (tmp_path / "run" / "model-epoch-1" / "config.json").read_text()
    arguments = ["faces/fer2013.csv", "--votes", "faces/fer2013new.csv", "--run-dir", "run", "--epochs", "1"]
    monkeypatch.setattr(sys, "argv", ["train_fer2013.py", *arguments, "--then", "2", "--then-taught", "1", "--resume"])
    runpy.run_path(str(ROOT / "examples" / "train_fer2013.py"), run_name="__main__")
    second = json.loads((tmp_path / "run-then" / "summary.json").read_text())
    assert (second["epochs"], second["config"]["optimizer"]["learning_rate"]) == (2, 0.05)
    lines = (tmp_path / "run-then" / "metrics.jsonl").read_text().splitlines()
    [begun] = [line for line in map(json.loads, lines) if line["kind"] == "pretrained"]
    assert (begun["source"], begun["origin"]) == ("run/model-epoch-1/model.safetensors", "jaxfer's own")
    assert load_model(tmp_path / "run-then" / "model-epoch-2").answer == "votes"
    taught = json.loads((tmp_path / "run-then-taught" / "summary.json").read_text())
    assert taught["epochs"] == 1
    assert taught["config"]["distill"]["teachers"] == ["run-then"]
    assert taught["config"]["model"]["pretrained"] == "run-then/model-epoch-2"


def test_the_data_of_a_run_are_not_written_over(tmp_path, refused):
    fer2013(tmp_path / "faces")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.json").touch()
    (tmp_path / "run-fer2013.npz").write_bytes(b"of the run")
    script = ROOT / "examples" / "train_fer2013.py"
    errors = refused(script, "faces/fer2013.csv", "--votes", "faces/fer2013new.csv", "--run-dir", "run")
    assert "run already holds a run: continue it with --resume, or choose another --run-dir" in errors
    assert (tmp_path / "run-fer2013.npz").read_bytes() == b"of the run"


def test_training_on_fer2013_that_is_interrupted_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    fer2013(tmp_path / "faces")

    def interrupted(*arguments, **options):
        raise Interrupted(3, signal.SIGTERM, ())

    monkeypatch.setattr("jaxfer.fit", interrupted, raising=False)
    monkeypatch.setattr("jaxfer.devices.cpu.tune_for_cpu", lambda: None)
    monkeypatch.chdir(tmp_path)
    arguments = ["faces/fer2013.csv", "--votes", "faces/fer2013new.csv", "--run-dir", "a run", "--epochs", "3"]
    monkeypatch.setattr(sys, "argv", ["train_fer2013.py", *arguments])
    with pytest.raises(Interrupted):
        runpy.run_path(str(ROOT / "examples" / "train_fer2013.py"))["main"]()
    command = f"Continue with: python train_fer2013.py {shlex.join(arguments)} --resume\n"
    assert command in capsys.readouterr().err


def test_files_that_are_no_votes_for_these_faces_are_refused(tmp_path, refused):
    fer2013(tmp_path / "faces")
    lines = (tmp_path / "faces" / "fer2013new.csv").read_text().splitlines()
    (tmp_path / "damaged.csv").write_text("\n".join([*lines[:4], lines[4].replace("10", "ten"), *lines[5:]]))
    script, faces = ROOT / "examples" / "train_fer2013.py", "faces/fer2013.csv"
    for arguments, words in {
        (faces, "--votes", "nowhere.csv"): "nowhere.csv",
        (faces, "--votes", "damaged.csv"): "damaged.csv line 5 is not as published: its ten last values are no counts",
        (faces, "--votes", faces): f"{faces} does not name its columns: add the header Usage,Image name,neutral",
        ("some.npz", "--votes", "faces/fer2013new.csv"): "some.npz is an npz, which has its votes inside, if any",
        (faces,): "has FER+'s votes beside it, whose majority would be its labels in place of FER2013's: name them",
    }.items():
        errors = refused(script, *arguments, "--run-dir", "run")
        assert words in errors, errors
        assert "Traceback" not in errors
        assert not (tmp_path / "run").exists()


def test_votes_of_other_rows_than_fer2013s_are_refused(tmp_path, refused):
    fer2013(tmp_path / "faces", votes=41)
    script = ROOT / "examples" / "train_fer2013.py"
    errors = refused(script, "faces/fer2013.csv", "--votes", "faces/fer2013new.csv", "--run-dir", "run")
    assert "faces/fer2013new.csv has 41 rows and faces/fer2013.csv has 42: pass the files as published" in errors
    assert not (tmp_path / "run").exists()
