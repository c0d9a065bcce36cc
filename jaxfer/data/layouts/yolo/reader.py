"""YOLO's format: images, a text file with the boxes of each, and the names of the classes in `data.yaml`.

    data.yaml                   names: [anger, contempt, ...], a list or a mapping from index to name
    <split>/images/<name>.jpg   <split>/labels/<name>.txt       or images/<split>/ and labels/<split>/

Each line of a text file is `class cx cy w h`: an index into the names, and the box's middle, width and height as
shares of the upright image's. Each line is a face of its own. Paths in data.yaml are not looked at.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from jaxfer.data.layouts.yolo.class_names import class_names
from jaxfer.data.reading.folder import LARGEST_IMAGE, Folder, Reach, files, images, leaves, other_files, peek
from jaxfer.data.reading.names import Codes, meanings, refuse_misspelled, refuse_unknown, split_named
from jaxfer.data.reading.record import (
    MISSING,
    NOT_IMAGE,
    OTHER_CLASS,
    SPLITS,
    UNLABELLED,
    Layout,
    Match,
    ReadOptions,
    Record,
    Split,
    astray,
)
from jaxfer.files import opened, read_bytes

YAML = "data.yaml"

NO_LABELS = "classes.txt"
"""A file that labelling programs put among the labels."""

LARGEST = 2**20
"""Bytes of a label file: a line for each of the faces in a photograph has 40."""

ORIENTATION = 0x0112
"""The EXIF tag of an image's orientation."""

TURNED = (5, 6, 7, 8)
"""EXIF orientations of images whose width and height change places when they are turned upright."""


class Part(NamedTuple):
    """One split: its name, and the folders of its images and their labels."""

    name: str
    split: Split
    images: Path
    labels: Path


def _find(folder: Folder) -> list[Match]:
    parts = _parts(folder)
    complete = any(part.images.is_dir() and part.labels.is_dir() for part in parts)
    if not complete or YAML not in folder.files or leaves(folder.path / YAML, folder.within):
        return []
    return [Match(folder.path, f"has {YAML}, and images and labels in {', '.join(part.name for part in parts)}")]


def _parts(folder: Folder) -> list[Part]:
    """Return the splits in the order of `SPLITS`."""
    top = folder.path
    places = [(name, top / name / "images", top / name / "labels") for name in folder.folders]
    if {"images", "labels"} <= set(folder.folders):
        inner = dict.fromkeys(peek(top / "images").folders + peek(top / "labels").folders)
        places += [(name, top / "images" / name, top / "labels" / name) for name in inner]
    parts = [Part(name, split, *paths) for name, *paths in places if (split := split_named(name))]
    parts = [part for part in parts if part.images.is_dir() or part.labels.is_dir()]
    return sorted(parts, key=lambda part: SPLITS.index(part.split))


def _read(place: Path, options: ReadOptions) -> Iterator[Record]:
    names = class_names(place / YAML)
    meaning = meanings(names.values(), options, place / YAML)
    refuse_unknown({f"class {name!r} in {place / YAML}": name for name in names.values()}, meaning)
    classes = {index: meaning[name] for index, name in names.items()}
    top = peek(place, limit=None)
    refuse_misspelled(top)
    if "images" in top.folders:
        refuse_misspelled(peek(place / "images"))
    codes, parts = Codes(), _parts(top)
    for part in parts:
        yield from _read_part(part, place, options.within(place), classes, codes)
    codes.refuse_shifted(len(classes))
    yield from astray(place, options.within(place), {part.images for part in parts})


def _read_part(part: Part, place: Path, within: Reach, classes: dict[int, str], codes: Codes) -> Iterator[Record]:
    """Yield the records of a split, and note their codes."""
    texts = files(part.labels, within, (".txt",)) if part.labels.is_dir() else ()
    labels = {path.stem: (path, link) for path, link in texts if path.name != NO_LABELS}
    known = set()
    for path, link in images(part.images, within) if part.images.is_dir() else ():
        known.add(path.stem)
        record = _record(part, place, path)
        text, text_link = labels.get(path.stem, (None, ""))
        if link or text_link:
            yield replace(record, left_out=link or text_link)
        elif not text:
            yield replace(record, left_out=UNLABELLED, detail="it has no label file")
        else:
            yield from _faces(record, path, text, classes, codes)
    for path in other_files(part.images, within) if part.images.is_dir() else ():
        yield replace(_record(part, place, path), left_out=NOT_IMAGE)
    for stem, (text, link) in labels.items():
        if stem not in known:
            yield replace(_record(part, place, text), left_out=link or MISSING)


