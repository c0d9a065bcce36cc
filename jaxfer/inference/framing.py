"""How a face is cut out of a picture: as the images were that the network has learnt from.

Data sets frame faces differently, and a network that is shown a face in another frame loses points. So the detector is
run over images of the training data: where in these it sees the face is the framing. A face in a photograph is then
moved, turned and resized so that the detector would see it there.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxfer.errors import UserError
from jaxfer.inference.faces import Box, Detection, Detector, detect, find_faces
from jaxfer.json_text import check

if TYPE_CHECKING:
    from jaxtyping import UInt8
    from PIL import Image

SAMPLE = 300
"""Images that are looked at: the median place of an eye is then known to less than 0.5% of the image's side."""

FEW = 20
"""Of fewer faces no framing is made."""

ENLARGED = 240
"""Pixels of the side that small images have when a detector is to find the face that fills them.

Of 300 images of FER2013, 48 pixels each, YuNet finds all at 240, and its landmarks are the same to 1% of the side with
and without a border around the image. Its boxes are not: they grow by 5%, and follow borders.
"""

POINTS = 5
"""Landmarks of a face, in the order of `Detection`."""

_FORM = {
    "box": list[float],
    "landmarks": list[list[float]],
    "images": int,
    "found": int,
    "deviation": {"centre": float, "side": float, "roll": float},
}


