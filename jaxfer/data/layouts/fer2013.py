"""FER2013: 48x48 grayscale faces in one file, the original csv or an npz of its rows.

The csv files are `fer2013.csv` (columns emotion, pixels, Usage) and `icml_face_data.csv` (emotion, Usage, pixels, with
a space before the last two). The npz has `images` uint8 [n, 48, 48], `labels` [n] with the csv's codes, and `usage`
[n] with 0 Training, 1 PublicTest, 2 PrivateTest.
"""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile

from jaxfer.data.layouts.folder import Folder, permission
from jaxfer.data.layouts.record import UNKNOWN_SPLIT, UNLABELLED, UNREADABLE, Layout, Match, ReadOptions, Record
from jaxfer.emotions import FER2013 as CLASSES
from jaxfer.errors import UserError

SIDE = 48
"""Height and width of every image, in pixels."""

CODES = (b"0", b"1", b"2", b"3", b"4", b"5", b"6")
"""The csv's codes of the classes, in their order."""

USAGES = ("Training", "PublicTest", "PrivateTest")
"""The data's names of its splits, in the order of the npz's codes."""

SPLITS = ("train", "val", "test")
"""What these splits are used for: scores on PrivateTest are only blind as long as nothing is selected on it."""


def _find(folder: Folder) -> list[Match]:
    matches = []
    for name in folder.files:
        path = folder.path / name
        if name.lower().endswith(".npz") and _is_npz(path):
            matches.append(Match(path, "has the arrays images, labels and usage"))
        if name.lower().endswith(".csv") and _is_csv(path):
            matches.append(Match(path, "has the columns emotion, pixels and Usage"))
    return matches


def _read(path: Path, options: ReadOptions) -> Iterator[Record]:
    return _read_npz(path) if path.suffix.lower() == ".npz" else _read_csv(path)


def _is_npz(path: Path) -> bool:
    try:
        with path.open("rb") as file, NpzFile(file, allow_pickle=False) as arrays:
            return {"images", "labels", "usage"} <= set(arrays.files)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        if path.name.lower().startswith("fer2013"):
            raise UserError(f"{path} is not a whole npz file ({error}): download or copy it again") from error
        return False


def _read_npz(path: Path) -> Iterator[Record]:
    try:
        with path.open("rb") as file, NpzFile(file, allow_pickle=False) as arrays:
            images, labels, usages = (arrays[key] for key in ("images", "labels", "usage"))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}): download or copy it again") from error
    shapes_fit = images.shape == (len(images), SIDE, SIDE) and labels.shape == usages.shape == (len(images),)
    if not (shapes_fit and images.dtype == np.uint8 and labels.dtype.kind in "iu" and usages.dtype.kind in "iu"):
        raise UserError(
            f"{path} is not FER2013: images is {images.dtype} {images.shape}, labels {labels.dtype} {labels.shape}, "
            f"usage {usages.dtype} {usages.shape}, but uint8 [n, {SIDE}, {SIDE}] and two integers [n] are expected"
        )
    for row, (image, label, usage) in enumerate(zip(images, labels.tolist(), usages.tolist(), strict=True)):
        yield _record(f"{path.name} row {row}", image, label, usage)


def _record(name: str, image: np.ndarray, label: int, usage: int) -> Record:
    if usage not in range(len(USAGES)):
        return Record(name=name, image=image, split=None, left_out=UNKNOWN_SPLIT)
    known = label in range(len(CLASSES))
    return Record(
        name=name,
        image=image,
        split=SPLITS[usage],
        split_name=USAGES[usage],
        label=CLASSES[label] if known else "",
        left_out="" if known else UNLABELLED,
    )


def _columns(line: bytes) -> list[str]:
    """Return the names in the csv's first line, in lower case, without a byte order mark, spaces and quotes."""
    return [name.strip(' "').lower() for name in line.decode("utf-8-sig", errors="replace").strip().split(",")]


def _is_csv(path: Path) -> bool:
    with permission(path), path.open("rb") as file:
        return {"emotion", "pixels", "usage"} <= set(_columns(file.readline(1000)))


def _read_csv(path: Path) -> Iterator[Record]:
    with path.open("rb") as lines:
        columns = _columns(next(lines))
        for number, line in enumerate(lines, start=2):
            # No value holds a comma, so lines are rows even where a quote is missing: damage stays within its line.
            values = [value.strip(b' "') for value in line.strip().split(b",")]
            name = f"{path.name} line {number}"
            if len(values) != len(columns):
                if line.strip():
                    yield _unreadable(path, name, f"{len(values)} values rather than {len(columns)}")
                continue
            row = dict(zip(columns, values, strict=True))
            image = _pixels(row["pixels"])
            if image is None:
                yield _unreadable(path, name, f"its pixels are not {SIDE * SIDE} numbers from 0 to 255")
                continue
            label = int(row["emotion"]) if row["emotion"] in CODES else -1
            usage = row["usage"].decode(errors="replace")
            yield _record(name, image, label, USAGES.index(usage) if usage in USAGES else -1)


def _unreadable(path: Path, name: str, detail: str) -> Record:
    return Record(name=name, image=path, split=None, left_out=UNREADABLE, detail=detail)


def _pixels(text: bytes) -> np.ndarray | None:
    """Return the uint8 [48, 48] image that numbers separated by single spaces spell, or None if they do not."""
    if text.translate(None, b"0123456789 ") or text.count(b" ") != SIDE * SIDE - 1:
        return None
    values = np.fromstring(text, np.int64, sep=" ")
    if values.size != SIDE * SIDE or values.max() > 255:
        return None
    return values.astype(np.uint8).reshape(SIDE, SIDE)


LAYOUT = Layout("FER2013", "fer2013.csv, icml_face_data.csv or fer2013.npz", _find, _read)
