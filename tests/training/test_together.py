"""Runs trained at once are the runs that they are alone."""

import dataclasses
import json
import os
import shutil
import signal
from types import SimpleNamespace

import chex
import numpy as np
import pytest
from networks import Convolutional
from programs.small_run import CONFIG, assert_same_to_rounding, finish, on_host, run, two, without_clock

from jaxfer.config import AugmentConfig
from jaxfer.data.batches import Batches
from jaxfer.devices import OneDevice, Sharded
from jaxfer.errors import Diverged, Interrupted, UserError
from jaxfer.models import ResNetFER
from jaxfer.runs.checkpoints import Checkpoints
from jaxfer.runs.history import History
from jaxfer.sweeps import grid, sweep
from jaxfer.training import HostFeed, Program, ResidentFeed, Run, fit, fit_together

pytestmark = pytest.mark.long

RATES, SEEDS = (0.05, 0.02, 0.005), (0, 3, 0)
FEED = ResidentFeed(steps=2)
MODEL = Convolutional(dropout=0.3)
CONFIG = dataclasses.replace(CONFIG, augment=AugmentConfig(alternate_flip=True))


def replaced(rate, seed=0, **fields):
    return dataclasses.replace(
        CONFIG, seed=seed, optimizer=dataclasses.replace(CONFIG.optimizer, learning_rate=rate), **fields
    )


CONFIGS = [replaced(rate, seed) for rate, seed in zip(RATES, SEEDS, strict=True)]


@pytest.fixture(scope="module")
def program(data):
    return Program(CONFIG, data, model=MODEL, parallel=OneDevice(), feed=FEED)


def together(program, folder, configs=CONFIGS, *, resume=False, keep_epochs=((), (), ())):
    runs = [
        Run(config=config, run_dir=folder / str(number), resume=resume, keep_epochs=keep_epochs[number])
        for number, config in enumerate(configs)
    ]
    return fit_together(runs, program)


def assert_same(found, expected):
    state, rows = found
    assert_same_to_rounding((on_host(state), without_clock(rows)), expected)


def alone(config, program):
    return run(config, program.data, program=program)


# Slow: jaxfer's own network has a kernel for many at once, compiled here beside the one for a run alone.
@pytest.mark.parametrize(("way", "model"), [(OneDevice, ResNetFER(width=8, stage_sizes=(1,))), (Sharded, MODEL)])
def test_each_run_has_the_numbers_the_log_and_the_checkpoints_of_its_run_alone(data, tmp_path, way, model):
    program = Program(CONFIG, data, model=model, parallel=two(way), feed=FEED)
    found = together(program, tmp_path, keep_epochs=[(1,), (), ()])
    for number, (config, outcome) in enumerate(zip(CONFIGS, found, strict=True)):
        assert_same(outcome, alone(config, program))
        logged = [json.loads(line) for line in (tmp_path / str(number) / "metrics.jsonl").read_text().splitlines()]
        assert logged == outcome[1]
        with Checkpoints(tmp_path / str(number) / "checkpoints", read_only=True) as checkpoints:
            assert checkpoints.latest == 8
            assert (4 in checkpoints.steps) >= (number == 0)
            like = {"state": program.start(config)[0]}
            saved = checkpoints.restore(8, like)["state"]
        np.testing.assert_array_equal(saved.params["head"]["kernel"], outcome[0].params["head"]["kernel"])


def test_they_share_the_time(program, tmp_path, monkeypatch):
    passed = []

    class Slow(Batches):
        def rows(self, step):
            passed.append(1.0)
            return super().rows(step)

    monkeypatch.setattr("jaxfer.training.program.Batches", Slow)
    monkeypatch.setattr("jaxfer.runs.history.time", SimpleNamespace(monotonic=lambda: sum(passed)))
    # A second for each run at each step.
    for _, rows in together(program, tmp_path):
        assert [row["seconds"] for row in rows] == [row["step"] for row in rows]


def test_one_that_diverges_ends_and_the_others_go_on(program, tmp_path):
    configs = [replaced(0.05), replaced(1e30), replaced(0.005)]
    first, second, third = together(program, tmp_path, configs)
    with pytest.raises(Diverged) as told:
        fit(configs[1], program.data, program=program)
    assert isinstance(second, Diverged)
    assert str(second) == str(told.value)
    assert {path.name for path in (tmp_path / "1").iterdir()} == {"config.json", "checkpoints"}
    for outcome, config in ((first, configs[0]), (third, configs[2])):
        assert_same(outcome, alone(config, program))


