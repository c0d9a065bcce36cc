"""RAF-DB's basic expressions: one list of image names and classes, and the images, aligned or as they were found.

    basic/EmoLabel/list_patition_label.txt      lines such as `train_00001.jpg 5` (the spelling is the authors')
    basic/Image/aligned/train_00001_aligned.jpg
    basic/Image/original/train_00001.jpg

Copies with the list beside the images, or above their folders, are read too. Where there are aligned images, all others
are passed over, and so is a second image of the same name: photographs and aligned faces are never mixed.
http://www.whdeng.cn/RAF/model1.html
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from jaxfer.data import releases
from jaxfer.data.reading.folder import LINK, Folder, Reach, images, leaves, other_files, readable, tree
from jaxfer.data.reading.image_tree import ALIGNED
from jaxfer.data.reading.names import Codes, is_code
from jaxfer.data.reading.record import (
    MISSING,
    NOT_IMAGE,
    SPLITS,
    UNKNOWN_SPLIT,
    UNLABELLED,
    UNLISTED,
    Layout,
    Match,
    ReadOptions,
    Record,
    Split,
    by_split,
)
from jaxfer.emotions import RAF_DB
from jaxfer.errors import UserError
from jaxfer.files import lines, opened_text

LISTS = ("list_patition_label.txt", "list_partition_label.txt")
"""Names of the list."""

LIST_FOLDER = "EmoLabel"
"""The folder that the authors keep it in."""

CLASSES = dict(zip("1234567", RAF_DB, strict=True))
"""The class that each label means."""

COMPOUND = {"8", "9", "10", "11"}
"""Labels of the list of the same name for compound expressions, whose others mean mixtures of two classes, too."""

_LINE = re.compile(r"(\S.*\.\w+)\s+(\S+)")
"""A name with its suffix, and one label. Lists of two values a line are about: the label is not always the last."""

LONGEST = 4096
"""Characters that a line may have: a longer one has no label."""


class Row(NamedTuple):
    """A line of the list: its number, from 1, the image's name, and its label, "" in a line of another form."""

    line: int
    file: str
    label: str


Faces = dict[str, tuple[Path, str]]
"""Images by the stem of their name in the list, with `LINK` for those that leave the data, else ""."""


def _find(folder: Folder) -> list[Match]:
    if LIST_FOLDER not in folder.folders and not set(LISTS) & set(folder.files):
        return []
    place = folder.path.resolve()
    place = place.parent if place.name == LIST_FOLDER else folder.path
    path = _list(place, folder.within_of(place))
    if path is None or {row.label for row in _rows(path)} >= COMPOUND:
        return []
    return [Match(place, f"has the list {path.relative_to(place).as_posix()}")]


def _read(place: Path, options: ReadOptions) -> Iterator[Record]:
    within = options.within(place)
    path = _list(place, within)
    if path is None:
        raise UserError(f"{place} has no {LISTS[0]}: pass the folder that has it, or the one that has {LIST_FOLDER}")
    rows_of: defaultdict[str, list[Row]] = defaultdict(list)
    for row in _rows(path):
        rows_of[_stem(_plain(row.file))].append(row)
    labelled = [row for rows in rows_of.values() for row in rows if row.label]
    _refuse_other_forms(path, labelled, rows_of)
    codes = Codes()
    for row in labelled:
        if is_code(row.label):
            codes.add(int(row.label), f"{path} line {row.line}")
    codes.refuse_shifted(len(CLASSES), first=1)
    faces = _faces(place, within)
    records = [record for stem, rows in rows_of.items() for record in _records(place, path, rows, faces.get(stem))]
    yield from by_split(records)
    for stem, (image, link) in faces.items():
        if stem not in rows_of:
            name = image.relative_to(place).as_posix()
            yield Record(name=name, image=image, split=None, left_out=link or UNLISTED)
    for folder in dict.fromkeys(image.parent for image, _ in faces.values()):
        for other in other_files(folder, within):
            if other != path:
                name = other.relative_to(place).as_posix()
                yield Record(name=name, image=other, split=None, left_out=NOT_IMAGE)


