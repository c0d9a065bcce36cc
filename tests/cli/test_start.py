"""The clock of a start."""

import os
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import pytest

from jaxfer.cli.start import StartUp, _covered


@pytest.fixture
def start_up():
    clock = StartUp()
    clock.listen()
    yield clock
    clock.step(1, 0.0)


def compile_something(factor):
    jax.jit(lambda x: jnp.sort(jnp.tanh(x) @ x * factor))(jnp.ones((7, 7)))


def test_compiling_counts_beside_the_part_that_it_happens_in(start_up):
    begun = time.time()
    with start_up.part("load_data"):
        compile_something(2)
    start_up.begin(None)
    compile_something(3)
    time.sleep(0.25)
    start_up.step(1, 0.5)
    whole = time.time() - begun
    found = start_up.to_dict()
    seconds = found["seconds"]
    assert set(seconds) == {"load_data", "compile", "first_step"}
    assert seconds["compile"] > 0
    assert seconds["first_step"] >= 0.25
    assert seconds["load_data"] >= 0
    assert sum(seconds.values()) <= whole + 0.003  # each is rounded
    assert found["programs_loaded"] + found["programs_compiled"] >= 2


def test_what_happens_after_the_first_step_is_no_part_of_the_start(start_up):
    start_up.begin(None)
    start_up.step(1, 0.5)
    before = start_up.to_dict()
    compile_something(5)
    start_up.step(2, 0.5)
    assert start_up.to_dict() == before


def test_jax_is_listened_to_no_longer_than_the_start_takes():
    from jax._src import monitoring

    before = monitoring.get_event_listeners(), monitoring.get_event_time_span_listeners()
    clock = StartUp()
    clock.listen()
    assert clock._event in monitoring.get_event_listeners()
    clock.step(1, 0.5)
    assert (monitoring.get_event_listeners(), monitoring.get_event_time_span_listeners()) == before


def test_spans_within_and_across_each_other_are_counted_once():
    spans = [(0.0, 4.0), (1.0, 2.0), (3.0, 5.0), (7.0, 8.0)]
    assert _covered(spans, 0.0) == 6.0
    assert _covered(spans, 3.5) == 2.5
    assert _covered([], 0.0) == 0.0


@pytest.mark.few(1)
@pytest.mark.parametrize("wanted", ["rocm", "cdua"])
def test_devices_that_are_not_there_are_said_before_anything_else(wanted, tmp_path):
    command = [sys.executable, "-m", "jaxfer", "evaluate", str(tmp_path / "none")]
    environment = os.environ | {"JAX_PLATFORMS": wanted}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"error: JAX cannot start the devices that JAX_PLATFORMS={wanted} names")
    assert ended.stderr.endswith("install the JAX that is made for them, or set JAX_PLATFORMS=cpu\n")
