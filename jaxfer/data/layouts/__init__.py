"""The layouts of labelled faces that jaxfer reads, and how it tells which of them a folder has.

A new layout is a file or package beside this one, with a `LAYOUT`, and its name in `LAYOUTS`.
"""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from jaxfer.data.layouts import (
    affectnet2017,
    affectnet2021,
    class_folders,
    esr,
    expw,
    fer2013,
    flat,
    labels_csv,
    parquet,
    posed,
    prepared,
    raf_db,
    yolo,
)
from jaxfer.data.reading.folder import Folder, peek
from jaxfer.data.reading.names import how_to_declare
from jaxfer.data.reading.record import Layout, Match, ReadOptions, Record
from jaxfer.emotions import declared
from jaxfer.errors import UserError

__all__ = ["LAYOUTS", "Layout", "Match", "ReadOptions", "Record", "detect"]

LAYOUTS = (
    fer2013.FER2013,
    fer2013.FER_PLUS,
    fer2013.FER_PLUS_FOLDERS,
    raf_db.LAYOUT,
    expw.LAYOUT,
    parquet.LAYOUT,
    affectnet2017.LAYOUT,
    affectnet2021.LAYOUT,
    flat.LAYOUT,
    class_folders.LAYOUT,
    labels_csv.LAYOUT,
    yolo.LAYOUT,
    esr.LAYOUT,
    posed.JAFFE,
    posed.KDEF,
    prepared.LAYOUT,
)
"""Every layout that `detect` tries."""

DEPTH = 3
"""How many levels of subfolders are searched: archives unpack into folders such as `archive (3)/AffectNet`."""

BREADTH = 256
"""How many folders of one level are searched; AffectNet's image folders alone are over a thousand."""


def detect(path: Path, options: ReadOptions | None = None) -> tuple[Layout, Match]:
    """Return the layout of the data at `path`, a folder or a single file, and where in it the data lies.

    Subfolders are searched, but not those of a place that has been recognised.

    Args:
        path: The folder or file.
        options: What the layout will be read with: where they name a table, that is the layout; what they declare words
            to mean counts in telling classes.

    Raises:
        UserError: There is nothing at `path`, nothing in it, nothing that jaxfer knows, or more than one place that it
            could read; or the table has no such columns, or names no image there.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist: pass the folder that holds the labelled faces")
    top = Folder(path.parent, (), (path.name,)) if path.is_file() else peek(path)
    if not top.folders and not top.files:
        raise UserError(f"{path} is empty: pass the folder that holds the labelled faces")
    options = options or ReadOptions()
    if options.table:
        return labels_csv.LAYOUT, labels_csv.match_of(path, options)
    found, near = _search(top, declared(options.class_names))
    if not found:
        raise UserError(_nothing_found(path, top, near))
    if len(found) > 1:
        raise UserError(_several_found(path, found))
    layout, match = found[0]
    return layout, replace(match, notes=(*match.notes, *near.values()))


def _search(top: Folder, named: Collection[str]) -> tuple[list[tuple[Layout, Match]], dict[Path, str]]:
    """Return what is found in a folder and below it, and what is nearly in a layout there."""
    found, near = [], {}
    level = [top]
    for _ in range(DEPTH + 1):
        below = []
        for folder in level:
            here = [(layout, match) for layout in LAYOUTS for match in _matches(layout, folder, named)]
            found += here
            for layout in LAYOUTS:
                near |= layout.near(folder)
            if not here:
                below += [folder.path / name for name in folder.folders]
        level = [folder for folder in map(_try_peek, below[:BREADTH]) if folder]
    return found, near


def _matches(layout: Layout, folder: Folder, named: Collection[str]) -> list[Match]:
    return layout.find_named(folder, named) if layout.find_named else layout.find(folder)


def _try_peek(path: Path) -> Folder | None:
    try:
        return None if path.is_symlink() else peek(path)
    except UserError:
        return None


def _nothing_found(path: Path, top: Folder, near: dict[Path, str]) -> str:
    names = [f"{name}/" for name in top.folders] + list(top.files)
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    archives = [name for name in top.files if name.lower().endswith((".zip", ".rar", ".7z", ".tar", ".gz", ".tgz"))]
    advice = f" Unpack {archives[0]} first." if archives else ""
    unknown = class_folders.unknown(top)
    if unknown:
        advice += f" If {', '.join(unknown[:5])} are its classes, {how_to_declare(unknown)}."
    what = "is no file that jaxfer reads" if path.is_file() else f"has no data that jaxfer reads, only {shown}"
    if near:
        return f"{path} {what}.{advice}" + "".join(f" {sentence}." for sentence in near.values())
    known = "".join(f"\n  {layout.name}: {layout.looks_like}" for layout in LAYOUTS)
    return f"{path} {what}.{advice} It looked for:{known}"


def _several_found(path: Path, found: list[tuple[Layout, Match]]) -> str:
    shown = "".join(f"\n  {layout.name}: {match.place} {match.evidence}" for layout, match in found[:5])
    more = f"\n  and {len(found) - 5} more" if len(found) > 5 else ""
    return f"{path} holds several data sets. Pass the path of the one you mean, or move the others away:{shown}{more}"
