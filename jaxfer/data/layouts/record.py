"""The interface between data on disk and the rest of the data room: a layout turns a place into records."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from jaxfer.config import DataConfig
from jaxfer.data.layouts.folder import Folder

UNREADABLE = "unreadable"
"""The reason to leave out a row whose image cannot be read; `Record.detail` says what is wrong with it."""

UNLABELLED = "unlabelled"
"""The reason to leave out a face whose label is missing or cannot be read."""

OTHER_CLASS = "other class"
"""The reason to leave out a face with a label that is none of AffectNet's eight expressions."""

UNKNOWN_SPLIT = "unknown split"
"""The reason to leave out a face of which the data does not say what it may be used for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One face, not decoded yet, or one row of the data that cannot be used and why.

    name: its path inside the place that was read, or file and row: unique, and the same wherever the data lies.
    image: path of the image file, or its pixels, uint8 [h, w] or [h, w, 3]; of a row without, path of its file.
    split: what it may be used for: `test` is never trained on or selected on. None only where it is left out.
    split_name: the data's own name of that split, such as `PublicTest`.
    label: its class, one of `jaxfer.emotions.AFFECTNET_8`; empty only where it is left out.
    left_out: why it cannot be used, in words that rows share and are counted by; empty where it can.
    detail: what is wrong with this very row, where it is unreadable.
    valence, arousal: in [-1, 1], NaN where the data has none or marks them invalid.
    """

    name: str
    image: Path | np.ndarray
    split: Literal["train", "val", "test"] | None
    split_name: str = ""
    label: str = ""
    left_out: str = ""
    detail: str = ""
    valence: float = math.nan
    arousal: float = math.nan


@dataclass(frozen=True)
class Match:
    """A file or folder that a layout can read, and the evidence for it, as a clause whose subject is the place."""

    place: Path
    evidence: str


@dataclass(frozen=True)
class Layout:
    """One way in which people keep labelled faces on disk.

    name: what messages call it.
    looks_like: what `find` looks for, in words.
    find: the places in a folder that have this layout, judged by names and content, without listing every image.
    read: the records of such a place, in an order that depends on names alone.
    """

    name: str
    looks_like: str
    find: Callable[[Folder], list[Match]]
    read: Callable[[Path, DataConfig], Iterator[Record]]
