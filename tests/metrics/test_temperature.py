"""Temperature scaling: what it recovers, and what it refuses."""

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

from jaxfer.errors import UserError
from jaxfer.metrics import Temperature, fit_temperature
from jaxfer.metrics.temperature import HIGHEST, LOWEST


def drawn(temperature, count=40_000, seed=0):
    """Return logits, and labels drawn from softmax(logits / temperature)."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (count, 7)).astype(np.float32)
    shares = scipy.special.softmax(logits.astype(np.float64) / temperature, axis=1)
    labels = (shares.cumsum(axis=1) < random.uniform(size=(count, 1))).sum(axis=1)
    return logits, labels.astype(np.int32)


def nats(logits, labels, temperature):
    return -scipy.special.log_softmax(logits.astype(np.float64) / temperature, axis=1)[np.arange(len(labels)), labels]


@pytest.mark.parametrize("temperature", [0.4, 1.0, 1.7, 5.0])
def test_the_temperature_that_labels_were_drawn_with_is_found(temperature):
    assert fit_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.03)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.floats(0.01, 100))
def test_none_is_better(seed, count, spread):
    random = np.random.default_rng(seed)
    logits, labels = random.normal(0, spread, (count, 3)), random.integers(0, 3, count)
    found = fit_temperature(logits, labels)
    assert LOWEST <= found <= HIGHEST
    grid = [nats(logits, labels, t).mean() for t in [1.0, *np.geomspace(LOWEST * 1.001, HIGHEST / 1.001, 60)]]
    assert nats(logits, labels, found).mean() <= min(grid) + 1e-6


def test_logits_in_another_unit_have_the_temperature_in_that_unit():
    logits, labels = drawn(1.0, count=500)
    assert fit_temperature(3 * logits, labels) == pytest.approx(3 * fit_temperature(logits, labels), rel=1e-4)
    assert fit_temperature(logits + 50, labels) == pytest.approx(fit_temperature(logits, labels), rel=1e-4)


def test_what_says_nothing_of_it_keeps_1_and_what_is_never_wrong_the_lowest():
    assert fit_temperature(np.zeros((5, 3)), np.arange(5) % 3) == 1
    assert fit_temperature(np.eye(3), np.arange(3)) == pytest.approx(LOWEST, rel=1e-3)
    assert fit_temperature(np.eye(3), np.array([1, 2, 0])) == pytest.approx(HIGHEST, rel=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_cannot_be_fitted_is_refused(value):
    logits, labels = drawn(1.0, count=10)
    logits[3, 2] = value
    with pytest.raises(UserError, match="infinite or not numbers: the network has diverged"):
        fit_temperature(logits, labels)
    with pytest.raises(UserError, match="no labels"):
        fit_temperature(logits[:0], labels[:0])


@pytest.mark.parametrize(
    ("change", "words"),
    [({"value": None}, "its value is None"), ({"value": -1.0}, "its value is -1.0"), ({"value": True}, "is True")],
)
def test_a_damaged_one_says_what_it_lacks(change, words):
    fields = {"value": 1.5, "split": "val", "examples": 3, "before": {}, "after": {}}
    with pytest.raises(ValueError, match=words):
        Temperature.from_dict(fields | change)
    assert Temperature.from_dict(fields).to_dict() == fields
    del fields["split"]
    with pytest.raises(ValueError, match="it lacks split"):
        Temperature.from_dict(fields)
