"""Find the lists of AffectNet's release of 2017 and the folders of their images, however copies spell and nest them."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxfer.data.layouts.affectnet2017.annotation_list import Row, is_list, rows
from jaxfer.data.reading.folder import Folder, Reach, exists, leads_up, leaves, peek
from jaxfer.data.reading.image_tree import inside
from jaxfer.data.reading.record import Split
from jaxfer.errors import UserError

DEPTH = 3
"""How many levels below a folder its lists and images are searched."""

BREADTH = 256
"""How many folders of one level are searched."""

PROBES = 256
"""How many rows of a list are held against a folder: where images are unpacked in part, few of them have a file."""

SPLIT_WORDS: dict[str, Split] = {"train": "train", "auto": "train", "val": "val"}
"""What the names of lists hold, in lower case, and the split that this means."""


@dataclass(frozen=True)
class Source:
    """A list of faces.

    Attributes:
        split: What the faces may be used for, None where its name does not say it.
        images: The folder from which its paths start.
    """

    path: Path
    split: Split | None
    images: Path


@dataclass(frozen=True)
class Found:
    """The lists in a folder.

    Attributes:
        sources: Those to read.
        left: Those that are not, each with the reason, a clause whose subject is the list.
        apart: The folders of their images.
    """

    sources: list[Source]
    left: dict[Path, str]
    apart: list[Path]


def search(folder: Folder) -> Found:
    """Return the lists in a folder: to be read are those of people's labels, or else automatic ones, with images.

    A list of which no image is there belongs to the folder of another of its kind.

    Raises:
        UserError: There are two lists of one split, or a list cannot be read.
    """
    folders = list(_below(folder))
    lists = [path for below in folders for path in _lists(below, folder.within)]
    automatic = [path for path in lists if "auto" in path.relative_to(folder.path).as_posix().lower()]
    by_people = [path for path in lists if path not in automatic]
    if sources := _sources(by_people, folders):
        left = dict.fromkeys(automatic, "is labelled by a program")
        apart = [source.images for source in _sources(automatic, folders)]
    else:
        sources = _sources(automatic, folders)
        left, apart = dict.fromkeys(by_people, "names images that are not there"), []
    _refuse_rivals(sources, folder)
    return Found(sources, left, apart)


def _refuse_rivals(sources: list[Source], folder: Folder) -> None:
    for one, other in itertools.combinations(sources, 2):
        if one.split and one.split == other.split:
            raise UserError(
                f"{folder.path} holds several lists of {one.split} faces, {one.path} and {other.path}: pass the folder "
                "of the one you mean, or move the other away"
            )


def _below(top: Folder) -> Iterator[Folder]:
    """Yield a folder and those below it, level by level, but not numbered ones: they hold images and nothing else."""
    yield top
    level = [top]
    for _ in range(DEPTH):
        paths = [folder.path / name for folder in level for name in folder.folders if not name.isdecimal()]
        level = [folder for path in paths[:BREADTH] if (folder := _try_peek(path, top))]
        yield from level


def _try_peek(path: Path, top: Folder) -> Folder | None:
    """Peek into a folder unless it may not be read, or is a link to one that is searched anyway."""
    try:
        searched = path.is_symlink() and (leads_up(path) or not leaves(path, Reach(top.path)))
        return None if searched else peek(path, within=top.within)
    except UserError:
        return None


def _lists(folder: Folder, within: Reach) -> list[Path]:
    paths = [folder.path / name for name in folder.files if name.lower().endswith(".csv")]
    return [path for path in paths if path.is_file() and not leaves(path, within) and is_list(path)]


def _sources(lists: Sequence[Path], folders: Sequence[Folder]) -> list[Source]:
    images = {path: _images(path, folders) for path in lists}
    other = next(filter(None, images.values()), None)
    return [Source(path, _split(path), images[path] or other) for path in lists] if other else []


def _split(path: Path) -> Split | None:
    name = path.name.lower()
    splits: set[Split] = {split for word, split in SPLIT_WORDS.items() if word in name}
    return splits.pop() if len(splits) == 1 else None


def _images(path: Path, folders: Sequence[Folder]) -> Path | None:
    """Return the folder below which most of a list's first images lie, None where there is none."""
    first = [inside(row.path) for row in itertools.islice(rows(path), PROBES) if isinstance(row, Row)]
    found = {folder.path: sum(exists(folder.path / image) for image in first if image) for folder in folders}
    best = max(found, key=lambda folder: found[folder])
    return best if found[best] else None
