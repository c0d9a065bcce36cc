"""Faces that look alike without having the same pixels: other sizes, crops, qualities or brightness, mirrored copies.

Candidates have perceptual hashes that differ in few bits; of these, the ones count whose thumbnails correlate. Both
limits were set by looking at pairs of FER2013: beyond them, most show different photographs.
"""

from array import array

import numpy as np

from jaxfer.data.checking.duplicates import first_copies
from jaxfer.data.checking.faces import LEAKS, Faces
from jaxfer.data.checking.findings import Problem
from jaxfer.data.checking.looks import Looks
from jaxfer.data.checking.neighbours import close_pairs
from jaxfer.data.checking.perceptual import SIDE, Thumbnails, hashes
from jaxfer.data.reading.record import SPLITS

DISTANCE = 8
"""In how many of 64 bits the hashes of two candidates may differ."""

SIMILAR = 0.9
"""The least correlation of two thumbnails that look alike."""

ENOUGH = 256
"""A face that has been compared with so many candidates of one split need not be compared with more of that split: a
hundred thousand nearly blank images would otherwise take hours. The twin it has then may not be the closest one."""

_MAY_HAVE = np.array([[use == other or other in LEAKS[use] for other in SPLITS] for use in SPLITS])
"""Whether a face of a use (rows) seeks its twin among those of another (columns)."""

_LATER = np.array([[use < other for other in range(len(SPLITS))] for use in range(len(SPLITS))])
"""Whether all faces of a use (rows) come before those of another (columns)."""


