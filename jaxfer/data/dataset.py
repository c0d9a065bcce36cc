"""What the data room hands on: labelled splits, decoded in memory or as they are asked for."""

import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from jaxfer.errors import UserError

ROWS = 1024
"""How many images are read at a time where all of them are read."""

HASHED = ("valence", "arousal", "soft_label")
"""The columns that a fingerprint covers, in this order: more of them would give known data other fingerprints."""

TEST = "test split"
"""The reason to leave out faces that are for final scoring only."""

Use = Literal["train", "val", "test"]
"""What a split is for: to learn from, to select on, or for the final number only."""


class Images(Protocol):
    """Images by row: a numpy array in memory or on disk, or something that reads or decodes them when it is asked.

    What need not decode them has `__array__` besides, which returns all of them.
    """

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

    Attributes:
        name: What the data calls it, such as `train` or `PublicTest`.
        images: uint8 [n, size, size, 3], RGB.
        labels: int32 [n], indices into the data set's `class_names`.
        columns: What else is known of each face, [n, ...], under the names that a `jaxfer.data.batches.Batch` has:
            `valence` and `arousal` float32 [n] in [-1, 1], NaN where unknown; `soft_label` float32 [n, classes], rows
            that sum to 1; `votes` float32 [n, 10], how many people chose each of
            `jaxfer.data.layouts.fer2013.votes.CHOICES`, rows of NaN where unknown.
        names: Each face's path inside the data, or its file and row; empty where nobody named them.
        read_groups: Returns `groups`.
    """

    name: str
    images: Images
    labels: np.ndarray
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    read_groups: Callable[[], Mapping[str, np.ndarray]] = field(default=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        side = "x".join(map(str, self.images.shape[1:3]))
        return f"Split({self.name}: {len(self):,} images of {side}{''.join(f', {name}' for name in self.columns)})"

    @cached_property
    def groups(self) -> Mapping[str, np.ndarray]:
        """The group of each face, str [n], for each way to divide them; see `jaxfer.data.groups`. Read once asked."""
        return self.read_groups()

    def check_range(self) -> None:
        """Refuse images in memory of another range than networks take.

        Raises:
            UserError: They are no integers from 0 to 255, nor floating point from 0 to 1.
        """
        if not isinstance(self.images, np.ndarray) or self.images.dtype == np.uint8:
            return
        from jaxfer.models.pixels import check_range  # here, since whoever reads or checks data does without JAX

        for some in chunks(self.images):
            try:
                check_range(some)
            except UserError as error:
                raise UserError(f"in {self.name}, {error}") from error

    @property
    def commonest(self) -> float:
        """The share of the class with the most faces, which is what always answering it scores; NaN without a face."""
        return float(np.bincount(self.labels).max() / len(self)) if len(self) else math.nan


class LazySplits(Mapping[str, Split]):
    """Splits of which some are decoded when they are asked for, and then kept.

    Args:
        decoded: Those that are decoded already, by their names; they come first.
        later: The names of the others, or of all.
        decode: Returns the split of a name.
    """

    def __init__(self, decoded: Mapping[str, Split], later: Iterable[str], decode: Callable[[str], Split]) -> None:
        self._splits: dict[str, Split | None] = {**dict.fromkeys(later), **decoded}
        self._keys = tuple(dict.fromkeys((*decoded, *self._splits)))
        self._decode = decode

    def __getitem__(self, key: str) -> Split:
        split = self._splits[key]
        if split is None:
            split = self._splits[key] = self._decode(key)
        return split

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


@dataclass(frozen=True)
class Dataset:
    """The splits of one data set, which share their classes.

    Attributes:
        splits: `train` and `val`, and under the data's own names, such as `PrivateTest`, the test splits. Data that
            was loaded decodes a test split when it is asked for, and so never to train or to select on it.
        class_names: The meaning of labels 0, 1, ... in all splits, as `DataConfig.vocabulary` of the config has them.
        source: Where the faces come from, in words: the layout and its path.
        left_out: How many rows were not used, by reason (`unreadable`, `other class`, ...).
        unreadable: Path or row of each unreadable image, and why.
        warnings: What a reader of this data's numbers should know, one sentence each.
        known_fingerprint: The fingerprint where it was computed before; empty where it was not.
        place: What was passed to read it from; empty for data that was not read.
    """

    splits: Mapping[str, Split]
    class_names: tuple[str, ...]
    source: str
    left_out: dict[str, int]
    unreadable: tuple[tuple[Path, str], ...] = ()
    warnings: tuple[str, ...] = ()
    known_fingerprint: str = ""
    place: str = ""

    def __repr__(self) -> str:
        own = (f"{self.splits[key].name} {len(self.splits[key]):,}" for key in ("train", "val") if key in self.splits)
        tests = (key for key in self.splits if use_of(key) == "test")  # which are not decoded for this
        return f"Dataset({self.source}: {', '.join((*own, *tests))}; {len(self.class_names)} classes)"

    @property
    def train(self) -> Split:
        """The faces to learn from."""
        return self.splits["train"]

    @property
    def val(self) -> Split:
        """The faces to select on."""
        return self.splits["val"]

    def split(self, name: str) -> Split:
        """Return the split that a name means.

        Args:
            name: `train`, `val`, `test`, or the data's own name of a split, such as `PublicTest`.

        Raises:
            UserError: There is no such split, or it is decoded now and `jaxfer.data.load` would refuse it.
        """
        return self.splits[self._key(name)]

    def use(self, name: str) -> Use:
        """Return what the split that a name means is for.

        Raises:
            UserError: There is no such split.
        """
        return use_of(self._key(name))

    def _key(self, name: str) -> str:
        own_names = {key: key if use_of(key) == "test" else self.splits[key].name for key in self.splits}
        return find_split(name, own_names, self.place or self.source)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of class names, images and all that is known of each face of training and validation split.

        It is equal for equal data, wherever that lies, and empty without a training split.
        """
        if self.known_fingerprint or "train" not in self.splits:
            return self.known_fingerprint
        return content_hash(self.class_names, [(split, chunks(split.images)) for split in (self.train, self.val)])

    def fingerprint_of(self, split: Split) -> str:
        """Return a hash of the class names, and of the images of a split with all that they are compared with."""
        # Soft labels are learnt from, and nothing is compared with them.
        columns = {name: values for name, values in split.columns.items() if name != "soft_label"}
        return content_hash(self.class_names, [(dataclasses.replace(split, columns=columns), chunks(split.images))])


