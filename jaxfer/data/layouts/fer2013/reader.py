"""FER2013: 48x48 grayscale faces in one file, the original csv or an npz of its rows.

The npz has `images` uint8 [n, 48, 48], `labels` [n] with the csv's codes, and `usage` [n] with 0 Training,
1 PublicTest, 2 PrivateTest; `ferplus_votes` [n, 10], where it has them, are the votes of FER+.

The label is FER2013's own, also where there are votes.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxfer.data import releases
from jaxfer.data.layouts.fer2013 import csv_file
from jaxfer.data.layouts.fer2013.csv_file import SIDE, USAGES
from jaxfer.data.layouts.fer2013.votes import CHOICES, expression_votes, refuse_others
from jaxfer.data.reading.folder import Folder, readable
from jaxfer.data.reading.npz import opened_npz
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
from jaxfer.emotions import FER2013 as CLASSES
from jaxfer.errors import UserError

SPLIT_OF = dict(zip(USAGES, ("train", "val", "test"), strict=True))
"""What the data's own splits are used for: scores on PrivateTest are blind only while nothing is selected on it."""

FER_PLUS = "fer2013new.csv"
"""The name of the file with FER+'s votes; beside it, the layout is another: `jaxfer.data.layouts.fer2013.fer_plus`."""


def find_faces(folder: Folder) -> list[Match]:
    """Return the files in a folder that have FER2013's images."""
    matches = []
    for path in (folder.path / name for name in folder.files):
        suffix = path.suffix.lower()
        if suffix == ".npz" and path.is_file() and _is_npz(path):
            matches.append(Match(path, "has the arrays images, labels and usage"))
        if suffix == ".csv" and path.is_file() and csv_file.is_csv(path):
            matches.append(Match(path, "has the columns emotion, pixels and Usage"))
    return matches


def records(path: Path) -> list[Record]:
    """Return the records of a file that `find_faces` found, one a row, in its order.

    Raises:
        UserError: The file is damaged.
    """
    found = list(_npz_records(path) if path.suffix.lower() == ".npz" else _csv_records(path))
    refuse_others(str(path), ((one.split_name, one.label, one.answers) for one in found if one.label and one.answers))
    return found


def _find(folder: Folder) -> list[Match]:
    return [] if (folder.path / FER_PLUS).is_file() else find_faces(folder)


def _read(path: Path, options: ReadOptions) -> Iterator[Record]:
    yield from by_split(records(path))


def _csv_records(path: Path) -> Iterator[Record]:
    for row in csv_file.rows(path):
        name = f"{path.name} line {row.line}"
        if row.image is None:
            yield Record(name=name, image=path, split=None, left_out=UNREADABLE, detail=row.damage)
        else:
            yield _record(name, row.image, row.code, row.usage)


def _record(name: str, image: np.ndarray, code: int, usage: str, answers: tuple[int, ...] | None = None) -> Record:
    if usage not in SPLIT_OF:
        return Record(name=name, image=image, split=None, left_out=UNKNOWN_SPLIT)
    known = code in range(len(CLASSES))
    return Record(
        name=name,
        image=image,
        split=SPLIT_OF[usage],
        split_name=usage,
        label=CLASSES[code] if known else "",
        left_out="" if known else UNLABELLED,
        votes=expression_votes(answers) if answers else None,
        answers=answers,
    )


def _is_npz(path: Path) -> bool:
    try:
        with readable(path), opened_npz(path) as arrays:
            return {"images", "labels", "usage"} <= arrays.keys()
    except UserError:
        raise
    except Exception as error:
        if path.name.lower().startswith("fer2013"):
            raise UserError(f"{path} is not a whole npz file ({error}): download or copy it again") from error
        return False


def _npz_records(path: Path) -> Iterator[Record]:
    try:
        with opened_npz(path) as arrays:
            images, labels, usages = (arrays[key] for key in ("images", "labels", "usage"))
            counts = arrays.get("ferplus_votes")
    except Exception as error:
        raise UserError(f"{path} cannot be read ({error}): download or copy it again") from error
    shapes_fit = images.shape[1:] == (SIDE, SIDE) and labels.shape == usages.shape == images.shape[:1]
    if not (shapes_fit and images.dtype == np.uint8 and labels.dtype.kind in "iu" and usages.dtype.kind in "iu"):
        raise UserError(
            f"{path} is not FER2013: images is {images.dtype} {images.shape}, labels {labels.dtype} {labels.shape}, "
            f"usage {usages.dtype} {usages.shape}, but uint8 [n, {SIDE}, {SIDE}] and two integers [n] are expected"
        )
    answers = [None] * len(images) if counts is None else _npz_answers(path, counts, len(images))
    for row, (image, code, usage) in enumerate(zip(images, labels.tolist(), usages.tolist(), strict=True)):
        usage_name = USAGES[usage] if usage in range(len(USAGES)) else ""
        yield _record(f"{path.name} row {row}", image, code, usage_name, answers[row])


def _npz_answers(path: Path, counts: np.ndarray, rows: int) -> list[tuple[int, ...]]:
    if counts.shape != (rows, len(CHOICES)) or counts.dtype.kind not in "iu" or (counts < 0).any():
        raise UserError(
            f"{path} has no votes of FER+ in ferplus_votes, {counts.dtype} {counts.shape}: counts, integers "
            f"[{rows}, {len(CHOICES)}], are expected; correct that array, or save the file without it"
        )
    return [tuple(row) for row in counts.tolist()]


LAYOUT = Layout("FER2013", "fer2013.csv, icml_face_data.csv or fer2013.npz", _find, _read, releases.FER2013)
