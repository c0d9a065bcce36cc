"""Look at folders of any size: a peek at the names in them, their files in a stable order, links that leave them."""

import errno
import itertools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jaxfer.errors import UserError

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif"),
    *(".ppm", ".pgm", ".pnm"),
)
"""Files whose names end so, in any case, count as images; what they really hold is seen when they are decoded."""

LARGEST_IMAGE = 2**29
"""Bytes that an image may have as a file: Pillow refuses more pixels than fit into it, and compression only helps."""

PEEK = 4096
"""How many entries of a folder are looked at to tell its layout: folders of 300,000 images exist."""

DEEPEST = 64
"""How many folders may lie in each other: the time that the system takes for a path grows with their number."""

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

    Raises:
        UserError: The folder may not be read.
    """
    folders, files = [], []
    with readable(path), os.scandir(path) as entries:
        for entry in itertools.islice(entries, limit):
            if not _hidden(entry.name):
                (folders if _is_folder(entry) else files).append(entry.name)
    return Folder(path, tuple(sorted(folders, key=natural)), tuple(sorted(files, key=natural)))


def tree(top: Path) -> Iterator[Path]:
    """Yield a folder and every folder below it that is not hidden, in natural order.

    Folders that links below it lead to are among them, but not what lies below those: links may go in circles.

    Raises:
        UserError: A folder may not be read, or more than `DEEPEST` lie in each other.
    """
    ahead = [top]
    while ahead:
        folder = ahead.pop()
        refuse_depth(folder, top)
        yield folder
        if folder == top or not folder.is_symlink():
            with readable(folder), os.scandir(folder) as entries:
                names = [entry.name for entry in entries if _is_folder(entry) and not _hidden(entry.name)]
            ahead += [folder / name for name in sorted(names, key=natural, reverse=True)]


def refuse_depth(folder: Path, top: Path) -> None:
    """Check that a folder does not lie too deep in another one.

    Raises:
        UserError: More than `DEEPEST` folders lie in each other.
    """
    parts = folder.parts[len(top.parts) :]
    if len(parts) > DEEPEST:
        start = top.joinpath(*parts[:3])
        raise UserError(f"{start} has folders in each other, more than {DEEPEST} deep: move them away")


def is_image(name: str) -> bool:
    """Return whether a file of this name counts as an image."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not _hidden(name)


def images(folder: Path, root: Path) -> Iterator[tuple[Path, str]]:
    """Yield each image directly in `folder`, in natural order, with `LINK` where it is one that leaves `root`, else "".

    A folder that itself lies outside of `root`, by a link, is yielded in place of its images.
    """
    return files(folder, root, IMAGE_SUFFIXES)


def files(folder: Path, root: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    """Yield what lies directly in a folder and has certain suffixes, as `images` does.

    Args:
        folder: Where to look.
        root: The data's own folder: links may not leave it.
        suffixes: What names end in, in lower case; those of the files may have any case.

    Raises:
        UserError: The folder may not be read.
    """
    root = root.resolve()
    if _leaves(folder, root):
        yield folder, LINK
        return
    names, links = [], set()
    with readable(folder), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.lower().endswith(suffixes) and not _hidden(entry.name):
                names.append(entry.name)
                if entry.is_symlink():
                    links.add(entry.name)
    names.sort(key=natural)
    for name in names:
        path = folder / name
        yield path, LINK if name in links and _leaves(path, root) else ""


def other_files(folder: Path, root: Path) -> Iterator[Path]:
    """Yield each file directly in a folder of images whose name is no image's, in natural order.

    None where the folder lies outside of `root`, by a link, and none of what systems leave in folders.

    Raises:
        UserError: The folder may not be read.
    """
    if leaves(folder, root):
        return
    with readable(folder), os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not (_hidden(entry.name) or _is_folder(entry))]
    yield from (folder / name for name in sorted(names, key=natural) if not is_image(name))


def leaves(path: Path, root: Path) -> bool:
    """Return whether a path lies outside of `root` once links are followed, or leads nowhere because they circle."""
    return _leaves(path, root.resolve())


def exists(path: Path) -> bool:
    """Return whether there is anything at a path, however long its names are."""
    try:
        return path.exists()
    except OSError:  # a name longer than a file's can be
        return False


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Tell in a sentence why `path` cannot be read.

    Raises:
        UserError: The work within raises `OSError`.
    """
    try:
        yield
    except PermissionError as error:
        raise UserError(f"{path} cannot be read: you lack the permission") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}): put it right, or move it away") from error


def _leaves(path: Path, resolved_root: Path) -> bool:
    try:
        real = path.resolve(strict=True)
    except RuntimeError:  # what Python 3.11 and 3.12 raise for links in a circle
        return True
    except OSError as error:
        if error.errno == errno.ELOOP:
            return True
        real = path.resolve()
    return not real.is_relative_to(resolved_root)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or into a folder that may not be read
        return False


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in JUNK


JUNK = frozenset(
    {
        *("__MACOSX", "@eaDir", "#recycle", "#snapshot", "$RECYCLE.BIN", "System Volume Information", "lost+found"),
        *("Thumbs.db", "ehthumbs.db", "desktop.ini", "Desktop.ini", "Icon\r"),
    }
)
"""What systems and storage leave among one's own: macOS and its archives, Synology, Windows and Linux."""