def use_of(key: str) -> Use:
    """Return what the split under a key of `Dataset.splits` is for.

    >>> use_of("val"), use_of("PrivateTest")
    ('val', 'test')
    """
    return "train" if key == "train" else "val" if key == "val" else "test"


def find_split(name: str, own_names: Mapping[str, str], place: str) -> str:
    """Return the key of the split that a name means.

    Args:
        name: A key, what the data calls a split, or `test` where there is a single one.
        own_names: By the key of each split, what the data calls it.
        place: Where they are, for the error.

    Raises:
        UserError: No split has this name.

    >>> find_split("test", {"train": "Training", "val": "PublicTest", "PrivateTest": "PrivateTest"}, "FER2013")
    'PrivateTest'
    """
    tests = [key for key in own_names if use_of(key) == "test"]
    found = dict(zip(tests, tests, strict=True)) | ({"test": tests[0]} if len(tests) == 1 else {})
    for key in own_names.keys() - tests:
        found |= {key: key, own_names[key]: key}
    if name not in found:
        raise UserError(f"{place} has no split {name!r}: pass one of {', '.join(own_names.values())}")
    return found[name]


def content_hash(class_names: tuple[str, ...], parts: Sequence[tuple[Split, Iterable[np.ndarray]]]) -> str:
    """Return the hash of class names and of splits: their shape, their images, handed over in parts, their columns."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((class_names, *(split.images.shape for split, _ in parts))).encode())
    for split, images in parts:
        for some in images:
            digest.update(np.ascontiguousarray(some).data)
        for values in (split.labels, *(split.columns[name] for name in HASHED if name in split.columns)):
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def chunks(images: Images) -> Iterator[np.ndarray]:
    """Yield all images, uint8 [some, size, size, 3], in order."""
    for start in range(0, images.shape[0], ROWS):
        yield images[np.arange(start, min(start + ROWS, images.shape[0]))]
