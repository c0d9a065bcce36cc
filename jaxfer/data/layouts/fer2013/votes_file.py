"""Microsoft's `fer2013new.csv`: the votes of FER+, a row for each of FER2013's, in the same order.

Its columns are Usage, Image name and the ten of `jaxfer.data.layouts.fer2013.votes`, by which it is known whatever it
is called.
"""

from pathlib import Path
from typing import NamedTuple

from jaxfer.data.layouts.fer2013.votes import CHOICES, counted
from jaxfer.data.reading.folder import Folder, leaves, peek
from jaxfer.data.reading.table import column_name, open_table
from jaxfer.errors import UserError

NAME = "fer2013new.csv"
"""The name that it was published by."""

HEADER = ("Usage", "Image name", *CHOICES)
"""The names of the columns."""

LONGEST = 4096
"""Characters that a line may have: of a longer one the votes do not count."""


class Votes(NamedTuple):
    """A line: its number, its Usage, and the votes for each of `CHOICES`; None where the line does not say them."""

    line: int
    usage: str
    counts: list[int] | None


def files_of_votes(folder: Folder) -> list[Path]:
    """Return the files in a folder that have votes, also where another file of it was passed alone.

    Raises:
        UserError: A file may not be read.
    """
    if folder.within.root.is_file():
        folder = peek(folder.path, within=folder.within)
    paths = [folder.path / name for name in folder.files if name.lower().endswith(".csv")]
    there = [path for path in paths if path.is_file() and not leaves(path, folder.within)]
    return [path for path in there if path.name.lower() == NAME or open_table(path, LONGEST, _columns)]


def votes_in(path: Path) -> list[Votes]:
    """Return the rows of a file of votes.

    Raises:
        UserError: It does not name its columns, or cannot be read.
    """
    table = open_table(path, LONGEST, _columns)
    if table is None:
        raise UserError(f"{path} does not name its columns: add the header {','.join(HEADER)} as its first line")
    return [_row(number, table.form, values) for number, values, _ in table.lines() if number > table.begins]


def _columns(values: list[str]) -> list[str] | None:
    names = [column_name(value) for value in values]
    return names if {"usage", *map(str.lower, CHOICES)} <= set(names) else None


def _row(number: int, columns: list[str], values: list[str]) -> Votes:
    row = dict(zip(columns, values, strict=False))
    return Votes(number, row.get("usage", ""), counted([row.get(name.lower(), "") for name in CHOICES]))
