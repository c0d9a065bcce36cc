"""Runs that are killed, stopped, or meet a full disk, and go on as if nothing had happened."""

import json
import random
import re
import shutil
import signal
import subprocess
import time
from functools import partial

import jax
import numpy as np
import programs
import pytest
from orbax.checkpoint import v1 as ocp

STEPS_PER_EPOCH, STEPS = 6, 24


# What jaxfer's own network adds to any other with statistics are kernels, which compile for long.
@pytest.fixture(scope="module", params=["Convolutional", pytest.param("ResNetFER", marks=pytest.mark.slow)])
def run(request):
    """Return `run(run_dir, *arguments)`, which trains in a process of its own."""
    return partial(programs.run, "child", request.param)


def final_state(run_dir):
    """Return all that the last checkpoint holds, as bytes under their paths."""
    with ocp.training.Checkpointer(run_dir / "checkpoints") as checkpoints:
        assert checkpoints.latest.step == STEPS
        tree = checkpoints.load(STEPS)
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    plain = {jax.tree_util.keystr(path): leaf for path, leaf in leaves}
    return {
        path: np.asarray(jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf)
        for path, leaf in plain.items()
    }


def history(run_dir):
    """Return the rows of all epochs without the one number that differs from run to run: the clock's."""
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def assert_same_run(run_dir, reference):
    expected, found = final_state(reference), final_state(run_dir)
    assert expected.keys() == found.keys()
    different = [path for path in expected if expected[path].tobytes() != found[path].tobytes()]
    assert not different
    assert history(run_dir) == history(reference)


@pytest.fixture(scope="module")
def uninterrupted(run, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / "uninterrupted"
    finished = run(run_dir)
    assert finished.returncode == 0, finished.stderr
    return run_dir


# Restoring without a template, as `final_state` does to see what is really there, makes Orbax warn.
pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore:Sharding info not provided")]


# Slow: four processes one after another, each of which imports and starts anew.
def test_a_run_killed_at_random_steps_ends_bit_identical_to_an_uninterrupted_one(run, uninterrupted, tmp_path):
    run_dir = tmp_path / "killed"
    anywhere = random.SystemRandom().randrange(STEPS_PER_EPOCH + 1, 2 * STEPS_PER_EPOCH)
    # The second falls on the step after an epoch's end, while the checkpoint is still being written behind it.
    for index, step in enumerate((anywhere, 3 * STEPS_PER_EPOCH)):
        killed = run(run_dir, *["--resume"] * (index > 0), "kill", step)
        assert killed.returncode == -signal.SIGKILL, (anywhere, killed.stderr)
    finished = run(run_dir, "--resume")
    assert finished.returncode == 0, (anywhere, finished.stderr)
    assert_same_run(run_dir, uninterrupted)


@pytest.mark.torture
@pytest.mark.parametrize("part", range(2))
def test_a_run_killed_at_any_moment_ends_bit_identical(run, uninterrupted, part, tmp_path, record_property):
    kills, begun, chance, folders = 25, time.perf_counter(), random.SystemRandom(), []
    # Not forked: they are killed while they import too.
    subprocess.run(programs.command(*run.args, tmp_path / "alone"), cwd=programs.TESTS, check=True)
    takes = time.perf_counter() - begun
    record_property("killed processes", kills)
    while kills:
        folders.append(tmp_path / str(len(folders)))
        while True:
            resumed = ["--resume"] * (folders[-1] / "config.json").exists()
            command, begun = programs.command(*run.args, folders[-1], *resumed), time.perf_counter()
            with subprocess.Popen(command, cwd=programs.TESTS, stderr=subprocess.PIPE, text=True) as process:
                try:
                    # The first half of its time a process imports and compiles.
                    _, errors = process.communicate(timeout=chance.uniform(takes / 2, takes) if kills else None)
                except subprocess.TimeoutExpired:
                    process.kill()
                    kills -= 1
                    continue
            assert process.returncode == 0, errors
            if not resumed:  # none would be killed once other work has left the processor
                takes = min(takes, time.perf_counter() - begun)
            break
    for folder in folders:
        assert_same_run(folder, uninterrupted)


def test_sigterm_saves_in_the_middle_of_an_epoch_and_nothing_is_repeated(run, uninterrupted, tmp_path):
    run_dir = tmp_path / "terminated"
    stopped = run(run_dir, "terminate", 9)
    assert stopped.returncode == 128 + signal.SIGTERM
    assert "stopped by SIGTERM after step 10" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    # The next process would die if it took step 9 again.
    finished = run(run_dir, "--resume", "kill", 9)
    assert finished.returncode == 0, finished.stderr
    assert_same_run(run_dir, uninterrupted)


# Slow: three processes one after another.
def test_a_full_disk_ends_in_a_sentence_and_loses_no_checkpoint(run, uninterrupted, tmp_path):
    run_dir = tmp_path / "full"
    # By then the first epoch's checkpoint stands, since the second epoch's save waited for it.
    full = run(run_dir, "fill", 2 * STEPS_PER_EPOCH + 1)
    assert full.returncode == 2, full.stderr
    message = " ".join(full.stderr.split())
    assert message.startswith("error: a checkpoint could not be saved in")
    assert re.search(r"\(File too large\); that of step (6|12) is intact\. Free some disk space", message), message
    assert "Traceback" not in message
    finished = run(run_dir, "--resume")
    assert finished.returncode == 0, finished.stderr
    assert_same_run(run_dir, uninterrupted)


def test_a_damaged_checkpoint_is_named_and_left_alone(run, uninterrupted, tmp_path):
    run_dir = tmp_path / "damaged"
    shutil.copytree(uninterrupted, run_dir)
    checkpoint = run_dir / "checkpoints" / str(STEPS)
    for file in checkpoint.rglob("d/*"):
        file.write_bytes(b"damaged")
    ended = run(run_dir, "--resume")
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.startswith(f"error: the checkpoint {checkpoint} cannot be read")
    assert "Traceback" not in ended.stderr
    assert checkpoint.exists()
