"""What is kept of each face, in place of its pixels, to find those that are alike."""

from dataclasses import dataclass

import numpy as np

from jaxfer.data.checking.perceptual import SIDE, Thumbnails, hashes

BATCH = 1024
"""How many thumbnails are hashed at a time."""


@dataclass(frozen=True, kw_only=True)
class Looks:
    """What n faces look like.

    Attributes:
        digests: uint64 [n, 2], equal only where the pixels are.
        hashes: uint64 [n], see `jaxfer.data.checking.perceptual.hashes`.
        mirrored: Likewise, of the mirror images.
        flat: bool [n], those that are of one gray in small, which resemble nothing.
        thumbnails: The thumbnail of each.
    """

    digests: np.ndarray
    hashes: np.ndarray
    mirrored: np.ndarray
    flat: np.ndarray
    thumbnails: Thumbnails


class Gathering:
    """The looks of faces that are shown one after the other: some 40 bytes each in memory, and a kilobyte on the disk.

    Attributes:
        thumbnails: Theirs, to be closed by whoever gathers.
    """

    def __init__(self) -> None:
        self.thumbnails = Thumbnails()
        self._digests = bytearray()
        self._batch = bytearray()
        self._hashes: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, digest: bytes, thumbnail: bytes) -> None:
        """Add a face.

        Args:
            digest: 16 bytes, equal only for faces with the same pixels.
            thumbnail: See `jaxfer.data.checking.perceptual.thumbnail`.
        """
        self._digests += digest
        self._batch += thumbnail
        if len(self._batch) == BATCH * SIDE * SIDE:
            self._hash()

    def looks(self) -> Looks:
        """Return what is known of all faces."""
        if self._batch or not self._hashes:
            self._hash()
        direct, mirrored, flat = (np.concatenate(parts) for parts in zip(*self._hashes, strict=True))
        return Looks(
            digests=np.frombuffer(bytes(self._digests), np.uint64).reshape(-1, 2),
            hashes=direct,
            mirrored=mirrored,
            flat=flat,
            thumbnails=self.thumbnails,
        )

    def _hash(self) -> None:
        thumbnails = np.frombuffer(bytes(self._batch), np.uint8).reshape(-1, SIDE, SIDE)
        flat = thumbnails.min(axis=(1, 2)) == thumbnails.max(axis=(1, 2))
        self._hashes.append((*hashes(thumbnails), flat))
        self.thumbnails.append(self._batch)
        self._batch = bytearray()