def test_one_that_has_diverged_makes_the_others_save_no_more_often(program, tmp_path, monkeypatch):
    saved = []
    save = History.save

    def counted(history, *args, **options):
        saved.append(history)
        save(history, *args, **options)

    monkeypatch.setattr(History, "save", counted)
    # As after many minutes, in which the one that has diverged saved nothing.
    monkeypatch.setattr(History, "unsaved_seconds", property(lambda history: 0 if history in saved else 1e6))
    diverged, other = together(program, tmp_path, [replaced(1e30), replaced(0.05)])
    assert isinstance(diverged, Diverged)
    per_epoch = program.steps_per_epoch(CONFIG)
    assert len(saved) < per_epoch * len(other[1])
    assert len(set(saved)) == 1


def test_images_are_on_the_devices_once_for_runs_alone_and_together(data):
    placed = []

    class Counting(ResidentFeed):
        def place(self, split, parallel):
            placed.append(split.name)
            return super().place(split, parallel)

    program = Program(CONFIG, data, model=MODEL, feed=Counting())
    assert program.alone.training is not program.side_by_side.training
    assert placed == [data.train.name, data.val.name]


def test_a_signal_saves_all_and_they_go_on_together_or_alone(program, tmp_path, monkeypatch):
    sent = []

    class Watched(Batches):
        def rows(self, asked):
            if asked == 4 and not sent:
                sent.append(os.kill(os.getpid(), signal.SIGTERM))
            return super().rows(asked)

    with monkeypatch.context() as patch:
        patch.setattr("jaxfer.training.program.Batches", Watched)
        with pytest.raises(Interrupted, match="stopped by SIGTERM"):
            together(program, tmp_path)
    shutil.copytree(tmp_path, tmp_path / "copy")
    resumed = together(program, tmp_path, resume=True)
    for (state, rows), (other, expected) in zip(resumed, together(program, tmp_path / "whole"), strict=True):
        chex.assert_trees_all_equal(on_host(state), on_host(other))
        assert without_clock(rows) == without_clock(expected)

    found = fit(CONFIGS[0], program.data, program=program, run_dir=tmp_path / "copy" / "0", resume=True)
    assert_same(found, alone(CONFIGS[0], program))
    with pytest.raises(ValueError, match="only runs that have saved the same step"):
        together(program, tmp_path / "copy", resume=True)


def test_only_runs_of_one_program_and_length_whose_images_are_on_the_devices(program, data, tmp_path):
    for other in (replaced(0.05, epochs=3), replaced(0.05, batch_size=7)):
        with pytest.raises(ValueError, match="only runs of one program and of as many epochs"):
            together(program, tmp_path, [CONFIG, other])
    from_host = Program(CONFIG, data, model=MODEL, parallel=OneDevice(), feed=HostFeed())
    with pytest.raises(UserError, match="leave out --side-by-side"):
        together(from_host, tmp_path)
    with pytest.raises(UserError, match="0 runs cannot be trained side by side"):
        sweep(grid(CONFIG, {"seed": (0,)}), tmp_path / "sweep", side_by_side=0)
    assert not list(tmp_path.iterdir())


def test_a_sweep_side_by_side_has_the_table_of_one_run_after_another(program, data, tmp_path, monkeypatch):
    groups, original = [], fit_together

    def watched(runs, program):
        groups.append([run.config.optimizer.learning_rate for run in runs])
        return original(runs, program)

    monkeypatch.setattr("jaxfer.sweeps.run.Program", lambda *_, **__: program)
    monkeypatch.setattr("jaxfer.sweeps.run.fit_together", watched)
    fields = {"learning_rate": (0.05, 1e30, 0.005, 0.02), "epochs": (1, 2)}
    monkeypatch.setattr("jaxfer.sweeps.run.finish_run", finish)
    options = {"load": lambda _: data}
    search = grid(CONFIG, fields)
    expected = sweep(search, tmp_path / "apart", **options)
    assert groups == [[0.05], [1e30], [0.005], [0.02]]
    groups.clear()
    found = sweep(search, tmp_path / "together", side_by_side=3, **options)
    assert groups == [[0.05, 1e30, 0.005], [0.02]]
    for row, other in zip(found.rows, expected.rows, strict=True):
        assert (row.values, row.status, row.reason, row.epoch) == (
            other.values,
            other.status,
            other.reason,
            other.epoch,
        )
        assert row.scores.keys() == other.scores.keys()
        for name in row.scores.keys() & {"accuracy", "loss", "macro_f1"}:
            assert row.scores[name] == pytest.approx(other.scores[name], rel=1e-4, abs=1e-5)
