"""What a process does with each face that is prepared.

A process that decodes imports this module and little else: tfds alone, which writes what it returns elsewhere, would
take it a second.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from jaxfer.config import Decoder
from jaxfer.data.checking.perceptual import thumbnail
from jaxfer.data.reading.images import UnreadableError, face_for
from jaxfer.data.reading.record import Record


@dataclass(frozen=True, slots=True)
class Decoded:
    """A face.

    Attributes:
        pixels: The bytes of uint8 [size, size, 3], RGB.
        digest: A hash of them, equal for equal pixels.
        landmarks: float [68, 2], x and y in pixels of the face; None where the record has none.
        thumbnail: See `jaxfer.data.checking.perceptual.thumbnail`; empty where none is needed.
    """

    pixels: bytes
    digest: bytes
    landmarks: np.ndarray | None
    thumbnail: bytes


def decode_face(
    record: Record, *, size: int, margin: float, decoder: Decoder, small: bool
) -> Decoded | UnreadableError:
    """Return a record's face, with the pixels of `jaxfer.data.reading.images.decode`, or why there is none.

    Args:
        record: One that is not left out.
        size: Height and width of the face, in pixels.
        margin: As for `jaxfer.data.reading.images.open_face`.
        decoder: As for `jaxfer.data.reading.images.open_face`.
        small: Whether a thumbnail is needed.
    """
    try:
        face = face_for(size, record.image, box=record.box, margin=margin, decoder=decoder)
    except UnreadableError as error:
        return error
    picture = face.resized(size)
    pixels = picture.tobytes()
    landmarks = None if record.landmarks is None else face.points(record.landmarks, size)
    # Of what is written, not of the photograph: a check of the prepared data then finds no look-alike that is left.
    small_one = thumbnail(picture) if small else b""
    return Decoded(pixels, hashlib.blake2b(pixels, digest_size=16).digest(), landmarks, small_one)
