from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxfer.data.batches import epoch_order

COUNTS = st.lists(st.integers(1, 30), min_size=1, max_size=8)
SEEDS = st.integers(0, 2**32 - 1)


def labelled(counts):
    return np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))


def drawn(labels, sampling, seed=0, epoch=0):
    return epoch_order(labels, sampling, seed=seed, epoch=epoch)


@given(COUNTS, SEEDS)
@settings(deadline=None)
def test_uniform_sampling_takes_every_row_once(counts, seed):
    labels = labelled(counts)
    assert sorted(drawn(labels, "uniform", seed)) == list(range(len(labels)))


@given(COUNTS, SEEDS, st.sampled_from(["balanced", "sqrt"]))
@settings(deadline=None)
def test_an_epoch_is_as_long_as_the_split_and_its_shares_are_exact_but_for_rounding(counts, seed, sampling):
    labels = labelled(counts)
    rows = drawn(labels, sampling, seed)
    assert len(rows) == len(labels)
    weights = np.ones(len(counts)) if sampling == "balanced" else np.sqrt(counts)
    found = np.bincount(labels[rows], minlength=len(counts))
    assert (np.abs(found - weights / weights.sum() * len(labels)) < 1).all()


@given(COUNTS, SEEDS, st.sampled_from(["balanced", "sqrt"]))
@settings(deadline=None)
def test_no_row_of_a_class_comes_twice_more_than_another(counts, seed, sampling):
    labels = labelled(counts)
    times = Counter(drawn(labels, sampling, seed).tolist())
    for label in range(len(counts)):
        of_class = [times[row] for row in np.flatnonzero(labels == label)]
        assert max(of_class) - min(of_class) <= 1


@pytest.mark.parametrize("sampling", ["uniform", "balanced", "sqrt"])
def test_the_order_depends_on_seed_and_epoch_and_is_the_same_again(sampling):
    labels = labelled([40, 20, 10])
    orders = [tuple(drawn(labels, sampling, seed, epoch)) for seed in range(3) for epoch in range(3)]
    assert len(set(orders)) == 9
    assert orders[4] == tuple(drawn(labels, sampling, 1, 1))


def test_balanced_epochs_see_all_of_a_large_class_over_time():
    labels = labelled([90, 10])
    seen = {row for epoch in range(12) for row in drawn(labels, "balanced", epoch=epoch).tolist()}
    assert len(seen) > 95
