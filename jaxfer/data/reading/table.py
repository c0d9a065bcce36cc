"""A table of text, however it was saved: all lists of values in lines are read here.

Values are separated by commas, semicolons or tabs, and may stand in quotes; the text is UTF-8 or UTF-16. A line is a
row: no value holds a line break, so that damage, such as a quote which is never closed, stays within its line.
"""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from jaxfer.data.reading.folder import readable
from jaxfer.files import MOST_LIST_BYTES, lines, opened_text

SEPARATORS = (",", ";", "\t")
"""What separates values, the most frequent first."""

SPACE = " "
"""Any number of spaces and tabs, which separate values where somebody says so: names of files have some, too."""

FIRST = 16
"""How many lines are looked at to understand a table: a title may come first, or some of them may be damaged."""

Form = TypeVar("Form")


class Line(NamedTuple):
    """A line of a table.

    Attributes:
        number: Of the line, from 1.
        values: As many as the table has in a line, without spaces and quotes around them; none if there is a problem.
        problem: Why the line is no row of the table, as a clause; "" where it is one.
    """

    number: int
    values: list[str]
    problem: str = ""


@dataclass(frozen=True)
class Table(Generic[Form]):
    """A table of which a line was understood.

    Attributes:
        path: The file.
        separator: What separates its values.
        width: How many values it has in a line.
        longest: Characters that a line may have.
        begins: The number of the first line that was understood.
        form: What it was understood as.
    """

    path: Path
    separator: str
    width: int
    longest: int
    begins: int
    form: Form

    def lines(self) -> Iterator[Line]:
        """Yield the lines, from the first one on, but for those that are blank.

        Raises:
            UserError: The file cannot be read.
        """
        for number, text in _texts(self.path, self.longest):
            if len(text) > self.longest:
                yield Line(number, [], f"more than {self.longest:,} characters, which no row has")
                continue
            values = split(text, self.separator, self.width)
            if values is None or len(values) != self.width:
                found = "what is no csv" if values is None else f"{len(values)} values"
                yield Line(number, [], f"{found} rather than {self.width}")
            else:
                yield Line(number, values)


def open_table(
    path: Path,
    longest: int,
    understand: Callable[[list[str]], Form | None],
    separators: Sequence[str] = SEPARATORS,
) -> Table[Form] | None:
    """Return the table in a file, None where nobody understands one of its first lines, whatever separates the values.

    Args:
        path: The file.
        longest: Characters that a line may have.
        understand: Returns what values say of the table that they begin, None where they are of another one.
        separators: What may separate values.

    Raises:
        UserError: The file cannot be read.
    """
    for number, text in islice(_texts(path, longest, most=None), FIRST):
        for separator in separators:
            values = split(text, separator) if len(text) <= longest else None
            form = understand(values) if values else None
            if values and form is not None:
                return Table(path, separator, len(values), longest, number, form)
    return None


def first_line(path: Path) -> str:
    """Return the first line of a file that is not blank, "" where there is none of text.

    Raises:
        UserError: The file cannot be read.
    """
    text = next((text.strip() for _, text in _texts(path, LONGEST_SHOWN, most=None)), "")
    return text if text.isprintable() or "\t" in text else ""


LONGEST_SHOWN = 10_000
"""Characters of a line that are read to show how a file begins."""


def split(text: str, separator: str, width: int | None = None) -> list[str] | None:
    """Return the values of a line, None where they cannot be told apart.

    Args:
        text: The line.
        separator: What separates them.
        width: How many there should be: for a quote that is not closed, and for nothing behind the last of them.

    >>> split('7, "a, b.jpg" ,sad', ","), split('7;"a.jpg;sad', ";", 3)
    (['7', 'a, b.jpg', 'sad'], ['7', 'a.jpg', 'sad'])
    """
    plain = text.split() if separator == SPACE else [value.strip() for value in text.split(separator)]
    values: list[str] | None = plain
    if '"' in text:
        try:
            (quoted,) = csv.reader([text.strip("\r\n")], delimiter=separator, skipinitialspace=True)
            values = [value.strip() for value in quoted]
        except (csv.Error, ValueError):  # ValueError for what the reader takes for several lines, or for none
            values = None
        if width is not None and len(plain) == width and (values is None or len(values) != width):
            values = [value.strip(' "') for value in plain]
    if values is not None and width is not None and not any(values[width:]):
        return values[:width]
    return values


def column_name(value: str) -> str:
    """Return a column's name as names are compared: lower case, with underscores between its words.

    >>> column_name("Image name"), column_name("user.id"), column_name(" fileName")
    ('image_name', 'user_id', 'filename')
    """
    # Most values that are tried as names are none: thousands of numbers in a line, or an image in one value.
    if value.isalnum() or len(value) > LONGEST_NAME or value.replace(".", "", 1).isdecimal():
        return value.lower()
    return _BETWEEN_WORDS.sub("_", value.strip().lower())


LONGEST_NAME = 200
"""Characters of a column's name; longer ones are compared as they are."""

_BETWEEN_WORDS = re.compile(r"[\s._-]+")


def _texts(path: Path, longest: int, most: int | None = MOST_LIST_BYTES) -> Iterator[tuple[int, str]]:
    """Yield the number of each line that is not blank, from 1, and its text, as `jaxfer.files.lines` does."""
    # Undecodable bytes are kept as they are: they may stand in the names of files, too.
    with readable(path), opened_text(path, "surrogateescape", most) as file:
        for number, text in enumerate(lines(file, longest), start=1):
            if not text.isspace():
                yield number, text
