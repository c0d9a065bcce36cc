"""How far scores could be off by the choice of examples alone: bootstrap intervals, intervals of shares, and chance.

The bootstrap draws as many examples, with replacement, and scores them; many times. The middle 95% of these scores is
the percentile interval: Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 7 (1979); Efron
and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13. It says what other images of the same kind would
change. It does not say what another seed would change: train several for that. Images that are copies of each other
make it too narrow.

A percentile interval is as biased as its resamples, and of few images a score can lie above its own. R2 of a resample
is measured against the resample's class shares, which fit it better than those of the split do: it is lower on average,
by about (1 - R2) / n, and more where classes are rare. And a class that a resample has not drawn scores 0 in its R2 and
its macro F1. As n grows the bias vanishes beside the length, but not for R2 of a network that always answers the class
shares, which varies by no more than its bias. The intervals are left as they are: Efron's correction of the bias has no
end where all resamples lie on one side.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import NormalDist
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from jaxfer.evaluation.predict import Predictions
from jaxfer.metrics import formulas
from jaxfer.metrics.metrics import CALIBRATION_BINS, calibration_bin
from jaxfer.tasks import Task

if TYPE_CHECKING:
    from jaxtyping import Float

RESAMPLES = 2000
"""How often the examples are drawn: the ends of an interval then vary by about a twentieth of its length."""

LEVEL = 0.95
"""The share of resamples inside an interval."""

CELLS = 4_000_000
"""Resamples times examples that are held in memory at once: 64 MB."""

_OF_CONFUSION = ("accuracy", "balanced_accuracy", "macro_f1", "kappa")
WITH_INTERVAL = ("accuracy", "balanced_accuracy", "macro_f1", "cross_entropy", "mse", "r2", "kappa", "top2_accuracy")
"""The fields of `Scores` that have an interval: all but the training objective, and `ece`; see `ece_by_chance`."""

Interval = list[float]
"""The lower end and the upper end."""


def intervals(predictions: Predictions, *, seed: int = 0) -> dict[str, Interval]:
    """Return the bootstrap 95% interval of each measure of `Scores` and of the tasks.

    Args:
        predictions: The predictions of n examples.
        seed: Decides the resamples. The intervals depend on it and on the predictions alone.

    Returns:
        The intervals by the names of the measures. An interval is NaN where the measure is, or may be in a resample.

    >>> certain = np.array([[9.0, 0.0], [0.0, 9.0], [9.0, 0.0], [9.0, 0.0]], np.float32)
    >>> intervals(Predictions(certain, np.array([0, 1, 1, 0], np.int32)))["accuracy"]
    [0.25, 1.0]
    """
    if not len(predictions):
        return {name: [np.nan, np.nan] for name in (*WITH_INTERVAL, *predictions.measures)}
    random = np.random.default_rng(seed)
    confusion = _resampled_confusion(predictions, random)
    samples = {name: getattr(formulas, name)(confusion) for name in _OF_CONFUSION}
    with np.errstate(invalid="ignore"):  # an infinite or undefined term makes the resamples NaN, and so the interval
        nats, squared_error, support, in_two = _resampled_sums(predictions, random)
        n = len(predictions)
        samples |= {"cross_entropy": nats / n, "mse": squared_error.mean(-1) / n}
        samples |= {"r2": formulas.r2(squared_error, support)}
        samples |= {"top2_accuracy": in_two / n}
        for task in predictions.scored:
            found = _resampled_scores(task, predictions.terms[task.name], np.random.default_rng(seed))
            samples |= {name: found[name] for name in task.measures}
        return {name: middle(values) for name, values in samples.items()}


def middle(samples: Float[np.ndarray, " resamples"]) -> Interval:
    """Return the ends of the middle 95% of samples, float [resamples]."""
    return np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()


def _resampled_confusion(predictions: Predictions, random: np.random.Generator) -> np.ndarray:
    """Return confusion matrices of resamples, int [resamples, c, c].

    Drawing n examples draws a multinomial number from each cell, without a look at single examples. They are NaN where
    a prediction is no number, of which nobody knows the class.
    """
    c = predictions.logits.shape[1]
    if np.isnan(predictions.probabilities).any():
        return np.full((RESAMPLES, c, c), np.nan)
    counts = np.bincount(predictions.labels * c + predictions.predicted, minlength=c * c)
    return random.multinomial(len(predictions), counts / len(predictions), RESAMPLES).reshape(-1, c, c)


def _resampled_sums(predictions: Predictions, random: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return sums over resamples: nats [r], squared errors [r, c], examples [r, c], and those right in two [r]."""
    c, rows = predictions.logits.shape[1], np.arange(len(predictions))
    one_hot = np.eye(c)[predictions.labels]
    nats = -predictions.log_probabilities[rows, predictions.labels]
    in_two = np.where(np.isnan(predictions.probabilities).any(), np.nan, predictions.correct_in_two)
    terms = np.column_stack([nats, (predictions.probabilities - one_hot) ** 2, one_hot, in_two])  # [n, 2 + 2c]
    sums = np.concatenate([weights @ terms for weights in _resamples(len(predictions), random)])
    return sums[:, 0], sums[:, 1 : 1 + c], sums[:, 1 + c : -1], sums[:, -1]


