"""The clock of a start."""

import time

import jax
import jax.numpy as jnp
import pytest
from jax import monitoring

from jaxfer.cli.start import StartUp, _covered


@pytest.fixture
def start_up():
    clock = StartUp()
    clock.listen()
    yield clock
    monitoring.unregister_event_listener(clock._event)
    monitoring.unregister_event_time_span_listener(clock._span)


def test_compiling_counts_beside_the_part_that_it_happens_in(start_up):
    begun = time.time()
    with start_up.part("load_data"):
        jax.jit(lambda x: jnp.sort(jnp.tanh(x) @ x))(jnp.ones((7, 7)))
    monitoring.record_event_time_span("/jaxfer/first_step", time.time(), time.time() + 0.25)
    whole = time.time() - begun
    found = start_up.to_dict()
    seconds = found["seconds"]
    assert set(seconds) == {"load_data", "compile", "first_step"}
    assert seconds["compile"] > 0
    assert 0 <= seconds["load_data"] <= whole - seconds["compile"] + 0.002  # both are rounded
    assert seconds["first_step"] == 0.25
    assert found["programs_loaded"] + found["programs_compiled"] > 0


def test_what_happens_after_the_first_step_is_no_part_of_the_start(start_up):
    monitoring.record_event_time_span("/jaxfer/first_step", 1.0, 3.5)
    before = start_up.to_dict()
    jax.jit(lambda x: jnp.cos(x) * 5)(jnp.ones(11))
    monitoring.record_event_time_span("/jaxfer/first_step", 1.0, 9.0)
    assert start_up.to_dict() == before
    assert before["seconds"]["first_step"] == 2.5


def test_spans_within_and_across_each_other_are_counted_once():
    spans = [(0.0, 4.0), (1.0, 2.0), (3.0, 5.0), (7.0, 8.0)]
    assert _covered(spans, 0.0) == 6.0
    assert _covered(spans, 3.5) == 2.5
    assert _covered([], 0.0) == 0.0
