"""Images that are exact copies of others, such as of those that a network has learnt from."""

import hashlib
from collections.abc import Iterator

import numpy as np

from jaxfer.data.dataset import Images, chunks
from jaxfer.errors import UserError


def copies_of(images: Images, others: Images) -> np.ndarray:
    """Return which images have exactly the pixels of one of the others, bool [n].

    Each image is read once and 16 bytes of each of the others are kept. Mirror images and images that merely look alike
    are no copies; `jaxfer.data.check` finds those.

    Args:
        images: The n images in question.
        others: Those that they may be copies of.

    Raises:
        UserError: They are not of one size.
    """
    if images.shape[1:] != others.shape[1:]:
        raise UserError(
            f"images of {_size(images)} cannot be copies of images of {_size(others)}: load both with one image_size"
        )
    known = set(_digests(others))
    return np.fromiter((digest in known for digest in _digests(images)), bool, images.shape[0])


def digest(image: np.ndarray) -> bytes:
    """Return 16 bytes that are equal for images, uint8 [size, size, 3], with the same pixels, and else for none."""
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()


def _digests(images: Images) -> Iterator[bytes]:
    for some in chunks(images):
        yield from map(digest, some)


def _size(images: Images) -> str:
    return "x".join(map(str, images.shape[1:]))
