"""A csv of image paths and labels: which of its columns they are in, and its rows, however damaged."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jaxfer.data.reading.folder import is_image, readable
from jaxfer.emotions import from_word
from jaxfer.files import lines, opened_text

NAME = "labels.csv"
"""What a csv without a header must be called."""

LONGEST_LINE = 10_000
"""Characters that a line may have."""

LONGEST = 4096
"""The longest path that a file can have, in characters."""


class Columns(NamedTuple):
    """The indices of the columns for path and label, how many there are, and whether the first row names them."""

    path: int
    label: int
    total: int
    header: bool


class Row(NamedTuple):
    """A line of the csv, counted from 1: the path of an image, and its label.

    Attributes:
        problem: Why the line is no row, and path and label are empty; "" where it is one.
    """

    line: int
    path: str = ""
    label: str = ""
    problem: str = ""


def columns_of(path: Path) -> Columns | None:
    """Return where a csv keeps paths and labels, None where its first line does not tell.

    That line names columns `pth` and `label`; or, in a file called `labels.csv`, it starts with the path of an image
    and a word for its class, perhaps after an index.

    Raises:
        UserError: The file may not be read.
    """
    with readable(path), opened_text(path, "surrogateescape", most=None) as file:
        values = _values(file.readline(LONGEST_LINE)) or []
    names = [value.lower() for value in values]
    if "pth" in names and "label" in names:
        return Columns(names.index("pth"), names.index("label"), len(names), True)
    if path.name.lower() == NAME:
        for column in range(min(2, len(values) - 1)):
            if is_image(values[column]) and from_word(values[column + 1]):
                return Columns(column, column + 1, len(values), False)
    return None


def rows_of(path: Path, columns: Columns) -> Iterator[Row]:
    """Yield the rows of a csv, without empty lines.

    Raises:
        UserError: The file may not be read.
    """
    with readable(path), opened_text(path, "surrogateescape") as file:
        for number, line in enumerate(lines(file, LONGEST_LINE), start=1):
            if line.strip() and not (number == 1 and columns.header):
                yield _row(number, line, columns)


def _row(number: int, line: str, columns: Columns) -> Row:
    # No value holds a line break, so lines are rows even where a quote is missing: damage stays within its line.
    if len(line) > LONGEST_LINE:
        return Row(number, problem=f"more than {LONGEST_LINE:,} characters")
    values = _values(line)
    if values is None or len(values) != columns.total:
        what = "what is no csv" if values is None else f"{len(values)} values"
        return Row(number, problem=f"{what} rather than {columns.total} values")
    path = values[columns.path]
    if not path or "\0" in path or len(path) > LONGEST:
        return Row(number, problem="a path that no file can have")
    return Row(number, path, values[columns.label])


def _values(line: str) -> list[str] | None:
    """Return the values of a line, None where they cannot be told apart."""
    try:
        (values,) = csv.reader([line], skipinitialspace=True)
    except (csv.Error, ValueError):  # ValueError for what the reader takes for several lines, or for none
        return None
    return [value.strip() for value in values]
