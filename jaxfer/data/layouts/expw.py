"""ExpW, Expression in the Wild: photographs, and one list with a line for each face in them.

    label/label.lst         lines such as `angry_actor_104.jpg 0 28 113 226 141 22.9362 0`
    image/origin/<photograph>

The values are the photograph, the number of the face in it, the top, left, right and bottom edges of its box in pixels,
the detector's confidence, and the class in FER2013's order. There are no splits.
http://mmlab.ie.cuhk.edu.hk/projects/socialrelation/index.html

A record is named by the path of its photograph. For each face more in the same photograph, the line and the list
follow: `image/origin/a.jpg line 7 of label.lst`.
"""

import math
import posixpath
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from jaxfer.data.reading.affectnet_values import number, shown
from jaxfer.data.reading.folder import Folder, Reach, leaves, natural, readable
from jaxfer.data.reading.image_tree import ImageTree
from jaxfer.data.reading.names import Codes, as_code, is_code
from jaxfer.data.reading.record import MISSING, UNLABELLED, UNREADABLE, Layout, Match, ReadOptions, Record
from jaxfer.emotions import FER2013
from jaxfer.errors import UserError
from jaxfer.files import lines, opened_text

LIST = "label.lst"
"""The name of the list."""

LIST_FOLDER = "label"
"""The folder that the authors keep it in."""

PHOTOGRAPHS = "origin"
"""The folder of the photographs, where there are other images of the same names, too."""

CLASSES = {str(code): name for code, name in enumerate(FER2013)}
"""The class that each code means."""

LONGEST = 4096
"""Characters that a line may have: a longer one is no row."""

FIRST = 16
"""Lines that are looked at to tell the list: some of them may be damaged."""


class Row(NamedTuple):
    """A line of the list: its number, from 1, the name of the photograph, the box and the code of the class, as text.

    Attributes:
        edges: Top, left, right and bottom; None, and name and code empty, in a line of another form.
    """

    line: int
    file: str = ""
    edges: tuple[str, ...] | None = None
    code: str = ""


def _find(folder: Folder) -> list[Match]:
    if LIST_FOLDER not in folder.folders and LIST not in folder.files:
        return []
    place = folder.path.resolve()
    place = place.parent if place.name == LIST_FOLDER else folder.path
    path = _list(place, folder.within_of(place))
    if path is None or not any(row.edges for row in islice(_rows(path), FIRST)):
        return []
    return [Match(place, f"has the list {path.relative_to(place).as_posix()}")]


def _list(place: Path, within: Reach) -> Path | None:
    paths = (place / LIST_FOLDER / LIST, place / LIST)
    return next((path for path in paths if path.is_file() and not leaves(path, within)), None)


def _rows(path: Path) -> Iterator[Row]:
    with readable(path), opened_text(path, "surrogateescape") as file:
        for line, text in enumerate(lines(file, LONGEST), start=1):
            if not text.strip():
                continue
            # From the right: names may have spaces.
            values = text.strip().rsplit(maxsplit=7) if len(text) <= LONGEST else []
            yield Row(line, values[0], tuple(values[2:6]), as_code(values[7])) if len(values) == 8 else Row(line)


def _read(place: Path, options: ReadOptions) -> Iterator[Record]:
    within = options.within(place)
    path = _list(place, within)
    if path is None:
        raise UserError(f"{place} has no {LIST} any more: it was changed while it was read")
    tree = ImageTree(place, place, within)
    photographs = _photographs(tree)
    named: set[str] = set()
    rows = [*_rows(path)]
    codes = Codes()
    for row in rows:
        if is_code(row.code):
            codes.add(int(row.code), f"{path} line {row.line}")
    codes.refuse_shifted(len(CLASSES))
    for row in rows:
        found = photographs.get(row.file, ())
        name, reason, detail = tree.find(found[0] if found else row.file) if row.edges else ("", UNREADABLE, "")
        if not row.edges:
            detail = "not a photograph, the number of a face, its box, a confidence and a code"
        elif len(found) > 1:
            reason, detail = MISSING, f"{len(found)} images are called {row.file}, such as {found[0]} and {found[1]}"
        line = f"line {row.line} of {path.name}"
        own = name if name and name not in named else f"{name} {line}".strip()
        named |= {own, name}
        yield _record(own, place / name if name else path, row, reason, detail)
    for name, reason in tree.unlisted(named, [path]):
        if name in photographs.get(posixpath.basename(name), [name]):  # other images of the same names are no faces
            yield Record(name=name, image=place / name, split=None, left_out=reason)


def _photographs(tree: ImageTree) -> dict[str, list[str]]:
    """Return the images of each name, only those in a folder of photographs where there are some."""
    names: dict[str, list[str]] = {}
    for name in sorted(tree.images(), key=natural):
        names.setdefault(posixpath.basename(name), []).append(name)
    for file, found in names.items():
        names[file] = [name for name in found if PHOTOGRAPHS in Path(name).parts] or found
    return names


def _record(name: str, image: Path, row: Row, reason: str, detail: str) -> Record:
    top, left, right, bottom = map(number, row.edges or [""] * 4)
    box = (left, top, right - left, bottom - top)
    if not reason and not (all(map(math.isfinite, box)) and box[2] > 0 and box[3] > 0):
        # Not the whole photograph instead: other faces may be in it.
        reason, detail = UNLABELLED, f"the edges of its box are {shown(' '.join(row.edges or ()))}"
    if not reason and row.code not in CLASSES:
        reason, detail = UNLABELLED, f"line {row.line} has the code {shown(row.code)}, which is none of 0 to 6"
    return Record(
        name=name,
        image=image,
        split="train",
        split_name="train",
        label="" if reason else CLASSES[row.code],
        left_out=reason,
        detail=detail,
        box=None if reason else box,
    )


LAYOUT = Layout("ExpW", f"{LIST_FOLDER}/{LIST}, with the photographs it names in image/{PHOTOGRAPHS}", _find, _read)
