"""Sweeps in one process: what they share, what they keep, what they refuse."""

import csv
import dataclasses
import json
import shutil

import chex
import jax.numpy as jnp
import optax
import pytest
from networks import Linear
from programs.small_run import finish, on_host

from jaxfer.config import Config, DataConfig, LossConfig, OptimizerConfig, to_json
from jaxfer.errors import Interrupted, UserError
from jaxfer.runs.checkpoints import Checkpoints
from jaxfer.sweeps import LogUniform, continued, grid, random_search, read_search, read_sweep, sweep
from jaxfer.sweeps.plan import plan
from jaxfer.training import Callback, Program, fit, fit_together

BASE = Config(data=DataConfig(image_size=32), loss=LossConfig(l2=0.001), batch_size=16, epochs=2)
COSINE = dataclasses.replace(BASE, optimizer=OptimizerConfig(schedule="cosine"))
GRID = {"learning_rate": (0.01, 0.001), "epochs": (1, 2, 4)}


MODEL = Linear()


@pytest.fixture(scope="module")
def programs():
    """Return a list of programs, for whoever needs the same."""
    return []


@pytest.fixture
def run(data, programs, tmp_path, monkeypatch):
    """Return a function that sweeps with the small network, and what it loaded under `loaded`."""

    def program(config, images, **_):
        if not any(made.serves(config, images) for made in programs):
            programs.append(Program(config, images, model=MODEL))
        return next(made for made in programs if made.serves(config, images))

    monkeypatch.setattr("jaxfer.sweeps.run.Program", program)
    monkeypatch.setattr("jaxfer.sweeps.run.finish_run", finish)

    def run(search, name="sweep", *, images=data, **options):
        def load(config):
            run.loaded.append(config)
            return images

        return sweep(search, tmp_path / name, load=load, **options)

    run.loaded = []
    return run


def table(sweep_dir):
    return list(csv.DictReader((sweep_dir / "table.csv").read_text().splitlines()))


def rows_of(run_dir):
    lines = (run_dir / "metrics.jsonl").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name != "seconds"} for line in lines]


@pytest.mark.long
def test_every_cell_has_the_numbers_and_the_checkpoint_of_its_own_separate_run(run, data, tmp_path):
    found = run(grid(BASE, GRID))
    assert found.epochs == (8, 14)
    program = Program(BASE, data, model=MODEL)
    assert len(run.loaded) == 1
    assert len({row.run for row in found.rows}) == 2
    for cell, row in zip(grid(BASE, GRID).cells, found.rows, strict=True):
        assert row.values == cell.values
        assert (row.status, row.epoch, row.shared) == ("finished", cell.config.epochs, True)
        state, history = fit(cell.config, data, program=program)
        assert rows_of(row.run)[: row.epoch] == [{k: v for k, v in line.items() if k != "seconds"} for line in history]
        names = ("accuracy", "loss", "macro_f1", "mse", "r2")
        known = {"split": "val", "examples": 21, "intervals": {"accuracy": [history[-1]["val_accuracy"], 1.0]}}
        assert row.scores == {name: history[-1][f"val_{name}"] for name in names} | known
        with Checkpoints(row.run / "checkpoints", read_only=True) as checkpoints:
            like = {"state": program.start(cell.config)[0]}
            saved = checkpoints.restore(history[-1]["step"], like)["state"]
        chex.assert_trees_all_equal(*map(on_host, (saved, state)))
    seconds = [json.loads(line)["seconds"] for line in (row.run / "metrics.jsonl").read_text().splitlines()]
    assert [other.seconds for other in found.rows if other.run == row.run] == [
        seconds[epoch - 1] for epoch in (1, 2, 4)
    ]


