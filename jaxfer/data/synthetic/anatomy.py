"""Who is drawn, and how the picture is taken: random traits, pose, light and occlusion, as named scalars.

Lengths are in half head heights: a face spans y from -1 (crown) to 1 (chin), and y points down as in images.
"""

import jax
import jax.numpy as jnp
from jax import Array

Values = dict[str, Array]

IDENTITY = {
    "head_width": (0.74, 0.86),
    "jaw_taper": (0.06, 0.26),
    "chin": (0.95, 1.06),
    "ear_size": (0.12, 0.18),
    "eye_x": (0.34, 0.39),
    "eye_y": (-0.06, 0.04),
    "eye_width": (0.21, 0.255),
    "eye_height": (0.12, 0.15),
    "eye_slant": (-0.025, 0.04),
    "iris_size": (0.1, 0.125),
    "brow_height": (0.29, 0.34),
    "brow_thickness": (0.034, 0.058),
    "nose_length": (0.33, 0.42),
    "nose_width": (0.11, 0.17),
    "mouth_y": (0.58, 0.64),
    "mouth_width": (0.3, 0.36),
    "lip_fullness": (0.05, 0.085),
    "lip_red": (0.1, 0.6),
    "skin": (0.0, 1.0),
    "blush": (0.0, 0.35),
    "iris": (0.0, 1.0),
    "hair": (0.0, 1.0),
    "grey": (0.0, 1.0),
    "bald": (0.0, 1.0),
    "bun": (0.0, 1.0),
    "beard": (0.0, 1.0),
    "hair_volume": (0.04, 0.2),
    "hair_length": (-1.0, 1.3),
    "hair_curl": (-0.05, 0.05),
    "hairline": (-0.8, -0.56),
    "hair_sweep": (-0.3, 0.3),
    "sideburn": (0.35, 0.8),
    "glasses": (0.0, 1.0),
    "cloth_red": (0.15, 0.85),
    "cloth_green": (0.15, 0.85),
    "cloth_blue": (0.15, 0.85),
}
"""Range of each trait of a person; each is drawn uniformly and independently."""

SCENE = {
    "x": (-0.14, 0.14),
    "y": (-0.11, 0.11),
    "size": (0.74, 0.9),
    "roll": (-0.2, 0.2),
    "yaw": (-0.22, 0.22),
    "pitch": (-0.1, 0.1),
    "gaze_x": (-0.06, 0.06),
    "gaze_y": (-0.03, 0.03),
    "light_x": (-1.0, 1.0),
    "light_y": (-1.0, 0.3),
    "contrast": (0.2, 0.9),
    "exposure": (0.8, 1.1),
    "warmth": (-0.06, 0.08),
    "tint": (-0.04, 0.04),
    "back_angle": (0.0, 6.28),
    "back_change": (-0.3, 0.3),
    "back_red": (0.2, 0.9),
    "back_green": (0.2, 0.9),
    "back_blue": (0.2, 0.9),
    "object": (0.0, 1.0),
    "object_angle": (0.0, 6.28),
    "object_distance": (0.95, 1.2),
    "object_grey": (0.1, 0.9),
    "blur": (0.0, 0.016),
    "noise": (0.0, 0.016),
}
"""Range of each property of the picture: shift and size in half image sides, angles in radians, shares of colour."""

SKIN = ((250, 218, 198), (243, 202, 172), (232, 184, 144), (204, 148, 106), (158, 106, 74), (112, 72, 52))
HAIR = ((30, 26, 30), (62, 40, 32), (104, 66, 44), (150, 76, 42), (200, 152, 88), (234, 208, 152))
IRIS = ((60, 38, 24), (104, 68, 36), (112, 116, 60), (70, 124, 92), (70, 120, 170), (120, 140, 156))


def sample(key: Array, ranges: dict[str, tuple[float, float]]) -> Values:
    """Return one uniform scalar for each named range."""
    low, high = jnp.array(list(ranges.values())).T
    return dict(zip(ranges, low + uniform(key, low.shape) * (high - low), strict=True))


def uniform(key: Array, shape: tuple[int, ...] = ()) -> Array:
    """Return numbers from 0 to 1 that are the same bits everywhere: 23 random bits each, which nothing has rounded."""
    return jax.random.uniform(key, shape, jnp.float32).astype(jnp.float64)


def tone(palette: tuple[tuple[int, int, int], ...], position: Array) -> Array:
    """Return the colour, [3] in [0, 1], at `position` in [0, 1] along a palette of 8-bit colours."""
    steps = jnp.arange(len(palette))
    weights = jnp.maximum(0, 1 - jnp.abs(position * (len(palette) - 1) - steps))
    return weights @ (jnp.array(palette) / 255)


def skin_colour(who: Values) -> Array:
    """Return the colour of the skin, [3]."""
    return tone(SKIN, who["skin"])


def shadow_colour(who: Values) -> Array:
    """Return the colour of the skin's folds and shadows, [3]: darker and redder than the skin."""
    return skin_colour(who) * jnp.array([0.6, 0.42, 0.4])


def hair_colour(who: Values) -> Array:
    """Return the colour of the hair, [3]: darker where the skin is, and grey for some."""
    coloured = tone(HAIR, who["hair"] * (1 - 0.8 * who["skin"]))
    return jnp.where(who["grey"] < 0.1, jnp.array([0.59, 0.58, 0.59]), coloured)
