"""AffectNet's release of March 2021: cropped 224x224 images with one small npy file for each annotation.

    train_set/images/<N>.jpg   train_set/annotations/<N>_exp.npy   <N>_val.npy   <N>_aro.npy   <N>_lnd.npy
    val_set/ likewise

Expression, valence and arousal are arrays of one Unicode string; arrays of one number are read too. Annotations whose
image is missing make a record that is named `<N>.jpg`, as the image would be. The folders of the splits may be called
otherwise, such as `train` and `val`.

Copies have the annotations of a split gathered in a csv instead, such as `train_set_annotation_without_lnd.csv` beside
the folders, with the columns number, exp, val and aro.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

import jaxfer.data.reading.affectnet_values as values
from jaxfer.data.reading.folder import LINK, Folder, Reach, images, leaves, natural, other_files, peek, readable
from jaxfer.data.reading.names import as_code, refuse_misspelled, split_named
from jaxfer.data.reading.npy import read_npy
from jaxfer.data.reading.record import (
    MISSING,
    NOT_IMAGE,
    SPLITS,
    UNLABELLED,
    UNREADABLE,
    Layout,
    Match,
    ReadOptions,
    Record,
    Split,
    astray,
)
from jaxfer.data.reading.table import Table, column_name, open_table
from jaxfer.data.releases import AFFECTNET_2021
from jaxfer.errors import UserError

NAMES = ("train_set", "val_set")
"""The release's own names of the folders of its splits."""

EXPRESSION, VALENCE, AROUSAL, LANDMARKS = SUFFIXES = ("_exp.npy", "_val.npy", "_aro.npy", "_lnd.npy")
"""What follows the number in the names of annotations."""

COLUMNS = {
    "number": ("number",),
    EXPRESSION: ("exp", "expression"),
    VALENCE: ("val", "valence"),
    AROUSAL: ("aro", "arousal"),
}
"""Names of the columns of a csv, for the number of the image and for what the annotations have; it needs the first two.

With a column of landmarks, these are not read."""

LONGEST = 10_000
"""Characters that a line of a csv may have."""


def _find(folder: Folder) -> list[Match]:
    parts = _parts(folder)
    if not parts:
        return []
    tables = "".join(f", annotated by {part.table.path.name}" for part in parts if part.table)
    return [Match(folder.path, f"has images and annotations in {' and '.join(part.name for part in parts)}{tables}")]


class _Part(NamedTuple):
    """A split: its name, what it is used for, and the csv of its annotations, None where they are npy files."""

    name: str
    split: Split
    table: "Table[dict[str, int]] | None"


def _parts(folder: Folder) -> list[_Part]:
    """Return the splits that have images and annotations, in the order of `SPLITS`."""
    parts = []
    for name in folder.folders:
        split, path = split_named(name), folder.path / name
        if split and (path / "images").is_dir():
            has_files = _has_annotations(path)
            table = None if has_files else _table(folder, path, split)
            if has_files or table:
                parts.append(_Part(name, split, table))
    return sorted(parts, key=lambda part: SPLITS.index(part.split))


def _has_annotations(part: Path) -> bool:
    """Return whether a split's folder has one of npy files; where it has another name, one of them must be there."""
    folder = part / "annotations"
    return folder.is_dir() and (part.name in NAMES or any(name.endswith(SUFFIXES) for name in peek(folder).files))


def _table(folder: Folder, part: Path, split: Split) -> Table[dict[str, int]] | None:
    """Return the csv of a split's annotations: in its folder, or beside that and named after the split."""
    paths = [part / name for name in peek(part).files]
    paths += [folder.path / name for name in folder.files if split_named(Path(name).stem) == split]
    paths = [path for path in paths if path.suffix.lower() == ".csv" and path.is_file()]
    tables = [
        table for path in paths if not leaves(path, folder.within) and (table := open_table(path, LONGEST, _columns))
    ]
    if len(tables) > 1:
        shown = " and ".join(str(table.path) for table in tables)
        raise UserError(f"{part} has several lists of annotations, {shown}: move all but one away")
    return tables[0] if tables else None


