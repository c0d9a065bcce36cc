"""The usable faces of a data set as columns: what has to be kept of each to compare it with all others."""

from dataclasses import dataclass

import numpy as np

from jaxfer.data.checking.findings import Problem
from jaxfer.data.checking.looks import Looks
from jaxfer.data.reading.record import SPLITS, Split
from jaxfer.emotions import AFFECTNET_8

LEAKS: dict[Split, tuple[Split, ...]] = {"val": ("train",), "test": ("train", "val"), "train": ()}
"""For each use of a face, those that a copy of it must not be put to: what is measured must not have been learnt, and
the final score must not have been selected on."""


@dataclass(frozen=True, kw_only=True)
class Faces(Looks):
    """n usable faces, in the order in which they are read.

    Attributes:
        names: Those of their records.
        splits: The name and use of each split.
        split: int [n], indices into `splits`.
        label: int [n], indices into `AFFECTNET_8`.
    """

    names: list[str]
    splits: list[tuple[str, Split]]
    split: np.ndarray
    label: np.ndarray

    @property
    def use(self) -> np.ndarray:
        """What each is used for, int [n], indices into `SPLITS`."""
        return np.array([SPLITS.index(use) for _, use in self.splits], np.int64)[self.split]

    def problem(self, face: int, other: int, reason: str, similarity: float | None = None) -> Problem:
        """Return the problem that a face has with another one.

        Args:
            face: Its index.
            other: The index of the other one.
            reason: What is wrong, as a clause.
            similarity: The correlation of their thumbnails, up to 1, where they only look alike.
        """
        return Problem(
            path=self.names[face],
            reason=reason,
            split=self.splits[self.split[face]][0],
            label=AFFECTNET_8[self.label[face]],
            other=self.names[other],
            other_split=self.splits[self.split[other]][0],
            other_label=AFFECTNET_8[self.label[other]],
            similarity=similarity,
        )
