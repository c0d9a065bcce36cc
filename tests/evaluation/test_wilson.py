"""Intervals of shares, beside SciPy's."""

import pytest
from scipy.stats import binomtest

from jaxfer.evaluation.wilson import f1_interval, wilson_interval


@pytest.mark.parametrize(("count", "n"), [(0, 1), (1, 1), (0, 40), (7, 40), (20, 40), (40, 40), (1655, 3589)])
def test_the_interval_of_a_share_is_scipys(count, n):
    expected = binomtest(count, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(count / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_of_nothing_nothing_is_known():
    assert wilson_interval(0.0, 0) == (0.0, 1.0)
    assert f1_interval(0.0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("hits", "others"), [(0, 9), (5, 9), (400, 7), (30, 0)])
def test_the_interval_of_f1_is_that_of_the_share_of_hits_it_grows_with(hits, others):
    jaccard = binomtest(hits, hits + others).proportion_ci(0.95, method="wilson")
    f1 = 2 * hits / (2 * hits + others)
    low, high = f1_interval(f1, hits + others)
    assert (low / (2 - low), high / (2 - high)) == pytest.approx((jaccard.low, jaccard.high), abs=1e-12)
    assert low <= f1 <= high
