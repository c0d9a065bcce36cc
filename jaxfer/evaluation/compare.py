"""Several networks on the same examples: whether two of them differ, and the mean over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxfer.evaluation.intervals import RESAMPLES, Interval, middle

if TYPE_CHECKING:
    from jaxtyping import Bool

FEW = 25
"""Discordant pairs below which the test is exact; from there on the chi-squared distribution is close to it."""


@dataclass(frozen=True)
class McNemar:
    """McNemar's test of whether two classifiers are equally accurate, by the examples that only one of them gets right.

    McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12 (1947). Dietterich, "Approximate Statistical Tests for Comparing Supervised Classification Learning
    Algorithms", Neural Computation 10 (1998), recommends it for two classifiers and one test set.

    Attributes:
        only_first: Number of examples that only the first gets right.
        only_second: Number of examples that only the second gets right.
        examples: Number of all examples.
        method: `exact`, a two-sided binomial test of the discordant pairs, below `FEW` of them; else `chi-squared`,
            with Edwards' continuity correction (Psychometrika 13, 1948).
        p_value: Probability of a split of the discordant pairs at least as uneven, if both were equally accurate.
        difference: Accuracy of the first less that of the second.
        interval: Bootstrap 95% interval of the difference.
    """

    only_first: int
    only_second: int
    examples: int
    method: str
    p_value: float
    difference: float
    interval: Interval


def mcnemar(first: Bool[np.ndarray, " n"], second: Bool[np.ndarray, " n"], *, seed: int = 0) -> McNemar:
    """Return McNemar's test of two classifiers.

    Args:
        first: Whether the first gets each example right, bool [n], n at least 1.
        second: Whether the second gets each of the same examples right, bool [n].
        seed: Decides the resamples of the interval.

    >>> first, second = np.array([1, 1, 1, 1, 0, 0], bool), np.array([1, 0, 0, 0, 1, 0], bool)
    >>> found = mcnemar(first, second)
    >>> found.only_first, found.only_second, found.method, found.p_value
    (3, 1, 'exact', 0.625)
    """
    n = len(first)
    b, c = int(np.sum(first & ~second)), int(np.sum(~first & second))
    from scipy.special import bdtr, chdtrc  # takes long to import

    if b + c < FEW:
        method, p_value = "exact", min(1.0, 2 * bdtr(min(b, c), b + c, 0.5))
    else:
        method, p_value = "chi-squared", chdtrc(1, max(abs(b - c) - 1, 0) ** 2 / (b + c))
    drawn = np.random.default_rng(seed).multinomial(n, [b / n, c / n, (n - b - c) / n], RESAMPLES)
    return McNemar(b, c, n, method, float(p_value), (b - c) / n, middle((drawn[:, 0] - drawn[:, 1]) / n))


def over_runs(scores: Sequence[Mapping[str, Any]], measures: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the mean and the sample standard deviation (n - 1) of each measure over runs.

    Args:
        scores: `Scores.to_dict()` of each run.
        measures: The names of the measures.

    Returns:
        `mean`, `std` and the number of `runs` of each measure. Both are None for a measure that is None in a run. One
        run has no `std`.

    >>> over_runs([{"accuracy": 0.5}, {"accuracy": 0.75}], ["accuracy"])
    {'accuracy': {'mean': 0.625, 'std': 0.1767766952966369, 'runs': 2}}
    """
    found = {}
    for name in measures:
        values = [one[name] for one in scores]
        known = None not in values
        found[name] = {
            "mean": statistics.fmean(values) if known else None,
            "std": statistics.stdev(values) if known and len(values) > 1 else None,
            "runs": len(values),
        }
    return found
