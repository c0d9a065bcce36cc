"""Look at folders of any size: a peek at the names in them, their files in a stable order, and how far links lead."""

import errno
import itertools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
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
class Reach:
    """How far symbolic links are followed: as far as they stay in a folder or, where somebody says so, anywhere.

    Attributes:
        root: That folder: the one that was passed, in which the data may lie deeper. Or a file, which may itself be a
            link and stands for its folder.
        anywhere: Whether links that leave it are followed, too.
    """

    root: Path
    anywhere: bool = False

    @cached_property
    def real(self) -> Path:
        """The folder once links are followed."""
        return (self.root if self.root.is_dir() else self.root.parent).resolve()

    def refuse_leaving(self, path: Path) -> None:
        """Refuse a file that the data cannot do without.

        Raises:
            UserError: It leaves the folder by a link.
        """
        if leaves(path, self):
            raise UserError(
                f"{path} is a link out of {self.root}: put the file itself there, or have such links followed "
                "(--follow-links)"
            )


@dataclass(frozen=True)
class Folder:
    """Names in a folder that are not hidden, in natural order: `folders` are its subfolders, `files` all else.

    Attributes:
        within: How far links are followed of those in it and below it.
    """

    path: Path
    folders: tuple[str, ...]
    files: tuple[str, ...]
    within: Reach

    def within_of(self, place: Path) -> Reach:
        """Return how far links at a place are followed, which is this folder or one above all that was passed."""
        return self.within if place == self.path else Reach(place, self.within.anywhere)


def natural(name: str) -> tuple[list[str | int], str]:
    """Return the key that sorts names as people do.

    >>> sorted(["10.jpg", "2.jpg", "b", "1.jpg"], key=natural)
    ['1.jpg', '2.jpg', '10.jpg', 'b']
    """
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], name


def peek(path: Path, limit: int | None = PEEK, within: Reach | None = None) -> Folder:
    """Return the first `limit` names in a folder, or all; a link counts as what it points to.

    Args:
        path: The folder.
        limit: How many names are looked at; None for all.
        within: How far links are followed; by default as far as they stay in this folder.

    Raises:
        UserError: The folder may not be read.
    """
    folders, files = [], []
    with readable(path), os.scandir(path) as entries:
        for entry in itertools.islice(entries, limit):
            if not is_hidden(entry.name):
                (folders if _is_folder(entry) else files).append(entry.name)
    within = within or Reach(path)
    return Folder(path, tuple(sorted(folders, key=natural)), tuple(sorted(files, key=natural)), within)


def tree(top: Path, within: Reach) -> Iterator[Path]:
    """Yield a folder and every folder below it that is not hidden, in natural order.

    Folders that links below it lead to are among them. What lies below those is, too, unless they leave `within`, or
    it is yielded without the link, or was before: links may go in circles.

    Raises:
        UserError: A folder may not be read, or more than `DEEPEST` lie in each other.
    """
    ahead, entered = [top], [top.resolve()]
    while ahead:
        folder = ahead.pop()
        refuse_depth(folder, top)
        yield folder
        if folder == top or not folder.is_symlink() or leads_on(folder, entered, within):
            with readable(folder), os.scandir(folder) as entries:
                names = [entry.name for entry in entries if _is_folder(entry) and not is_hidden(entry.name)]
            ahead += [folder / name for name in sorted(names, key=natural, reverse=True)]


def leads_on(link: Path, entered: list[Path], within: Reach) -> bool:
    """Return whether a link leads to a folder that nothing else leads to, and take note of that in `entered`.

    Args:
        link: A link to a folder.
        entered: The real folders whose trees are being read.
        within: How far links are followed.
    """
    if leaves(link, within):
        return False
    real = link.resolve()
    if any(real.is_relative_to(other) or other.is_relative_to(real) for other in entered):
        return False
    entered.append(real)
    return True


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
    return name.lower().endswith(IMAGE_SUFFIXES) and not is_hidden(name)


def images(folder: Path, within: Reach) -> Iterator[tuple[Path, str]]:
    """Yield each image directly in `folder`, in natural order, with `LINK` where it leaves `within`, else "".

    A folder that itself lies outside of that, by a link, is yielded in place of its images.
    """
    return files(folder, within, IMAGE_SUFFIXES)


def files(folder: Path, within: Reach, suffixes: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    """Yield what lies directly in a folder and has certain suffixes, as `images` does.

    Args:
        folder: Where to look.
        within: How far links are followed.
        suffixes: What names end in, in lower case; those of the files may have any case.

    Raises:
        UserError: The folder may not be read.
    """
    if leaves(folder, within):
        yield folder, LINK
        return
    names, links = [], set()
    with readable(folder), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.lower().endswith(suffixes) and not is_hidden(entry.name):
                names.append(entry.name)
                if entry.is_symlink():
                    links.add(entry.name)
    names.sort(key=natural)
    for name in names:
        path = folder / name
        yield path, LINK if name in links and leaves(path, within) else ""


def other_files(folder: Path, within: Reach) -> Iterator[Path]:
    """Yield each file directly in a folder of images whose name is no image's, in natural order.

    None where the folder lies outside of `within`, by a link, and none of what systems leave in folders.

    Raises:
        UserError: The folder may not be read.
    """
    if leaves(folder, within):
        return
    with readable(folder), os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not (is_hidden(entry.name) or _is_folder(entry))]
    yield from (folder / name for name in sorted(names, key=natural) if not is_image(name))


def leaves(path: Path, within: Reach) -> bool:
    """Return whether a path lies outside of what links may reach, or leads nowhere because they circle."""
    if path == within.root:
        return False
    try:
        real = path.resolve(strict=True)
    except RuntimeError:  # what Python 3.11 and 3.12 raise for links in a circle
        return True
    except OSError as error:
        if error.errno == errno.ELOOP:
            return True
        real = path.resolve()
    return not within.anywhere and not real.is_relative_to(within.real)


def leads_up(path: Path) -> bool:
    """Return whether a path is a link to a folder that holds it."""
    return path.is_symlink() and path.parent.resolve().is_relative_to(path.resolve())


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
    except FileNotFoundError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): pass one that is there") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}): put it right, or move it away") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or into a folder that may not be read
        return False


def is_hidden(name: str) -> bool:
    """Return whether a name is of what systems keep among one's own."""
    return name.startswith(".") or name.lower() in JUNK


JUNK = frozenset(
    {
        *("__macosx", "network trash folder", "temporary items", "icon\r"),
        *("@eadir", "@tmp", "@recycle", "@recently-snapshot", "@__thumb", "#recycle", "#snapshot"),
        *(
            "$recycle.bin",
            "recycler",
            "recycled",
            "system volume information",
            "thumbs.db",
            "ehthumbs.db",
            "desktop.ini",
        ),
        "lost+found",
    }
)
"""What macOS and its archives, storage of Synology and QNAP, Windows and Linux leave among one's own, in lower case."""