def _columns(values: list[str]) -> dict[str, int] | None:
    """Return the indices of `COLUMNS` by their names, None where values do not name a number and an expression."""
    names = [column_name(value) for value in values]
    found = {what: next((names.index(name) for name in of if name in names), -1) for what, of in COLUMNS.items()}
    found = {what: index for what, index in found.items() if index >= 0}
    return found if {"number", EXPRESSION} <= found.keys() else None


def _near(folder: Folder) -> dict[Path, str]:
    read = [part.name for part in _parts(folder)]
    lacking = [name for name in folder.folders if name in NAMES and name not in read]
    return {
        folder.path / name: f"{name} has images as AffectNet's release of March 2021 has them, but neither annotations "
        f"in {name}/annotations nor a csv of the columns number and exp"
        for name in lacking
        if (folder.path / name / "images").is_dir()
    }


def _read(place: Path, options: ReadOptions) -> Iterator[Record]:
    codes = values.ExpressionCodes()
    top = peek(place, None, options.within(place))
    refuse_misspelled(top)
    parts = _parts(top)
    for part in parts:
        yield from _read_split(place, part, options, codes)
    codes.refuse_other_count()
    read = {place / part.name / folder for part in parts for folder in ("images", "annotations")}
    yield from astray(place, options.within(place), read)


def _read_split(place: Path, part: _Part, options: ReadOptions, codes: values.ExpressionCodes) -> Iterator[Record]:
    folder, within = place / part.name / "images", options.within(place)
    annotations = _Rows(part.table) if part.table else _Annotations(place / part.name / "annotations", within)
    for path, link in images(folder, within):
        annotations.without_image.discard(path.stem)
        name = path.relative_to(place).as_posix()
        yield _left_out(name, path, part, link) if link else _face(name, path, part, annotations, options, codes)
    for path in other_files(folder, within):
        yield _left_out(path.relative_to(place).as_posix(), path, part, NOT_IMAGE)
    if not leaves(folder, within):
        for number in sorted(annotations.without_image, key=natural):
            path = folder / f"{number}.jpg"
            yield _left_out(path.relative_to(place).as_posix(), path, part, MISSING)
    if isinstance(annotations, _Rows):
        for line, problem in annotations.damaged:
            name = f"{annotations.path.relative_to(place).as_posix()} line {line}"
            yield _left_out(name, annotations.path, part, UNREADABLE, problem)


def _left_out(name: str, path: Path, part: _Part, reason: str, detail: str = "") -> Record:
    return Record(name=name, image=path, split=part.split, split_name=part.name, left_out=reason, detail=detail)


def _face(
    name: str,
    path: Path,
    part: _Part,
    annotations: "_Annotations | _Rows",
    options: ReadOptions,
    codes: values.ExpressionCodes,
) -> Record:
    number = path.stem
    try:
        code = annotations.value(number, EXPRESSION)
    except ValueError as error:
        return _left_out(name, path, part, UNLABELLED, str(error))
    if code is None:
        return _left_out(name, path, part, UNLABELLED, annotations.none)
    codes.add_text(code, f"the annotation of {path}")
    label, reason, detail = values.expression(code)
    if reason:
        return _left_out(name, path, part, reason, detail)
    valence, odd_valence = annotations.affect(number, "valence", VALENCE)
    arousal, odd_arousal = annotations.affect(number, "arousal", AROUSAL)
    return Record(
        name=name,
        image=path,
        split=part.split,
        split_name=part.name,
        label=label,
        remarks=odd_valence + odd_arousal,
        valence=valence,
        arousal=arousal,
        landmarks=annotations.landmarks(number) if options.landmarks else None,
    )


