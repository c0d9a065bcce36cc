"""A small picture of each face, kept in a temporary file, and a hash of it that survives small changes."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image

from jaxfer.errors import UserError

SIDE = 32
"""Width and height of the small pictures, in pixels."""

LOW = 8
"""How many of the lowest frequencies count in each direction: 8 x 8 of them make the 64 bits of a hash."""

_FREQUENCIES = np.cos(np.pi / (2 * SIDE) * np.outer(np.arange(LOW), 2 * np.arange(SIDE) + 1))  # [LOW, SIDE]
_MIRROR = np.where(np.arange(LOW) % 2, -1.0, 1.0)  # a mirrored cosine of odd frequency changes its sign


def thumbnail(picture: Image.Image) -> bytes:
    """Return a face in small, as the bytes of uint8 [SIDE, SIDE], gray."""
    return picture.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS).tobytes()


def hashes(thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the perceptual hash of each thumbnail, uint8 [n, SIDE, SIDE], and of its mirror image, as uint64 [n].

    Each bit says whether one of the lowest frequencies of the cosine transform lies above their median. It is the
    hash that http://www.hackerfactor.com/blog/index.php?/archives/432-Looks-Like-It.html describes and that
    `imagehash.phash` computes, for many pictures at a time.
    """
    transform = _FREQUENCIES @ thumbnails.astype(np.float64) @ _FREQUENCIES.T  # [n, LOW, LOW]
    # What is zero but for rounding shall not be above or below the median by chance.
    transform = transform.round(6)
    return _bits(transform), _bits(transform * _MIRROR)


def _bits(transform: np.ndarray) -> np.ndarray:
    values = transform.reshape(len(transform), LOW * LOW)
    bits = values > np.median(values, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64)


class Thumbnails:
    """The thumbnails of all faces, in a temporary file: a kilobyte each is too much to hold for any number of them."""

    def __init__(self) -> None:
        with _room():
            self._file = tempfile.TemporaryFile(prefix="jaxfer-check-", buffering=SIDE * SIDE)  # noqa: SIM115

    def append(self, thumbnails: bytes | bytearray) -> None:
        """Add thumbnails at the end.

        Raises:
            UserError: The disk is full.
        """
        with _room():
            self._file.seek(0, os.SEEK_END)
            self._file.write(thumbnails)
            self._file.flush()

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return the thumbnails of these indices, int [n], as uint8 [n, SIDE, SIDE]."""
        pixels = bytearray()
        for index in indices.tolist():
            self._file.seek(index * SIDE * SIDE)
            pixels += self._file.read(SIDE * SIDE)
        return np.frombuffer(pixels, np.uint8).reshape(-1, SIDE, SIDE)

    def close(self) -> None:
        """Delete them."""
        self._file.close()


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = tempfile.tempdir or "the folder for temporary files"
        raise UserError(
            f"{where} cannot take the temporary thumbnails, a kilobyte an image ({error.strerror}): free disk space, "
            "or point the environment variable TMPDIR elsewhere"
        ) from error