def test_the_table_and_the_index_are_what_readers_expect(run, tmp_path):
    found = run(grid(BASE, GRID))
    index = json.loads((tmp_path / "sweep" / "sweep.json").read_text())
    assert index["base"] == json.loads(to_json(BASE))
    assert index["fields"] == {"optimizer.learning_rate": [0.01, 0.001], "epochs": [1, 2, 4]}
    assert index["search"] == "grid"
    run_name = "cells/01-learning_rate-0.01-epochs-4"
    assert index["cells"][1] == {"values": {"optimizer.learning_rate": 0.01, "epochs": 2}, "run": run_name, "epoch": 2}
    assert (tmp_path / "sweep" / run_name / "config.json").is_file()
    lines = table(tmp_path / "sweep")
    assert [(line["optimizer.learning_rate"], line["epochs"]) for line in lines] == [
        (rate, epochs) for rate in ("0.01", "0.001") for epochs in "124"
    ]
    for line, row in zip(lines, found.rows, strict=True):
        assert float(line["val_accuracy"]) == row.scores["accuracy"]
        assert (line["split"], line["examples"], line["status"]) == ("val", "21", "finished")
    assert read_sweep(tmp_path / "sweep") == found
    assert read_search(tmp_path / "sweep") == grid(BASE, GRID)
    assert (found.split, found.examples) == ("val", 21)
    assert found.best is not None
    assert found.best.scores["accuracy"] == max(row.scores["accuracy"] for row in found.rows)


def test_a_run_that_diverges_is_a_row_with_its_reason_and_is_not_repeated(run, tmp_path, monkeypatch):
    search = grid(COSINE, {"learning_rate": (1e30, 0.001)})
    found = run(search)
    assert [row.status for row in found.rows] == ["failed", "finished"]
    assert "the loss became inf at step" in found.rows[0].reason
    assert not found.rows[0].scores
    monkeypatch.setattr("jaxfer.sweeps.run.fit_together", None)
    assert run(search, resume=True) == found
    line, _ = table(tmp_path / "sweep")
    assert (line["status"], line["val_accuracy"]) == ("failed", "")


def test_shorter_cells_of_a_run_that_diverges_later_are_finished(run, data, monkeypatch):
    # Of three steps an epoch: the second epoch's validation is reached, the fourth's is not.
    optimizer = optax.sgd(lambda count: jnp.where(count == 8, jnp.nan, 0.01))
    program = Program(BASE, data, model=MODEL, optimizer=optimizer)
    monkeypatch.setattr("jaxfer.sweeps.run.Program", lambda *_, **__: program)
    found = run(grid(BASE, {"epochs": (1, 2, 4)}))
    assert [row.status for row in found.rows] == ["finished", "finished", "failed"]
    assert found.rows[2].reason.startswith("the validation loss became nan at step 9; the checkpoint of step 6")


@pytest.mark.long
def test_what_ends_a_sweep_between_and_within_runs_repeats_nothing_when_it_goes_on(run, tmp_path, monkeypatch):
    expected = run(grid(COSINE, {"seed": (0, 1, 2)}), "whole")
    search = grid(COSINE, {"seed": (0, 1, 2)})
    trained, original = [], fit_together

    class Stopping(Callback):
        def begin(self, run):
            self.seed = run.config.seed

        def epoch(self, row):
            trained.append((self.seed, row["epoch"]))
            if trained == [(0, 1), (0, 2), (1, 1)]:
                raise Interrupted(row["step"], 15)

    def stopping(runs, program):
        return original([dataclasses.replace(run, callbacks=[Stopping()]) for run in runs], program)

    def failing(*_, **__):
        raise RuntimeError("no space for a report")

    monkeypatch.setattr("jaxfer.sweeps.run.fit_together", stopping)
    with pytest.raises(Interrupted):
        run(search)
    assert [row.status for row in read_sweep(tmp_path / "sweep").rows] == ["finished", "unfinished", "unfinished"]
    with monkeypatch.context() as full:
        full.setattr("jaxfer.sweeps.run.finish_run", failing)
        with pytest.raises(RuntimeError, match="no space"):
            run(search, resume=True)
    found = run(search, resume=True)
    assert trained == [(seed, epoch) for seed in (0, 1, 2) for epoch in (1, 2)]
    strip = {"run": None, "seconds": None}
    assert [dataclasses.replace(row, **strip) for row in found.rows] == [
        dataclasses.replace(row, **strip) for row in expected.rows
    ]