def _resampled_scores(task: Task, terms: np.ndarray, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the scores of resamples, [resamples] each, from the terms [n, ...] of the examples."""
    flat = terms.reshape(len(terms), -1)
    sums = np.concatenate([weights @ flat for weights in _resamples(len(terms), random)])
    return task.scores(sums.reshape(-1, *terms.shape[1:]))


def _resamples(n: int, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield how often each of n examples is drawn, float64 [some, n], until there are `RESAMPLES` rows."""
    for count in _portions(n):
        drawn = random.integers(0, n, (count, n)) + n * np.arange(count)[:, None]
        yield np.bincount(drawn.ravel(), minlength=count * n).reshape(count, n).astype(np.float64)


def _portions(n: int) -> list[int]:
    """Return how many resamples of n examples are to be held in memory at once, `RESAMPLES` together."""
    at_once = max(1, min(RESAMPLES, CELLS // n))
    return [min(at_once, RESAMPLES - start) for start in range(0, RESAMPLES, at_once)]


def ece_by_chance(predictions: Predictions, *, seed: int = 0) -> dict[str, float]:
    """Return the calibration errors that a network which is exactly as sure as it is right shows by chance.

    The error is a sum of distances, which noise makes larger: with few examples that of such a network is far from 0,
    and a bootstrap, which adds the same noise once more, has no interval that holds the true one. So this says what to
    compare an error with. It is that of as many examples with the same confidences, each of which is correct with the
    probability of its confidence, drawn many times: the consistency resampling of Broecker and Smith, "Increasing the
    Reliability of Reliability Diagrams", Weather and Forecasting 22 (2007), https://doi.org/10.1175/WAF993.1.

    Args:
        predictions: The predictions of n examples; their labels do not matter.
        seed: Decides what is drawn.

    Returns:
        The `mean`, and `percentile_95`, above which such a network is in one of twenty draws. Both are NaN without
        examples, or where a prediction is no number.

    >>> unsure = Predictions(np.zeros((4, 2), np.float32), np.zeros(4, np.int32))  # confidences of one half
    >>> ece_by_chance(unsure)["percentile_95"]
    0.5
    """
    n, confidence = len(predictions), predictions.confidence
    if not n or np.isnan(confidence).any():
        return {"mean": np.nan, "percentile_95": np.nan}
    random = np.random.default_rng(seed)
    in_bin = np.eye(CALIBRATION_BINS, dtype=np.float32)[calibration_bin(jnp.asarray(confidence))]  # [n, 15]
    expected = confidence.astype(np.float64) @ in_bin
    # Sums of zeros and ones: float32 has those of 16 million examples without an error.
    correct = (random.random((count, n), np.float32) < confidence for count in _portions(n))
    errors = formulas.ece(np.concatenate([some.astype(np.float32) @ in_bin for some in correct]) - expected, n)
    return {"mean": float(errors.mean()), "percentile_95": float(np.quantile(errors, LEVEL))}


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """Return the 95% interval of a share.

    It is the score interval of E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference",
    Journal of the American Statistical Association 22, 1927.

    Args:
        share: The share that was seen, from 0 to 1.
        n: Number of examples among which it was seen.

    Returns:
        The lower and the upper end, in [0, 1]; 0 and 1 without any example, NaN for what is no share.

    >>> [round(bound, 3) for bound in wilson_interval(0.9, 50)]
    [0.786, 0.957]
    """
    if n <= 0:
        return 0.0, 1.0
    if not 0 <= share <= 1:
        return np.nan, np.nan
    hits, z = round(share * n), NormalDist().inv_cdf((1 + LEVEL) / 2)
    centre, reach = hits + z**2 / 2, z * math.sqrt(hits * (n - hits) / n + z**2 / 4)
    # None and all are ends of their own intervals, which rounding would miss.
    return (centre - reach) / (n + z**2) if hits else 0.0, (centre + reach) / (n + z**2) if hits < n else 1.0


def f1_interval(f1: float, n: int) -> tuple[float, float]:
    """Return the 95% interval of the F1 of a class.

    The share J of TP among TP + FP + FN is a share like any other. F1 = 2J / (1 + J) grows with it, so the ends of its
    interval are those of the interval of J, transformed.

    Args:
        f1: The F1 that was seen, in [0, 1].
        n: Number of examples that are of the class or were taken for it, TP + FP + FN.

    Returns:
        The lower and the upper end, in [0, 1]; NaN where `f1` is no F1.
    """
    share = f1 / (2 - f1) if f1 <= 1 else np.nan
    low, high = (2 * bound / (1 + bound) for bound in wilson_interval(share, n))
    return low, high
