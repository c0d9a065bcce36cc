"""The formulas of scores, from sums over examples: for one set of examples, or for many resamples of it at once.

Every function takes arrays with any leading axes, such as resamples, and returns a float64 array with those axes.
Counts may be integers. A mean over no examples is NaN, and so is what is computed from NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Num


def accuracy(confusion: Num[np.ndarray, "... c c"]) -> Float[np.ndarray, " ..."]:
    """Return the share of correct predictions.

    Args:
        confusion: Examples by actual (row) and predicted (column) class, [..., c, c].

    Returns:
        The accuracy in [0, 1], [...].
    """
    return divide(_diagonal(confusion).sum(-1), confusion.sum((-2, -1)), empty=np.nan)


def balanced_accuracy(confusion: Num[np.ndarray, "... c c"]) -> Float[np.ndarray, " ..."]:
    """Return the recall, averaged over the classes that occur.

    Args:
        confusion: Examples by actual (row) and predicted (column) class, [..., c, c].

    Returns:
        The balanced accuracy in [0, 1], [...].
    """
    actual = confusion.sum(-1)
    return divide(divide(_diagonal(confusion), actual).sum(-1), np.count_nonzero(actual, -1), empty=np.nan)


def f1(confusion: Num[np.ndarray, "... c c"]) -> Float[np.ndarray, "... c"]:
    """Return the F1 of each class.

    Args:
        confusion: Examples by actual (row) and predicted (column) class, [..., c, c].

    Returns:
        F1 in [0, 1], [..., c]. It is 0 for a class that neither occurs nor is predicted.
    """
    return divide(2 * _diagonal(confusion), confusion.sum(-1) + confusion.sum(-2))


def macro_f1(confusion: Num[np.ndarray, "... c c"]) -> Float[np.ndarray, " ..."]:
    """Return the F1, averaged over all classes.

    Args:
        confusion: Examples by actual (row) and predicted (column) class, [..., c, c].

    Returns:
        The macro F1 in [0, 1], [...].
    """
    return np.where(confusion.sum((-2, -1)) > 0, f1(confusion).mean(-1), np.nan)


def kappa(confusion: Num[np.ndarray, "... c c"]) -> Float[np.ndarray, " ..."]:
    """Return Cohen's kappa: how far the accuracy exceeds that by chance, as a share of how far it could.

    It is (p - e) / (1 - e), where e is the accuracy of predictions of the same frequencies that are drawn regardless of
    the labels. Cohen, "A Coefficient of Agreement for Nominal Scales", Educational and Psychological Measurement 20
    (1960).

    Args:
        confusion: Examples by actual (row) and predicted (column) class, [..., c, c].

    Returns:
        Kappa in [-1, 1], [...]; 0 is chance. It is NaN where all labels and all predictions are one class.
    """
    confusion = np.asarray(confusion, np.float64)
    n = confusion.sum((-2, -1))
    by_chance = (confusion.sum(-1) * confusion.sum(-2)).sum(
        -1
    )  # times n^2, as the others: whole numbers have no rounding
    return divide(n * _diagonal(confusion).sum(-1) - by_chance, n**2 - by_chance, empty=np.nan)


def r2(squared_error: Float[np.ndarray, "... c"], support: Num[np.ndarray, "... c"]) -> Float[np.ndarray, " ..."]:
    """Return scikit-learn's `r2_score` of one-hot labels, with its uniform average over columns.

    A one-hot column with k ones among n has the total sum of squares k - k^2 / n. Where that is 0 the column is
    constant. It then scores 1 if predicted exactly (to float32's precision), else 0.

    Args:
        squared_error: Sum of squared errors of each column, [..., c].
        support: Number of examples of each class, [..., c].

    Returns:
        R2, at most 1, [...]. It is NaN for fewer than two examples.
    """
    n = support.sum(-1, keepdims=True)
    total = support - divide(support**2, n)
    constant = np.where(squared_error == 0, 1.0, np.where(np.isnan(squared_error), np.nan, 0.0))
    varying = 1 - squared_error / np.where(total > 0, total, 1)
    return np.where(n[..., 0] >= 2, np.where(total > 0, varying, constant).mean(-1), np.nan)


def ece(gaps: Float[np.ndarray, "... bins"], n: Num[np.ndarray, " ..."] | float) -> Float[np.ndarray, " ..."]:
    """Return the expected calibration error; see `jaxfer.metrics.scores.Scores`.

    Args:
        gaps: Number of correct predictions in each bin of confidence, less the sum of their confidences, [..., bins].
        n: Number of examples, [...].

    Returns:
        The error in [0, 1], [...].
    """
    return divide(np.abs(gaps).sum(-1), np.asarray(n, np.float64), empty=np.nan)


def ccc(
    n: Num[np.ndarray, " ..."],
    x: Float[np.ndarray, " ..."],
    y: Float[np.ndarray, " ..."],
    xx: Float[np.ndarray, " ..."],
    yy: Float[np.ndarray, " ..."],
    xy: Float[np.ndarray, " ..."],
) -> Float[np.ndarray, " ..."]:
    """Return Lin's concordance correlation coefficient of pairs (x, y).

    It is 2 cov(x, y) / (var(x) + var(y) + (mean(x) - mean(y))^2), with the variances of a population.

    Args:
        n: Number of pairs, [...].
        x: Sum of x, up to 1 in size each, [...].
        y: Sum of y, up to 1 in size each, [...].
        xx: Sum of x^2, [...].
        yy: Sum of y^2, [...].
        xy: Sum of x y, [...].

    Returns:
        The coefficient in [-1, 1], [...]. It is NaN where x and y are one constant.
    """
    mean_x, mean_y, square_x, square_y, product = (divide(total, n, empty=np.nan) for total in (x, y, xx, yy, xy))
    covariance = product - mean_x * mean_y
    spread = square_x - mean_x**2 + square_y - mean_y**2 + (mean_x - mean_y) ** 2
    return divide(2 * covariance, np.where(spread > NOTHING, spread, 0), empty=np.nan)


NOTHING = 1e-13
"""A variance of values up to 1 that is none: what float64 leaves of 0 is far below, what float32 tells apart above."""


def pearson(
    n: Num[np.ndarray, " ..."],
    x: Float[np.ndarray, " ..."],
    y: Float[np.ndarray, " ..."],
    xx: Float[np.ndarray, " ..."],
    yy: Float[np.ndarray, " ..."],
    xy: Float[np.ndarray, " ..."],
) -> Float[np.ndarray, " ..."]:
    """Return Pearson's correlation coefficient of pairs (x, y): cov(x, y) / sqrt(var(x) var(y)).

    Args:
        n: As for `ccc`.
        x: As for `ccc`.
        y: As for `ccc`.
        xx: As for `ccc`.
        yy: As for `ccc`.
        xy: As for `ccc`.

    Returns:
        The coefficient in [-1, 1], [...]. It is NaN where x or y is constant.
    """
    var_x, var_y, covariance = _moments(n, x, y, xx, yy, xy)
    varies = (var_x > NOTHING) & (var_y > NOTHING)
    # Rounding can make a perfect correlation a little more than that.
    return np.clip(divide(covariance, np.sqrt(np.where(varies, var_x * var_y, 0)), empty=np.nan), -1, 1)


def icc(
    n: Num[np.ndarray, " ..."],
    x: Float[np.ndarray, " ..."],
    y: Float[np.ndarray, " ..."],
    xx: Float[np.ndarray, " ..."],
    yy: Float[np.ndarray, " ..."],
    xy: Float[np.ndarray, " ..."],
) -> Float[np.ndarray, " ..."]:
    """Return the intraclass correlation ICC(3,1) of pairs (x, y): of two fixed raters, one rating each, consistency.

    Shrout and Fleiss, "Intraclass Correlations: Uses in Assessing Rater Reliability", Psychological Bulletin 86 (1979):
    (BMS - EMS) / (BMS + (k - 1) EMS). With k = 2 raters, BMS + EMS is var(x) + var(y), BMS - EMS is 2 cov(x, y), and
    the coefficient is 2 cov(x, y) / (var(x) + var(y)). Unlike `ccc` it forgives a constant difference.

    Args:
        n: As for `ccc`.
        x: As for `ccc`.
        y: As for `ccc`.
        xx: As for `ccc`.
        yy: As for `ccc`.
        xy: As for `ccc`.

    Returns:
        The coefficient in [-1, 1], [...]. It is NaN where both x and y are constant.
    """
    var_x, var_y, covariance = _moments(n, x, y, xx, yy, xy)
    return divide(2 * covariance, np.where(var_x + var_y > NOTHING, var_x + var_y, 0), empty=np.nan)


def _moments(n: Any, x: Any, y: Any, xx: Any, yy: Any, xy: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the variances of x and y and their covariance, of a population; NaN without a pair."""
    mean_x, mean_y, square_x, square_y, product = (divide(total, n, empty=np.nan) for total in (x, y, xx, yy, xy))
    return square_x - mean_x**2, square_y - mean_y**2, product - mean_x * mean_y


def divide(
    numerator: Num[np.ndarray, " ..."], denominator: Num[np.ndarray, " ..."], empty: float = 0.0
) -> Float[np.ndarray, " ..."]:
    """Return the elementwise quotient.

    Args:
        numerator: Numbers that broadcast with the denominator.
        denominator: Numbers, none below 0.
        empty: The result where the denominator is 0.

    Returns:
        The quotient, float64 of the broadcast shape.
    """
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    out = np.full(numerator.shape, empty)
    return np.divide(numerator, denominator, out=out, where=denominator != 0)


def _diagonal(confusion: np.ndarray) -> np.ndarray:
    return np.diagonal(confusion, axis1=-2, axis2=-1)
