"""Which photographs and videos somebody means: by files, folders, patterns, or a list on standard input."""

import glob
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from jaxfer.data.reading.folder import IMAGE_SUFFIXES, Reach, files, tree
from jaxfer.errors import UserError
from jaxfer.files import lines
from jaxfer.inference.video import VIDEO_SUFFIXES

STANDARD = "-"
"""What stands for a list on standard input."""

HEIC_SUFFIXES = ".heic", ".heif"
"""Photographs of telephones, which Pillow does not read: named as unreadable, for they would be missed."""

LONGEST_LINE = 2**13
"""Characters of a path in a list: systems take 4,096 bytes."""


def named(paths: Sequence[str]) -> list[Path]:
    """Return the photographs and videos that paths name, those in folders in natural order.

    Args:
        paths: Files, folders, patterns such as `*.jpg`, or `STANDARD` alone.

    Raises:
        UserError: Nothing is named, what is named does not exist, or standard input holds something else.
    """
    if not paths:
        raise UserError("nothing was named: pass photographs, videos, folders, or - for a list on standard input")
    if list(paths) == [STANDARD]:
        return list(_listed())
    found: list[Path] = []
    for text in paths:
        if not text:
            raise UserError("one of the paths is empty: pass . for the folder that you are in")
        if text == STANDARD:
            raise UserError("- is given beside other paths: pass it alone, and the others on standard input")
        path = Path(text)
        if path.exists() or path.is_symlink():
            found.append(path)
        elif matching := sorted(glob.glob(text, recursive=True)):  # noqa: PTH207 - absolute ones, too
            found += map(Path, matching)
        elif "://" in text:
            raise UserError(f"{text} is an address, and nothing is fetched: pass files of this machine")
        else:
            raise UserError(f"{text} does not exist: pass photographs or videos that do")
    return [one for path in found for one in (_inside(path) if path.is_dir() else (path,))]


def _listed() -> Iterator[Path]:
    """Yield the paths on standard input, one a line.

    Raises:
        UserError: It is closed, cannot be read, or holds something else.
    """
    if sys.stdin is None:
        raise UserError("standard input is closed: pass a list of paths to it, or paths in place of -")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # names of files may be no text
    try:
        for line in lines(sys.stdin, LONGEST_LINE):
            name = line.rstrip("\r\n")
            if "\0" in name or len(name) > LONGEST_LINE:
                raise UserError("standard input is no list of paths: pass one a line, as find does without -print0")
            if name:
                yield Path(name)
    except OSError as error:
        raise UserError(f"standard input cannot be read ({error.strerror}): pass a list of paths") from error


def _inside(folder: Path) -> Iterator[Path]:
    """Yield the images and videos in a folder and below it; links out of it are not followed."""
    within = Reach(folder)
    suffixes = IMAGE_SUFFIXES + HEIC_SUFFIXES + VIDEO_SUFFIXES
    for place in tree(folder, within):
        yield from (path for path, reason in files(place, within, suffixes) if not reason)
