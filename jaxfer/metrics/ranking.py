"""Scores of how a network ranks classes and examples, which no sums over batches hold: they need every prediction.

A class is set against all others, by its probability: AUC and average precision. Ranks of the classes of one example
give its top-k accuracy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


def auc(probabilities: Float[np.ndarray, "n c"], labels: Int[np.ndarray, " n"]) -> Float[np.ndarray, " c"]:
    """Return the area under the ROC curve of each class against all others.

    It is the share of pairs of an example of the class and one of another class in which the first has the higher
    probability of the class, ties counted as half: the statistic of Mann and Whitney. Hanley and McNeil, "The Meaning
    and Use of the Area under a Receiver Operating Characteristic (ROC) Curve", Radiology 143 (1982). scikit-learn's
    `roc_auc_score` of one class.

    Args:
        probabilities: Of each class, or any rising function of them, floating point [n, c].
        labels: int [n] in [0, c).

    Returns:
        The areas in [0, 1], float64 [c]. NaN for a class of no example or of all, and where a number is NaN.

    >>> auc(np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]]), np.array([0, 0, 1, 1])).tolist()
    [0.75, 0.75]
    """
    found = np.full(probabilities.shape[1], np.nan)
    for one, inside, outside in _by_probability(probabilities, labels):
        if inside.sum() and outside.sum():
            below = np.cumsum(outside) - outside
            found[one] = (inside * (below + outside / 2)).sum() / (inside.sum() * outside.sum())
    return found


def average_precision(
    probabilities: Float[np.ndarray, "n c"], labels: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " c"]:
    """Return the average precision of each class against all others, the area under its precision by recall.

    Examples are taken from the highest probability of the class on, those of equal ones together. The sum is of the
    precisions P_k, each weighted by how much the recall rises there: sum_k (R_k - R_{k-1}) P_k, without interpolation,
    as scikit-learn's `average_precision_score`. Chance gives the share of the class.

    Args:
        probabilities: As for `auc`.
        labels: As for `auc`.

    Returns:
        The averages in [0, 1], float64 [c]. NaN for a class of no example, and where a number is NaN.

    >>> average_precision(np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]]), np.array([0, 0, 1, 1])).round(3)
    array([0.833, 0.833])
    """
    found = np.full(probabilities.shape[1], np.nan)
    for one, inside, outside in _by_probability(probabilities, labels):
        if inside.sum():
            taken, right = np.cumsum((inside + outside)[::-1]), np.cumsum(inside[::-1])
            found[one] = (inside[::-1] * right / taken).sum() / inside.sum()
    return found


def among_first(
    k: int, probabilities: Float[np.ndarray, "n c"], labels: Int[np.ndarray, " n"]
) -> Bool[np.ndarray, " n"]:
    """Return whether the label is among the k most probable classes, bool [n]; of equal classes the first come first.

    Args:
        k: How many classes, at least 1. With 1 it is whether the example is predicted correctly.
        probabilities: As for `auc`.
        labels: As for `auc`.

    >>> among_first(2, np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]), np.array([1, 2])).tolist()
    [True, False]
    """
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    earlier = np.arange(probabilities.shape[1])[None, :] < labels[:, None]
    return ((probabilities > own) | ((probabilities == own) & earlier)).sum(axis=1) < k


def _by_probability(
    probabilities: np.ndarray, labels: np.ndarray
) -> Iterator[tuple[int, Float[np.ndarray, " k"], Float[np.ndarray, " k"]]]:
    """Yield for each class how many examples of it, and of others, have each of its k probabilities, in rising order.

    A class with a probability that is NaN is left out: nobody knows where that would stand.
    """
    for one, column in enumerate(probabilities.T):
        if not np.isnan(column).any():
            values, place = np.unique(column, return_inverse=True)
            inside, outside = (
                np.bincount(place[rows], minlength=len(values)) for rows in (labels == one, labels != one)
            )
            yield one, inside.astype(np.float64), outside.astype(np.float64)
