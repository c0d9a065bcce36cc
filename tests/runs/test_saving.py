"""What a run holds while it saves: few files and threads, its folder for itself, and the config that it began with."""

import dataclasses
import gc
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import jax.numpy as jnp
import optax
import pytest
from programs.small_run import CONFIG, DATA, MODEL

from jaxfer.devices import Sharded
from jaxfer.errors import UserError
from jaxfer.runs.checkpoints import Checkpoints
from jaxfer.training import Callback, Program, create_state, fit

LONGER = dataclasses.replace(CONFIG, epochs=3)


@pytest.fixture(scope="module")
def program():
    return Program(CONFIG, DATA, model=MODEL)


def held():
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


def test_a_checkpoint_of_many_devices_is_read_on_one_by_orbax_alone(tmp_path):
    parallel = Sharded()
    assert len(parallel.devices) > 1
    state = parallel.place(create_state(MODEL, optax.adam(1e-3), seed=3, image_size=32))
    with Checkpoints(tmp_path / "runs" / "NAME" / "checkpoints") as checkpoints:
        checkpoints.save(100, {"state": state}, {"seconds": 0.0}, val_accuracy=0.5)
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    (program,) = (one for one in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL) if "orbax" in one)
    program += "print(len(jax.devices()), state['params']['head']['kernel'].sum().item(), int(state['step']))"
    one = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    options = {"cwd": tmp_path, "env": one, "capture_output": True, "text": True, "timeout": 600, "check": False}
    found = subprocess.run([sys.executable, "-c", program], **options)
    assert found.returncode == 0, found.stderr
    devices, total, step = found.stdout.split()
    assert (devices, step) == ("1", "0")
    assert float(total) == pytest.approx(float(state.params["head"]["kernel"].sum()), rel=1e-6)


def test_saving_often_holds_no_more_files_and_threads_than_saving_once(tmp_path):
    before, tree = held(), {"a": jnp.arange(8.0), "b": {"c": jnp.ones((3, 2))}}
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        for step in range(1, 4):
            checkpoints.save(step, tree, {"seconds": 0.0}, val_accuracy=0.5)
        early = held()
        for step in range(4, 24):
            checkpoints.save(step, tree, {"seconds": 0.0}, val_accuracy=0.5)
        late = held()
    for was, now in zip(early, late, strict=True):
        assert now <= was + 8  # of the one save that goes on in the background
    for was, now in zip(before, held(), strict=True):
        assert now <= was + 2


def memory():
    """Return the bytes of memory that this process holds and shares with no file."""
    gc.collect()
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("RssAnon:")[2].split()[0])


@pytest.mark.torture
def test_after_hundreds_of_saves_no_more_is_held_than_after_a_few(tmp_path, record_property):
    saves, tree, seen = 500, {"a": jnp.arange(8.0), "b": {"c": jnp.ones((3, 2))}}, []
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        for step in range(1, saves + 1):
            checkpoints.save(step, tree, {"seconds": 0.0}, val_accuracy=0.5)
            if step % (saves // 5) == 0:
                seen.append((*held(), memory()))
    for was, now, more in zip(seen[0], seen[-1], (8, 8, 2**25), strict=True):
        assert now <= was + more, seen
    record_property("saves", saves)


@pytest.mark.torture
def test_after_thirty_runs_no_more_is_held_than_after_a_few(program, tmp_path, record_property):
    runs, seen = 30, []
    for run in range(runs):
        fit(CONFIG, DATA, run_dir=tmp_path / str(run), program=program)
        seen.append((*held(), memory()))
    for was, now, more in zip(seen[runs // 5], seen[-1], (2, 2, 2**25), strict=True):
        assert now <= was + more, seen
    record_property("runs in one process", runs)


def test_a_run_in_use_is_left_alone_by_whoever_begins_or_goes_on(program, tmp_path):
    tried = []

    class Meddler(Callback):
        def epoch(self, row):
            for resume in (True, False):
                with pytest.raises(
                    UserError, match=r"run is in use by process \d+ on .*: wait until that ends"
                ) as refused:
                    fit(LONGER, DATA, run_dir=tmp_path / "run", resume=resume, program=program)
                tried.append(refused)

    fit(CONFIG, DATA, run_dir=tmp_path / "run", program=program, callbacks=[Meddler()])
    assert len(tried) == 2 * CONFIG.epochs
    _, rows = fit(LONGER, DATA, run_dir=tmp_path / "run", resume=True, program=program)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert not list((tmp_path / "run").glob(".*"))


def test_what_is_refused_leaves_no_lock_and_no_folder(program, tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        fit(CONFIG, DATA, run_dir=tmp_path / "none", resume=True, program=program)
    assert not (tmp_path / "none").exists()
    fit(CONFIG, DATA, run_dir=tmp_path / "run", program=program)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match="already holds a run"):
        fit(CONFIG, DATA, run_dir=tmp_path / "run", program=program)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_config_that_was_edited_is_not_believed(program, tmp_path):
    run = tmp_path / "run"
    fit(CONFIG, DATA, run_dir=run, program=program)
    said = json.loads((run / "config.json").read_text())
    said["optimizer"]["learning_rate"] = 0.1
    (run / "config.json").write_text(json.dumps(said))
    edited = dataclasses.replace(LONGER, optimizer=dataclasses.replace(CONFIG.optimizer, learning_rate=0.1))
    words = r"was trained with another configuration than its config\.json says now \(learning_rate 0\.05, now 0\.1\)"
    with pytest.raises(UserError, match=words):
        fit(edited, DATA, run_dir=run, resume=True, model=MODEL)
    said["optimizer"]["learning_rate"] = 0.05
    (run / "config.json").write_text(json.dumps(said))
    _, rows = fit(LONGER, DATA, run_dir=run, resume=True, program=program)
    assert len(rows) == 3
