"""The interface between data on disk and the rest of the data room: a layout turns a place into records."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from jaxfer.config import DataConfig, PrepareConfig, check_columns
from jaxfer.data.reading.folder import LINK, Folder, Reach, images, tree
from jaxfer.data.releases import Release

UNREADABLE = "unreadable"
"""The reason to leave out a row whose image cannot be read; `Record.detail` says what is wrong with it."""

MISSING = "row without a file"
"""The reason to leave out a row that names an image which is not there."""

UNLISTED = "file without a row"
"""The reason to leave out an image that no row of the data's lists names."""

UNLABELLED = "unlabelled"
"""The reason to leave out a face whose label is missing or cannot be read; `Record.detail` may say what is wrong."""

OTHER_CLASS = "other class"
"""The reason to leave out a face with a label that is none of AffectNet's eight expressions."""

NOT_IMAGE = "not an image by its name"
"""The reason to leave out a file among images whose name does not end as an image's does."""

UNKNOWN_SPLIT = "unknown split"
"""The reason to leave out a face of which the data does not say what it may be used for."""

Kind = Literal["unreadable", "missing", "unlisted", "unlabelled", "excluded", "label_conflict", "box", "affect"]
"""What may be wrong with a row: as `jaxfer data check` sorts it."""

KINDS: dict[str, Kind] = {
    UNREADABLE: "unreadable",
    MISSING: "missing",
    UNLISTED: "unlisted",
    UNLABELLED: "unlabelled",
    OTHER_CLASS: "excluded",
    NOT_IMAGE: "excluded",
    UNKNOWN_SPLIT: "excluded",
    LINK: "excluded",
}
"""The kind of problem that each reason to leave a row out belongs to."""

Split = Literal["train", "val", "test"]

SPLITS: tuple[Split, ...] = ("val", "test", "train")
"""What a face may be used for, in the order in which readers yield the splits."""


class StoredImage(Protocol):
    """An image inside of a larger file, read when it is needed, in any thread.

    One that is streamed says by `path` which file that is, so that a change of it is noticed.
    """

    def read(self) -> bytes | np.ndarray:
        """Return an encoded image, or pixels, uint8 [h, w] or [h, w, 3].

        Raises:
            OSError: It cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One face, not decoded yet, or one row of the data that cannot be used and why.

    Attributes:
        name: Its path inside the place that was read, or file and row: unique, and the same wherever the data lies.
        image: Path of the image file, its pixels, uint8 [h, w] or [h, w, 3], or where they are stored; of a row
            without, path of its file.
        split: What it may be used for: `test` is never trained on or selected on. None only where it is left out.
        split_name: The data's own name of that split, such as `PublicTest`.
        label: Its class, one of `jaxfer.emotions.AFFECTNET_8`; empty only where it is left out.
        left_out: Why it cannot be used, one of `KINDS`; empty where it can.
        detail: What is wrong with this very row, where `left_out` alone does not say it.
        remarks: What is odd about a row that is used all the same: kinds of problem, each with the reason.
        valence: In [-1, 1], NaN where the data has none or marks it invalid.
        arousal: Likewise.
        box: Left, top, width and height of the face, in pixels of the upright image; None where that is all face.
        landmarks: float32 [68, 2], x and y in pixels of the upright image; None where there are none or none are asked
            for.
        votes: How many people chose each of `AFFECTNET_8`, or the share that did; None where the data has one label
            only.
        answers: How many people gave each of FER+'s ten answers, `jaxfer.data.layouts.fer2013.votes.CHOICES`, outliers
            included; None in all other data.
        agrees: Whether what most of them answered is FER2013's label; None where that is not known.
    """

    name: str
    image: Path | np.ndarray | StoredImage
    split: Split | None
    split_name: str = ""
    label: str = ""
    left_out: str = ""
    detail: str = ""
    remarks: tuple[tuple[Kind, str], ...] = ()
    valence: float = math.nan
    arousal: float = math.nan
    box: tuple[float, float, float, float] | None = None
    landmarks: np.ndarray | None = None
    votes: tuple[float, ...] | None = None
    answers: tuple[int, ...] | None = None
    agrees: bool | None = None


def by_split(records: Iterable[Record]) -> list[Record]:
    """Return records in the order of `SPLITS`, otherwise as they were; those of no split are among the first."""
    return sorted(records, key=lambda record: SPLITS.index(record.split) if record.split else 0)


