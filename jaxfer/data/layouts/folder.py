"""Look at folders of any size: a peek at the names in them, their images in a stable order, links that leave them."""

import itertools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jaxfer.errors import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")
"""Files whose names end so, in any case, count as images; what they really hold is seen when they are decoded."""

PEEK = 4096
"""How many entries of a folder are looked at to tell its layout: folders of 300,000 images exist."""

LINK = "link out of the folder"
"""The reason to leave out what a symbolic link brings in from outside of the data."""


@dataclass(frozen=True)
class Folder:
    """Names in a folder that are not hidden, in natural order: `folders` are its subfolders, `files` all else."""

    path: Path
    folders: tuple[str, ...]
    files: tuple[str, ...]


def natural(name: str) -> tuple[list[str | int], str]:
    """Return the key that sorts names as people do.

    >>> sorted(["10.jpg", "2.jpg", "b", "1.jpg"], key=natural)
    ['1.jpg', '2.jpg', '10.jpg', 'b']
    """
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], name


def peek(path: Path, limit: int | None = PEEK) -> Folder:
    """Return the first `limit` names in a folder, or all; a link counts as what it points to.

    Raises `UserError` for a folder that may not be read.
    """
    folders, files = [], []
    with permission(path), os.scandir(path) as entries:
        for entry in itertools.islice(entries, limit):
            if not _hidden(entry.name):
                (folders if entry.is_dir() else files).append(entry.name)
    return Folder(path, tuple(sorted(folders, key=natural)), tuple(sorted(files, key=natural)))


def is_image(name: str) -> bool:
    """Return whether a file of this name counts as an image."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not _hidden(name)


def images(folder: Path, root: Path) -> Iterator[tuple[Path, str]]:
    """Yield each image directly in `folder`, in natural order, with `LINK` where it is one that leaves `root`, else "".

    A folder that itself lies outside of `root`, by a link, is yielded in place of its images.
    """
    root = root.resolve()
    if not folder.resolve().is_relative_to(root):
        yield folder, LINK
        return
    with permission(folder):
        paths = [path for path in folder.iterdir() if is_image(path.name)]
    for path in sorted(paths, key=lambda path: natural(path.name)):
        leaves = path.is_symlink() and not path.resolve().is_relative_to(root)
        yield path, LINK if leaves else ""


@contextmanager
def permission(path: Path) -> Iterator[None]:
    """Turn a missing permission to read `path` into a `UserError`."""
    try:
        yield
    except PermissionError as error:
        raise UserError(f"{path} cannot be read: you lack the permission") from error


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
