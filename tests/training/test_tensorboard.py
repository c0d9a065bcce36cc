"""TensorBoard's event files, read back by TensorBoard itself."""

import dataclasses
import json
import sys
from types import SimpleNamespace

import programs
import pytest
from programs.small_run import CONFIG, MODEL
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from jaxfer.cli.start import StartUp
from jaxfer.cli.train import Train
from jaxfer.errors import UserError
from jaxfer.reports import TensorBoard
from jaxfer.training import Begun, Program, fit

TAGS = {"train": ["accuracy", "learning_rate", "loss"], "val": ["accuracy", "loss", "macro_f1", "mse", "r2"]}


@pytest.fixture(scope="module")
def program(data):
    return Program(CONFIG, data, model=MODEL)


def points(run_dir):
    """Return the (epoch, value) points that TensorBoard finds, by split and tag."""
    found = {}
    for split in ("train", "val"):
        events = EventAccumulator(str(run_dir / "tensorboard" / split))
        events.Reload()
        for tag in events.Tags()["scalars"]:
            found[split, tag] = [(event.step, event.value) for event in events.Scalars(tag)]
    return found


def rows(run_dir):
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def assert_as_logged(run_dir, epochs):
    logged, found = rows(run_dir), points(run_dir)
    assert [row["epoch"] for row in logged] == list(range(1, epochs + 1))
    assert sorted(found) == [(split, tag) for split, tags in TAGS.items() for tag in tags]
    for (split, tag), values in found.items():
        name = tag if split == "train" else f"val_{tag}"
        assert values == [(row["epoch"], pytest.approx(row[name], rel=1e-6)) for row in logged]


def test_tensorboard_reads_what_the_history_holds(data, program, tmp_path):
    run_dir = tmp_path / "run"
    fit(CONFIG, data, program=program, run_dir=run_dir, callbacks=[TensorBoard(run_dir)])
    assert_as_logged(run_dir, epochs=2)


# Slow: three processes one after another, which write event files.
@pytest.mark.long
def test_a_killed_run_resumes_without_repeating_or_losing_a_point(tmp_path):
    run_dir = tmp_path / "run"
    for arguments, code in ((["--tensorboard", "kill", "15"], -9), (["--resume", "--tensorboard"], 0)):
        ended = programs.run("child", "Convolutional", run_dir, *arguments)
        assert ended.returncode == code, ended.stderr
        assert points(run_dir)["val", "loss"]
    assert_as_logged(run_dir, epochs=4)


def test_the_command_goes_on_with_the_event_files_of_a_run(data, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxfer.cli.train.start_jax", lambda _: StartUp())
    monkeypatch.setattr("jaxfer.data.load", lambda _: data)
    monkeypatch.setattr("jaxfer.cli.train.own_network", lambda *_: MODEL)
    monkeypatch.setattr("jaxfer.reports.finish.finish_run", lambda *_, **__: {})
    shorter = dataclasses.replace(CONFIG, epochs=1)
    Train(config=shorter, run_dir=tmp_path / "run", tensorboard=True, json=True).run()
    Train(config=CONFIG, run_dir=tmp_path / "run", resume=True, json=True).run()
    assert_as_logged(tmp_path / "run", epochs=2)


def test_points_keep_their_times_when_they_are_written_again(tmp_path, monkeypatch):
    row = {"epoch": 1, "seconds": 30.0, "learning_rate": 0.1, "loss": 1.0, "accuracy": 0.5, "val_loss": float("nan")}
    # The run began at 1000, by the clock of each process: the second one finds 50 seconds of training done.
    for now, seconds in ((1000.0, 0.0), (2000.0, 1000.0)):
        monkeypatch.setattr("jaxfer.reports.tensorboard.time", SimpleNamespace(time=lambda now=now: now))
        files = TensorBoard(tmp_path)
        files.begin(Begun(CONFIG, tmp_path, steps_per_epoch=4, step=0, rows=[row], seconds=seconds))
        files.end()
        events = EventAccumulator(str(tmp_path / "tensorboard" / "train"))
        events.Reload()
        assert [event.wall_time for event in events.Scalars("loss")] == [1030.0]


def test_without_the_callback_there_is_no_such_folder(data, program, tmp_path):
    fit(CONFIG, data, program=program, run_dir=tmp_path / "run")
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_without_the_package_a_sentence_says_so_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(UserError, match=r"pip install 'jaxfer\[tensorboard\]'"):
        TensorBoard(tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("link", ["tensorboard", "tensorboard/train"])
def test_event_files_are_neither_written_nor_removed_through_a_link(tmp_path, link):
    (tmp_path / "theirs/train").mkdir(parents=True)
    for folder in (tmp_path / "theirs", tmp_path / "theirs/train"):
        (folder / "events.out.tfevents.1").write_text("theirs")
    (tmp_path / "run" / link).parent.mkdir(parents=True)
    (tmp_path / "run" / link).symlink_to(tmp_path / "theirs")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=f"{link} is a link"):
        TensorBoard(tmp_path / "run")
    assert sorted(tmp_path.rglob("*")) == before
