"""One pass over all records: decode each face once, and keep of it what is needed to count and to compare."""

import hashlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from jaxfer.config import Decoder
from jaxfer.data.checking.faces import Faces
from jaxfer.data.checking.findings import Problem
from jaxfer.data.checking.looks import Gathering
from jaxfer.data.checking.perceptual import thumbnail
from jaxfer.data.reading.images import Box, UnreadableError, open_face
from jaxfer.data.reading.pool import map_records
from jaxfer.data.reading.progress import Tally
from jaxfer.data.reading.record import (
    KINDS,
    OTHER_CLASS,
    UNKNOWN_SPLIT,
    UNLABELLED,
    UNREADABLE,
    Record,
    Split,
)
from jaxfer.emotions import AFFECTNET_8

LEAST = 256
"""JPEG files of at least twice as many pixels along the face are decoded at a half, a quarter or an eighth of them."""

OUTSIDE = 1
"""How many pixels a box may reach outside of its photograph: rounding does that."""


@dataclass(frozen=True, slots=True)
class Look:
    """What decoding a face has shown.

    Attributes:
        size: Width and height of the photograph.
        mode: Pillow's name of its pixels.
        digest: 16 bytes, equal only for faces with the same pixels.
        thumbnail: See `jaxfer.data.checking.perceptual.thumbnail`.
    """

    size: tuple[int, int]
    mode: str
    digest: bytes
    thumbnail: bytes


class Scan:
    """What is known of the records that have been read so far.

    Attributes:
        splits: The name and use of each split, in the order in which they came, with its index.
        sizes: How many usable images have each width and height.
        modes: How many have each kind of pixels.
        problems: By kind.

    Args:
        decoder: What decodes JPEG files, as `DataConfig.decoder`.
    """

    def __init__(self, decoder: Decoder = "pillow") -> None:
        self._look_at = partial(look_at, decoder=decoder)
        self.splits: dict[tuple[str, Split], int] = {}
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.modes: Counter[str] = Counter()
        self.problems: defaultdict[str, list[Problem]] = defaultdict(list)
        self._gathering = Gathering()
        self._names: list[str] = []
        self._split, self._label = array("q"), array("q")

    def run(self, records: Iterable[Record], tally: Tally) -> Faces:
        """Read all records, on all processors, and return the usable faces; the caller closes their thumbnails."""
        try:
            for record, look in map_records(self._look_at, records):
                self._add(record, look)
                tally.count()
            return self._faces()
        except BaseException:
            self._gathering.thumbnails.close()
            raise

    def _add(self, record: Record, look: Look | str) -> None:
        split = record.split_name or record.split or ""
        if record.split:
            self.splits.setdefault((split, record.split), len(self.splits))
        problems: list[tuple[str, str]] = list(record.remarks)
        left_out = _left_out(record)
        if left_out:
            problems.append((KINDS.get(left_out, "excluded"), _why(left_out, record.detail)))
        elif isinstance(look, str):
            problems.append(("unreadable", look))
        elif record.split:
            if record.box and (outside := _outside(record.box, look.size)):
                problems.append(("box", outside))
            self._keep(record, self.splits[split, record.split], look)
        for kind, reason in problems:
            self.problems[kind].append(Problem(path=record.name, reason=reason, split=split, label=record.label))

    def _keep(self, record: Record, split: int, look: Look) -> None:
        self.sizes[look.size] += 1
        self.modes[look.mode] += 1
        self._names.append(record.name)
        self._split.append(split)
        self._label.append(AFFECTNET_8.index(record.label))
        self._gathering.add(look.digest, look.thumbnail)

    def _faces(self) -> Faces:
        return Faces(
            names=self._names,
            splits=list(self.splits),
            split=np.frombuffer(self._split, np.int64),
            label=np.frombuffer(self._label, np.int64),
            **vars(self._gathering.looks()),
        )


def _left_out(record: Record) -> str:
    if record.left_out or (record.split and record.label in AFFECTNET_8):
        return record.left_out
    return (OTHER_CLASS if record.label else UNLABELLED) if record.split else UNKNOWN_SPLIT


def _why(left_out: str, detail: str) -> str:
    if not detail:
        return left_out
    return detail if left_out == UNREADABLE else f"{left_out}: {detail}"


def look_at(record: Record, decoder: Decoder = "pillow") -> Look | str:
    """Return what a record's face shows, or why that cannot be decoded; empty where it is not usable."""
    if _left_out(record):
        return ""
    try:
        face = open_face(record.image, least=LEAST, box=record.box, decoder=decoder)
    except UnreadableError as error:
        return error.reason
    pixels = face.picture.convert("RGB")
    digest = hashlib.blake2b(pixels.tobytes(), digest_size=16, salt=b"%dx%d" % pixels.size).digest()
    return Look(face.photograph, face.mode, digest, thumbnail(face.picture))


def _outside(box: Box, photograph: tuple[int, int]) -> str:
    """Return how far a box reaches outside of its photograph, in words, or nothing where it does not."""
    left, top, width, height = box
    beyond = max(-left, -top, left + width - photograph[0], top + height - photograph[1])
    if beyond <= OUTSIDE:
        return ""
    shown = " ".join(f"{value:g}" for value in box)
    return f"its box, {shown}, reaches {beyond:.0f} pixels outside of its photograph, {photograph[0]}x{photograph[1]}"
