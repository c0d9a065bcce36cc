"""The csv files of FER2013: `fer2013.csv` with the columns emotion, pixels and Usage, `icml_face_data.csv` with others.

That one has emotion, Usage and pixels, with a space before the last two. Copies without a header are told by their
first row. No value holds a comma, so lines are rows even where a quote is missing: damage stays within its line.
"""

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxfer.data.reading.folder import readable
from jaxfer.errors import UserError
from jaxfer.files import MOST_LIST_BYTES, lines, opened

SIDE = 48
"""Height and width of every image, in pixels."""

CODES = (b"0", b"1", b"2", b"3", b"4", b"5", b"6")
"""The codes of the classes, in the order of `jaxfer.emotions.FER2013`."""

USAGES = ("Training", "PublicTest", "PrivateTest")
"""The values of Usage."""

FORMS = (["emotion", "pixels", "usage"], ["emotion", "usage", "pixels"])
"""The columns of both files, in lower case."""

NAMES = ("fer2013.csv", "icml_face_data.csv")
"""Names of files that are meant to be this data."""

LONGEST = 20_000
"""How many bytes of a line are looked at, of the first to tell the columns: more than a row of pixels has."""


class Row(NamedTuple):
    """One line: its number, from 1; its image, uint8 [48, 48], None where `damage` says what is wrong with it.

    Attributes:
        code: Of the class, an index into `jaxfer.emotions.FER2013`, -1 where the line has no such code.
        usage: One of `USAGES`, or what the line has instead.
    """

    line: int
    image: np.ndarray | None
    code: int = -1
    usage: str = ""
    damage: str = ""


def is_csv(path: Path) -> bool:
    """Return whether a file has the columns.

    Raises:
        UserError: It has only the name of such a file, or may not be read.
    """
    with readable(path), opened(path) as file:
        known = _columns(file.readline(LONGEST)) is not None
    if not known and path.name.lower() in NAMES:
        raise UserError(
            f"{path} begins neither with the names of its columns nor with a row of FER2013: "
            f"add the header emotion,pixels,Usage as its first line, or copy it again"
        )
    return known


def rows(path: Path) -> Iterator[Row]:
    """Yield each line of a file for which `is_csv` holds, but for the header and blank lines.

    Raises:
        UserError: It does not hold any more, or the file cannot be read or is larger than any such list.
    """
    with readable(path), opened(path, MOST_LIST_BYTES) as file:
        found = _columns(file.readline(LONGEST))
        if found is None:
            raise UserError(f"{path} has no columns emotion, pixels and Usage: copy it again")
        columns, has_header = found
        if not has_header:
            file.seek(0)
        for number, line in enumerate(lines(file, LONGEST), start=1 + has_header):
            if len(line) > LONGEST:
                yield Row(number, None, damage=f"more than {LONGEST:,} bytes, which no row has")
            elif line.strip():
                yield _row(number, columns, _values(line))


def _columns(line: bytes) -> tuple[list[str], bool] | None:
    """Return the columns of a csv by its first line, and whether that line names them; None for another csv."""
    values = [value.decode(errors="replace") for value in _values(line)]
    names = [value.lower() for value in values]
    if {"emotion", "pixels", "usage"} <= set(names):
        return names, True
    for form in FORMS:
        row = dict(zip(form, values, strict=False))
        if len(values) == len(form) and row["emotion"].encode() in CODES and row["usage"] in USAGES:
            return form, False
    return None


def _values(line: bytes) -> list[bytes]:
    return [value.strip(b' "') for value in line.removeprefix(codecs.BOM_UTF8).strip().split(b",")]


def _row(number: int, columns: list[str], values: list[bytes]) -> Row:
    if len(values) != len(columns):
        return Row(number, None, damage=f"{len(values)} values rather than {len(columns)}")
    row = dict(zip(columns, values, strict=True))
    image = _pixels(row["pixels"])
    if image is None:
        return Row(number, None, damage=f"its pixels are not {SIDE * SIDE} numbers from 0 to 255")
    code = int(row["emotion"]) if row["emotion"] in CODES else -1
    return Row(number, image, code, row["usage"].decode(errors="replace"))


def _pixels(text: bytes) -> np.ndarray | None:
    """Return the uint8 [48, 48] image that numbers separated by single spaces spell, or None if they do not."""
    if text.translate(None, b"0123456789 ") or text.count(b" ") != SIDE * SIDE - 1:
        return None
    values = np.fromstring(text, np.int64, sep=" ")
    if values.size != SIDE * SIDE or values.max() > 255:
        return None
    return values.astype(np.uint8).reshape(SIDE, SIDE)
