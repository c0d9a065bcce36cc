"""The files in a folder of images and the folders below it, against which the paths in a list are held."""

import os
import posixpath
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from jaxfer.data.reading.folder import LINK, Reach, is_hidden, is_image, leaves, natural, readable, tree
from jaxfer.data.reading.record import MISSING, NOT_IMAGE, UNLISTED, UNREADABLE

ALIGNED = "_aligned"
"""What the names of RAF-DB's aligned images have behind those in its list; photographs never stand in for them."""


def inside(path: str) -> str:
    r"""Return a relative path in its plain form, "" where it is absolute, empty, or leaves the folder it starts from.

    Backslashes separate folders, too: lists are edited on Windows.

    >>> inside("./1//a.jpg"), inside(r"1\a.jpg"), inside("../a.jpg"), inside("/a.jpg")
    ('1/a.jpg', '1/a.jpg', '', '')
    """
    plain = posixpath.normpath(path.replace("\\", "/"))
    return "" if plain in (".", "..") or plain.startswith(("/", "../")) else plain


class ImageTree:
    """What lies below a folder, listed once: hundreds of thousands of files, so their names are kept as text.

    A file's name is its path inside of the data's root.

    Args:
        folder: What is listed.
        root: The data's own folder, in which `folder` lies.
        within: How far links are followed.
        apart: Folders in it that are left out, with all below them.

    Raises:
        UserError: A folder may not be read.
    """

    def __init__(self, folder: Path, root: Path, within: Reach, apart: Iterable[Path] = ()) -> None:
        self._root = root
        self._within = within
        self._start = _start(folder, root)
        self._files: set[str] = set()
        self._links: list[str] = []
        self._is_linked_away = leaves(folder, within)
        if not self._is_linked_away:
            self._list(folder, list(apart))

    def find(self, path: str) -> tuple[str, str, str]:
        """Return the name of the file that a path in a list leads to, why it cannot be used, or "", and the detail.

        The name is "" where the path leaves the folder without any link.
        """
        name = self._start + path
        if name in self._files:
            return name, "", ""
        plain = inside(path)
        if not plain:
            return "", LINK, f"its path is {path!r}"
        name = self._start + plain
        full = self._root / name
        if self._is_linked_away:
            return name, LINK, ""
        if not os.path.lexists(full):
            return name, MISSING, ""
        if leaves(full, self._within):
            return name, LINK, ""
        return (name, "", "") if full.is_file() else (name, UNREADABLE, "not a file")

    def images(self) -> Iterator[str]:
        """Yield the name of each image that lies in the data itself."""
        return (name for name in self._files if is_image(posixpath.basename(name)))

    def unlisted(self, listed: Collection[str], lists: Collection[Path] = ()) -> Iterator[tuple[str, str]]:
        """Yield the name of each image that is not `listed`, in natural order, with the reason to leave it out.

        Links that leave the data count as images, whatever they point to, and so do files beside images, but for the
        `lists` that are read.
        """
        away = {name for name in self._links if leaves(self._root / name, self._within)}
        images = {name for name in (*self._files, *self._links) if name in away or is_image(posixpath.basename(name))}
        for name in sorted(images.difference(listed), key=natural):
            yield name, LINK if name in away else UNLISTED
        folders = {posixpath.dirname(name) for name in images}
        known = {path.relative_to(self._root).as_posix() for path in lists if path.is_relative_to(self._root)}
        others = self._files.difference(images, listed, known)
        for name in sorted((name for name in others if posixpath.dirname(name) in folders), key=natural):
            if not is_hidden(posixpath.basename(name)):
                yield name, NOT_IMAGE

    def _list(self, top: Path, apart: list[Path]) -> None:
        real = top.resolve()
        for folder in tree(top, self._within):
            is_link = folder != top and folder.is_symlink()
            if (is_link and not self._brings(folder, real)) or any(map(folder.is_relative_to, apart)):
                continue
            start = _start(folder, self._root)
            with readable(folder), os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_symlink() and (leaves(folder / entry.name, self._within) or not entry.is_file()):
                        self._links.append(start + entry.name)
                    elif entry.is_file():
                        self._files.add(start + entry.name)

    def _brings(self, link: Path, real: Path) -> bool:
        """Return whether a link to a folder brings in what is not below the real folder anyway."""
        led = link.resolve()
        return not (leaves(link, self._within) or led.is_relative_to(real) or real.is_relative_to(led))


def _start(folder: Path, root: Path) -> str:
    return "" if folder == root else f"{folder.relative_to(root).as_posix()}/"
