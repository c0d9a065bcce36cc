"""Pictures in which drawn faces lie at known places, to find them again."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxfer.data.synthetic import draw_faces


class Placed(NamedTuple):
    """A drawn face in a picture: its expression, the middle and side of its square in pixels, its roll in degrees."""

    label: int
    centre: tuple[float, float]
    side: float
    roll: float


def group_picture(
    seed: int, labels: np.ndarray, *, roll: float = 15.0, sides: tuple[int, int] = (90, 220)
) -> tuple[Image.Image, list[Placed]]:
    """Return a picture of drawn faces of at most six expressions, two rows of three, and where they are."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (960, 640), tuple(int(value) for value in rng.integers(60, 200, 3)))
    placed = []
    for i, face in enumerate(draw_faces(seed, labels, image_size=128)):
        side, turn = int(rng.integers(*sides)), float(rng.uniform(-roll, roll))
        middle = 160 + 320 * (i % 3) + int(rng.integers(-20, 20)), 160 + 320 * (i // 3) + int(rng.integers(-20, 20))
        turned = Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC).convert("RGBA")
        turned = turned.rotate(-turn, Image.Resampling.BICUBIC, expand=True)  # Pillow turns the other way round
        picture.paste(turned, (middle[0] - turned.width // 2, middle[1] - turned.height // 2), turned)
        placed.append(Placed(int(labels[i]), middle, side, turn))
    return picture, placed


def nearest(faces, placed: Placed):
    """Return the face whose frame lies nearest to where one was placed."""
    return min(faces, key=lambda face: np.hypot(*np.subtract(face.frame.centre, placed.centre)))
