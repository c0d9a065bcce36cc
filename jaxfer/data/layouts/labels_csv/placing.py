"""Where the images are that the paths in a table name: tables are made in one place, and images moved to another."""

import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from jaxfer.data.reading.folder import exists, is_image
from jaxfer.data.reading.image_tree import ImageTree, inside
from jaxfer.data.reading.record import MISSING

FEW = 0.1
"""The share of paths, at most, whose files are there where a table is of another copy of the data."""

HALF, MOST = 0.5, 0.9
"""The same where less speaks for a place: that names of files alone fit, or folders that are not in the paths."""


@dataclass(frozen=True)
class Placing:
    """How the paths of a table lead to files.

    Attributes:
        lacking: The folders that the paths start with and the data lacks, as text that ends in a slash, or "".
        base: The folder, from the data's root, that the rest starts from; None where the rest is the name of a file
            that lies anywhere.
    """

    lacking: str
    base: str | None

    def rest(self, path: str) -> str:
        """Return a path without the folders that the data lacks."""
        plain = _plain(path)
        return plain[len(self.lacking) :] if plain.startswith(self.lacking) else plain


def place(paths: Sequence[str], root: Path, beside: str) -> tuple[Placing | None, int]:
    """Return how paths of a table lead to the files below a folder, and how many of them do at best.

    As they are, below the table's folder or `root`; without the folders that most of them start with and that are not
    there; below a folder that they do not name; or by names of files, of which no two are the same.

    Args:
        paths: Some of the table's.
        root: The data's own folder.
        beside: The table's folder, from there.
    """
    best = 0
    starts = ["", *_starts(paths)]
    for start in starts:
        for base in dict.fromkeys((beside, "")):
            placing = Placing(start, base)
            rests = [placing.rest(path) for path in paths]
            count = sum(_is_there(root, base, rest) for rest in rests)
            strict = start and not any("/" in rest for rest in rests)
            if count > (HALF if strict else FEW) * len(paths):
                return placing, count
            best = max(best, count)
    names: dict[str, list[str]] = {}
    for name in ImageTree(root, root).images():
        for key in keys(name):
            names.setdefault(key, []).append(name)
    for start in starts:
        rests = [Placing(start, None).rest(path) for path in paths]
        bases = Counter(base for rest in rests for base in _bases(rest, names))
        base, count = max(bases.items(), key=lambda item: item[1], default=("", 0))
        if paths and count >= MOST * len(paths):
            return Placing(start, base), count
        alone = sum("/" not in rest and len(names.get(rest, ())) == 1 for rest in rests)
        if alone > HALF * len(paths):
            return Placing(start, None), alone
        best = max(best, alone)
    return None, best


def keys(name: str) -> tuple[str, str]:
    """Return what a path may call a file: its name with its suffix, and without.

    >>> keys("happy/1.jpg")
    ('1.jpg', '1')
    """
    file = posixpath.basename(name)
    return file, posixpath.splitext(file)[0]


class PlacedImages:
    """The images below a folder, found by the paths of a table.

    Args:
        tree: What lies there.
        placing: How the paths lead to it.
    """

    def __init__(self, tree: ImageTree, placing: Placing) -> None:
        self._tree = tree
        self._placing = placing
        self._names: dict[str, list[str]] = {}
        if placing.base is None:
            for name in tree.images():
                for key in keys(name):
                    self._names.setdefault(key, []).append(name)

    def find(self, path: str) -> tuple[str, str, str]:
        """Return the name of a file, why it cannot be used, and the detail, as `ImageTree.find` does."""
        rest = self._placing.rest(path)
        if self._placing.base is not None:
            return self._tree.find(posixpath.join(self._placing.base, rest))
        found = self._names.get(rest, ())
        if len(found) > 1:
            return "", MISSING, f"{len(found)} images are called {rest}, such as {found[0]} and {found[1]}"
        return self._tree.find(found[0] if found else rest)


def _plain(path: str) -> str:
    return posixpath.normpath(path.replace("\\", "/"))


def _starts(paths: Sequence[str]) -> list[str]:
    """Return the folders that more than half of the paths start with, from the shortest on."""
    counts: Counter[str] = Counter()
    for path in paths:
        counts.update(f"{parent}/".replace("//", "/") for parent in _parents(_plain(path)))
    return sorted((start for start, count in counts.items() if 2 * count > len(paths)), key=len)


def _parents(path: str) -> Iterator[str]:
    yield from (str(parent) for parent in PurePosixPath(path).parents if str(parent) != ".")


def _is_there(root: Path, base: str, rest: str) -> bool:
    name = inside(posixpath.join(base, rest))
    return bool(name) and exists(root / name)


def _bases(rest: str, names: dict[str, list[str]]) -> Iterator[str]:
    """Yield the folders below which there is a file of this path; names without a suffix are told by names alone."""
    if is_image(rest):
        for name in names.get(posixpath.basename(rest), ()):
            if name == rest:
                yield ""
            elif name.endswith(f"/{rest}"):
                yield name[: -len(rest) - 1]
