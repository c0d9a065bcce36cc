"""TensorBoard's event files, read back by TensorBoard itself."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from jaxfer.training.tensorboard import EventFiles
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from jaxfer.config import Config, DataConfig
from jaxfer.errors import UserError
from jaxfer.training import fit

CHILD = Path(__file__).parents[1] / "programs" / "child.py"
CONFIG = Config(data=DataConfig(image_size=32), epochs=2, batch_size=16)
TAGS = {"train": ["accuracy", "learning_rate", "loss"], "val": ["accuracy", "loss", "macro_f1", "mse", "r2"]}


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


def test_tensorboard_reads_what_the_history_holds(data, model, tmp_path):
    fit(CONFIG, data, model=model, run_dir=tmp_path / "run", tensorboard=True)
    assert_as_logged(tmp_path / "run", epochs=2)


def test_a_killed_run_resumes_without_repeating_or_losing_a_point(tmp_path):
    run_dir = tmp_path / "run"
    for arguments, code in ((["--tensorboard", "kill", "15"], -9), (["--resume"], 0)):
        ended = subprocess.run([sys.executable, CHILD, run_dir, *arguments], capture_output=True, timeout=600)
        assert ended.returncode == code, ended.stderr
        assert points(run_dir)["val", "loss"]
    assert_as_logged(run_dir, epochs=4)


def test_points_keep_their_times_when_they_are_written_again(tmp_path):
    row = {"epoch": 1, "seconds": 30.0, "learning_rate": 0.1, "loss": 1.0, "accuracy": 0.5, "val_loss": float("nan")}
    for _ in range(2):
        files = EventFiles(tmp_path, [row], begun=1000.0)
        files.close()
        events = EventAccumulator(str(tmp_path / "tensorboard" / "train"))
        events.Reload()
        assert [event.wall_time for event in events.Scalars("loss")] == [1030.0]


def test_without_the_flag_there_is_no_such_folder(data, model, tmp_path):
    fit(CONFIG, data, model=model, run_dir=tmp_path / "run")
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_without_the_package_a_sentence_says_so_before_anything_is_written(data, model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(UserError, match=r"pip install 'jaxfer\[tensorboard\]'"):
        fit(CONFIG, data, model=model, run_dir=tmp_path / "run", tensorboard=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("link", ["tensorboard", "tensorboard/train"])
def test_event_files_are_neither_written_nor_removed_through_a_link(data, model, tmp_path, link):
    (tmp_path / "theirs/train").mkdir(parents=True)
    for folder in (tmp_path / "theirs", tmp_path / "theirs/train"):
        (folder / "events.out.tfevents.1").write_text("theirs")
    (tmp_path / "run" / link).parent.mkdir(parents=True)
    (tmp_path / "run" / link).symlink_to(tmp_path / "theirs")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=f"{link} is a link"):
        fit(CONFIG, data, model=model, run_dir=tmp_path / "run", tensorboard=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_event_files_need_a_folder(data, model):
    with pytest.raises(UserError, match="event files need the folder of the run"):
        fit(CONFIG, data, model=model, tensorboard=True)
