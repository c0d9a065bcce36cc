"""The csv lists of AffectNet's release of 2017: nine columns, of which the landmarks make rows of about a kilobyte.

Lists have a header, in any case and any order of columns, or none and then the columns in the order of `COLUMNS`. A
line is a row: no value holds a line break, so that a quote which is never closed damages its own row alone.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jaxfer.data.reading.affectnet_values import number
from jaxfer.data.reading.folder import is_image
from jaxfer.data.reading.table import column_name, open_table
from jaxfer.errors import UserError

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
    return open_table(path, LONGEST, _columns) is not None


def rows(path: Path) -> Iterator[Row | BadRow]:
    """Yield each row of a list, whatever is wrong with it; blank lines are none.

    Raises:
        UserError: The file cannot be read, or is no such list any more.
    """
    table = open_table(path, LONGEST, _columns)
    if table is None:
        raise UserError(f"{path} has no columns {COLUMNS[0]} and expression any more: it was changed while it was read")
    for line, values, problem in table.lines():
        if table.form.header and line <= table.begins:
            continue
        if problem:
            yield BadRow(line, f"line {line} has {problem}")
            continue
        row = _row(line, dict(zip(table.form.names, values, strict=True)))
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


class _Columns(NamedTuple):
    """The names of the columns, and whether a line of the list says them."""

    names: tuple[str, ...]
    header: bool


def _columns(values: list[str]) -> _Columns | None:
    """Return the columns that a list has by one of its lines: its header, or a row as the release has them."""
    names = tuple(map(column_name, values))
    if {"subdirectory_filepath", "expression"} <= set(names):
        return _Columns(names, True)
    return _Columns(COLUMNS, False) if _is_row(values) else None


def _is_row(values: list[str]) -> bool:
    """Return whether values are a row of a list without a header: a path, a box, a code, valence and arousal."""
    if len(values) != len(COLUMNS) or not is_image(values[0]):
        return False
    box, (code, valence, arousal) = map(number, values[1:5]), map(number, values[6:])
    return code in range(11) and all(value == value for value in (*box, valence, arousal))
