"""A table of images and labels: which of its columns they are in, and its rows, however damaged."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxfer.data.reading.folder import is_image
from jaxfer.data.reading.names import SPLIT_COLUMNS, OtherSplits, as_code, is_code
from jaxfer.data.reading.table import SEPARATORS, SPACE, Table, column_name, open_table
from jaxfer.emotions import from_word
from jaxfer.errors import UserError

NAME = "labels.csv"
"""What a table is called that is meant to have labels, whatever else is there."""

SUFFIXES = (".csv", ".tsv")
"""What the names of tables end in, or else they have no suffix."""

IMAGES = (
    *("pth", "path", "filepath", "file_path", "image_path", "img_path", "filename", "file_name", "image_name"),
    *("img_name", "file", "image", "img"),
)
"""Names of the column of images; where there are several, the first of these counts."""

LABELS = ("label", "labels", "emotion", "emotions", "expression", "class", "class_name", "category")
"""Names of the column of labels."""

ALL_SEPARATORS = (*SEPARATORS, SPACE)
"""What separates the values of tables without a header."""

LONGEST_LINE = 10_000
"""Characters that a line may have."""

LONGEST = 4096
"""The longest path that a file can have, in characters."""


class Columns(NamedTuple):
    """The indices of the columns, and whether a line names them.

    Attributes:
        image: Of the images.
        labels: Of those that may have the labels, by their names.
        splits: Of those that may say the split, by their names.
    """

    image: int
    labels: dict[str, int]
    splits: dict[str, int]
    header: bool


class Row(NamedTuple):
    """A line of a table, counted from 1: the path of an image, its label, and what it says of its split.

    Attributes:
        problem: Why the line is no row, and all else is empty; "" where it is one.
    """

    table: Path
    line: int
    path: str = ""
    label: str = ""
    split: str = ""
    problem: str = ""


def labels_table(path: Path) -> Table[Columns] | None:
    """Return the table in a file, None where it is none of images and labels.

    One of its first lines names such columns; or it starts with the path of an image and a word for its class, perhaps
    after an index.

    Raises:
        UserError: The file may not be read.
    """
    return open_table(path, LONGEST_LINE, _columns_or_row)


def named_table(path: Path, image: str | None, label: str | None) -> Table[Columns]:
    """Return the table in a file whose columns have certain names, in any case, or are at certain places.

    Without a header the columns are told by their numbers, or are those of a table of two: the path of an image and its
    class. Spaces may then separate them, too.

    Args:
        path: The file.
        image: The name of the column of images, or its number, from 1; None for a usual one.
        label: Likewise, of labels.

    Raises:
        UserError: It has no such columns, or the file may not be read.
    """
    if (image or "").isdecimal() and (label or "").isdecimal():
        places = int(image or 0) - 1, int(label or 0) - 1
        table = open_table(path, LONGEST_LINE, lambda values: _placed(values, *places), separators=ALL_SEPARATORS)
        if table:
            return table
        raise UserError(
            f"{path} has no line with the path of an image as value {image} and a class as value {label}, counted from "
            "1: say which they are with image_column and label_column (--image-column, --label-column)"
        )
    images, labels = ((column_name(one),) if one else usual for one, usual in ((image, IMAGES), (label, LABELS)))
    table = open_table(path, LONGEST_LINE, lambda values: _columns(values, images, labels))
    if not table and image is None and label is None:
        table = open_table(path, LONGEST_LINE, _pair, separators=ALL_SEPARATORS)
    if table:
        return table
    first = open_table(path, LONGEST_LINE, lambda values: values if len(values) > 1 else None)
    shown = f"{', '.join(map(repr, first.form))}" if first else "no table"
    wanted = f"{image or 'of images'} and {label or 'of labels'}"
    raise UserError(
        f"{path} has no columns {wanted}, but {shown:.400}: name them with image_column and label_column "
        "(--image-column, --label-column), by their numbers from 1 where no line names them"
    )


def paths_of(table: Table[Columns]) -> Iterator[str]:
    """Yield the paths in a table.

    Raises:
        UserError: The file may not be read.
    """
    for number, values, _ in table.lines():
        if values and _is_path(values[table.form.image]) and not (table.form.header and number <= table.begins):
            yield values[table.form.image]


def rows_of(table: Table[Columns]) -> Iterator[Row]:
    """Yield the rows of a table.

    Raises:
        UserError: The file may not be read, or two of its columns may have the labels, or the splits.
    """
    form = table.form
    label = _only(table, form.labels, "labels")
    split = _only(table, form.splits, "splits") if form.splits else None
    for number, values, problem in table.lines():
        if form.header and number <= table.begins:
            continue
        path = values[form.image] if values else ""
        if not problem and not _is_path(path):
            problem = "a path that no file can have"
        if problem:
            yield Row(table.path, number, problem=problem)
        else:
            yield Row(table.path, number, path, as_code(values[label]), "" if split is None else values[split])


def refuse_other_splits(table: Table[Columns]) -> None:
    """Refuse a table of which a column that is not read says the split of each row.

    Raises:
        UserError: There is one, or the file may not be read.
    """
    form = table.form
    known = {form.image, *form.labels.values(), *form.splits.values()}
    others = {index: f"value {index + 1}" for index in range(table.width) if index not in known}
    found = OtherSplits(others.values())
    for number, values, _ in table.lines():
        if values and form.header and number == table.begins:
            others = {index: values[index] or name for index, name in others.items()}
            found = OtherSplits(others.values())
        elif values and number >= table.begins:  # what comes before may be a header that jaxfer does not know
            for index, name in others.items():
                found.add(name, values[index])
    found.refuse(table.path, f"have a column {SPLIT_COLUMNS[0]} in its place, with train, val or test, or take it out")


def _is_path(text: str) -> bool:
    return bool(text) and "\0" not in text and len(text) <= LONGEST


def _only(table: Table[Columns], found: dict[str, int], what: str) -> int:
    if len(found) > 1:
        named = what == "labels" and not any(" (value " in name for name in found)  # of one name, none can be chosen
        raise UserError(
            f"{table.path} has several columns that may have the {what}, {' and '.join(found)}: rename all but the one "
            f"that counts{', or name it with label_column (--label-column)' if named else ''}"
        )
    return next(iter(found.values()))


def _columns(
    values: list[str], image_names: Sequence[str] = IMAGES, label_names: Sequence[str] = LABELS
) -> Columns | None:
    """Return the columns that values name, None where they do not name one of images and one of labels."""
    names = [column_name(value) for value in values]
    image = next((names.index(name) for name in image_names if name in names), None)
    if image is None:
        return None
    labels, splits = (
        {
            values[index] if names.count(name) == 1 else f"{values[index]} (value {index + 1})": index
            for name in of
            for index, other in enumerate(names)
            if other == name
        }
        for of in (label_names, SPLIT_COLUMNS)
    )
    return Columns(image, labels, splits, True) if labels else None


def _placed(values: list[str], image: int, label: int) -> Columns | None:
    """Return the columns at two indices, None where these values have no image and no class there."""
    if not 0 <= max(image, label) < len(values) or image == label:
        return None
    return Columns(image, {str(label + 1): label}, {}, False) if is_image(values[image]) and values[label] else None


def _pair(values: list[str]) -> Columns | None:
    """Return the columns of a table of two without a header, None where these values are no row of it."""
    said = len(values) == 2 and (from_word(values[1]) or is_code(as_code(values[1])))
    return _placed(values, 0, 1) if said else None


def _columns_or_row(values: list[str]) -> Columns | None:
    """Return the columns that values name, or have as a row: the path of an image and a word for its class."""
    for column in range(min(2, len(values) - 1)):
        if is_image(values[column]) and from_word(values[column + 1]):
            return Columns(column, {"": column + 1}, {}, False)
    return _columns(values)