def astray(
    place: Path,
    within: Reach,
    read: Collection[Path],
    *,
    below: Sequence[Path] = (),
    reason: str = UNLISTED,
    detail: str = "",
) -> Iterator[Record]:
    """Yield a record for each image in a folder at or below a place that its layout says nothing of.

    Args:
        place: What is read.
        within: How far links are followed.
        read: The folders whose images have records.
        below: Some of which all that lies below has records, too.
        reason: Why the others are left out.
        detail: What is wrong with them.
    """
    for folder in tree(place, within):
        if folder in read or any(map(folder.is_relative_to, below)):
            continue
        for path, link in images(folder, within):
            # A folder that links lead away from: what was to be read in it has records.
            if path != folder or not any(other.is_relative_to(folder) for other in (*read, *below)):
                name = path.relative_to(place).as_posix()
                yield Record(name=name, image=path, split=None, left_out=link or reason, detail="" if link else detail)


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What a reader has to be told.

    Attributes:
        label_order: A key of `jaxfer.emotions.LABEL_ORDERS`: what digits that name classes mean.
        class_names: What the data's own words for classes mean, as `jaxfer.emotions.declared` takes it.
        landmarks: Whether to read landmarks, which few need and which take more memory than all else.
        table: The table of images and labels that counts, None where the layout is to be found out.
        image_column: The name of its column of images, None for a usual one.
        label_column: Likewise, of labels.
        root: The folder or file that was passed, out of which no link is followed; None for the data's own place.
        follow_links: Whether links are followed wherever they lead.
        val_dir: Where the validation split lies, if that is elsewhere.
        test_dir: Likewise, the test split.

    Raises:
        UserError: A column is named, and no table.
    """

    label_order: str | None = None
    class_names: tuple[str, ...] = ()
    landmarks: bool = False
    table: Path | None = None
    image_column: str | None = None
    label_column: str | None = None
    root: Path | None = None
    follow_links: bool = False
    val_dir: Path | None = None
    test_dir: Path | None = None

    def __post_init__(self) -> None:
        check_columns(self)

    @classmethod
    def of(cls, config: DataConfig | PrepareConfig, root: Path, *, landmarks: bool = False) -> "ReadOptions":
        """Return what a config says of data.

        Args:
            config: The config.
            root: The folder or file that was passed.
            landmarks: Whether to read landmarks.
        """
        fields = ("label_order", "class_names", "table", "image_column", "label_column", "follow_links")
        fields += ("val_dir", "test_dir")
        return cls(root=root, landmarks=landmarks, **{name: getattr(config, name) for name in fields})

    @property
    def splits_apart(self) -> "dict[Split, Path]":
        """Where splits lie that do not lie with the rest of the data."""
        found: dict[Split, Path | None] = {"val": self.val_dir, "test": self.test_dir}
        return {split: path for split, path in found.items() if path is not None}

    def apart(self, root: Path) -> "ReadOptions":
        """Return what is said of a split that lies elsewhere: what the data's table says of it, it does not."""
        alone = {"table": None, "image_column": None, "label_column": None, "val_dir": None, "test_dir": None}
        return replace(self, root=root, **alone)

    def within(self, place: Path) -> Reach:
        """Return how far links in the data at `place` are followed."""
        root = self.root
        if root is None or not (place.is_relative_to(root) or (root.is_file() and place == root.parent)):
            root = place
        return Reach(root, self.follow_links)


@dataclass(frozen=True)
class Match:
    """A file or folder that a layout can read.

    Attributes:
        place: That file or folder.
        evidence: How one can tell, as a clause whose subject is the place.
        notes: What is set aside there, and why, a sentence each without its full stop.
        parts: The splits that lie elsewhere.
    """

    place: Path
    evidence: str
    notes: tuple[str, ...] = ()
    parts: "tuple[Apart, ...]" = ()


@dataclass(frozen=True)
class Layout:
    """One way in which people keep labelled faces on disk.

    Attributes:
        name: What messages call it.
        looks_like: What `find` looks for, in words.
        find: The places in a folder that have this layout, judged by names and content, without listing every image.
        read: The records of such a place: those of validation splits, then of test splits, then of training splits,
            each in an order that depends on names alone; rows of no split stand anywhere. Every row of the data and
            every image file is one record, whether it can be used or not.
        release: The published data that people keep in this way, None where it could be any.
        find_named: `find` for data whose names of classes may be those that somebody has declared, a set in lower case;
            None where names decide nothing.
        near: What of a folder is nearly in this layout, by its path: what it is and what is missing, a sentence each
            without its full stop.
    """

    name: str
    looks_like: str
    find: Callable[[Folder], list[Match]]
    read: Callable[[Path, ReadOptions], Iterator[Record]]
    release: Release | None = None
    find_named: Callable[[Folder, Collection[str]], list[Match]] | None = None
    near: Callable[[Folder], dict[Path, str]] = lambda folder: {}


@dataclass(frozen=True)
class Apart:
    """A split that lies elsewhere than the rest of its data.

    Attributes:
        split: Which one.
        passed: The folder or file that was passed.
        layout: How it is laid out.
        match: Where below that it lies.
    """

    split: Split
    passed: Path
    layout: Layout
    match: Match

    @property
    def prefix(self) -> str:
        """What the names of its records start with, before the path inside of `home`."""
        return f"{self.passed.resolve().name}/"

    @property
    def home(self) -> Path:
        """The folder that it lies in."""
        return self.match.place.parent if self.match.place.is_file() else self.match.place
