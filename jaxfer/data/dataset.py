"""What the data room hands on: labelled splits, decoded in memory or as they are asked for."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

ROWS = 1024
"""How many images the fingerprint reads at a time."""


class Images(Protocol):
    """Images by row: a numpy array in memory or on disk, or `jaxfer.data.stream.StreamedImages`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all of them, (n, size, size, 3)."""
        ...

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray:
        """Return the images of these rows, uint8 [len(rows), size, size, 3], RGB."""
        ...


@dataclass(frozen=True)
class Split:
    """The labelled faces of one split.

    name: what the data calls it, such as `train` or `PublicTest`.
    images: uint8 [n, size, size, 3], RGB.
    labels: int32 [n], indices into the data set's `class_names`.
    valence, arousal: float32 [n] in [-1, 1], NaN where invalid; None where the data has none.
    soft_labels: float32 [n, classes], rows that sum to 1; None where labels are to be learnt as they are.
    """

    name: str
    images: Images
    labels: np.ndarray
    valence: np.ndarray | None = None
    arousal: np.ndarray | None = None
    soft_labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def affect(self) -> np.ndarray | None:
        """Valence and arousal, float32 [n, 2], NaN where the data does not say; None where it never does."""
        if self.valence is None and self.arousal is None:
            return None
        unknown = np.full(len(self), np.nan, np.float32)
        return np.stack([unknown if values is None else values for values in (self.valence, self.arousal)], axis=1)

    def columns(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield all arrays but the images, with their names."""
        for name in ("labels", "valence", "arousal", "soft_labels"):
            values = getattr(self, name)
            if values is not None:
                yield name, values


@dataclass(frozen=True)
class Dataset:
    """A training and a validation split that share their classes.

    class_names: the meaning of labels 0, 1, ... in both splits, in AffectNet's order.
    source: where the faces come from, in words: the layout and its path.
    left_out: how many rows were not used, by reason (`unreadable`, `other class`, ...).
    unreadable: path or row of each unreadable image, and why.
    warnings: what a reader of this data's numbers should know, one sentence each.
    known_fingerprint: the fingerprint where it was computed before; empty where it was not.
    """

    train: Split
    val: Split
    class_names: tuple[str, ...]
    source: str
    left_out: dict[str, int]
    unreadable: tuple[tuple[Path, str], ...] = ()
    warnings: tuple[str, ...] = ()
    known_fingerprint: str = ""

    @cached_property
    def fingerprint(self) -> str:
        """A hash of class names, images and all that is known of each: equal for equal data, wherever it lies."""
        if self.known_fingerprint:
            return self.known_fingerprint
        return content_hash(self.class_names, [(split, chunks(split.images)) for split in (self.train, self.val)])


def content_hash(class_names: tuple[str, ...], parts: Sequence[tuple[Split, Iterable[np.ndarray]]]) -> str:
    """Return the hash of class names and of splits: their shape, their images, handed over in parts, their columns."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((class_names, *(split.images.shape for split, _ in parts))).encode())
    for split, images in parts:
        for some in images:
            digest.update(np.ascontiguousarray(some).data)
        for _, values in split.columns():
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def chunks(images: Images) -> Iterator[np.ndarray]:
    """Yield all images, uint8 [some, size, size, 3], in order."""
    for start in range(0, images.shape[0], ROWS):
        yield images[np.arange(start, min(start + ROWS, images.shape[0]))]
