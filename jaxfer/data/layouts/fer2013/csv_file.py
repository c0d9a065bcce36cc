"""The csv files of FER2013: `fer2013.csv` with the columns emotion, pixels and Usage, `icml_face_data.csv` with others.

That one has emotion, Usage and pixels, with a space before the last two. Copies without a header are told by their
first row.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from jaxfer.data.reading.names import SPLIT_COLUMNS, OtherSplits, as_code
from jaxfer.data.reading.table import column_name, open_table
from jaxfer.errors import UserError

SIDE = 48
"""Height and width of every image, in pixels."""

CODES = ("0", "1", "2", "3", "4", "5", "6")
"""The codes of the classes, in the order of `jaxfer.emotions.FER2013`."""

USAGES = ("Training", "PublicTest", "PrivateTest")
"""The values of Usage."""

FORMS = (["emotion", "pixels", "usage"], ["emotion", "usage", "pixels"])
"""The columns of both files, in lower case."""

NAMES = ("fer2013.csv", "icml_face_data.csv")
"""Names of files that are meant to be this data."""

LONGEST = 20_000
"""Characters that a line may have: more than a row of pixels has."""


class Row(NamedTuple):
    """One line: its number, from 1; its image, uint8 [48, 48], None where `damage` says what is wrong with it.

    Attributes:
        code: Of the class, an index into `jaxfer.emotions.FER2013` or another number; None where the line has none.
        usage: One of `USAGES`, or what the line has instead; None where the file has no such column.
    """

    line: int
    image: np.ndarray | None
    code: int | None = None
    usage: str | None = ""
    damage: str = ""


Kind = Literal["whole", "without Usage", "without labels"]
"""What a csv of FER2013's pixels has: emotion and Usage too, or only the first, or neither.

The competition's own train.csv and test.csv are of the last two: https://www.kaggle.com/c/3364
"""


def kind_of(path: Path) -> Kind | None:
    """Return what a file has by its columns, None where they are not FER2013's.

    Raises:
        UserError: It has only the name of such a file, or may not be read.
    """
    table = open_table(path, LONGEST, _columns)
    if table is None and path.name.lower() in NAMES:
        raise UserError(
            f"{path} begins neither with the names of its columns nor with a row of FER2013: "
            f"add the header emotion,pixels,Usage as its first line, or copy it again"
        )
    if table is None:
        return None
    names = table.form.names
    return "without labels" if "emotion" not in names else "whole" if "usage" in names else "without Usage"


def rows(path: Path) -> Iterator[Row]:
    """Yield each line of a file that has labels, but for the header and blank lines.

    Raises:
        UserError: It has none any more, or the file cannot be read or is larger than any such list.
    """
    table = open_table(path, LONGEST, _columns)
    if table is None or "emotion" not in table.form.names:
        raise UserError(f"{path} has no columns emotion and pixels: copy it again")
    twice = next((name for name in ("emotion", "pixels", "usage") if table.form.names.count(name) > 1), "")
    if twice:
        raise UserError(f"{path} has several columns that may be {twice}: keep the one that counts")
    others = OtherSplits(() if "usage" in table.form.names else {*table.form.names} - {"emotion", "pixels"})
    for number, values, problem in table.lines():
        if problem:
            yield Row(number, None, damage=problem)
        elif not (table.form.header and number <= table.begins):
            row = dict(zip(table.form.names, values, strict=True))
            for column, value in row.items():
                others.add(column, value)
            yield _row(number, row)
    others.refuse(path, "call the column Usage, with Training, PublicTest or PrivateTest in it, or take it out")


class _Columns(NamedTuple):
    """The names of the columns, and whether a line of the file says them."""

    names: list[str]
    header: bool


def _columns(values: list[str]) -> _Columns | None:
    """Return the columns of a csv by one of its first lines, None for another csv."""
    names = [column_name(value) for value in values]
    splits = [name for name in SPLIT_COLUMNS if name in names]
    names = ["usage" if splits == [name] else name for name in names]
    if {"emotion", "pixels"} <= set(names) or names == ["pixels"]:
        return _Columns(names, True)
    for form in FORMS:
        row = dict(zip(form, values, strict=False))
        if len(values) == len(form) and row["emotion"] in CODES and row["usage"] in USAGES:
            return _Columns(form, False)
    return None


def _row(number: int, row: dict[str, str]) -> Row:
    image = _pixels(row["pixels"].encode(errors="replace"))
    if image is None:
        return Row(number, None, damage=f"its pixels are not {SIDE * SIDE} numbers from 0 to 255")
    code = as_code(row["emotion"])
    return Row(number, image, int(code) if re.fullmatch("-?[0-9]{1,4}", code) else None, row.get("usage"))


def _pixels(text: bytes) -> np.ndarray | None:
    """Return the uint8 [48, 48] image that numbers separated by single spaces spell, or None if they do not."""
    if text.translate(None, b"0123456789 ") or text.count(b" ") != SIDE * SIDE - 1:
        return None
    values = np.fromstring(text, np.int64, sep=" ")
    if values.size != SIDE * SIDE or values.max() > 255:
        return None
    return values.astype(np.uint8).reshape(SIDE, SIDE)
