"""Noticing that an image is another one than the data was loaded with, where images are read again and again."""

import zlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np

from jaxfer.errors import UserError


class Originals:
    """What is known of images that are read whenever they are asked for, in any thread.

    Where an image is first read, its file must have the size and the time of change that it had when the data was
    loaded, which is when its fingerprint held; from then on the image must have the pixels that it had first. So a file
    that is merely touched while a run goes on ends nothing.

    Args:
        files: The file of each image, perhaps one for many; None for images that are in memory.
    """

    def __init__(self, files: Iterable[Path | None]) -> None:
        facts = cache(_facts)
        self._facts = np.array([facts(file) for file in files], np.int64).reshape(-1, 2)
        self._digests = np.full(len(self._facts), -1, np.int64)

    def check(self, row: int, file: Path | None, image: np.ndarray, name: str) -> None:
        """Check an image that has just been read.

        Args:
            row: Which of the images it is.
            file: Its file.
            image: Its pixels, contiguous.
            name: What errors call it.

        Raises:
            UserError: It is another one.
        """
        digest = zlib.crc32(image.data)
        seen = self._digests[row]
        if tuple(self._facts[row]) != _facts(file) if seen < 0 else seen != digest:
            raise UserError(
                f"{name} is another image than when the data was loaded: put the former one back and go on from the "
                "last checkpoint (--resume), or start a new run"
            )
        self._digests[row] = digest


def _facts(file: Path | None) -> tuple[int, int]:
    """Return size and time of change of a file; those of one that cannot be asked are the same each time."""
    if file is None:
        return 0, 0
    try:
        found = file.stat()
    except OSError:  # whoever reads it says so
        return -1, -1
    return found.st_size, found.st_mtime_ns
