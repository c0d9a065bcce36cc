"""The formulas of scores, from sums over examples: for one set of examples, or for many resamples of it at once.

Every function takes float64 arrays with any leading axes and returns an array of those axes. A mean over no examples
is NaN.
"""

import numpy as np


def accuracy(confusion: np.ndarray) -> np.ndarray:
    """Return the share of correct predictions, [...], of confusion matrices [..., c, c], rows actual."""
    return divide(_diagonal(confusion).sum(-1), confusion.sum((-2, -1)), empty=np.nan)


def balanced_accuracy(confusion: np.ndarray) -> np.ndarray:
    """Return the recall averaged over the classes that occur, [...], of confusion matrices [..., c, c]."""
    actual = confusion.sum(-1)
    return divide(divide(_diagonal(confusion), actual).sum(-1), np.count_nonzero(actual, -1), empty=np.nan)


def f1(confusion: np.ndarray) -> np.ndarray:
    """Return each class's F1, [..., c], of confusion matrices [..., c, c]; 0 for one neither there nor predicted."""
    return divide(2 * _diagonal(confusion), confusion.sum(-1) + confusion.sum(-2))


def macro_f1(confusion: np.ndarray) -> np.ndarray:
    """Return F1 averaged over all classes, [...], of confusion matrices [..., c, c]."""
    return np.where(confusion.sum((-2, -1)) > 0, f1(confusion).mean(-1), np.nan)


def r2(squared_error: np.ndarray, support: np.ndarray) -> np.ndarray:
    """Return scikit-learn's `r2_score`, averaged uniformly over the one-hot columns, [...].

    squared_error: sums of squared errors, [..., c]. support: examples of each class, [..., c].

    A one-hot column with k ones among n has the total sum of squares k - k^2 / n. Where that is 0 the column is
    constant and scores 1 if predicted exactly (to float32's precision), else 0. One example has no R2: NaN.
    """
    n = support.sum(-1, keepdims=True)
    total = support - divide(support**2, n)
    constant = np.where(squared_error == 0, 1.0, np.where(np.isnan(squared_error), np.nan, 0.0))
    varying = 1 - squared_error / np.where(total > 0, total, 1)
    return np.where(n[..., 0] < 2, np.nan, np.where(total > 0, varying, constant).mean(-1))


def ece(gaps: np.ndarray, n: np.ndarray | float) -> np.ndarray:
    """Return the expected calibration error, [...]; see `jaxfer.metrics.scores.Scores`.

    gaps: for each bin of confidence, correct predictions less the sum of confidences, [..., bins]. n: examples, [...].
    """
    return divide(np.abs(gaps).sum(-1), np.asarray(n, np.float64), empty=np.nan)


def ccc(n: np.ndarray, x: np.ndarray, y: np.ndarray, xx: np.ndarray, yy: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Return Lin's concordance correlation coefficient, [...], from numbers of pairs and sums of x, y, x^2, y^2 and xy.

    2 cov(x, y) / (var(x) + var(y) + (mean(x) - mean(y))^2), with the variances of a population. NaN where x and y are
    one constant.
    """
    mean_x, mean_y, square_x, square_y, product = (divide(total, n, empty=np.nan) for total in (x, y, xx, yy, xy))
    covariance = product - mean_x * mean_y
    spread = square_x - mean_x**2 + square_y - mean_y**2 + (mean_x - mean_y) ** 2
    # Of values up to 1: what float64 leaves of 0 is far below, and what float32 can tell apart far above.
    return divide(2 * covariance, np.where(spread > 1e-13, spread, 0), empty=np.nan)


def divide(numerator: np.ndarray, denominator: np.ndarray, empty: float = 0.0) -> np.ndarray:
    """Return the elementwise quotient, `empty` where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    out = np.full(numerator.shape, empty)
    return np.divide(numerator, denominator, out=out, where=denominator > 0)


def _diagonal(confusion: np.ndarray) -> np.ndarray:
    return np.diagonal(confusion, axis1=-2, axis2=-1)