def find_lookalikes(faces: Faces) -> dict[str, list[Problem]]:
    """Return the problems that faces have with those that look like them, in the order of the faces.

    Splits that are used for the same count as one split here, whatever their names. Of faces with the same pixels, the
    first one of each split is looked at.

    Returns:
        By kind:

        - `near_duplicate`: Such a face that looks like an earlier one of its split; `other` is the closest of these.
        - `near_leak`: Each face of a validation or test split, once for each split that must not have a copy of it but
          has one that looks like it; `other` is the closest of these. Its exact copies are listed likewise.
    """
    use = faces.use
    key = first_copies(faces.digests) * len(SPLITS) + use
    order = np.argsort(key, kind="stable")
    keys, starts, counts = np.unique(key[order], return_index=True, return_counts=True)
    firsts = order[starts]  # [u], of the faces with these pixels and this use
    nodes = firsts[~faces.flat[firsts]]
    search = _Search(faces, nodes[np.lexsort((nodes, use[nodes]))], key // len(SPLITS))

    found: dict[str, list[tuple[int, int, Problem]]] = {"near_duplicate": [], "near_leak": []}
    for face, twin, similarity, is_mirrored in search.twins():
        reason = "looks like the mirror image of " if is_mirrored else "looks like "
        if use[face] == use[twin]:
            problem = faces.problem(face, twin, reason + "another image of its split", similarity)
            found["near_duplicate"].append((face, twin, problem))
            continue
        reason += f"an image of {faces.splits[faces.split[twin]][0]}"
        group = np.searchsorted(keys, key[face])
        for copy in order[starts[group] : starts[group] + counts[group]].tolist():
            found["near_leak"].append((copy, twin, faces.problem(copy, twin, reason, similarity)))
    for items in found.values():
        items.sort(key=lambda item: item[:2])
    return {kind: [problem for *_, problem in items] for kind, items in found.items()}


class _Search:
    """The closest twin of each of n nodes in each split, found by going through all candidates once.

    Args:
        faces: Those of the data.
        nodes: The faces that are looked at, int [n], sorted by use in the order of `SPLITS`, then by index.
        group: int [faces], equal only where the pixels are.
    """

    def __init__(self, faces: Faces, nodes: np.ndarray, group: np.ndarray) -> None:
        self.faces = faces
        self.nodes = nodes
        self.use = faces.use[nodes]
        self.group = group[nodes]
        shape = (len(nodes), len(SPLITS))
        self.twin = np.zeros(shape, np.int64)
        self.similarity = np.zeros(shape, np.float32)
        self.is_mirrored = np.zeros(shape, bool)

    def twins(self) -> list[tuple[int, int, float, bool]]:
        """Return each face with a twin, the twin, their similarity, and whether one is mirrored."""
        for mirrored in (False, True):
            self._run(mirrored)
        found = np.nonzero(self.similarity)
        faces, twins = self.nodes[found[0]], self.nodes[self.twin[found]]
        similarity = np.minimum(self.similarity[found].astype(np.float64), 1).round(4)
        return list(
            zip(faces.tolist(), twins.tolist(), similarity.tolist(), self.is_mirrored[found].tolist(), strict=True)
        )

    def _run(self, mirrored: bool) -> None:
        compared = np.zeros_like(self.twin)
        seeks_later = np.asarray((_MAY_HAVE & _LATER)[self.use].any(axis=1))
        seeks_earlier = np.ones(len(self.nodes), bool)
        first = self.faces.hashes[self.nodes]
        second = self.faces.mirrored[self.nodes] if mirrored else first
        pairs = close_pairs(first, second, DISTANCE, seeks_later=seeks_later, seeks_earlier=seeks_earlier)
        for i, j in pairs:
            similarity = _correlations(self.faces.thumbnails, self.nodes[i], self.nodes[j], mirrored)
            similarity[(self.group[i] == self.group[j]) | (similarity < SIMILAR)] = 0
            across = self.use[i] != self.use[j]  # within a split, only the later one is listed
            for some, others, similar in ((i[across], j[across], similarity[across]), (j, i, similarity)):
                may = _MAY_HAVE[self.use[some], self.use[others]]
                np.add.at(compared, (some[may], self.use[others[may]]), 1)
                self._take(some[may], others[may], similar[may], mirrored)
            touched = np.union1d(i, j)
            use = self.use[touched]
            is_open = _MAY_HAVE[use] & (compared[touched] < ENOUGH)
            seeks_later[touched] = (is_open & _LATER[use]).any(axis=1)
            seeks_earlier[touched] = (is_open & ~_LATER[use]).any(axis=1)

    def _take(self, some: np.ndarray, others: np.ndarray, similarity: np.ndarray, mirrored: bool) -> None:
        """Keep the most similar of `others`, the first of equals, for each of `some` that has none as similar."""
        use = self.use[others]
        slot = some * len(SPLITS) + use
        order = np.lexsort((others, -similarity, slot))
        best = order[np.unique(slot[order], return_index=True)[1]]
        best = best[similarity[best] > self.similarity[some[best], use[best]]]
        where = some[best], use[best]
        self.twin[where] = others[best]
        self.similarity[where] = similarity[best]
        self.is_mirrored[where] = mirrored


def groups_alike(looks: Looks) -> np.ndarray:
    """Return which of n faces have the same pixels or look alike, directly or by way of others.

    Returns:
        int [n]: for each face the index of the first one of its group, for one that is like no other its own.
    """
    first = first_copies(looks.digests)
    nodes = np.flatnonzero((first == np.arange(len(first))) & ~looks.flat)
    parent = np.arange(len(nodes))
    for mirrored in (False, True):
        compared = np.zeros(len(nodes), np.int64)
        seeks = np.ones(len(nodes), bool)
        second = (looks.mirrored if mirrored else looks.hashes)[nodes]
        for i, j in close_pairs(looks.hashes[nodes], second, DISTANCE, seeks_later=seeks, seeks_earlier=seeks):
            for some in (i, j):
                np.add.at(compared, some, 1)
            seeks[compared >= ENOUGH] = False
            apart = _roots(parent, i) != _roots(parent, j)
            i, j = i[apart], j[apart]
            similar = _correlations(looks.thumbnails, nodes[i], nodes[j], mirrored) >= SIMILAR
            for one, other in zip(i[similar].tolist(), j[similar].tolist(), strict=True):
                roots = _roots(parent, np.array([one, other]))
                parent[roots.max()] = roots.min()  # nodes ascend, so that the first of a group is its root
    group = np.arange(len(first))
    group[nodes] = nodes[_roots(parent, np.arange(len(nodes)))]
    return group[first]


class Lookup:
    """Faces that others are compared with, one at a time, as `find_lookalikes` compares them.

    A hash each is kept in memory, and a kilobyte each in a temporary file until it is closed.
    """

    def __init__(self) -> None:
        self._thumbnails = Thumbnails()
        self._hashes = array("Q")

    def add(self, thumbnail: bytes) -> None:
        """Add a face, by its `jaxfer.data.checking.perceptual.thumbnail`; one of a single gray resembles nothing."""
        pixels = _pixels(thumbnail)
        if pixels.min() < pixels.max():
            self._hashes.append(int(hashes(pixels)[0][0]))
            self._thumbnails.append(thumbnail)

    def has_like(self, thumbnail: bytes) -> bool:
        """Return whether a face looks like one of them or its mirror image."""
        pixels = _pixels(thumbnail)
        if pixels.min() == pixels.max():
            return False
        known = np.frombuffer(self._hashes, np.uint64)
        for mirrored, (value,) in enumerate(hashes(pixels)):
            distance = np.bitwise_count(known ^ value)
            close = np.flatnonzero(distance <= DISTANCE)
            close = close[np.argsort(distance[close], kind="stable")[:ENOUGH]]
            if len(close):
                units = _unit(self._thumbnails.read(close), mirrored=False)
                if (units @ _unit(pixels, mirrored=bool(mirrored))[0]).max() >= SIMILAR:
                    return True
        return False

    def close(self) -> None:
        """Delete what lies on the disk."""
        self._thumbnails.close()


def _pixels(thumbnail: bytes) -> np.ndarray:
    return np.frombuffer(thumbnail, np.uint8).reshape(1, SIDE, SIDE)


def _roots(parent: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Return the roots of nodes in a forest, which from then on are nearer to them."""
    roots = nodes
    while (parent[roots] != roots).any():
        roots = parent[roots]
    parent[nodes] = roots
    return roots


def _correlations(thumbnails: Thumbnails, i: np.ndarray, j: np.ndarray, mirrored: bool) -> np.ndarray:
    """Return the correlation of the thumbnails of faces i and j, where asked for of j's mirror image."""
    if not len(i):
        return np.empty(0, np.float32)
    rows, row = np.unique(i, return_inverse=True)
    columns, column = np.unique(j, return_inverse=True)
    units = _unit(thumbnails.read(rows), mirrored=False)
    return (units @ _unit(thumbnails.read(columns), mirrored=mirrored).T)[row, column]


def _unit(thumbnails: np.ndarray, *, mirrored: bool) -> np.ndarray:
    """Return thumbnails as float32 [n, pixels] of zero mean and unit norm, mirrored where asked."""
    pixels = (thumbnails[:, :, ::-1] if mirrored else thumbnails).reshape(len(thumbnails), -1).astype(np.float32)
    pixels -= pixels.mean(axis=1, keepdims=True)
    return pixels / np.linalg.norm(pixels, axis=1, keepdims=True)
