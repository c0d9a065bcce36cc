"""FER+: the faces of FER2013 with Microsoft's `fer2013new.csv` beside them, whose labels are people's votes.

Its columns are Usage, Image name and the ten of `jaxfer.data.layouts.fer2013.votes`; its rows are those of
`fer2013.csv`, in the same order. The label is what most people chose, contempt among it; faces without a majority are
left out.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from jaxfer.data.layouts.fer2013.csv_file import USAGES
from jaxfer.data.layouts.fer2013.reader import FER_PLUS, find_faces, has_votes, records
from jaxfer.data.layouts.fer2013.votes import CHOICES, agrees, counted, expression_votes, label_of, refuse_others
from jaxfer.data.reading.folder import Folder, peek
from jaxfer.data.reading.record import (
    UNKNOWN_SPLIT,
    UNLABELLED,
    UNREADABLE,
    Layout,
    Match,
    ReadOptions,
    Record,
    by_split,
)
from jaxfer.data.reading.table import column_name, open_table
from jaxfer.errors import UserError

HEADER = ("Usage", "Image name", *CHOICES)
"""The names of the columns."""

LONGEST = 4096
"""Characters that a line may have: of a longer one the votes do not count."""

Votes = tuple[int, str, list[int] | None]
"""The number of a line, its Usage, and the votes for each of `CHOICES`; None where the line does not say them."""


def _find(folder: Folder) -> list[Match]:
    if not has_votes(folder):
        return []
    # Passed alone, the file stands for the images beside it.
    beside = peek(folder.path, within=folder.within) if folder.files == (FER_PLUS,) else folder
    return [Match(match.place, f"{match.evidence}, and {FER_PLUS} stands beside it") for match in find_faces(beside)]


def _read(path: Path, options: ReadOptions) -> Iterator[Record]:
    votes_path = path.parent / FER_PLUS
    faces, votes = records(path), _votes(votes_path)
    if len(faces) != len(votes):
        raise UserError(
            f"{votes_path} has {len(votes)} rows, but {path.name} has {len(faces)}: "
            f"pass the whole fer2013.csv, or move {FER_PLUS} away to read it with FER2013's own labels"
        )
    for face, (line, usage, _) in zip(faces, votes, strict=True):
        if face.split and usage in USAGES and usage != face.split_name:
            raise UserError(
                f"{votes_path} line {line} is of {usage}, but {face.name} of {face.split_name}: "
                f"the rows of both files have to be in their original order, so copy them again"
            )
    found = [_relabelled(face, row) for face, row in zip(faces, votes, strict=True)]
    refuse_others(str(votes_path), found)
    yield from by_split(found)


def _relabelled(face: Record, row: Votes) -> Record:
    if face.left_out in (UNREADABLE, UNKNOWN_SPLIT):
        return face
    line, _, counts = row
    where = f"{FER_PLUS} line {line}"
    if counts is None:
        detail = f"{where} is damaged"
        return replace(face, label="", left_out=UNLABELLED, detail=detail, votes=None, answers=None, agrees=None)
    same = agrees(face.label, counts)
    label, reason, detail = label_of(counts, where)
    face = replace(face, label=label, left_out=reason, detail=detail or face.detail, agrees=same)
    return replace(face, votes=expression_votes(counts), answers=tuple(counts))


def _votes(path: Path) -> list[Votes]:
    table = open_table(path, LONGEST, _columns)
    if table is None:
        raise UserError(f"{path} does not name its columns: add the header {','.join(HEADER)} as its first line")
    return [_row(number, table.form, values) for number, values, _ in table.lines() if number > table.begins]


def _columns(values: list[str]) -> list[str] | None:
    names = [column_name(value) for value in values]
    return names if {"usage", *map(str.lower, CHOICES)} <= set(names) else None


def _row(number: int, columns: list[str], values: list[str]) -> Votes:
    row = dict(zip(columns, values, strict=False))
    counts = [row.get(name.lower(), "") for name in CHOICES]
    return number, row.get("usage", ""), counted(counts)


def _near(folder: Folder) -> dict[Path, str]:
    path = folder.path / FER_PLUS
    if not has_votes(folder) or _find(folder):
        return {}
    return {
        path: f"{FER_PLUS} has votes of FER+, but neither fer2013.csv, icml_face_data.csv nor fer2013.npz is beside it"
    }


LAYOUT = Layout("FER+", f"{FER_PLUS} beside fer2013.csv, icml_face_data.csv or fer2013.npz", _find, _read, near=_near)
