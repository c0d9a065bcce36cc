"""What the data says about its faces beside their class: columns that divide a split into groups."""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

import numpy as np

from jaxfer.data.layouts.record import Record

UNKNOWN = "unknown"
"""The group of faces of which the data does not say it."""


def columns_of(records: Sequence[Record]) -> dict[str, np.ndarray]:
    """Return each column that the records have: the group of each face, in words.

    valence, arousal: their sign. agreement: the share of the votes that the most chosen class has. face_size: the
    longer side of the face's box, in pixels of the photograph. folder: that of the image.
    """
    found = {name: np.array([group(record) for record in records], str) for name, group in _GROUPS.items()}
    return {name: groups for name, groups in found.items() if len(groups) and not (groups == UNKNOWN).all()}


def group_names(groups: Iterable[str]) -> list[str]:
    """Return the names of groups that occur, from low to high where they have an order."""
    return sorted(set(groups), key=lambda name: (_ORDER.get(name, 0), name))


def _sign(value: float) -> str:
    if math.isnan(value):
        return UNKNOWN
    return "negative" if value < 0 else "positive" if value > 0 else "zero"


def _agreement(record: Record) -> str:
    if record.votes is None or not sum(record.votes):
        return UNKNOWN
    return _band(100 * max(record.votes) / sum(record.votes), (50, 70, 90), "%")


def _face_size(record: Record) -> str:
    return UNKNOWN if record.box is None else _band(max(record.box[2:]), (64, 128, 256), " pixels")


def _folder(record: Record) -> str:
    return str(PurePosixPath(record.name).parent) if "/" in record.name else UNKNOWN


def _band(value: float, edges: tuple[int, ...], unit: str) -> str:
    """Return the range that a value lies in, its lower edge included."""
    above = sum(value >= edge for edge in edges)
    if above == 0:
        return f"below {edges[0]}{unit}"
    return f"{edges[above - 1]}{unit} or more" if above == len(edges) else f"{edges[above - 1]} to {edges[above]}{unit}"


_GROUPS: dict[str, Callable[[Record], str]] = {
    "valence": lambda record: _sign(record.valence),
    "arousal": lambda record: _sign(record.arousal),
    "agreement": _agreement,
    "face_size": _face_size,
    "folder": _folder,
}

_ORDER = {
    name: place
    for names in (
        ("negative", "zero", "positive"),
        ("below 50%", "50 to 70%", "70 to 90%", "90% or more"),
        ("below 64 pixels", "64 to 128 pixels", "128 to 256 pixels", "256 pixels or more"),
    )
    for place, name in enumerate(names)
} | {UNKNOWN: 9}
