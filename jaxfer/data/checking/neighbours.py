"""Find all pairs of hashes that differ in few bits, without comparing every hash with every other.

Cut 64 bits into `distance + 1` bands: two hashes that differ in no more than `distance` bits agree in at least one
whole band. So only hashes that share a band are compared, block by block.
"""

import itertools
from collections.abc import Iterator

import numpy as np

BLOCK = 256
"""How many hashes are compared with as many others at a time: this bounds memory and the size of what is yielded."""


def close_pairs(
    first: np.ndarray, second: np.ndarray, distance: int, *, seeks_later: np.ndarray, seeks_earlier: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield all pairs i < j whose hashes `first[i]` and `second[j]` differ in few bits.

    Each pair comes once, in an order that depends on the hashes alone. Whoever takes the pairs may clear `seeks_later`
    and `seeks_earlier` on the way, which bounds the time where very many hashes are alike.

    Args:
        first: uint64 [n].
        second: uint64 [n]: those of `first`, or of the mirror images.
        distance: In how many bits, of 64, two hashes may differ.
        seeks_later: bool [n]. A pair is left out where neither `seeks_later[i]` nor `seeks_earlier[j]` is set.
        seeks_earlier: bool [n].

    Yields:
        The indices i and j of up to `BLOCK` squared pairs, int [pairs] each.
    """
    masks = _masks(first, second, distance)
    for number, mask in enumerate(masks):
        for rows, columns in _buckets(first & mask, second & mask):
            for later, earlier in itertools.product(_blocks(columns), _blocks(rows)):
                if earlier[0] >= later[-1] or not (seeks_later[earlier].any() or seeks_earlier[later].any()):
                    continue
                i, j = _compare(first, second, earlier, later, distance)
                keep = (i < j) & (seeks_later[i] | seeks_earlier[j])
                for before in masks[:number]:  # a pair that shares an earlier band has been met there
                    keep &= (first[i] ^ second[j]) & before != 0
                if keep.any():
                    yield i[keep], j[keep]


def _compare(
    first: np.ndarray, second: np.ndarray, rows: np.ndarray, columns: np.ndarray, distance: int
) -> tuple[np.ndarray, np.ndarray]:
    differing = np.bitwise_count(first[rows][:, None] ^ second[columns])  # [rows, columns]
    # In one dimension, where numpy skips what is zero much faster.
    i, j = np.divmod(np.flatnonzero(differing <= distance), len(columns))
    return rows[i], columns[j]


def _masks(first: np.ndarray, second: np.ndarray, distance: int) -> list[np.uint64]:
    """Return the bands as masks, or one that is empty where comparing all with all is less work than the bands."""
    edges = np.linspace(0, 64, distance + 2).astype(int)
    masks = [np.uint64(2 ** int(end) - 2 ** int(start)) for start, end in itertools.pairwise(edges)]
    work = sum(len(rows) * len(columns) for mask in masks for rows, columns in _buckets(first & mask, second & mask))
    return masks if work < len(first) ** 2 else [np.uint64(0)]


def _buckets(first: np.ndarray, second: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the indices, ascending, at which either array has the same value, for each value that both have."""
    orders = [np.argsort(keys, kind="stable") for keys in (first, second)]
    (values, *rows), (others, *columns) = (
        np.unique(keys[order], return_index=True, return_counts=True)
        for keys, order in zip((first, second), orders, strict=True)
    )
    _, here, there = np.intersect1d(values, others, assume_unique=True, return_indices=True)
    for (row, height), (column, width) in zip(
        zip(*(part[here].tolist() for part in rows), strict=True),
        zip(*(part[there].tolist() for part in columns), strict=True),
        strict=True,
    ):
        yield orders[0][row : row + height], orders[1][column : column + width]


def _blocks(indices: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(indices), BLOCK):
        yield indices[start : start + BLOCK]
