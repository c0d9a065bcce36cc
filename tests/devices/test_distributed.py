"""Two processes that train one run: the numbers of one process, and an end for both whatever happens to either.

Slow, since most tests start two processes, often twice: each compiles or loads its programs.
"""

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import programs
import pytest
from orbax.checkpoint import v1 as ocp

from jaxfer.devices import OneDevice, Pmapped
from jaxfer.devices.consensus import Agreement
from jaxfer.devices.cpu import cpu_cores
from jaxfer.devices.distributed import join_processes
from jaxfer.errors import UserError
from jaxfer.runs.checkpoints import Checkpoints

pytestmark = pytest.mark.long

TRAIN = Path(__file__).parents[2] / "examples" / "train_affectnet.py"
STEPS_PER_EPOCH = 6  # of 16 faces each; `--odd` has 5 of 18


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return str(listening.getsockname()[1])


def run(*commands, environments=({}, {}), cwd=None):
    """Run commands of Python side by side to their ends and return what became of them."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": cwd}
    started = []
    try:
        for command, more in zip(commands, environments, strict=False):
            command = [sys.executable, *map(str, command)]
            # Warnings end these processes as they end the tests.
            environment = os.environ | {"PYTHONWARNINGS": "error"} | more
            started.append(subprocess.Popen(command, env=environment, **options))
        written = [process.communicate(timeout=600) for process in started]
    finally:
        for process in started:
            process.kill()
    return [
        subprocess.CompletedProcess(process.args, process.returncode, *texts)
        for process, texts in zip(started, written, strict=True)
    ]


# What jaxfer's own network adds to any other with statistics are kernels, which compile for long.
@pytest.fixture(scope="module", params=["Convolutional", pytest.param("ResNetFER", marks=pytest.mark.slow)])
def train(request):
    """Return what trains in one process or two; `first` and `second` are flags that one of them alone gets."""

    def train(run_dir, *flags, count=2, first=(), second=()):
        port = free_port()
        own = [[run_dir, *flags, *(second if i else first)] for i in range(count)]
        each = [programs.forked("process", request.param, port, i, count, *own[i]) for i in range(count)]
        return run(*(command[1:] for command in each), cwd=programs.TESTS)

    return train


@pytest.fixture(scope="module")
def finish(train):
    """Return what trains to the end and returns the folder of the run."""

    def finish(run_dir, *flags, count=2):
        ended = train(run_dir, *flags, count=count)
        assert [process.returncode for process in ended] == [0] * count, ended
        return run_dir

    return finish


def final_state(run_dir):
    """Return all that the last checkpoint holds as arrays under their paths."""
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    with ocp.training.Checkpointer(run_dir / "checkpoints") as checkpoints:
        step = checkpoints.latest.step
        saved = checkpoints.metadata(step).metadata
        tree = checkpoints.load(
            step, jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), saved)
        )
    tree["state"]["key"] = jax.random.key_data(tree["state"]["key"])
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def history(run_dir):
    """Return the rows of all epochs without the one number that differs from run to run: the clock's."""
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name not in ("kind", "seconds")} for row in rows]


def assert_same_run(run_dir, reference, *, rounding):
    """Compare the checkpoints and the rows of two runs, to float32 rounding or bit by bit."""
    found, expected = final_state(run_dir), final_state(reference)
    assert found.keys() == expected.keys()
    assert found["['state']['step']"] == expected["['state']['step']"]
    for path in expected:
        np.testing.assert_allclose(found[path], expected[path], rtol=0, atol=1e-5 * rounding, err_msg=path)
    for row, other in zip(history(run_dir), history(reference), strict=True):
        assert row == (pytest.approx(other, rel=1e-4, abs=1e-5) if rounding else other)


@pytest.fixture(scope="module")
def one(finish, tmp_path_factory):
    return finish(tmp_path_factory.mktemp("runs") / "one", count=1)


@pytest.fixture(scope="module")
def two(finish, tmp_path_factory):
    return finish(tmp_path_factory.mktemp("runs") / "two")


