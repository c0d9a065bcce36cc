"""What preparing a face takes of its image."""

import hashlib
from dataclasses import dataclass

import numpy as np

from jaxfer.data.images import UnreadableError, face_for
from jaxfer.data.layouts.record import Record


@dataclass(frozen=True, slots=True)
class Decoded:
    """A face.

    pixels: the bytes of uint8 [size, size, 3], RGB.
    digest: a hash of them, equal for equal pixels.
    landmarks: float [68, 2], x and y in pixels of the face; None where the record has none.
    """

    pixels: bytes
    digest: bytes
    landmarks: np.ndarray | None


def decode(record: Record, *, size: int, margin: float) -> Decoded | UnreadableError:
    """Return a record's face, with the pixels of `jaxfer.data.images.decode`, or why there is none."""
    try:
        face = face_for(size, record.image, box=record.box, margin=margin)
    except UnreadableError as error:
        return error
    pixels = face.resize(size).tobytes()
    landmarks = None if record.landmarks is None else face.points(record.landmarks, size)
    return Decoded(pixels, hashlib.blake2b(pixels, digest_size=16).digest(), landmarks)
