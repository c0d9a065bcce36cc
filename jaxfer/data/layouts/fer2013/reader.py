"""FER2013: 48x48 grayscale faces in one file, the original csv or an npz of its rows, or in a csv for each split.

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
from jaxfer.data.layouts.fer2013.votes import CHOICES, agrees, expression_votes, refuse_others
from jaxfer.data.layouts.fer2013.votes_file import files_of_votes
from jaxfer.data.reading.folder import Folder, leaves, peek, readable
from jaxfer.data.reading.names import Codes, split_named
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


def has_votes(folder: Folder) -> bool:
    """Return whether a folder has FER+'s votes: the layout is another then, `jaxfer.data.layouts.fer2013.fer_plus`."""
    return bool(files_of_votes(folder))


def find_faces(folder: Folder) -> list[Match]:
    """Return the files in a folder that have FER2013's images with their labels and splits."""
    matches = [
        Match(path, "has the columns emotion, pixels and Usage")
        for path, kind in kinds_of(folder).items()
        if kind == "whole"
    ]
    arrays = (path for path in _files(folder, ".npz") if _is_npz(path))
    matches += [Match(path, "has the arrays images, labels and usage") for path in arrays]
    return matches


def kinds_of(folder: Folder) -> dict[Path, csv_file.Kind]:
    """Return the files in a folder that have FER2013's pixels, with what else they have."""
    return {path: kind for path in _files(folder, ".csv") if (kind := csv_file.kind_of(path))}


def _files(folder: Folder, suffix: str) -> list[Path]:
    paths = [folder.path / name for name in folder.files if name.lower().endswith(suffix)]
    return [path for path in paths if path.is_file() and not leaves(path, folder.within)]


def records(path: Path) -> list[Record]:
    """Return the records of a file that `find_faces` found, one a row, in its order.

    Raises:
        UserError: The file is damaged.
    """
    codes = Codes()
    found = [*(_npz_records(path, codes) if path.suffix.lower() == ".npz" else _csv_records(path, codes))]
    codes.refuse_shifted(len(CLASSES))
    refuse_others(str(path), found, found)
    return found


def _find(folder: Folder) -> list[Match]:
    if has_votes(folder):
        return []
    if whole := find_faces(folder):
        return whole
    plain = _without_usage(folder)
    if len(plain) > 1 and all(split_named(path.stem) for path in plain):
        return [
            Match(folder.path, f"has the columns emotion and pixels in {' and '.join(path.name for path in plain)}")
        ]
    return [Match(path, "has the columns emotion and pixels") for path in plain]


def _without_usage(folder: Folder) -> list[Path]:
    """Return the files of a folder whose names alone may say their splits."""
    return [path for path, kind in kinds_of(folder).items() if kind == "without Usage"]


def _near(folder: Folder) -> dict[Path, str]:
    others = {path: kind for path, kind in kinds_of(folder).items() if kind != "whole"}
    used = find_faces(folder) if others else []
    alone = len(folder.files) == 1
    return {path: said for path in _files(folder, ".npz") if (said := _lacking(path, alone=alone))} | {
        path: f"{path.name} has no column emotion, and is not used"
        if kind == "without labels"
        else f"{path.name} has no column Usage, and is not used beside {used[0].place.name}"
        for path, kind in others.items()
        if kind == "without labels" or used
    }


def _read(place: Path, options: ReadOptions) -> Iterator[Record]:
    paths = _without_usage(peek(place, within=options.within(place))) if place.is_dir() else [place]
    yield from by_split(record for path in paths for record in records(path))


def _csv_records(path: Path, codes: Codes) -> Iterator[Record]:
    """Yield the records of a csv, and note their codes."""
    for row in csv_file.rows(path):
        name = f"{path.name} line {row.line}"
        if row.code is not None:
            codes.add(row.code, f"{path} line {row.line}")
        if row.image is None:
            yield Record(name=name, image=path, split=None, left_out=UNREADABLE, detail=row.damage)
        elif row.usage is None:
            yield _record(name, row.image, row.code, path.stem if split_named(path.stem) else "train")
        else:
            yield _record(name, row.image, row.code, row.usage)


def _record(
    name: str, image: np.ndarray, code: int | None, usage: str, answers: tuple[int, ...] | None = None
) -> Record:
    split = split_named(usage)
    if split is None:
        return Record(name=name, image=image, split=None, left_out=UNKNOWN_SPLIT)
    label = CLASSES[code] if code is not None and 0 <= code < len(CLASSES) else ""
    return Record(
        name=name,
        image=image,
        split=split,
        split_name=usage,
        label=label,
        left_out="" if label else UNLABELLED,
        votes=expression_votes(answers) if answers else None,
        answers=answers,
        agrees=agrees(label, answers) if label and answers else None,
    )


def _is_npz(path: Path) -> bool:
    try:
        with readable(path), opened_npz(path) as arrays:
            return arrays.keys() >= set(_ARRAYS)
    except UserError:
        raise
    except Exception as error:
        if path.name.lower().startswith("fer2013"):
            raise UserError(f"{path} is not a whole npz file ({error}): download or copy it again") from error
        return False


_ARRAYS = {
    "images": "images",
    "labels": "labels (the codes of the csv)",
    "usage": "usage (0 Training, 1 PublicTest, 2 PrivateTest)",
}
"""The arrays that an npz has to have, and what each is called where it is missing."""


def _lacking(path: Path, *, alone: bool) -> str:
    """Return what an npz lacks that has images, or what is wrong with one that lies alone; "" of any other file."""
    try:
        with readable(path), opened_npz(path) as arrays:
            missing = [words for name, words in _ARRAYS.items() if name not in arrays]
            found = "images" in arrays and missing
            return f"{path.name} has images and no array {', nor '.join(missing)}, and is not used" if found else ""
    except Exception as error:
        return f"{path.name} is not a whole npz file ({error})" if alone else ""


def _npz_records(path: Path, codes: Codes) -> Iterator[Record]:
    """Yield the records of an npz, and note their codes."""
    try:
        with opened_npz(path) as arrays:
            images, labels, usages = (arrays[key] for key in _ARRAYS)
            counts = arrays.get("ferplus_votes")
    except Exception as error:
        raise UserError(
            f"{path} cannot be read ({error}): its arrays have to be numbers; download or copy it again"
        ) from error
    shapes_fit = images.shape[1:] == (SIDE, SIDE) and labels.shape == usages.shape == images.shape[:1]
    if not (shapes_fit and images.dtype == np.uint8 and labels.dtype.kind in "iu" and usages.dtype.kind in "iu"):
        raise UserError(
            f"{path} is not FER2013: images is {images.dtype} {images.shape}, labels {labels.dtype} {labels.shape}, "
            f"usage {usages.dtype} {usages.shape}, but uint8 [n, {SIDE}, {SIDE}] and two integers [n] are expected"
        )
    answers = [None] * len(images) if counts is None else _npz_answers(path, counts, len(images))
    for code, row, count in zip(*np.unique(labels, return_index=True, return_counts=True), strict=True):
        codes.add(int(code), f"{path} row {row}", int(count))
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


LAYOUT = Layout(
    "FER2013",
    "fer2013.csv, icml_face_data.csv or fer2013.npz, or a csv of emotion and pixels",
    _find,
    _read,
    releases.FER2013,
    near=_near,
)