def _record(part: Part, place: Path, path: Path) -> Record:
    name = path.relative_to(place).as_posix()
    return Record(name=name, image=path, split=part.split, split_name=part.name)


def _faces(record: Record, image: Path, text: Path, classes: dict[int, str], codes: Codes) -> Iterator[Record]:
    """Yield a record for each line of a label file, or one that says why there is none."""
    try:
        written = read_bytes(text, LARGEST).decode("utf-8-sig", errors="replace")
        lines = [line for line in written.splitlines() if line.strip()]
        problem = "" if lines else "its label file is empty"
    except OSError as error:
        lines, problem = [], f"its label file cannot be read ({error.strerror})"
    if problem:
        yield replace(record, left_out=UNLABELLED, detail=problem)
    size = cache(partial(_upright_size, image))
    for number, line in enumerate(lines, start=1):
        face = record if number == 1 else replace(record, name=f"{record.name} box {number}")
        values = _numbers(line)
        if values and values[0].is_integer():
            codes.add(int(values[0]), f"{text} line {number}")
        if not values:
            problem = f"line {number} of its label file is not `class cx cy w h`"
            yield replace(face, left_out=UNLABELLED, detail=problem)
        elif values[0] not in classes:
            yield replace(face, left_out=UNLABELLED, detail=f"{YAML} has no class {values[0]:g}")
        elif not classes[int(values[0])]:
            yield replace(face, left_out=OTHER_CLASS)
        else:
            yield _boxed(replace(face, label=classes[int(values[0])]), values[1:], size)


def _numbers(line: str) -> list[float] | None:
    """Return the five numbers of a line, None if they are not."""
    try:
        values = [float(value) for value in line.split()]
    except ValueError:
        return None
    return values if len(values) == 5 else None


def _boxed(record: Record, shares: list[float], size: Callable[[], tuple[int, int] | None]) -> Record:
    """Return the record with its box, or without if the shares are out of range or nobody can tell of what."""
    middle_x, middle_y, box_width, box_height = shares
    if not (all(0 <= share <= 1 for share in shares) and box_width and box_height):
        text = " ".join(f"{share:g}" for share in shares)
        return replace(record, remarks=(("box", f"its box {text} is no part of the image, and the whole is used"),))
    if not (upright := size()):
        return record
    width, height = upright
    left, top = (middle_x - box_width / 2) * width, (middle_y - box_height / 2) * height
    return replace(record, box=(left, top, box_width * width, box_height * height))


def _upright_size(path: Path) -> tuple[int, int] | None:
    """Return an image's width and height, in pixels, once it is upright; None where its header cannot be read."""
    # Imported here because that room imports this one, and so that all else does without Pillow.
    from PIL import Image

    from jaxfer.data.reading.images import FORMATS, quiet_pillow

    try:
        with quiet_pillow(), opened(path, LARGEST_IMAGE) as file, Image.open(file, formats=FORMATS) as picture:
            width, height = picture.size
            # Pillow may have to read all of an image for its orientation, which a square one does not need.
            turned = width != height and picture.getexif().get(ORIENTATION) in TURNED
    except Exception:  # Decoding it will say what is wrong.
        return None
    return (height, width) if turned else (width, height)


def _near(folder: Folder) -> dict[Path, str]:
    complete = [part.name for part in _parts(folder) if part.images.is_dir() and part.labels.is_dir()]
    if not complete or YAML in folder.files:
        return {}
    return {
        folder.path / YAML: f"{complete[0]} has images and labels as YOLO has them, but no {YAML} names the classes"
    }


LAYOUT = Layout(
    "YOLO",
    "data.yaml, with images and labels in <split>/ or images/<split> and labels/<split>",
    _find,
    _read,
    near=_near,
)
