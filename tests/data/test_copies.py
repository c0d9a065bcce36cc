"""Exact copies among arrays of images."""

import numpy as np
import pytest

from jaxfer.data.copies import copies_of
from jaxfer.errors import UserError


def test_copies_are_the_same_pixels_and_nothing_else():
    random = np.random.default_rng(0)
    others = random.integers(0, 256, (1500, 8, 8, 3), np.uint8)
    images = others[[1499, 3, 3, 7]].copy()
    images[3, 7, 7, 2] ^= 1
    images = np.concatenate([images, others[:1, :, ::-1]])
    assert copies_of(images, others).tolist() == [True, True, True, False, False]
    assert copies_of(images, others[:0]).tolist() == [False] * 5
    assert copies_of(images[:0], others).tolist() == []
    with pytest.raises(UserError, match="images of 8x8x3 cannot be copies of images of 4x8x3"):
        copies_of(images, others[:, :4])