@dataclass(frozen=True)
class Frame:
    """The square of a picture that a network is shown.

    Attributes:
        centre: x and y of its middle, in pixels of the picture.
        side: In pixels of the picture.
        roll: How far it is turned clockwise, in degrees.
    """

    centre: tuple[float, float]
    side: float
    roll: float = 0.0

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """Upper left, upper right, lower right and lower left corner, each x and y."""
        half = cmath.rect(self.side / 2, math.radians(self.roll))
        middle = complex(*self.centre)
        found = (middle + half * turn for turn in (-1 - 1j, 1 - 1j, 1 + 1j, -1 + 1j))
        return tuple((corner.real, corner.imag) for corner in found)

    def cut(self, picture: Image.Image, size: int, shrunk: float = 1.0) -> UInt8[np.ndarray, "size size 3"]:
        """Return what the frame shows; outside of the picture it is black, as around the boxes of training images.

        Args:
            picture: RGB or gray.
            size: Height and width of the result, in pixels.
            shrunk: How many pixels that the frame counts in are one of `picture`.
        """
        from PIL import Image  # whoever loads a network does without it

        corners = np.array(self.corners) / shrunk
        side = self.side / shrunk
        factor = max(1, int(side // (4 * size)))  # so much the last filter would not keep
        low = np.maximum(np.floor(corners.min(axis=0)) - 2 * factor, 0)
        high = np.minimum(np.ceil(corners.max(axis=0)) + 2 * factor, picture.size)
        if (high - low < 1).any() or side > size * max(picture.size):  # less than a pixel of the result
            return np.zeros((size, size, 3), np.uint8)
        there = picture.reduce(factor, (int(low[0]), int(low[1]), int(high[0]), int(high[1])))
        pixels = max(size, round(side / factor))
        # From pixels of what is cut out, counted from its upper left corner, to those of `there`.
        (x, y), right = (corners[0] - low) / factor, (corners[1] - corners[0]) / factor / pixels
        level = (right[0], -right[1], x, right[1], right[0], y)
        # What is enlarged is so by the filter that enlarges training images; other turns lose as little as they can.
        kind = Image.Resampling.BILINEAR if pixels == size else Image.Resampling.BICUBIC
        turned = there.transform((pixels, pixels), Image.Transform.AFFINE, level, kind)
        return np.array(turned.resize((size, size), Image.Resampling.BILINEAR).convert("RGB"))


@dataclass(frozen=True)
class Framing:
    """Where a detector sees the face in images of the training data, in shares of their side.

    Attributes:
        box: Median left, top, width and height of the detector's box.
        landmarks: Median x and y of each of its landmarks, in the order of `Detection`; empty where it has none.
        images: How many images were looked at.
        found: In how many of them it found a face.
        deviation: How far the frames of single images lie from the whole images, the median of each: `centre` and
            `side` in shares of the side, `roll` in degrees.
    """

    box: Box
    landmarks: tuple[tuple[float, float], ...]
    images: int
    found: int
    deviation: dict[str, float]

    def frame(self, face: Detection) -> Frame:
        """Return the frame in which the detector would see a face where it sees those of the training images.

        Its landmarks are laid upon the median ones, with the least squares of what a shift, a turn and a change of
        size cannot match (Umeyama 1991, https://doi.org/10.1109/34.88573). Without landmarks, the boxes' middles and
        heights are matched, and nothing is turned.
        """
        if len(face.landmarks) == len(self.landmarks) > 1:
            here, there = (np.array(points) @ (1, 1j) for points in (face.landmarks, self.landmarks))
            spread = here - here.mean()
            scale = (spread.conj() @ (there - there.mean())) / max((abs(spread) ** 2).sum(), 1e-12)
            if abs(scale) > 1e-9:
                middle = here.mean() + (0.5 + 0.5j - there.mean()) / scale
                return Frame((middle.real, middle.imag), float(1 / abs(scale)), -math.degrees(cmath.phase(scale)))
        (left, top, width, height), (x, y, w, h) = face.box, self.box
        side = height / h
        middle = left + width / 2 + (0.5 - x - w / 2) * side, top + height / 2 + (0.5 - y - h / 2) * side
        return Frame(middle, side)

    def refined(self, frame: Frame, picture: Image.Image, detector: Detector, shrunk: float = 1.0) -> Frame:
        """Return a frame that was looked at once more, as large and upright as the training images were.

        What a detector says of a face depends on its size and roll: drawn faces, pasted into pictures, are named right
        2 points more often with this second look.

        Args:
            frame: As `frame` returned it.
            picture: As for `Frame.cut`.
            detector: What finds faces.
            shrunk: As for `Frame.cut`.
        """
        seen = detect(detector, frame.cut(picture, ENLARGED, shrunk))
        if not seen:
            return frame
        middle = ENLARGED / 2
        frames = map(self.frame, seen)
        x, y, side, roll = min(
            ((*one.centre, one.side, one.roll) for one in frames),
            key=lambda one: math.hypot(one[0] - middle, one[1] - middle),
        )
        if math.hypot(x - middle, y - middle) > middle or not 0.5 < side / ENLARGED < 2:  # of somebody else
            return frame
        scale = frame.side / ENLARGED
        moved = complex(*frame.centre) + complex(x - middle, y - middle) * cmath.rect(scale, math.radians(frame.roll))
        return Frame((moved.real, moved.imag), side * scale, frame.roll + roll)

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self) | {"box": list(self.box), "landmarks": [list(point) for point in self.landmarks]}

    @classmethod
    def from_dict(cls, found: Any, where: str) -> Framing:
        """Return what `to_dict` made.

        Args:
            found: The value.
            where: The file it stands in, and the place there.

        Raises:
            UserError: It did not make that.
        """
        check(found, _FORM, where)
        box, points = found["box"], found["landmarks"]
        values = [*box, *(value for point in points for value in point)]
        whole = len(box) == 4 and len(points) in (0, POINTS) and all(len(point) == 2 for point in points)
        if not whole or not all(value is not None and abs(value) < 100 for value in values) or min(box[2:]) <= 0:
            raise UserError(f"{where} is damaged: no face is framed so; copy it again")
        return cls(_box(values), _points(values), found["images"], found["found"], found["deviation"])


def of_margin(margin: float) -> Callable[[Detection], Frame]:
    """Return what frames a face by the square around its box, as `jaxfer.data` cuts boxes of its own out.

    Args:
        margin: What is kept on each side, as a share of the box's longer side.
    """
    from jaxfer.data.reading.images import square_around  # which needs Pillow

    def frame(face: Detection) -> Frame:
        left, top, side, _ = square_around(face.box, margin)
        return Frame((left + side / 2, top + side / 2), side)

    return frame


def measure_framing(images: UInt8[np.ndarray, "n h w c"], detector: Detector = find_faces) -> Framing | None:
    """Return where a detector sees the faces of training images.

    Args:
        images: At least some hundred of them, as the network sees them, chosen by chance; c is 3 (RGB) or 1, and they
            are uint8, or floating point from 0 to 1.
        detector: The one that is to find faces in pictures.

    Returns:
        The framing; None where it finds fewer than `FEW` faces, or one in less than half of the images.

    Raises:
        UserError: As for the detector.
    """
    from PIL import Image

    found: list[np.ndarray] = []
    for image in images:
        pixels = image if image.dtype == np.uint8 else np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
        side = max(ENLARGED, len(image))
        whole = Image.fromarray(np.broadcast_to(pixels, (*image.shape[:2], 3)).copy())
        large = whole.resize((side, side), Image.Resampling.BICUBIC)
        if faces := detect(detector, np.asarray(large)):
            best = max(faces, key=lambda face: face.score)
            found.append(np.array([*best.box, *(value for point in best.landmarks for value in point)]) / side)
    pointed = [values for values in found if len(values) == 4 + 2 * POINTS]
    found = pointed if len(pointed) == len(found) else [values[:4] for values in found]
    if len(found) < max(FEW, len(images) / 2):
        return None
    median = np.median(found, axis=0).round(5).tolist()
    framing = Framing(_box(median), _points(median), len(images), len(found), {})
    frames = [framing.frame(Detection(_box(values), _points(values))) for values in found]
    off = {
        "centre": [abs(complex(*frame.centre) - (0.5 + 0.5j)) for frame in frames],
        "side": [abs(frame.side - 1) for frame in frames],
        "roll": [abs(frame.roll) for frame in frames],
    }
    deviation = {name: round(float(np.median(values)), 5) for name, values in off.items()}
    return Framing(framing.box, framing.landmarks, len(images), len(found), deviation)


def _box(values: Sequence[float] | np.ndarray) -> Box:
    left, top, width, height = map(float, values[:4])
    return left, top, width, height


def _points(values: Sequence[float] | np.ndarray) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in zip(values[4::2], values[5::2], strict=True))


def sample_rows(count: int) -> np.ndarray:
    """Return the rows of a split of `count` images that are looked at, the same each time, int [at most SAMPLE]."""
    rows = np.random.default_rng(0).choice(count, min(count, SAMPLE), replace=False)
    return np.sort(rows)
