"""Folders of images with their labels in a csv: the Kaggle copy `noamsegal/affectnet-training-data` of AffectNet.

    labels.csv      columns pth and label, among others, such as: 6,anger/image0000006.jpg,sad,0.79
    <word>/<image>

The folders are another labelling: where the two disagree the csv counts, and the record says so. Labels are words, or
digits whose order the user declares. Everything is training data, unless a path starts with the name of a split.

Where several rows for one file agree, the first counts; where they do not, none does.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from jaxfer.data.layouts.labels_csv.table import NAME, Columns, Row, columns_of, rows_of
from jaxfer.data.reading.affectnet_values import shown
from jaxfer.data.reading.folder import Folder, exists, leaves, natural
from jaxfer.data.reading.image_tree import ImageTree, inside
from jaxfer.data.reading.names import meanings, split_named
from jaxfer.data.reading.record import (
    OTHER_CLASS,
    SPLITS,
    UNLABELLED,
    UNREADABLE,
    Kind,
    Layout,
    Match,
    ReadOptions,
    Record,
    Split,
)
from jaxfer.emotions import from_word
from jaxfer.errors import UserError

LOOKED_AT = 200
"""About how many rows, spread over the csv, are looked at to tell whether it belongs to the files beside it."""

FEW = 0.1
"""The share of those rows, at most, whose files are there where the csv is of another copy of the data."""


class File(NamedTuple):
    """A file that rows name: why it cannot be used, or "", the detail, and those rows."""

    reason: str
    detail: str
    rows: list[Row]


def why_not(folder: Folder) -> str:
    """Return why the labels of a folder's csv are not those of the files beside it, as a clause; "" without a csv."""
    clauses = []
    for path in _csvs(folder):
        if columns := columns_of(path):
            here, looked = _belonging(path, columns)
            clauses.append(f"; {path.name} is of another copy: of {looked} rows looked at, {here} name a file in it")
    return "".join(clauses)


def refuse_unknown(folder: Folder) -> None:
    """Refuse a `labels.csv` of which nobody can tell what it says.

    Raises:
        UserError: The folder has one that is not empty, but its columns are not known.
    """
    for path in _csvs(folder):
        if path.name.lower() == NAME and not columns_of(path) and path.stat().st_size:
            raise UserError(
                f"{path} has no columns pth and label, so that nobody can tell whether its labels count or the names "
                "of the folders: name its columns, or move it out of the data"
            )


def _find(folder: Folder) -> list[Match]:
    matches = []
    for path in _csvs(folder):
        if columns := columns_of(path):
            here, looked = _belonging(path, columns)
            if here > FEW * looked:
                matches.append(Match(path, "has paths and labels of images beside it"))
    return matches


def _csvs(folder: Folder) -> list[Path]:
    paths = [folder.path / name for name in folder.files if name.lower().endswith(".csv")]
    return [path for path in paths if path.is_file() and not leaves(path, folder.path)]


def _belonging(path: Path, columns: Columns) -> tuple[int, int]:
    """Return how many rows name a file that is there, and how many were looked at."""
    paths = [row.path for row in rows_of(path, columns) if not row.problem]
    plain = [inside(one) for one in paths[:: 1 + len(paths) // LOOKED_AT]]
    return sum(bool(one) and exists(path.parent / one) for one in plain), len(plain)


def _read(path: Path, options: ReadOptions) -> Iterator[Record]:
    columns = columns_of(path)
    if not columns:
        raise UserError(f"{path} has no columns pth and label any more: it was changed while it was read")
    tree = ImageTree(path.parent, path.parent)
    files: dict[str, File] = {}
    for row in rows_of(path, columns):
        name, reason, detail = ("", UNREADABLE, row.problem) if row.problem else tree.find(row.path)
        if name:
            files.setdefault(name, File(reason, detail, [])).rows.append(row)
        else:
            yield Record(name=_line(path, row), image=path, split=None, left_out=reason, detail=detail)
    words = {row.label for file in files.values() for row in file.rows}
    meaning = meanings(words, options, path)
    names = sorted(files, key=natural)
    for split in SPLITS:
        for name in names:
            if _split(name)[0] == split:
                yield from _records(path, name, files[name], meaning)
    for name, reason in tree.unlisted(files):
        yield Record(name=name, image=path.parent / name, split=None, left_out=reason)


def _records(path: Path, name: str, file: File, meaning: dict[str, str]) -> Iterator[Record]:
    """Yield a record for a file and its first row, and one for each further row."""
    split, split_name = _split(name)
    label, reason, detail = ("", file.reason, file.detail) if file.reason else _label(file.rows, meaning)
    record = Record(name=name, image=path.parent / name, split=split, split_name=split_name)
    remarks = _conflict(path, name, label, meaning)
    yield replace(record, label=label, left_out=reason, detail=detail, remarks=remarks)
    first, *others = file.rows
    for row in others:
        why = detail or f"it names {shown(row.path)} again, as line {first.line} does"
        yield replace(record, name=_line(path, row), left_out=reason or UNLABELLED, detail=why)


def _label(rows: list[Row], meaning: dict[str, str]) -> tuple[str, str, str]:
    """Return the class that rows give a file, or "", then the reason to leave it out and the detail, or "" twice."""
    if len({meaning.get(row.label, row.label) for row in rows}) > 1:
        said = ", ".join(f"line {row.line} says {shown(row.label)}" for row in rows[:5])
        return "", UNLABELLED, f"its lines disagree: {said}"
    word = rows[0].label
    if word not in meaning:
        return "", UNLABELLED, f"its label is {shown(word)}, which is no expression"
    return meaning[word], "" if meaning[word] else OTHER_CLASS, ""


def _conflict(path: Path, name: str, label: str, meaning: dict[str, str]) -> tuple[tuple[Kind, str], ...]:
    """Return the remark that the file's folder is named after another class than its row, if that is so."""
    folder = Path(name).parent.name
    other = from_word(folder) or meaning.get(folder)
    if label and other and other != label:
        return (("label_conflict", f"{path.name} says {label}, its folder {other}"),)
    return ()


def _split(name: str) -> tuple[Split, str]:
    """Return the split of a file, and the folder that says so or `train`."""
    folder = name.partition("/")[0]
    split = split_named(folder)
    return (split, folder) if split else ("train", "train")


def _line(path: Path, row: Row) -> str:
    return f"{path.name} line {row.line}"


LAYOUT = Layout("labels.csv", "labels.csv with the columns pth and label, beside the images", _find, _read)
