"""AffectNet's release of 2017: whole photographs, and csv lists of the faces in them.

    Manually_Annotated_file_lists/training.csv and validation.csv        Manually_Annotated_Images/<n>/<hash>.<ext>
    Automatically_Annotated_file_lists/automatically_annotated.csv       Automatically_Annotated_Images/<n>/<hash>.<ext>

Beside lists of people's labels the automatic one is not read: what is published on AffectNet is about the former.

A record is named by the path of its photograph. For each face more in the same photograph, the line and the list
follow: `Manually_Annotated_Images/1/a.jpg line 7 of training.csv`, in the order validation, training.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

import jaxfer.data.reading.affectnet_values as values
from jaxfer.data.layouts.affectnet2017.annotation_list import BadRow, Row, rows
from jaxfer.data.layouts.affectnet2017.list_search import Source, search
from jaxfer.data.reading.folder import Folder, peek
from jaxfer.data.reading.image_tree import ImageTree
from jaxfer.data.reading.record import SPLITS, UNKNOWN_SPLIT, UNREADABLE, Layout, Match, ReadOptions, Record, astray
from jaxfer.data.releases import AFFECTNET_2017

Box = tuple[float, float, float, float]


def _find(folder: Folder) -> list[Match]:
    found = search(folder)
    lists, images = [source.path for source in found.sources], [source.images for source in found.sources]
    parts = [*images, *found.apart, *(path.parent for path in (*lists, *found.left))]
    # Only the lowest folder that holds all of it is the place: higher ones may hold other data, too.
    if not lists or Path(os.path.commonpath(parts)) != folder.path:
        return []
    left = "".join(f"; {_names([path], folder)} {why} and is not read" for path, why in found.left.items())
    return [Match(folder.path, f"lists faces in {_names(lists, folder)}, of images in {_names(images, folder)}{left}")]


def _names(paths: list[Path], folder: Folder) -> str:
    return " and ".join(dict.fromkeys(path.relative_to(folder.path).as_posix() for path in paths))


def _read(place: Path, options: ReadOptions) -> Iterator[Record]:
    within = options.within(place)
    found = search(peek(place, within=within))
    folders = dict.fromkeys(source.images for source in found.sources)
    trees = {folder: ImageTree(folder, place, within, found.apart) for folder in folders}
    names: set[str] = set()
    codes = values.ExpressionCodes()
    lists = [*(source.path for source in found.sources), *found.left]
    for split in (*SPLITS, None):
        for source in found.sources:
            if source.split == split:
                yield from _read_list(source, place, trees[source.images], names, options, codes)
    codes.refuse_other_count()
    for tree in trees.values():
        for name, reason in tree.unlisted(names, lists):
            names.add(name)
            yield Record(name=name, image=place / name, split=None, left_out=reason)
    yield from astray(place, within, (), below=[*folders, *found.apart])


def _read_list(
    source: Source, place: Path, tree: ImageTree, names: set[str], options: ReadOptions, codes: values.ExpressionCodes
) -> Iterator[Record]:
    """Yield a record for each row of a list, and add its name to `names` and its code to `codes`."""
    list_name = source.path.relative_to(place).as_posix()
    for row in rows(source.path):
        is_bad = isinstance(row, BadRow)
        if not is_bad:
            codes.add_text(row.expression, f"{source.path} line {row.line}")
        file, reason, detail = ("", UNREADABLE, row.reason) if is_bad else tree.find(row.path)
        name = file or f"{list_name} line {row.line}"
        while name in names:
            name += f" line {row.line} of {source.path.name}"
        names.add(name)
        image = place / file if file else source.path
        if reason or is_bad:
            yield _left_out(source, name, image, reason, detail)
        else:
            yield _face(source, name, image, row, options)


def _left_out(source: Source, name: str, image: Path, reason: str, detail: str) -> Record:
    return Record(
        name=name, image=image, split=source.split, split_name=source.path.stem, left_out=reason, detail=detail
    )


def _face(source: Source, name: str, image: Path, row: Row, options: ReadOptions) -> Record:
    label, reason, detail = values.expression(row.expression)
    if reason or not source.split:
        return _left_out(source, name, image, reason or UNKNOWN_SPLIT, detail)
    valence, odd_valence = values.affect("valence", row.valence)
    arousal, odd_arousal = values.affect("arousal", row.arousal)
    box, odd_box = _box(row.box) if row.box else (None, ())
    return Record(
        name=name,
        image=image,
        split=source.split,
        split_name=source.path.stem,
        label=label,
        remarks=odd_box + odd_valence + odd_arousal,
        valence=valence,
        arousal=arousal,
        box=box,
        landmarks=values.landmarks(row.landmarks.split(";")) if options.landmarks and row.landmarks else None,
    )


def _box(texts: tuple[str, str, str, str]) -> tuple[Box | None, values.Remarks]:
    """Return the face's box, or None, which stands for the whole photograph, with a remark on what there is instead."""
    left, top, width, height = map(values.number, texts)
    if width > 0 and height > 0 and all(map(math.isfinite, (left, top, width, height))):
        return (left, top, width, height), ()
    return None, (("box", f"its box is {values.shown(' '.join(texts))}, so that the whole photograph is used"),)


LAYOUT = Layout(
    "AffectNet, 2017",
    "training.csv and validation.csv with the columns subDirectory_filePath and expression, and the images they name",
    _find,
    _read,
    AFFECTNET_2017,
)
