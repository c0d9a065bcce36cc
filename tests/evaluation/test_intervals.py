"""Bootstrap intervals: against SciPy's, by their coverage, and where there is little to draw from."""

import math
from functools import cache

import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics

from jaxfer.evaluation.intervals import intervals
from jaxfer.evaluation.predict import Predictions

MEASURES = {"accuracy", "balanced_accuracy", "macro_f1", "cross_entropy", "mse", "r2", "ece"}


def draw(n, seed=0, skill=1.5, classes=7):
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, n).astype(np.int32)
    return Predictions((random.normal(size=(n, classes)) + skill * np.eye(classes)[labels]).astype(np.float32), labels)


def with_accuracy(correct, n):
    """Return predictions of two classes of which so many are correct."""
    labels = np.zeros(n, np.int32)
    return Predictions(np.where(np.arange(n)[:, None] < correct, [[1.0, 0.0]], [[0.0, 1.0]]).astype(np.float32), labels)


REFERENCES = {
    "accuracy": lambda p: sklearn.metrics.accuracy_score(p.labels, p.predicted),
    "balanced_accuracy": lambda p: sklearn.metrics.balanced_accuracy_score(p.labels, p.predicted),
    "macro_f1": lambda p: sklearn.metrics.f1_score(p.labels, p.predicted, average="macro"),
    "cross_entropy": lambda p: sklearn.metrics.log_loss(p.labels, scipy.special.softmax(np.float64(p.logits), axis=1)),
    "mse": lambda p: sklearn.metrics.mean_squared_error(np.eye(7)[p.labels], p.probabilities),
    "r2": lambda p: sklearn.metrics.r2_score(np.eye(7)[p.labels], p.probabilities),
    "ece": lambda p: p.scores(tuple("abcdefg")).ece,
}


@pytest.mark.parametrize("measure", REFERENCES)
def test_an_interval_is_scipys_for_scikit_learns_measure(measure):
    predictions = draw(400)
    found = intervals(predictions)[measure]
    expected = scipy.stats.bootstrap(
        (np.arange(400),),
        lambda rows: REFERENCES[measure](predictions.take(rows)),
        n_resamples=500,
        vectorized=False,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    # Both are draws of the same quantiles, which vary by a tenth of the length at 500 resamples.
    length = expected.high - expected.low
    np.testing.assert_allclose(found, expected, atol=0.15 * length)


def test_the_interval_of_accuracy_is_near_the_exact_one():
    low, high = intervals(with_accuracy(700, 1000))["accuracy"]
    exact = scipy.stats.binomtest(700, 1000).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((exact.low, exact.high), abs=0.003)


@pytest.mark.parametrize(("n", "p"), [(200, 0.6), (500, 0.9)])
def test_nineteen_of_twenty_intervals_of_accuracy_hold_the_truth(n, p):
    random = np.random.default_rng(7)
    trials = 300
    # Of the predictions alone, so that the many trials with as many correct have one interval.
    bounds = cache(lambda correct: intervals(with_accuracy(correct, n))["accuracy"])
    inside = 0
    for correct in random.binomial(n, p, trials):
        low, high = bounds(correct)
        inside += low <= p <= high
    # Of 300 intervals that hold the truth with probability 0.95, fewer than 270 or all do so once in 100,000 times.
    assert 270 <= inside < trials


def test_intervals_depend_on_the_predictions_and_the_seed_alone():
    predictions = draw(300)
    first = intervals(predictions)
    np.random.default_rng().random(5)
    assert intervals(draw(300)) == first
    other = intervals(predictions, seed=1)
    assert other != first
    np.testing.assert_allclose(other["accuracy"], first["accuracy"], atol=0.02)


def test_more_examples_make_shorter_intervals_around_the_score():
    lengths = []
    for n in (400, 6400):
        predictions = draw(n)
        found, scores = intervals(predictions), predictions.scores(tuple("abcdefg"))
        assert found.keys() == MEASURES
        for name in MEASURES - {"ece"}:  # which resampling makes larger, being a sum of distances
            assert found[name][0] < getattr(scores, name) < found[name][1]
        lengths.append({name: high - low for name, (low, high) in found.items()})
    for name in MEASURES - {"ece"}:
        assert lengths[0][name] / lengths[1][name] == pytest.approx(4, rel=0.3), name


def test_one_example_has_intervals_without_length_and_no_r2():
    found = intervals(Predictions(np.array([[0.0, 1.0, 3.0]], np.float32), np.array([2], np.int32)))
    assert found["accuracy"] == found["balanced_accuracy"] == [1, 1]
    assert found["macro_f1"] == pytest.approx([1 / 3, 1 / 3])
    nats = -scipy.special.log_softmax([0.0, 1.0, 3.0])[2]
    assert found["cross_entropy"] == pytest.approx([nats, nats], rel=1e-5)
    assert all(map(math.isnan, found["r2"]))


def test_examples_of_one_class_that_are_all_right_have_nothing_to_vary():
    found = intervals(with_accuracy(30, 30))
    assert found["accuracy"] == found["balanced_accuracy"] == [1, 1]
    assert found["macro_f1"] == [0.5, 0.5]
    assert found["r2"] == [0, 0]


def test_without_examples_there_is_no_interval():
    nothing = Predictions(np.zeros((0, 3), np.float32), np.zeros(0, np.int32))
    assert all(map(math.isnan, np.ravel(list(intervals(nothing).values()))))


def test_a_prediction_that_is_no_number_leaves_counts_with_intervals_and_the_rest_without():
    predictions = draw(50)
    predictions.logits[3] = np.nan
    found = intervals(predictions)
    assert np.isfinite([found[name] for name in ("accuracy", "balanced_accuracy", "macro_f1")]).all()
    assert np.isnan([found[name] for name in ("cross_entropy", "mse", "r2")]).all()