def test_two_processes_train_what_one_does(one, two):
    assert_same_run(two, one, rounding=True)


def test_two_processes_are_taught_as_one_is(train, finish, one, tmp_path):
    alone = finish(tmp_path / "alone", "--teacher", one, count=1)
    both = finish(tmp_path / "both", "--teacher", one)
    assert_same_run(both, alone, rounding=True)
    assert len(list(both.glob("teachers-*.npz"))) == 1
    assert history(both) != history(one)


ALONE = {2: "error: another process of the run has ended", -signal.SIGABRT: "another task died"}
"""How a process ends without the other: a sum with it fails at once, or it was silent for `SILENT_SECONDS`."""


def assert_ended(process, words):
    """Check that a process has ended with one of these statuses, saying its words, without a traceback of its own."""
    assert process.returncode in words, process
    assert words[process.returncode] in process.stderr
    assert "Traceback" not in process.stderr or process.returncode == -signal.SIGABRT, process.stderr


def killed(train, run_dir, step, saved, first=()):
    """Train until the second process is killed before a step, which ends the first; `saved` or a later step is kept."""
    ended, dead = train(run_dir, first=first, second=["--kill", step, "--saved", saved])
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    assert_ended(ended, ALONE)
    return run_dir


# Whose next test is killed within an epoch too, and resumes from a checkpoint that is saved more often.
@pytest.mark.slow
def test_a_killed_process_ends_the_other_and_both_resume_bit_identical_to_an_uninterrupted_run(
    train, finish, two, tmp_path
):
    run_dir = killed(train, tmp_path / "killed", STEPS_PER_EPOCH + 3, saved=STEPS_PER_EPOCH)
    assert [path.name for path in (run_dir / "checkpoints").iterdir()] == [str(STEPS_PER_EPOCH)]
    finish(run_dir, "--resume")
    assert_same_run(run_dir, two, rounding=False)


def test_a_checkpoint_that_one_process_finds_due_is_saved_by_both_and_resumes_bit_identical(
    train, finish, two, tmp_path
):
    step = STEPS_PER_EPOCH + 1
    run_dir = killed(train, tmp_path / "killed", STEPS_PER_EPOCH + 5, saved=step, first=["--save-often"])
    with Checkpoints(run_dir / "checkpoints", read_only=True) as checkpoints:
        assert STEPS_PER_EPOCH < checkpoints.latest < STEPS_PER_EPOCH + 5
    finish(run_dir, "--resume")
    assert_same_run(run_dir, two, rounding=False)


def test_sigterm_to_one_stops_both_at_the_same_step_and_one_process_goes_on_alone(train, finish, one, tmp_path):
    run_dir = tmp_path / "terminated"
    stopped = train(run_dir, second=["--terminate", 8])
    assert [process.returncode for process in stopped] == [128 + signal.SIGTERM] * 2, stopped
    # The others hear of it one step later.
    assert all("stopped by SIGTERM after step 10, all of it saved" in ended.stderr for ended in stopped), stopped
    finish(run_dir, "--resume", count=1)
    assert_same_run(run_dir, one, rounding=True)


AFTER_THE_LAST_STEP = {
    "the report, which the first writes": ("first", "jaxfer.reports.run_page:render", signal.SIGINT),
    "the last save": ("second", "jaxfer.runs.history:History.__exit__", signal.SIGTERM),
    "the statistics of one": ("second", "jaxfer.evaluation.summary:intervals", signal.SIGTERM),
    "the statistics of the first": ("first", "jaxfer.evaluation.summary:predict_split", signal.SIGTERM),
}
"""Whom a signal reaches, when, and which."""


