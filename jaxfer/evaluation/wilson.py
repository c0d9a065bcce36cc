"""Confidence intervals of shares, from counts alone."""

import math

_QUANTILE = 1.959963984540054
"""Of the standard normal distribution at 0.975."""


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """Return the 95% interval, [low, high] in [0, 1], of a share that was seen among n examples.

    The score interval of E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference",
    Journal of the American Statistical Association 22, 1927. Of no example at all it is [0, 1].

    >>> [round(bound, 3) for bound in wilson_interval(0.9, 50)]
    [0.786, 0.957]
    """
    if n == 0:
        return 0.0, 1.0
    shrink = 1 / (1 + _QUANTILE**2 / n)
    centre = shrink * (share + _QUANTILE**2 / (2 * n))
    half = shrink * _QUANTILE * math.sqrt(share * (1 - share) / n + _QUANTILE**2 / (4 * n**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def f1_interval(f1: float, n: int) -> tuple[float, float]:
    """Return the 95% interval of a class's F1.

    n: examples that are of the class or were taken for it, TP + FP + FN. The share J of TP among these is a share like
        any other, and F1 = 2J / (1 + J) grows with it, so that the bounds of one are those of the other.
    """
    low, high = (2 * bound / (1 + bound) for bound in wilson_interval(f1 / (2 - f1), n))
    return low, high
