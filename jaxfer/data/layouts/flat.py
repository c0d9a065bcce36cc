"""One flat folder of images whose names carry split and class: the Kaggle copy `ngothienphu/affectnet` of AffectNet.

`train` or `val` occurs in the name. Split at `_`, the last character of part 11, counted from 0, is the class k from 1
to 7: AffectNet's code plus one. No document states that order; it was inferred from published results.
"""

from collections.abc import Iterator
from pathlib import Path

from jaxfer.data.reading.folder import Folder, Reach, images, is_image, other_files
from jaxfer.data.reading.names import Codes, is_code
from jaxfer.data.reading.record import (
    NOT_IMAGE,
    UNKNOWN_SPLIT,
    UNLABELLED,
    Layout,
    Match,
    ReadOptions,
    Record,
    Split,
    astray,
    by_split,
)
from jaxfer.emotions import AFFECTNET_7

CLASSES = dict(zip("1234567", AFFECTNET_7, strict=True))
"""The class that each character means."""


def _find(folder: Folder) -> list[Match]:
    names = [name for name in folder.files if is_image(name)]
    fitting = [name for name in names if _split(name) and _label(name)]
    if 2 * len(fitting) <= len(names):
        return []
    return [Match(folder.path, f"has images whose names carry split and class, such as {fitting[0]}")]


def _read(place: Path, options: ReadOptions) -> Iterator[Record]:
    _refuse_shifted(place, options.within(place))
    yield from by_split(_records(place, options.within(place)))
    yield from astray(place, options.within(place), {place})


def _refuse_shifted(place: Path, within: Reach) -> None:
    codes = Codes()
    for path, _ in images(place, within):
        if is_code(_code(path.name)):
            codes.add(int(_code(path.name)), f"the name of {path}")
    codes.refuse_shifted(len(CLASSES), first=1)


def _records(place: Path, within: Reach) -> Iterator[Record]:
    for path, left_out in images(place, within):
        split, label = _split(path.name), _label(path.name)
        yield Record(
            name=path.name,
            image=path,
            split=split,
            split_name=split or "",
            label=label,
            left_out=left_out or ("" if split else UNKNOWN_SPLIT) or ("" if label else UNLABELLED),
        )

    for path in other_files(place, within):
        yield Record(name=path.name, image=path, split=None, left_out=NOT_IMAGE)


def _split(name: str) -> Split | None:
    return "train" if "train" in name else "val" if "val" in name else None


def _label(name: str) -> str:
    return CLASSES.get(_code(name), "")


def _code(name: str) -> str:
    parts = Path(name).stem.split("_")
    return parts[11][-1:] if len(parts) > 11 else ""


LAYOUT = Layout("flat folder", "images whose names carry train or val, and the class in part 11", _find, _read)