@pytest.mark.parametrize(
    "moment",
    [name if not i else pytest.param(name, marks=pytest.mark.slow) for i, name in enumerate(AFTER_THE_LAST_STEP)],
)
def test_a_signal_to_one_after_the_last_step_ends_all_and_resuming_does_what_is_left(train, finish, tmp_path, moment):
    whom, place, signum = AFTER_THE_LAST_STEP[moment]
    ended = dict(
        zip(("first", "second"), train(tmp_path, "--finish", **{whom: ["--signal", place, int(signum)]}), strict=True)
    )
    reached, other = ended.pop(whom), *ended.values()
    assert reached.returncode == 128 + signum, reached.stderr
    assert f"stopped by {signum.name} after step {2 * STEPS_PER_EPOCH}, all of it saved.\n" in reached.stderr
    assert "Traceback" not in reached.stderr
    # What they still agree on is the last save; then the other is without it as where a process is killed.
    together = {128 + signum: f"stopped by {signum.name}"}
    assert_ended(other, together if moment == "the last save" else ALONE)
    assert not (tmp_path / "summary.json").exists()
    before = (tmp_path / "metrics.jsonl").read_bytes()
    finish(tmp_path, "--finish", "--resume")
    assert (tmp_path / "metrics.jsonl").read_bytes() == before
    assert json.loads((tmp_path / "summary.json").read_text())["steps"] == 2 * STEPS_PER_EPOCH
    assert (tmp_path / "report.html").exists()


@pytest.mark.slow
def test_two_processes_go_on_with_a_run_of_one_whose_batches_fill_no_device(train, finish, tmp_path):
    whole = finish(tmp_path / "whole", "--odd", count=1)
    (stopped,) = train(tmp_path / "parts", "--odd", "--terminate", 2, count=1)
    assert stopped.returncode == 128 + signal.SIGTERM, stopped.stderr
    finish(tmp_path / "parts", "--odd", "--resume")
    assert_same_run(tmp_path / "parts", whole, rounding=True)


def test_processes_that_differ_are_refused_everywhere_before_anything_is_written(train, tmp_path):
    for ended in train(tmp_path / "run", second=["--other-images", "--other-seed"]):
        assert ended.returncode == 2, ended.stderr
        assert "error: the processes differ in their configuration and data: start each with the same" in ended.stderr
        assert "Traceback" not in ended.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_an_error_of_one_process_ends_it_with_its_status_and_then_the_other(train, tmp_path):
    # Process 0 fails while the other is in a sum that it will never take part in.
    first, second = train(tmp_path / "run", first=["--fail", 3])
    assert first.returncode == 1
    assert "ZeroDivisionError" in first.stderr
    assert second.returncode == -signal.SIGABRT, second.stderr


def test_a_refusal_of_the_first_process_ends_all_of_them(train, two):
    first, second = train(two)
    assert (first.returncode, second.returncode) == (2, 2)
    assert "already holds a run: continue it with --resume" in first.stderr
    assert "error: another process cannot go on: its own message says why" in second.stderr


def test_a_folder_that_the_processes_do_not_share_is_named_by_who_does_not_see_it(tmp_path):
    port = free_port()
    each = [programs.forked("process", "Convolutional", port, i, 2, tmp_path / f"of-{i}")[1:] for i in range(2)]
    first, second = run(*each, cwd=programs.TESTS)
    assert (first.returncode, second.returncode) == (2, 2), (first, second)
    assert "of-1 is not the folder that process 0 writes: pass one that all machines share" in second.stderr
    assert "another process cannot go on: its own message says why" in first.stderr
    assert not (tmp_path / "of-1").exists()


@pytest.mark.parametrize("way", [OneDevice, Pmapped])
def test_what_runs_in_one_process_is_refused_in_several(monkeypatch, way):
    parallel = way()
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(UserError, match=f"{way.__name__} runs in one process: pass Sharded"):
        Agreement(parallel)


