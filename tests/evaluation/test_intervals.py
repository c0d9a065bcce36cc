"""Bootstrap intervals: against SciPy's, by their coverage, and where there is little to draw from; and chance."""

import math
from functools import cache

import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics

from jaxfer.evaluation.intervals import ece_by_chance, intervals
from jaxfer.evaluation.predict import Predictions

MEASURES = {"accuracy", "balanced_accuracy", "macro_f1", "kappa", "top2_accuracy", "cross_entropy", "mse", "r2"}


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
}


@pytest.mark.few(2)
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


@pytest.mark.few(1)
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
        for name in MEASURES:
            assert found[name][0] < getattr(scores, name) < found[name][1]
        lengths.append({name: high - low for name, (low, high) in found.items()})
    for name in MEASURES:
        assert lengths[0][name] / lengths[1][name] == pytest.approx(4, rel=0.3), name


def test_r2_lies_above_its_interval_where_few_images_have_the_class_shares_that_are_always_answered():
    labels = np.arange(35, dtype=np.int32) % 7
    shares = Predictions(np.zeros((35, 7), np.float32), labels)
    assert REFERENCES["r2"](shares) == pytest.approx(0, abs=1e-6)
    low, high = intervals(shares)["r2"]
    assert low < high < 0, "each resample has other shares, which fit it better"
    many = draw(1400)
    low, high = intervals(many)["r2"]
    assert low < REFERENCES["r2"](many) < high


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
    assert all(map(math.isnan, ece_by_chance(nothing).values()))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_prediction_that_is_no_number_leaves_nothing_with_an_interval(bad):
    predictions = draw(50)
    predictions.logits[3, 2] = bad
    for one in (predictions, predictions.scaled(0.5)):
        assert np.isnan(list(intervals(one).values())).all()
        assert np.isnan(list(ece_by_chance(one).values())).all()


def shares_of_labels_above(logits, sharpness, draws=500):
    """Return how many draws of labels have a calibration error above what chance gives 95% of.

    The labels are those of a network that is exactly as sure as it is right, and the network says `sharpness` times
    its logits.
    """
    n, random = len(logits), np.random.default_rng(5)
    labels = (logits + random.gumbel(size=(draws, *logits.shape))).argmax(axis=-1)  # drawn from the softmax, [draws, n]
    said = scipy.special.softmax(sharpness * np.float64(logits), axis=1)
    wrong_by = (labels == said.argmax(axis=1)) - said.max(axis=1)  # [draws, n]
    in_bin = np.ceil(15 * said.max(axis=1))[:, None] == np.arange(1, 16)  # [n, 15]
    errors = np.abs(wrong_by @ in_bin).sum(axis=1) / n
    predictions = Predictions(np.float32(sharpness * logits), np.int32(labels[0]))
    assert errors[0] == pytest.approx(predictions.scores(tuple("abcdefg")).ece, abs=1e-5)
    found = ece_by_chance(predictions)
    if sharpness == 1:
        assert found["mean"] == pytest.approx(errors.mean(), rel=0.05)
    return (errors > found["percentile_95"]).mean()


@pytest.mark.few(1)
@pytest.mark.parametrize("n", [50, 500])
def test_one_in_twenty_calibrated_networks_lies_above_what_chance_gives_and_an_uncalibrated_one_does(n):
    random = np.random.default_rng(n)
    drawn = [random.normal(scale=2, size=(n, 7)) for _ in range(4)]
    # Of 2,000 sets, one in twenty: 100 with a deviation of 10, and one of the percentile itself.
    assert 0.03 < np.mean([shares_of_labels_above(logits, 1) for logits in drawn]) < 0.07
    assert np.mean([shares_of_labels_above(logits, 4) for logits in drawn]) > 0.95


def test_chance_depends_on_the_confidences_and_the_seed_alone():
    predictions, shuffled = draw(300), draw(300)
    shuffled.labels[:] = shuffled.labels[::-1]
    assert ece_by_chance(shuffled) == ece_by_chance(predictions)
    other = ece_by_chance(predictions, seed=1)
    assert other == pytest.approx(ece_by_chance(predictions), rel=0.05)
    assert other != ece_by_chance(predictions)
    certain = with_accuracy(30, 30)
    assert ece_by_chance(certain.scaled(0.01)) == {"mean": 0, "percentile_95": 0}  # of one, nothing is left to chance
