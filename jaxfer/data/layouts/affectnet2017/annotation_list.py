"""The csv lists of AffectNet's release of 2017: nine columns, of which the landmarks make rows of about a kilobyte.

Lists have a header, in any case and any order of columns, or none and then the columns in the order of `COLUMNS`. A
line is a row: no value holds a line break, so that a quote which is never closed damages its own row alone.
"""

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jaxfer.data.reading.affectnet_values import number
from jaxfer.data.reading.folder import is_image
from jaxfer.errors import UserError
from jaxfer.files import lines, opened_text

COLUMNS = (
    "subdirectory_filepath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
"""The names in the header, in lower case; a copy of the data may have dropped all but the path and the expression."""

LONGEST = 1 << 16
"""Characters that a line may have."""

FIRST = 16
"""Lines that are looked at to tell a list without a header: some of them may be damaged."""


class Row(NamedTuple):
    """One face: the number of its line, from 1, and its values as text, None where the list lacks their columns.

    Attributes:
        path: Where its photograph is, from the folder of images.
        box: Left, top, width and height.
    """

    line: int
    path: str
    expression: str
    box: tuple[str, str, str, str] | None
    landmarks: str | None
    valence: str | None
    arousal: str | None


class BadRow(NamedTuple):
    """A row that cannot be told into values: the number of its line, from 1, and what is wrong with it."""

    line: int
    reason: str


def is_list(path: Path) -> bool:
    """Return whether a file is such a list, judged by its first lines.

    Raises:
        UserError: The file cannot be read.
    """
    first = [values for _, values in itertools.islice(_lines(path), FIRST)]
    return bool(first) and (_header(first[0]) is not None or any(map(_is_row, first)))


def rows(path: Path) -> Iterator[Row | BadRow]:
    """Yield each row of a list, whatever is wrong with it; blank lines are none.

    Raises:
        UserError: The file cannot be read.
    """
    read = _lines(path)
    line, values = next(read, (1, []))
    header = _header(values)
    if header is None:
        header = COLUMNS
        read = itertools.chain([(line, values)], read)
    for line, values in read:
        if len(values) != len(header):
            yield BadRow(line, f"line {line} has {len(values)} values rather than {len(header)}")
            continue
        row = _row(line, dict(zip(header, map(str.strip, values), strict=True)))
        yield row if row.path else BadRow(line, f"line {line} names no file")


def _row(line: int, cells: dict[str, str]) -> Row:
    path, x, y, width, height, landmarks, expression, valence, arousal = map(cells.get, COLUMNS)
    return Row(
        line=line,
        path=path or "",
        expression=expression or "",
        box=None if x is None or y is None or width is None or height is None else (x, y, width, height),
        landmarks=landmarks,
        valence=valence,
        arousal=arousal,
    )


def _header(values: list[str]) -> tuple[str, ...] | None:
    names = tuple(name.strip().lower() for name in values)
    return names if {"subdirectory_filepath", "expression"} <= set(names) else None


def _is_row(values: list[str]) -> bool:
    """Return whether values are a row of a list without a header: a path, a box, a code, valence and arousal."""
    if len(values) != len(COLUMNS) or not is_image(values[0].strip()):
        return False
    box, (code, valence, arousal) = map(number, values[1:5]), map(number, values[6:])
    return code in range(11) and all(value == value for value in (*box, valence, arousal))


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line that is not blank, from 1, and its values."""
    try:
        # Undecodable bytes are kept as they are: they may stand in the names of the files, too.
        with opened_text(path, "surrogateescape") as file:
            for line, text in enumerate(lines(file, LONGEST), start=1):
                if not text.isspace():
                    yield line, next(csv.reader((text,), skipinitialspace=True)) if len(text) <= LONGEST else []
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check its permissions, or copy it again") from error
