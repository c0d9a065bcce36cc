"""FER+: the faces of FER2013 with Microsoft's `fer2013new.csv` beside them, whose labels are people's votes.

Its rows are those of `fer2013.csv`, in the same order. The label is what most people chose, contempt among it; faces
without a majority are left out.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from jaxfer.data.layouts.fer2013.csv_file import USAGES
from jaxfer.data.layouts.fer2013.reader import find_faces, has_votes, kinds_of, records
from jaxfer.data.layouts.fer2013.votes import agrees, expression_votes, label_of, refuse_others
from jaxfer.data.layouts.fer2013.votes_file import NAME, Votes, files_of_votes, votes_in
from jaxfer.data.reading.folder import Folder, peek
from jaxfer.data.reading.names import split_named
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
from jaxfer.errors import UserError


def _find(folder: Folder) -> list[Match]:
    votes = files_of_votes(folder)
    if not votes:
        return []
    # Passed alone, the file stands for the images beside it.
    alone = folder.files in [(path.name,) for path in votes]
    beside = peek(folder.path, within=folder.within) if alone else folder
    return [
        Match(match.place, f"{match.evidence}, and {votes[0].name} stands beside it") for match in find_faces(beside)
    ]


def _read(path: Path, options: ReadOptions) -> Iterator[Record]:
    votes_path = _only(files_of_votes(peek(path.parent, within=options.within(path))))
    faces, votes = records(path), votes_in(votes_path)
    if len(faces) != len(votes):
        raise UserError(
            f"{votes_path} has {len(votes)} rows, but {path.name} has {len(faces)}: pass both whole, as they were "
            f"published, or move {votes_path.name} away to read {path.name} with FER2013's own labels"
        )
    for face, (line, usage, _) in zip(faces, votes, strict=True):
        if face.split and usage in USAGES and split_named(usage) != face.split:
            raise UserError(
                f"{votes_path} line {line} is of {usage}, but {face.name} of {face.split_name}: "
                f"the rows of both files have to be in their original order, so copy them again"
            )
    found = [_relabelled(face, row, votes_path.name) for face, row in zip(faces, votes, strict=True)]
    refuse_others(str(votes_path), faces, found)
    yield from by_split(found)


def _only(paths: list[Path]) -> Path:
    if len(paths) > 1:
        others = " and ".join(path.name for path in paths[1:])
        raise UserError(f"{paths[0]} has votes of FER+, and so has {others}: move all but one of them away")
    return paths[0]


def _relabelled(face: Record, row: Votes, file: str) -> Record:
    if face.left_out in (UNREADABLE, UNKNOWN_SPLIT):
        return face
    where = f"{file} line {row.line}"
    if row.counts is None:
        detail = f"{where} is damaged"
        return replace(face, label="", left_out=UNLABELLED, detail=detail, votes=None, answers=None, agrees=None)
    same = agrees(face.label, row.counts)
    label, reason, detail = label_of(row.counts, where)
    face = replace(face, label=label, left_out=reason, detail=detail or face.detail, agrees=same)
    return replace(face, votes=expression_votes(row.counts), answers=tuple(row.counts))


def _near(folder: Folder) -> dict[Path, str]:
    if not has_votes(folder):
        faces = find_faces(folder)
        below = [path for name in folder.folders if faces for path in _below(folder, name)]
        why = f"is not used, since it is not beside {faces[0].place.name}" if faces else ""
        return {path: f"{path.parent.name}/{path.name} has votes of FER+, and {why}" for path in below}
    if _find(folder):
        return {}
    (path, *_), without = files_of_votes(folder), next(iter(kinds_of(folder).items()), None)
    if without:
        other, kind = without
        lacks = "emotion" if kind == "without labels" else "Usage"
        return {path: f"{path.name} has votes of FER+, but {other.name} beside it has no column {lacks}"}
    return {
        path: f"{path.name} has votes of FER+, but neither fer2013.csv, icml_face_data.csv nor fer2013.npz is beside it"
    }


def _below(folder: Folder, name: str) -> list[Path]:
    try:
        return files_of_votes(peek(folder.path / name, within=folder.within))
    except UserError:  # a folder or file that may not be read is none of this data
        return []


LAYOUT = Layout("FER+", f"{NAME} beside fer2013.csv, icml_face_data.csv or fer2013.npz", _find, _read, near=_near)
