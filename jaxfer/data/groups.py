"""What the data says about its faces beside their class: ways to divide a split into groups."""

import csv
import hashlib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TextIO

import numpy as np

from jaxfer.config import PARENT, grouping_column
from jaxfer.data.reading.names import split_named
from jaxfer.data.reading.record import Record
from jaxfer.emotions import from_word
from jaxfer.errors import UserError
from jaxfer.files import lines, opened_text, read_bytes

LARGEST = 2**27
"""Bytes that a csv of groups may have: all of it is held, and AffectNet's million names have a third of that."""

LONGEST = 2**16
"""Characters that a line of it may have."""

UNKNOWN = "unknown"
"""The group of faces of which the data does not say it."""


@dataclass(frozen=True)
class Belonging:
    """To which group each of n images belongs: those of one person or sequence, which are no independent samples.

    Attributes:
        groups: The name of each image's group; empty where nothing says it.
        known_by: What says it, as a clause; empty where nothing does of any image.
        unknown: Of how many images nothing says which person or sequence they show.
    """

    groups: tuple[str, ...]
    known_by: str
    unknown: int


_PHOTOGRAPHS = "the numbers of photographs in the names of ESR's files"

_FOLDERS = "the folder between class and image"

_NAMED: dict[str, re.Pattern[str]] = {
    "the names of CK+'s files": re.compile(r"(?:^|/)(S[0-9]{3})_[0-9]{3}_[0-9]{8}[^/]*"),
    "the names of KDEF's files": re.compile(
        r"(?:^|/)[AB]([FM][0-9]{2})(?:AF|AN|DI|HA|NE|SA|SU)(?:S|HL|HR|FL|FR)\b[^/]*", re.IGNORECASE
    ),
    "the names of JAFFE's files": re.compile(r"(?:^|/)([A-Z]{2})\.(?:AN|DI|FE|HA|NE|SA|SU)[0-9]\.[0-9]{1,3}\b[^/]*"),
    _PHOTOGRAPHS: re.compile(r"(?:^|/)Training_Labeled/[^/]+/(.+?)(_|s)[0-9]{1,2}\2-?[0-9]{1,4}\2-?[0-9]{1,4}\.[^/]*"),
}
"""Names of files that say who or what an image shows: by that, the form of such a path, whose first part is the group.

CK+: subject, sequence, frame (Lucey et al. 2010). KDEF: session, gender and number, expression, angle (Lundqvist et al.
1998); a person has a name in each of two sessions. JAFFE: initials, expression, number (Lyons et al. 1998).
"""


def belonging(names: Sequence[str], group_by: str | None) -> Belonging:
    """Return which images belong together, by their names or a list.

    Args:
        names: Those of n records.
        group_by: See `DataConfig`. None takes what names of known forms say: those of CK+, KDEF, JAFFE and ESR, and a
            folder between a class's folder and the image, such as `S010` of `anger/S010/1.png`.

    Raises:
        UserError: What `group_by` names says it of no image, or cannot be read.
    """
    if group_by is None:
        found = [_by_form(name) for name in names]
        said_by = sorted({known_by for _, known_by in found if known_by})
        unknown = sum(known_by in ("", _PHOTOGRAPHS) for _, known_by in found)
        return Belonging(tuple(group for group, _ in found), " and ".join(said_by), unknown)
    column = grouping_column(group_by)
    if group_by == PARENT:
        groups = [PurePosixPath(name).parent.name for name in names]
        known_by = "the folder that an image lies in"
    elif column:
        path, wanted = column
        columns = read_groups(path, names) if names else {}
        if names and wanted not in columns:
            raise UserError(f"{path} has no column {wanted!r}: group_by (--group-by) may name {', '.join(columns)}")
        groups = ["" if group == UNKNOWN else group for group in columns.get(wanted, np.array([])).tolist()]
        known_by = f"the column {wanted!r} of {path.name}"
    else:
        found = [re.search(group_by, name) for name in names]
        groups = [" ".join(filter(None, match.groups())) if match else "" for match in found]
        known_by = f"the pattern {group_by!r}"
    if names and not any(groups):
        raise UserError(
            f"group_by (--group-by) is {group_by!r}, which says of no image to which group it belongs: correct it; the "
            f"first image is {names[0]!r}"
        )
    return Belonging(tuple(groups), known_by, groups.count(""))


