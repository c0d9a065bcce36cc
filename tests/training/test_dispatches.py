"""Runs of many steps a dispatch that are stopped, resumed, or diverge in the middle of one."""

import dataclasses
import os
import signal
from contextlib import contextmanager

import jax
import jax.numpy as jnp
import optax
import pytest
from programs.small_run import CONFIG, MODEL, assert_same_to_rounding, run, without_clock

from jaxfer.config import AugmentConfig
from jaxfer.data.batches import Batches
from jaxfer.devices import OneDevice
from jaxfer.errors import Interrupted, UserError
from jaxfer.runs.checkpoints import Checkpoints
from jaxfer.training import Callback, HostFeed, Program, ResidentFeed, fit

HOST, RESIDENT = HostFeed(), ResidentFeed(steps=3)
"""Four steps an epoch: dispatches of three steps and of one."""


@pytest.fixture(scope="module")
def programs(data):
    """Return the program of each feed, compiled once for all tests."""
    return {feed: Program(CONFIG, data, model=MODEL, parallel=OneDevice(), feed=feed) for feed in (HOST, RESIDENT)}


@pytest.fixture(scope="module")
def expected(data, programs):
    """Return what a run with each feed comes to that nothing interrupts."""
    return {feed: run(CONFIG, data, program=program) for feed, program in programs.items()}


@pytest.fixture
def when(monkeypatch):
    """Return a context in which something happens when a step's rows are asked for."""

    @contextmanager
    def context(step, happen):
        class Watched(Batches):
            def rows(self, asked):
                if asked == step:
                    happen()
                return super().rows(asked)

        with monkeypatch.context() as patch:
            patch.setattr("jaxfer.training.program.Batches", Watched)
            yield

    return context


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


def crash():
    raise RuntimeError("pulled the plug")


def fail():
    raise AssertionError("a step was taken again")


# A dispatch begun is finished: a signal among steps 5 to 7 is answered after 7, one for a single step after that.
@pytest.mark.parametrize(
    ("first", "second", "asked", "stopped"),
    [(RESIDENT, RESIDENT, 5, 7), (RESIDENT, HOST, 5, 7), (HOST, RESIDENT, 5, 6), (HOST, HOST, 5, 6)],
    ids=["resident", "resident to host", "host to resident", "host"],
)
def test_sigterm_is_heeded_after_a_dispatch_and_either_feed_goes_on(
    data, programs, expected, tmp_path, when, first, second, asked, stopped
):
    run_dir = tmp_path / "run"
    with when(asked, terminate), pytest.raises(Interrupted, match=f"stopped by SIGTERM after step {stopped}"):
        run(CONFIG, data, program=programs[first], run_dir=run_dir)
    with when(stopped - 1, fail):
        found = run(CONFIG, data, program=programs[second], run_dir=run_dir, resume=True)
    assert_same_to_rounding(found, expected[first])
    if first is second:
        assert found[1] == expected[first][1]
        assert all(map(jnp.array_equal, jax.tree.leaves(found[0]), jax.tree.leaves(expected[first][0])))


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_at_the_end_of_training_ends_the_program_too(data, programs, expected, tmp_path, signum):
    class AtTheEnd(Callback):
        def epoch(self, row):
            if row["epoch"] == CONFIG.epochs:
                os.kill(os.getpid(), signum)

    options = {"run_dir": tmp_path / "run", "program": programs[HOST]}
    with pytest.raises(Interrupted, match=f"stopped by {signum.name} after step 8"):
        run(CONFIG, data, callbacks=[AtTheEnd()], **options)
    found = run(CONFIG, data, resume=True, **options)
    assert found[1] == expected[HOST][1]


def test_a_run_without_a_folder_hands_over_what_it_has_when_it_is_stopped(data, programs, expected, when):
    with when(6, terminate), pytest.raises(Interrupted) as stopped:
        run(CONFIG, data, program=programs[HOST])
    ((state, rows),) = stopped.value.outcomes
    assert int(state.step) == stopped.value.step == 7
    assert without_clock(rows) == expected[HOST][1][:1]


def test_a_checkpoint_that_is_due_is_saved_after_the_dispatch(data, programs, expected, tmp_path, when, monkeypatch):
    monkeypatch.setattr("jaxfer.training.loop.SAVE_SECONDS", -1.0)
    options = {"run_dir": tmp_path / "run", "program": programs[RESIDENT]}
    with when(7, crash), pytest.raises(RuntimeError, match="pulled the plug"):
        run(CONFIG, data, **options)
    with Checkpoints(tmp_path / "run" / "checkpoints") as checkpoints:
        assert checkpoints.latest == 7
    with when(6, fail):
        found = run(CONFIG, data, resume=True, **options)
    assert_same_to_rounding(found, expected[RESIDENT])


@pytest.mark.few(2)
@pytest.mark.parametrize("feed", [HOST, ResidentFeed(steps=2), RESIDENT, ResidentFeed()], ids=str)
def test_a_loss_that_is_not_finite_names_its_step_within_a_dispatch(data, tmp_path, feed):
    # The update of step 6 makes the parameters, and with them the loss of step 7, no numbers.
    optimizer = optax.sgd(lambda count: jnp.where(count == 5, jnp.nan, 0.01))
    config = dataclasses.replace(CONFIG, augment=AugmentConfig())
    words = r"the loss became nan at step 7; the checkpoint of step 4 is intact\. Lower --learning-rate"
    with pytest.raises(UserError, match=words):
        fit(config, data, run_dir=tmp_path / "run", parallel=OneDevice(), feed=feed, model=MODEL, optimizer=optimizer)
