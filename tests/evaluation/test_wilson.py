"""Intervals of shares: published values, and what those of F1 have to do with them."""

import pytest
from scipy.stats import binomtest

from jaxfer.evaluation.intervals import f1_interval, wilson_interval


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [
        # R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17 (1998),
        # table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_of_a_share_is_the_published_one(count, n, low, high):
    assert wilson_interval(count / n, n) == pytest.approx((low, high), abs=5e-5)
    assert wilson_interval(1 - count / n, n) == pytest.approx((1 - high, 1 - low), abs=5e-5)


@pytest.mark.parametrize("n", [1, 2, 35, 3_999, 287_651])
def test_the_interval_of_a_share_is_scipys(n):
    for count in {0, 1, n // 3, n - 1, n}:
        expected = binomtest(count, n).proportion_ci(0.95, method="wilson")
        assert wilson_interval(count / n, n) == pytest.approx(tuple(expected), rel=1e-9)


def test_of_nothing_nothing_is_known():
    assert wilson_interval(0.0, 0) == (0.0, 1.0)
    assert f1_interval(0.0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("hits", "others"), [(0, 9), (5, 9), (400, 7), (30, 0)])
def test_the_interval_of_f1_is_that_of_the_share_of_hits_it_grows_with(hits, others):
    f1 = 2 * hits / (2 * hits + others)
    low, high = f1_interval(f1, hits + others)
    assert (low / (2 - low), high / (2 - high)) == pytest.approx(wilson_interval(hits / (hits + others), hits + others))
    assert low <= f1 <= high