def evidence(group_by: str | None) -> str:
    """Return what decides the groups apart from the data: `group_by`, and a hash of a csv that it names."""
    column = grouping_column(group_by or "")
    if column is None:
        return repr(group_by)
    try:
        return f"{group_by} {hashlib.blake2b(read_bytes(column[0], LARGEST), digest_size=16).hexdigest()}"
    except OSError:  # who needs it says so
        return repr(group_by)


def _by_form(name: str) -> tuple[str, str]:
    """Return the group that a name of a known form says, and by what; empty where it says none."""
    for known_by, form in _NAMED.items():
        if match := form.search(name):
            return f"{known_by} {match[1].upper()}", known_by
    folders = PurePosixPath(name).parts[:-1]
    if len(folders) >= 2 and from_word(folders[-2]) and not (from_word(folders[-1]) or split_named(folders[-1])):
        return f"{_FOLDERS} {folders[-1]}", _FOLDERS
    return "", ""


def groups_of(records: Sequence[Record]) -> dict[str, np.ndarray]:
    """Return each way to divide the records: the group of each face, in words, str [n].

    Returns:
        By what divides them; left out is what the data says of no face.

        - `valence`: Its sign.
        - `arousal`: Its sign.
        - `agreement`: The share of the votes that the most chosen class has.
        - `face_size`: The longer side of the face's box, in pixels of the photograph.
        - `folder`: That of the image.
    """
    found = {name: np.array([group(record) for record in records], str) for name, group in _GROUPS.items()}
    return {name: groups for name, groups in found.items() if len(groups) and not (groups == UNKNOWN).all()}


def read_groups(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return what a csv of images says of some of them.

    Its first line names the columns. One of them, found by its values, has the images: names, or ends of names that no
    two images share, such as `12.jpg` of `faces/12.jpg`. Rows of other images are passed over.

    Args:
        path: The csv.
        names: The n images.

    Returns:
        By each other column what it says of each image, str [n], or `unknown`.

    Raises:
        UserError: The file is no such csv, or has two values of one image.
    """
    header, rows = _rows(path)
    ends = _ends(names)
    found = [[ends.get(row[column].replace("\\", "/")) for row in rows] for column in range(len(header))]
    known = [sum(place is not None for place in places) for places in found]
    if not any(known):
        raise UserError(f"{path} has no column that names images as the data does, such as {names[0]!r}: add one")
    images = known.index(max(known))
    columns = {}
    for column, name in enumerate(header):
        if column == images:
            continue
        groups: list[str] = [""] * len(names)
        for place, row in zip(found[images], rows, strict=True):
            if place is None or not row[column]:
                continue
            if groups[place] not in ("", row[column]):
                raise UserError(
                    f"{path} says both {groups[place]!r} and {row[column]!r} of {names[place]!r} in the column "
                    f"{name!r}: keep one"
                )
            groups[place] = row[column]
        columns[name] = np.array([group or UNKNOWN for group in groups], str)
    return columns


def _rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the names of a csv's columns, and its rows, which are as long."""
    try:
        with opened_text(path, "surrogateescape", LARGEST) as file:
            header, *rows = ([value.strip() for value in row] for row in csv.reader(_whole(file)) if row)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): pass another csv") from error
    except (csv.Error, ValueError) as error:
        raise UserError(f"{path} is no csv with a first line that names its columns ({error}): correct it") from error
    for row in rows:
        if len(row) != len(header):
            raise UserError(
                f"{path} has {len(row)} values in the row that starts {row[0]!r}, and names {len(header)} columns: "
                "correct it"
            )
    return header, rows


def _whole(file: TextIO) -> Iterator[str]:
    for number, line in enumerate(lines(file, LONGEST), start=1):
        if len(line) > LONGEST:
            raise csv.Error(f"line {number} has more than {LONGEST:,} characters")
        yield line


def _ends(names: Sequence[str]) -> dict[str, int]:
    """Return the place of each name, and of each end of names, from some folder on, that only one of them has."""
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        parts = name.split("/")
        for start in range(1, len(parts)):
            end = "/".join(parts[start:])
            places[end] = -1 if end in places else place
    return {end: place for end, place in places.items() if place >= 0} | {name: i for i, name in enumerate(names)}


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