@pytest.mark.long
def test_a_sweep_killed_before_the_table_of_its_last_run_writes_it_when_it_goes_on(run, tmp_path, monkeypatch):
    with monkeypatch.context() as killed:
        killed.setattr("jaxfer.sweeps.run.write_table", lambda _: None)
        run(grid(BASE, GRID))
    assert not (tmp_path / "sweep" / "table.csv").exists()
    run(grid(BASE, GRID), resume=True)
    assert [line["status"] for line in table(tmp_path / "sweep")] == ["finished"] * 6


def test_a_folder_of_another_sweep_is_refused_and_nothing_changes(run, tmp_path):
    search = grid(COSINE, {"seed": (0,)})
    run(search)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="already holds a sweep: continue it with --resume"):
        run(search)
    with pytest.raises(UserError, match=r"another sweep \(a grid search .* over seed 0, now .* over seed 0\+1\)"):
        run(grid(COSINE, {"seed": (0, 1)}), resume=True)
    with pytest.raises(UserError, match=r"holds another sweep \(batch_size 16, now 8\)"):
        run(grid(dataclasses.replace(COSINE, batch_size=8), {"seed": (0,)}), resume=True)
    with pytest.raises(UserError, match=r"holds no sweep \(no sweep\.json\)"):
        run(search, "elsewhere", resume=True)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


@pytest.mark.parametrize("link", ["cells", "cells/{name}"])
def test_runs_are_not_written_through_a_link(run, tmp_path, link):
    (tmp_path / "theirs").mkdir()
    place = tmp_path / "sweep" / link.format(name=plan(grid(BASE, GRID))[0].name)
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path / "theirs")
    with pytest.raises(UserError, match=f"{place.name} is a link"):
        run(grid(BASE, GRID))
    assert not list((tmp_path / "theirs").iterdir())


def test_a_folder_that_is_a_run_is_no_place_for_a_sweep(run, data, tmp_path):
    fit(dataclasses.replace(BASE, epochs=1), data, model=MODEL, run_dir=tmp_path / "sweep")
    with pytest.raises(UserError, match="is not a folder for a sweep"):
        run(grid(COSINE, {"seed": (0,)}))


def test_data_that_cannot_be_loaded_leaves_no_trace(tmp_path):
    def load(config):
        raise UserError("no such folder")

    with pytest.raises(UserError, match="no such folder"):
        sweep(grid(BASE, {"seed": (0,)}), str(tmp_path / "sweep"), load=load)  # a text serves as a path does
    assert not list(tmp_path.iterdir())


def test_data_may_move_and_not_change(run, data, tmp_path):
    search = grid(COSINE, {"seed": (0, 1)})
    run(search)
    (tmp_path / "sweep" / "cells" / "02-seed-1" / "summary.json").unlink()
    moved = dataclasses.replace(COSINE, data=dataclasses.replace(COSINE.data, data_dir=tmp_path / "moved"))
    train = dataclasses.replace(data.train, images=255 - data.train.images)
    other = dataclasses.replace(data, splits={"train": train, "val": data.val})
    with pytest.raises(UserError, match="was trained on other images or labels than these"):
        run(continued(tmp_path / "sweep", moved), resume=True, images=other)
    found = run(continued(tmp_path / "sweep", moved), resume=True)
    assert [row.status for row in found.rows] == ["finished", "finished"]
    assert found.base["data"]["data_dir"] == str(tmp_path / "moved")


def test_an_incomplete_or_damaged_run_is_named_and_made_whole_where_it_can_be(run, tmp_path):
    search = grid(COSINE, {"seed": (0, 1)})
    whole = run(search)
    cell = tmp_path / "sweep" / "cells" / "01-seed-0"
    (cell / "summary.json").write_text("{")
    with pytest.raises(UserError, match=r"summary\.json.* is damaged: .*; remove it, and continue"):
        read_sweep(tmp_path / "sweep")
    (cell / "summary.json").unlink()
    assert [row.status for row in read_sweep(tmp_path / "sweep").rows] == ["unfinished", "finished"]
    assert run(search, resume=True) == whole
    (cell / "metrics.jsonl").unlink()
    (row, _) = read_sweep(tmp_path / "sweep").rows
    assert (row.status, row.reason) == ("failed", f"{cell / 'metrics.jsonl'} lacks epoch 2")
    shutil.rmtree(cell)
    again = run(search, resume=True)
    assert [row.scores for row in again.rows] == [row.scores for row in whole.rows]
    (tmp_path / "sweep" / "sweep.json").write_text('{"cells": [{}]}')
    with pytest.raises(UserError, match=r"sweep\.json.* is damaged"):
        run(search, resume=True)