class _Annotations:
    """A folder of annotations.

    Attributes:
        none: What is wrong with an image that has none.

    Args:
        folder: Where they are.
        within: How far links are followed.

    Attributes:
        without_image: The numbers in the names of its files, until the reader has met their images.

    Raises:
        UserError: The folder may not be read.
    """

    none = "no annotation file"

    def __init__(self, folder: Path, within: Reach) -> None:
        self._start = f"{folder}{os.sep}"
        self._is_linked_away = leaves(folder, within)
        self._refused: dict[str, str] = {}
        self.without_image: set[str] = set()
        if self._is_linked_away:
            return
        with readable(folder), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIXES) and not entry.name.startswith("."):
                    self.without_image.add(entry.name[: -len(EXPRESSION)])
                    if entry.is_symlink() and leaves(folder / entry.name, within):
                        self._refused[entry.name] = f"is a {LINK}"
                    elif not entry.is_file():
                        self._refused[entry.name] = "is no file"

    def value(self, number: str, suffix: str) -> str | None:
        """Return the one value of an annotation as text, or None where there is none.

        Raises:
            ValueError: It cannot be read; the message names the file.
        """
        found = self._values(number, suffix, 1)
        return str(found[0]) if found else None

    def affect(self, number: str, what: str, suffix: str) -> tuple[float, values.Remarks]:
        """Return `what`, valence or arousal, as `jaxfer.data.reading.affectnet_values.affect` does."""
        try:
            return values.affect(what, self.value(number, suffix))
        except ValueError as error:
            return math.nan, (("affect", f"{what}: {error}"),)

    def landmarks(self, number: str) -> np.ndarray | None:
        """Return the landmarks, float32 [68, 2], None where there are none or they are damaged."""
        try:
            found = self._values(number, LANDMARKS, 2 * values.LANDMARKS)
        except ValueError:
            return None
        return values.landmarks(str(found[0]).split(";") if len(found) == 1 else found)

    def _values(self, number: str, suffix: str, most: int) -> list[str] | list[float]:
        name = number + suffix
        if self._is_linked_away or name in self._refused:
            raise ValueError(f"{name} {self._refused.get(name, f'is a {LINK}')}")
        try:
            return read_npy(self._start + name, most)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ValueError(f"{name} cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise ValueError(f"{name} {error}") from error


class _Rows:
    """The annotations in a csv, as `_Annotations` has those in a folder.

    Args:
        table: The csv.

    Attributes:
        path: The file.
        damaged: The number of each line that is no row, and why.
        without_image: As there.

    Raises:
        UserError: The file may not be read.
    """

    none = "no row"

    def __init__(self, table: Table[dict[str, int]]) -> None:
        self.path = table.path
        self.damaged: list[tuple[int, str]] = []
        self._values: dict[str, dict[str, str]] = {}
        self._lines: dict[str, int] = {}
        self._twice: dict[str, str] = {}
        for line, cells, problem in table.lines():
            if line <= table.begins:
                continue
            if problem:
                self.damaged.append((line, problem))
                continue
            row = {what: cells[index] for what, index in table.form.items()}
            number = as_code(PurePosixPath(row.pop("number").replace("\\", "/")).name).removesuffix(".jpg")
            if self._values.setdefault(number, row) != row:
                self._twice[number] = f"lines {self._lines[number]} and {line} of {self.path.name} differ"
            self._lines.setdefault(number, line)
        self.without_image = set(self._values)

    def value(self, number: str, suffix: str) -> str | None:
        """Return the value of an annotation as text, or None where there is none.

        Raises:
            ValueError: Two lines have one.
        """
        if number in self._twice:
            raise ValueError(self._twice[number])
        return self._values.get(number, {}).get(suffix)

    def affect(self, number: str, what: str, suffix: str) -> tuple[float, values.Remarks]:
        """Return `what`, valence or arousal, as `jaxfer.data.reading.affectnet_values.affect` does."""
        return values.affect(what, self.value(number, suffix))

    def landmarks(self, number: str) -> None:
        """Return None: there are none."""


LAYOUT = Layout(
    "AffectNet, March 2021",
    "train_set and val_set, each with images and annotations",
    _find,
    _read,
    AFFECTNET_2021,
    near=_near,
)
