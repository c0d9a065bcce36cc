"""What the data room hands on: decoded splits in memory."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Split:
    """The labelled faces of one split.

    name: what the data calls it, such as `train` or `PublicTest`.
    images: uint8 [n, size, size, 3], RGB.
    labels: int32 [n], indices into the data set's `class_names`.
    valence, arousal: float32 [n] in [-1, 1], NaN where invalid; None where the data has none.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    valence: np.ndarray | None = None
    arousal: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """A training and a validation split that share their classes.

    class_names: the meaning of labels 0, 1, ... in both splits, in AffectNet's order.
    source: where the faces come from, in words: the layout and its path.
    left_out: how many rows were not used, by reason (`unreadable`, `other class`, ...).
    unreadable: path or row of each unreadable image, and why.
    """

    train: Split
    val: Split
    class_names: tuple[str, ...]
    source: str
    left_out: dict[str, int]
    unreadable: tuple[tuple[Path, str], ...] = ()

    def fingerprint(self) -> str:
        """Return a hash of all images, labels and class names: equal for equal data, wherever it lies."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(repr((self.class_names, self.train.images.shape, self.val.images.shape)).encode())
        for split in (self.train, self.val):
            digest.update(np.ascontiguousarray(split.images).data)
            digest.update(np.ascontiguousarray(split.labels).data)
        return digest.hexdigest()