def _refuse_other_forms(path: Path, labelled: list[Row], rows_of: dict[str, list[Row]]) -> None:
    """Refuse a list of which no line has the format's form: what its values mean is not known."""
    if rows_of and not labelled:
        row = min((rows[0] for rows in rows_of.values()), key=lambda row: row.line)
        raise UserError(
            f"no line of {path} is a name and one label, as all of RAF-DB's own list are, such as line {row.line}, "
            f"which begins with {row.file!r:.60}: leave these two in each line, or say which of its values they are "
            "(--table, --image-column, --label-column)"
        )


def _list(place: Path, within: Reach) -> Path | None:
    paths = [place / folder / name for folder in (LIST_FOLDER, "") for name in LISTS]
    return next((path for path in paths if path.is_file() and not leaves(path, within)), None)


def _rows(path: Path) -> Iterator[Row]:
    with readable(path), opened_text(path, "replace") as file:
        for number, text in enumerate(lines(file, LONGEST), start=1):
            if text.strip():
                form = _LINE.fullmatch(text.strip()) if len(text) <= LONGEST else None
                yield Row(number, *form.groups()) if form else Row(number, text.split()[0], "")


def _plain(file: str) -> PurePosixPath:
    return PurePosixPath(file.replace("\\", "/"))


def _stem(path: Path | PurePosixPath) -> str:
    return path.stem.removesuffix(ALIGNED)


def _faces(place: Path, within: Reach) -> Faces:
    """Return all aligned images below `place`, or all others where there are none."""
    aligned: Faces = {}
    others: Faces = {}
    for folder in tree(place, within):
        for path, link in images(folder, within):
            is_aligned = path.stem.endswith(ALIGNED) or "aligned" in folder.name.lower()
            (aligned if is_aligned else others).setdefault(_stem(path), (path, link))
    return aligned or others


def _records(place: Path, path: Path, rows: list[Row], face: tuple[Path, str] | None) -> Iterator[Record]:
    """Yield the record of an image, given all lines that name it, and one for each line that repeats the first."""
    first, *others = rows
    split: Split | None = next((split for split in SPLITS if _stem(_plain(first.file)).lower().startswith(split)), None)
    left_out, detail = _objection(rows)
    if face is None:
        left_out, detail = left_out or MISSING, detail or f"there is no image of {first.file}"
    image, link = face or (path, "")
    left_out = left_out or link or ("" if split else UNKNOWN_SPLIT)
    yield Record(
        name=image.relative_to(place).as_posix() if face else f"{path.name} line {first.line}",
        image=image,
        split=split,
        split_name=split or "",
        label="" if left_out else CLASSES[first.label],
        left_out=left_out,
        detail=detail,
    )
    for row in others:
        name, detail = f"{path.name} line {row.line}", f"it names {row.file} again, as line {first.line} does"
        yield Record(name=name, image=path, split=split, split_name=split or "", left_out=UNLABELLED, detail=detail)


def _objection(rows: list[Row]) -> tuple[str, str]:
    """Return why the lines that name an image do not give it a class, and the detail, or twice ""."""
    first = rows[0]
    plain = _plain(first.file)
    if plain.is_absolute() or ".." in plain.parts:
        return LINK, f"line {first.line} names {first.file}"
    if len({row.label for row in rows}) > 1:
        return UNLABELLED, f"lines {', '.join(str(row.line) for row in rows)} give it different labels"
    if not first.label:
        return UNLABELLED, f"line {first.line} is no name and one label"
    if first.label not in CLASSES:
        return UNLABELLED, f"line {first.line} has the label {first.label!r}, which is none of 1 to 7"
    return "", ""


def _near(folder: Folder) -> dict[Path, str]:
    aligned = folder.path / "Image" / "aligned"
    if _list(folder.path, folder.within) or not aligned.is_dir():
        return {}
    return {aligned: f"Image/aligned is as RAF-DB has it, but its labels, {LIST_FOLDER}/{LISTS[0]}, are not there"}


LAYOUT = Layout(
    "RAF-DB", f"{LISTS[0]} of basic expressions, with its images", _find, _read, releases.RAF_DB, near=_near
)
