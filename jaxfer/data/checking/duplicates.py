"""Faces with exactly the same pixels: within a split, across splits, and under different labels."""

from collections.abc import Iterator

import numpy as np

from jaxfer.data.checking.faces import LEAKS, Faces
from jaxfer.data.checking.findings import Problem
from jaxfer.data.reading.record import SPLITS

Pairs = list[tuple[int, int]]
"""Indices of a face and of its copy."""


def first_copies(digests: np.ndarray) -> np.ndarray:
    """Return for each of n digests, uint64 [n, 2], the index of the first one that is equal to it, int [n]."""
    order = np.lexsort((np.arange(len(digests)), digests[:, 0], digests[:, 1]))
    ordered = digests[order]
    begins = np.ones(len(digests), bool)
    begins[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    starts = order[begins]  # within a group, indices ascend
    first = np.empty(len(digests), np.int64)
    first[order] = starts[np.cumsum(begins) - 1]
    return first


def find_copies(faces: Faces) -> dict[str, list[Problem]]:
    """Return the problems that faces have with exact copies of them, in the order of the faces.

    Splits that are used for the same count as one split here, whatever their names.

    Returns:
        By kind:

        - `duplicate`: Each face with an earlier copy in its split; `other` is the first one.
        - `leak`: Each face of a validation or test split, once for each split that must not have a copy of it but has
          (`LEAKS`); `other` is the first one there.
        - `label_conflict`: Each face, once for each split, its own included, that has a copy under another label;
          `other` is the first such copy there.
    """
    duplicates, leaks, conflicts = Pairs(), Pairs(), Pairs()
    for members in _groups(first_copies(faces.digests)):
        firsts = _firsts(faces, members)
        for face in members.tolist():
            use, label = _use(faces, face), faces.label[face]
            for other_use, first_of_label in firsts.items():
                first = min(first_of_label.values())
                if other_use == use and first != face:
                    duplicates.append((face, first))
                if other_use in LEAKS[use]:
                    leaks.append((face, first))
                others = [other for other_label, other in first_of_label.items() if other_label != label]
                if others:
                    conflicts.append((face, min(others)))
    return {
        "duplicate": [faces.problem(*pair, "same pixels as another image of its split") for pair in sorted(duplicates)],
        "leak": [faces.problem(*pair, f"same pixels as an image of {_name(faces, pair)}") for pair in sorted(leaks)],
        "label_conflict": [faces.problem(*pair, "same pixels under another label") for pair in sorted(conflicts)],
    }


def _groups(first: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the indices, ascending, of all faces that share their pixels with another one, group by group."""
    order = np.argsort(first, kind="stable")
    _, starts, counts = np.unique(first[order], return_index=True, return_counts=True)
    several = counts > 1
    for start, count in zip(starts[several].tolist(), counts[several].tolist(), strict=True):
        yield order[start : start + count]


def _firsts(faces: Faces, members: np.ndarray) -> dict[str, dict[int, int]]:
    """Return for each use and then each label the first of a group's members."""
    firsts: dict[str, dict[int, int]] = {}
    for face in members.tolist():
        firsts.setdefault(_use(faces, face), {}).setdefault(int(faces.label[face]), face)
    return {use: firsts[use] for use in SPLITS if use in firsts}


def _use(faces: Faces, face: int):
    return faces.splits[faces.split[face]][1]


def _name(faces: Faces, pair: tuple[int, int]) -> str:
    return faces.splits[faces.split[pair[1]]][0]
