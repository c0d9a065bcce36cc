"""Where the images are that the paths in a table name: tables are made in one place, and images moved to another."""

import posixpath
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from jaxfer.data.reading.affectnet_values import shown
from jaxfer.data.reading.folder import Reach, exists, is_image
from jaxfer.data.reading.image_tree import ALIGNED, ImageTree, inside
from jaxfer.data.reading.names import split_named
from jaxfer.data.reading.record import MISSING, Split

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


def place(paths: Sequence[str], root: Path, within: Reach, beside: str, split: Split | None) -> Placing | str:
    """Return how paths of a table lead to the files below a folder, or as a clause why they do not.

    As they are, below the table's folder or `root`; without the folders that most of them start with and that are not
    there; in letters of another case; below one folder that they do not name; or by names of files, of which no two are
    the same.

    Args:
        paths: Some of the table's.
        root: The data's own folder.
        within: How far links are followed.
        beside: The table's folder, from there.
        split: That which the table is named after: of several folders that fit, the one counts that is named so, too.
    """
    starts, bases = ["", *_starts(paths)], (beside, "")
    found, best = _below(paths, starts, bases, lambda name: exists(root / name))
    if found:
        return found
    tree = ImageTree(root, root, within)
    there = {name.lower() for name in tree.images()}
    found, more = _below(paths, starts, bases, lambda name: name.lower() in there)
    if found:
        return found
    best = max(best, more)
    names = by_file(tree)
    for start in starts:
        rests = [Placing(start, None).rest(path).lower() for path in paths]
        counts = Counter(base for rest in rests for base in _bases(rest, names))
        fitting = sorted(base for base, count in counts.items() if count >= MOST * len(paths))
        if len(fitting) > 1:
            own = [base for base in fitting if split and split_named(PurePosixPath(base).name) == split]
            if len(own) != 1:
                return f"the images that it names may be those of {fitting[0]} or of {fitting[1]}"
            fitting = own
        if fitting:
            return Placing(start, fitting[0])
        alone = sum("/" not in rest and len(names.get(rest, ())) == 1 for rest in rests)
        if alone > HALF * len(paths):
            return Placing(start, None)
        best = max(best, alone)
    return f"of {len(paths)} rows looked at, {best} name an image"


def by_file(tree: ImageTree) -> dict[str, list[str]]:
    """Return the names of images by what a path may call them, in lower case: the file with its suffix, and without."""
    names: dict[str, list[str]] = {}
    aligned: dict[str, list[str]] = {}
    for name in tree.images():
        stem, suffix = posixpath.splitext(posixpath.basename(name).lower())
        for key in (stem + suffix, stem):
            names.setdefault(key, []).append(name)
        if stem.endswith(ALIGNED):  # which RAF-DB's list says nothing of
            for end in (suffix, ""):
                aligned.setdefault(stem.removesuffix(ALIGNED) + end, []).append(name)
    return names | aligned


def _below(
    paths: Sequence[str], starts: Sequence[str], bases: Sequence[str], is_there: Callable[[str], bool]
) -> tuple[Placing | None, int]:
    """Return the first way in which enough paths lead to what is there, None where none does, and how many do."""
    best = 0
    for start in starts:
        for base in dict.fromkeys(bases):
            placing = Placing(start, base)
            rests = [placing.rest(path) for path in paths]
            names = [inside(posixpath.join(base, rest)) for rest in rests]
            count = sum(bool(name) and is_there(name) for name in names)
            strict = start and not any("/" in rest for rest in rests)
            if count > (HALF if strict else FEW) * len(paths):
                return placing, count
            best = max(best, count)
    return None, best


class PlacedImages:
    """The images below a folder, found by the paths of a table.

    Args:
        tree: What lies there.
        placing: How the paths lead to it.
    """

    def __init__(self, tree: ImageTree, placing: Placing) -> None:
        self._tree = tree
        self._placing = placing
        self._names = by_file(tree)

    def find(self, path: str) -> tuple[str, str, str]:
        """Return the name of a file, why it cannot be used, and the detail, as `ImageTree.find` does."""
        rest = self._placing.rest(path)
        if self._placing.base is not None:
            rest = posixpath.join(self._placing.base, rest)
            result = self._tree.find(rest)
            if result[1] != MISSING:
                return result
        plain = inside(rest).lower()
        # Names alone are trusted where they stand alone: in other folders there may be others of the same name.
        found = self._names.get(plain, [])
        if self._placing.base is not None:  # in letters of another case
            found = [name for name in self._names.get(posixpath.basename(plain), []) if name.lower() == plain]
        if len(found) > 1:
            return "", MISSING, f"{len(found)} images are called {shown(rest)}, such as {found[0]} and {found[1]}"
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


def _bases(rest: str, names: dict[str, list[str]]) -> Iterator[str]:
    """Yield the folders below which there is a file of this path; names without a suffix are told by names alone."""
    if is_image(rest):
        for name in names.get(posixpath.basename(rest), ()):
            if name.lower().endswith(f"/{rest}"):
                yield name[: -len(rest) - 1]
