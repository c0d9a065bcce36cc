"""One face of a prepared data set."""

import math
from dataclasses import dataclass

import numpy as np

POINTS = 68
"""How many landmarks a face has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One prepared face.

    image: the bytes of its pixels, uint8 [size, size, 3], RGB.
    label: index into the data set's classes.
    name: the record's name in the raw data.
    valence, arousal: in [-1, 1], NaN where there are none.
    landmarks: float [68, 2], x and y in pixels of the prepared image; None where there are none.
    votes: one number for each of `AFFECTNET_8`; None where there are none.
    """

    image: bytes
    label: int
    name: str
    valence: float = math.nan
    arousal: float = math.nan
    landmarks: np.ndarray | None = None
    votes: tuple[float, ...] | None = None