# Slow: two processes of the example with jaxfer's own network, under a cluster's environment.
def test_a_recognised_cluster_needs_one_flag_and_leaves_one_report(tmp_path):
    # What SLURM tells the processes of a step, from which JAX takes who they are.
    shared = {"SLURM_JOB_ID": "1", "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2"}
    shared |= {"JAX_COORDINATOR_PORT": free_port(), "JAX_PLATFORMS": "cpu"}
    flags = ["--cluster", "--run-dir", "run", "--epochs", "1", "--image-size", "32"]
    flags += ["--drawn-train", "64", "--drawn-val", "21", "--network", "networks:Convolutional"]
    shared["PYTHONPATH"] = os.pathsep.join(filter(None, [str(programs.TESTS), os.environ.get("PYTHONPATH")]))
    slurm = [shared | {"SLURM_PROCID": str(i), "SLURM_LOCALID": str(i)} for i in (0, 1)]
    first, second = run([TRAIN, *flags], [TRAIN, *flags], environments=slurm, cwd=tmp_path)
    assert (first.returncode, second.returncode) == (0, 0), (first.stderr, second.stderr)
    assert "epoch 1/1" in first.stdout
    assert "Report: " in first.stdout
    # XLA's own lines about who is connected remain.
    assert not any(word in second.stdout for word in ("faces", "epoch", "After", "Start-up", "Report"))
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"config.json", "metrics.jsonl", "summary.json", "report.html", "checkpoints"}
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["train"]["examples"] == np.sum(summary["train"]["confusion_matrix"]) == 64
    assert summary["val"]["examples"] == np.sum(summary["val"]["confusion_matrix"]) == 21
    (row,) = history(tmp_path / "run")
    for name in ("loss", "accuracy", "macro_f1", "mse"):
        assert summary["val"][name] == pytest.approx(row[f"val_{name}"], rel=1e-5)
    assert (summary["environment"]["processes"], summary["environment"]["devices"]) == (2, 2 * cpu_cores())


def test_no_cluster_and_nobody_there_are_said_in_a_sentence(tmp_path):
    (ended,) = run([TRAIN, "--cluster", "--run-dir", tmp_path / "run"])
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: no cluster is recognised here")
    alone = "from jaxfer.cli.program import run; from jaxfer.devices import distributed; distributed.MEET_SECONDS = 2; "
    alone += f"run(lambda: distributed.join_processes('127.0.0.1:{free_port()}', 2, 1))"
    (ended,) = run(["-c", alone])
    assert ended.returncode == 2
    assert re.search(r"error: not all processes were at 127.0.0.1:\d+ within 2 s: start every one", ended.stderr)


def listens(host, port):
    """Return whether something listens at an address of this machine."""
    with socket.socket() as asking:
        return asking.connect_ex((host, int(port))) == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_first_process_listens_where_it_is_told_and_nowhere_else(host):
    port = free_port()
    alone = f"from jaxfer.devices.distributed import join_processes; join_processes('{host}:{port}', 2, 0)"
    with subprocess.Popen([sys.executable, "-c", alone], stderr=subprocess.DEVNULL) as first:
        try:
            while not listens("127.0.0.1", port):
                assert first.poll() is None
                time.sleep(0.05)
            assert not listens("127.0.0.2", port)
        finally:
            first.kill()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("host:5000", 2, None), "pass the three"),
        ((None, None, 0), "pass the three"),
        (("host:5000", 2, 2), "there is no process 2 of 2: pass a process_id from 0 to 1"),
        (("host", 2, 0), "the coordinator is 'host': pass the HOST:PORT"),
        (("host:http", 2, 0), "the coordinator is 'host:http': pass the HOST:PORT"),
    ],
)
def test_incomplete_and_impossible_arguments_are_refused(arguments, words):
    with pytest.raises(UserError, match=words):
        join_processes(*arguments)


def test_two_processes_sweep_together_and_a_cell_is_the_run_that_it_is_alone(finish, one, tmp_path):
    finish(tmp_path, "--sweep")
    cells = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    assert [cell["status"] for cell in cells] == ["finished", "finished", "failed", "failed"]
    assert_same_run(tmp_path / cells[1]["run"], one, rounding=True)
    for cell, row in zip(cells, history(one), strict=False):
        assert float(cell["val_loss"]) == pytest.approx(row["val_loss"], rel=1e-4)
