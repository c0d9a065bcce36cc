"""Which examples an epoch trains on, and in what order."""

import numpy as np

from jaxfer.config import Sampling


def epoch_order(labels: np.ndarray, sampling: Sampling, *, seed: int, epoch: int) -> np.ndarray:
    """Return the rows of one epoch, int [n], for labels int [n]: a function of its arguments and of nothing else.

    `uniform` is every row once. `balanced` gives every class the same number of rows, `sqrt` a number in proportion to
    the square root of its images (Mahajan et al. 2018, https://arxiv.org/abs/1805.00932): rows of small classes then
    come several times, those of large ones not all in one epoch. Within a class no row comes twice before each other
    has come, and the numbers are exact but for rounding, so that an epoch varies less than independent draws would.
    """
    random = np.random.default_rng([seed, epoch])
    if sampling == "uniform":
        return random.permutation(len(labels))
    classes, counts = np.unique(labels, return_counts=True)
    weights = np.ones(len(classes)) if sampling == "balanced" else np.sqrt(counts)
    rows = [
        _cycle(random, np.flatnonzero(labels == label), quota)
        for label, quota in zip(classes, _apportion(weights, len(labels)), strict=True)
    ]
    return random.permutation(np.concatenate(rows))


def _apportion(weights: np.ndarray, total: int) -> np.ndarray:
    """Return whole numbers in proportion to the weights that add up to `total`, by the largest remainders."""
    exact = weights * (total / weights.sum())
    quotas = exact.astype(int)
    missing = total - quotas.sum()
    quotas[np.argsort(quotas - exact, kind="stable")[:missing]] += 1
    return quotas


def _cycle(random: np.random.Generator, rows: np.ndarray, count: int) -> np.ndarray:
    """Return `count` of the rows: as many whole permutations as that takes, the last one in part."""
    passes = -(-count // len(rows))
    return np.concatenate([random.permutation(rows) for _ in range(passes)] or [rows[:0]])[:count]