def test_drawn_cells_are_swept_and_continued_like_a_grid(run, tmp_path):
    search = random_search(COSINE, {"seed": (0, 1, 2, 3), "learning_rate": LogUniform(0.001, 0.01)}, count=2)
    found = run(search)
    assert found.search == "random"
    assert run(read_search(tmp_path / "sweep"), resume=True) == found


def test_what_is_no_number_is_compiled_and_loaded_anew(run, monkeypatch):
    made = []

    class Counted(Program):
        def __init__(self, config, data, **objects):
            made.append(config.data.sampling)
            super().__init__(config, data, **objects)

    monkeypatch.setattr("jaxfer.sweeps.run.Program", Counted)
    short = dataclasses.replace(BASE, epochs=1)
    run(grid(short, {"learning_rate": (0.01, 0.02), "sampling": ("uniform", "sqrt")}), model=MODEL)
    assert made == ["uniform", "sqrt"]
    assert [config.sampling for config in run.loaded] == ["uniform", "sqrt"]


def test_each_run_is_told_of_as_it_begins_and_fails(run):
    lines = []
    run(grid(BASE, {"learning_rate": (0.01, 1e30), "epochs": (1,)}), tell=lines.append)
    assert lines[0] == "run 1 of 2: learning_rate 0.01, epochs 1"
    assert lines[1] == "run 2 of 2: learning_rate 1e+30, epochs 1"
    assert lines[2].startswith("failed: the loss became inf")
    assert len(lines) == 3


def test_a_sweep_made_before_goes_on_in_its_folders_with_the_names_of_today(run, tmp_path):
    search = grid(dataclasses.replace(COSINE, epochs=1), {"variant": ("published",), "head_weight": (1.0, 2.0)})
    run(search)
    file = tmp_path / "sweep" / "sweep.json"
    index = json.loads(file.read_text())
    # As it was written when the published network was called seed, and its second head valence_arousal.
    index["base"]["model"] |= {"variant": "seed", "valence_arousal": False}
    index["base"]["loss"]["affect_weight"] = index["base"]["loss"].pop("head_weight")
    del index["base"]["model"]["heads"]
    index["fields"] = {"model.variant": ["seed"], "loss.affect_weight": [1.0, 2.0]}
    for weight, entry in zip((1.0, 2.0), index["cells"], strict=True):
        entry["values"] = {"model.variant": "seed", "loss.affect_weight": weight}
        folder = tmp_path / "sweep" / entry["run"]
        entry["run"] = entry["run"].replace("published", "seed").replace("head_weight", "affect_weight")
        folder.rename(tmp_path / "sweep" / entry["run"])
    (tmp_path / "sweep" / index["cells"][1]["run"] / "summary.json").unlink()
    file.write_text(json.dumps(index))
    assert read_search(tmp_path / "sweep") == search
    before = read_sweep(tmp_path / "sweep")
    assert [row.status for row in before.rows] == ["finished", "unfinished"]
    assert before.fields == {"model.variant": ["published"], "loss.head_weight": [1.0, 2.0]}
    found = run(search, resume=True)
    assert [row.status for row in found.rows] == ["finished", "finished"]
    assert {row.run.name for row in found.rows} == {path.name for path in (tmp_path / "sweep" / "cells").iterdir()}
    assert [row.values["loss.head_weight"] for row in found.rows] == [1.0, 2.0]
    index["base"]["model"], index["fields"] = [], {"model.heads": 3}
    file.write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"sweep\.json.* is damaged"):
        read_search(tmp_path / "sweep")
