"""`jaxfer sweep`: what its flags try, and what it prints."""

import json
import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from jaxfer.cli.main import main, parse
from jaxfer.config import PRESETS
from jaxfer.errors import UserError
from jaxfer.reports.terminal import print_sweep
from jaxfer.sweeps import CellResult, LogUniform, SweepResult, grid, random_search
from jaxfer.sweeps.folder import begin


def search(*arguments):
    return parse(["sweep", *arguments])._search()


@pytest.mark.parametrize(
    ("over", "fields"),
    [
        ("learning_rate=0.01,1e-3", {"optimizer.learning_rate": [0.01, 0.001]}),
        ("epochs=25, 30", {"epochs": [25, 30]}),
        ("optimizer=adam,sgd", {"optimizer.optimizer": ["adam", "sgd"]}),
        ("loss.label_smoothing=0", {"loss.label_smoothing": [0.0]}),
        ("flip=true,False", {"augment.flip": [True, False]}),
        ("clip_norm=None,1", {"optimizer.clip_norm": [None, 1.0]}),
        ("step-epochs=[5,8],[3]", {"optimizer.step_epochs": [(5, 8), (3,)]}),
        ("data_dir=../a,../b", {"data.data_dir": [Path("../a"), Path("../b")]}),
    ],
)
def test_values_are_read_as_the_type_of_their_field(over, fields):
    assert search("--over", over).fields == fields


def test_flags_make_the_grid_that_python_makes():
    over = ["--over", "learning_rate=0.01,0.003", "--over", "epochs=25,30,50"]
    found = search("--preset", "published", *over, "--l2", "0")
    published = parse(["train", "--preset", "published", "--l2", "0"]).config
    assert found == grid(published, {"learning_rate": (0.01, 0.003), "epochs": (25, 30, 50)})
    drawn = search("--over", "learning_rate=log:1e-4..0.1", "--over", "seed=1,2", "--draws", "3", "--draw-seed", "7")
    fields = {"learning_rate": LogUniform(1e-4, 0.1), "seed": (1, 2)}
    assert drawn == random_search(PRESETS["published"], fields, count=3, seed=7)


def test_a_sweep_goes_on_with_what_it_tries(tmp_path):
    begun = grid(PRESETS["published"], {"learning_rate": (0.01, 0.003), "step_epochs": [(1, 2)]})
    with ExitStack() as holding:
        begin(tmp_path, begun, resume=False, holding=holding)
    assert search("--sweep-dir", str(tmp_path), "--resume") == begun
    moved = search("--sweep-dir", str(tmp_path), "--resume", "--data-dir", "moved")
    assert moved.base.data.data_dir == Path("moved")
    assert [cell.values for cell in moved.cells] == [cell.values for cell in begun.cells]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "the sweep is empty: name at least one field"),
        (["--over", "epochs"], "says no values: pass FIELD=A,B,C"),
        (["--over", "epochs="], "epochs has no values to try"),
        (["--over", "epochs=1", "--over", "epochs=2"], "names a field twice"),
        (["--over", "epoch=1"], "no field 'epoch': did you mean epochs"),
        (["--over", "epochs=few"], "pass a value of type int"),
        (["--over", "epochs=1,1"], "two cells of the sweep are the same"),
        (["--over", "learning_rate=0.1..0.2"], "is a range: say with --draws"),
        (["--over", "learning_rate=0.2..0.1", "--draws", "2"], "cannot be drawn"),
        (["--resume"], "--resume needs the folder to go on with: pass --sweep-dir"),
        (["--sweep-dir", "nowhere", "--resume"], "nowhere holds no sweep"),
        (["--over", "seed=1", "--cluster"], "pass the same --sweep-dir to all of them"),
    ],
)
def test_what_cannot_be_swept_ends_in_a_sentence(arguments, words, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["jaxfer", "sweep", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert words in error
    assert not list(tmp_path.iterdir())


def test_the_table_names_split_count_cost_and_reasons(tmp_path, capsys):
    scores = {
        "accuracy": 0.5,
        "macro_f1": 0.4,
        "loss": 1.25,
        "mse": 0.1,
        "r2": 0.2,
        "split": "PublicTest",
        "examples": 3589,
    }
    long, other = tmp_path / "cells" / "01-rate", tmp_path / "cells" / "02-rate"
    rows = (
        CellResult({"optimizer.learning_rate": 0.01, "epochs": 25}, long, 25, True, "finished", "", 60.0, scores),
        CellResult({"optimizer.learning_rate": 0.01, "epochs": 50}, long, 50, True, "failed", "it is nan", None, {}),
        CellResult({"optimizer.learning_rate": 0.1, "epochs": 50}, other, 50, False, "unfinished", "", None, {}),
    )
    print_sweep(SweepResult(tmp_path, {}, {"optimizer.learning_rate": [0.01, 0.1], "epochs": [25, 50]}, "grid", rows))
    text = " ".join(re.sub("[┃│]", " ", capsys.readouterr().out).split())
    assert "on PublicTest, n = 3,589" in text
    assert "0.01 25 0.5000 0.4000 1.2500 60 01, epoch 25" in text
    assert "0.01 50 failed 01, epoch 50" in text
    assert "0.1 50 unfinished 02" in text
    assert "01-rate: it is nan" in text
    assert "took 100 epochs, 125 one by one" in text
    assert "chosen on the images it is measured on" in text


def test_the_help_shows_examples_and_a_presets_defaults(capsys):
    with pytest.raises(SystemExit) as ended:
        parse(["sweep", "--preset", "published", "--help"])
    assert ended.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for words in ("--over learning_rate=0.01,0.003,0.001 --over epochs=25,30,50", "--epochs INT", "(default: 50)"):
        assert words in text


@pytest.mark.long
def test_a_sweep_prints_its_table_as_json_and_nothing_else(tmp_path, monkeypatch, capsys):
    arguments = [
        "--over",
        "learning_rate=1e30",
        "--drawn-train",
        "14",
        "--drawn-val",
        "7",
        "--image-size",
        "32",
        "--json",
    ]
    monkeypatch.setattr("jaxfer.cli.sweep.start_jax", lambda *_: None)
    monkeypatch.setattr("sys.argv", ["jaxfer", "sweep", *arguments, "--sweep-dir", str(tmp_path), "--batch-size", "7"])
    main()
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["optimizer.learning_rate"], row["status"], row["val_accuracy"]) == (1e30, "failed", None)
    assert "the loss became nan" in row["reason"]


def test_two_fields_of_one_name_are_refused():
    with pytest.raises(UserError, match="is named twice"):
        search("--over", "learning_rate=1", "--over", "optimizer.learning_rate=2")
