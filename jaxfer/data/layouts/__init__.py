"""The layouts of labelled faces that jaxfer reads, and how it tells which of them a folder has.

A new layout is a file or package beside this one, with a `LAYOUT`, and its name in `LAYOUTS`.
"""

from collections.abc import Collection, Iterator
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
    splits_apart,
    yolo,
)
from jaxfer.data.reading.folder import LINK, Folder, Reach, is_image, leads_up, leaves, peek
from jaxfer.data.reading.names import how_to_declare
from jaxfer.data.reading.record import Apart, Layout, Match, ReadOptions, Record, Split
from jaxfer.emotions import declared
from jaxfer.errors import UserError

__all__ = ["LAYOUTS", "Layout", "Match", "ReadOptions", "Record", "detect", "detect_apart"]

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

    Of splits that lie elsewhere, by the options, it is found out, too; what is returned reads all of it.

    Subfolders are searched, but not those of a place that has been recognised.

    Args:
        path: The folder or file.
        options: What the layout will be read with: where they name a table, that is the layout; what they declare words
            to mean counts in telling classes.

    Raises:
        UserError: There is nothing at `path`, nothing in it, nothing that jaxfer knows, or more than one place that it
            could read; the table has no such columns, or names no image there; or places of splits lie in each other.
    """
    options = options or ReadOptions()
    splits_apart.refuse_nesting(path, options.splits_apart)
    found = _detect(path, options)
    apart = [detect_apart(split, options) for split in options.splits_apart]
    return splits_apart.joined(*found, apart) if apart else found


def detect_apart(split: Split, options: ReadOptions) -> Apart:
    """Return the place and the layout of a split that lies elsewhere than the rest of its data.

    Args:
        split: Which one, of `options.splits_apart`.
        options: What the data will be read with.

    Raises:
        UserError: As for `detect`.
    """
    path = options.splits_apart[split]
    return Apart(split, path, *_detect(path, options.apart(path)))


def _detect(path: Path, options: ReadOptions) -> tuple[Layout, Match]:
    if not path.exists():
        raise UserError(f"{path} does not exist: pass the folder that holds the labelled faces")
    within = Reach(path, options.follow_links)
    top = Folder(path.parent, (), (path.name,), within) if path.is_file() else peek(path, within=within)
    if not top.folders and not top.files:
        raise UserError(f"{path} is empty: pass the folder that holds the labelled faces")
    if options.table:
        return labels_csv.LAYOUT, labels_csv.match_of(path, options)
    found, near = _search(top, declared(options.class_names))
    found = _once(found, within)
    if not found:
        raise UserError(_nothing_found(path, top, near))
    stores = _stores(found, within) if len(found) > 1 else {}
    found = [(layout, match) for layout, match in found if match.place not in stores]
    if len(found) > 1:
        raise UserError(_several_found(path, found))
    layout, match = found[0]
    near |= stores
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
            near |= _leaving(folder)
            if not here:
                below += [folder.path / name for name in folder.folders]
        level = [folder for path in below[:BREADTH] if (folder := _try_peek(path, top.within))]
    return found, near


def _once(found: list[tuple[Layout, Match]], within: Reach) -> list[tuple[Layout, Match]]:
    """Return what is found, each place once though links lead there, too."""
    direct = {match.place.resolve() for _, match in found if not _by_link(match.place, within)}
    places: set[tuple[str, Path]] = set()
    kept = []
    for layout, match in found:
        key = layout.name, match.place.resolve()
        if key not in places and not (key[1] in direct and _by_link(match.place, within)):
            places.add(key)
            kept.append((layout, match))
    return kept


def _by_link(place: Path, within: Reach) -> bool:
    inner = place.parts[len(within.root.parts) :] if place.is_relative_to(within.root) else ()
    return place.resolve() != within.root.resolve().joinpath(*inner)


def _leaving(folder: Folder) -> dict[Path, str]:
    """Return what is no image but a link that is not followed, and so might have been data."""
    paths = [folder.path / name for name in (*folder.folders, *folder.files) if not is_image(name)]
    left = [path for path in paths if path.is_symlink() and leaves(path, folder.within)]
    names = [_inner(path, folder.within) for path in left]
    if not names:
        return {}
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
    verb = f"is a {LINK}" if len(names) == 1 else "are links out of the folder"
    return {folder.path: f"{shown} {verb}, and not followed (--follow-links)"}


def _stores(found: list[tuple[Layout, Match]], within: Reach) -> dict[Path, str]:
    """Return the places in which others keep some of their folders, by links, with a sentence that says so."""
    stores = {}
    for _, match in found:
        for link in _linked(match.place):
            led = link.resolve()
            for _, other in found:
                if other.place != match.place and led.is_relative_to(other.place.resolve()):
                    names = _inner(other.place, within), _inner(link, within)
                    stores[other.place] = f"{names[0]} is read as far as {names[1]} and other links lead there"
    return stores if len(stores) < len({match.place for _, match in found}) else {}


def _inner(path: Path, within: Reach) -> str:
    """Return a path from what was passed on: what notes say may be read by others."""
    return path.relative_to(within.root).as_posix() if path.is_relative_to(within.root) else path.name


def _linked(place: Path) -> Iterator[Path]:
    """Yield the links to folders in a place and in its folders: its splits and classes."""
    for folder in (place, *(place / name for name in peek(place).folders)) if place.is_dir() else ():
        yield from (folder / name for name in peek(folder).folders if (folder / name).is_symlink())


def _matches(layout: Layout, folder: Folder, named: Collection[str]) -> list[Match]:
    return layout.find_named(folder, named) if layout.find_named else layout.find(folder)


def _try_peek(path: Path, within: Reach) -> Folder | None:
    """Peek into a folder unless it may not be read, or is a link that is not followed or leads to one above it."""
    try:
        if path.is_symlink() and (leaves(path, within) or leads_up(path)):
            return None
        return peek(path, within=within)
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
    tables = labels_csv.unknown(top)
    if tables:
        advice += f" {tables}."
    what = "is no file that jaxfer reads" if path.is_file() else f"has no data that jaxfer reads, only {shown}"
    if near or tables:
        return f"{path} {what}.{advice}" + "".join(f" {sentence}." for sentence in near.values())
    known = "".join(f"\n  {layout.name}: {layout.looks_like}" for layout in LAYOUTS)
    return f"{path} {what}.{advice} It looked for:{known}"


def _several_found(path: Path, found: list[tuple[Layout, Match]]) -> str:
    shown = "".join(f"\n  {layout.name}: {match.place} {match.evidence}" for layout, match in found[:5])
    more = f"\n  and {len(found) - 5} more" if len(found) > 5 else ""
    return f"{path} holds several data sets. Pass the path of the one you mean, or move the others away:{shown}{more}"
