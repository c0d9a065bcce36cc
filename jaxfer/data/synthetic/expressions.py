"""How a face moves: emotions as facial action units, action units as displacements of the features.

Action units are those of the Facial Action Coding System (Ekman & Friesen, 1978); which of them show which emotion
follows its EMFACS prototypes (Friesen & Ekman, 1983).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxfer.data.synthetic.anatomy import Values
from jaxfer.emotions import AFFECTNET_8

ACTION_UNITS = {
    1: {"brow_inner": -0.17, "brow_mid": -0.06, "lid_slant": 0.05, "forehead": 0.5},
    2: {"brow_outer": -0.13, "brow_mid": -0.13, "brow_inner": -0.02, "forehead": 0.5},
    4: {"brow_inner": 0.14, "brow_mid": 0.07, "brow_gap": -0.08, "lid_upper": -0.015, "lid_slant": -0.03, "frown": 1.0},
    5: {"lid_upper": 0.065},
    6: {"lid_lower": -0.055, "cheek": 1.0, "crow": 1.0},
    7: {"lid_lower": -0.035, "lid_upper": -0.03},
    9: {"wrinkle": 1.0, "nose": -0.05, "brow_inner": 0.08, "brow_mid": 0.03, "lid_lower": -0.03, "lid_upper": -0.025,
        "fold": 0.5, "mouth": -0.02},
    10: {"lip_raise": 0.11, "fold": 0.6, "nose": -0.02, "teeth": 0.8},
    12: {"corner_x": 0.13, "corner_y": -0.16, "fold": 0.6, "cheek": 0.4, "teeth": 1.0},
    14: {"dimple": 1.0, "corner_y": -0.05, "corner_x": 0.03},
    15: {"corner_y": 0.14, "corner_x": -0.01},
    16: {"drop": 0.05, "teeth": 0.2},
    17: {"mouth": -0.05, "corner_y": 0.04, "chin_boss": 1.0, "lip_lower": 0.015},
    20: {"corner_x": 0.12, "corner_y": 0.05, "teeth": 0.6},
    23: {"lip_upper": -0.045, "lip_lower": -0.05, "corner_x": -0.05, "corner_y": 0.03, "teeth": 0.6},
    25: {"part": 0.06, "drop": 0.06},
    26: {"drop": 0.17, "jaw": 0.1, "part": 0.05, "corner_x": -0.1, "teeth": -0.5},
}  # fmt: skip
"""What each action unit moves at full intensity, in half head heights (y down), or how strongly a wrinkle shows."""

PROTOTYPES = {
    "neutral": {},
    "happy": {6: 0.85, 12: 1.0, 25: 0.7, 26: 0.25},
    "sad": {1: 1.0, 4: 0.6, 15: 1.0, 17: 0.6},
    "surprise": {1: 1.0, 2: 1.0, 5: 0.9, 25: 1.0, 26: 1.0},
    "fear": {1: 1.0, 2: 0.7, 4: 0.9, 5: 1.0, 7: 0.3, 20: 1.0, 25: 1.0, 26: 0.4},
    "disgust": {4: 0.3, 7: 0.5, 9: 1.0, 10: 0.9, 15: 0.5, 16: 0.5, 17: 0.4, 25: 0.4},
    "anger": {4: 1.0, 5: 0.6, 7: 0.9, 10: 0.3, 17: 0.3, 23: 1.0, 25: 0.3},
    "contempt": {12: 0.8, 14: 1.0},
}
"""The probability that an action unit takes part in an emotion; contempt's show on one side of the face."""

FEATURES = sorted({name for moves in ACTION_UNITS.values() for name in moves})
"""Everything that action units move."""

_DISPLACEMENT = np.array([[moves.get(name, 0) for name in FEATURES] for moves in ACTION_UNITS.values()], np.float32)
_PRESENCE = np.array([[PROTOTYPES[name].get(unit, 0) for unit in ACTION_UNITS] for name in AFFECTNET_8], np.float32)


def sample_intensities(key: Array, label: Array) -> Array:
    """Return the intensities, float32 [2, units] in [0, 1], of each action unit on the image's left and right side."""
    strength, presence, unit, noise, noise_level, side = jax.random.split(key, 6)
    units = (len(ACTION_UNITS),)
    active = jax.random.uniform(presence, units) < jnp.asarray(_PRESENCE)[label]
    intensity = jax.random.uniform(strength, minval=0.7) * jax.random.uniform(unit, units, minval=0.85)
    idle = jax.random.uniform(noise_level, units, maxval=0.15) * jax.random.bernoulli(noise, 0.15, units)
    both = jnp.where(active, intensity, idle)
    shown = jnp.stack([jax.random.bernoulli(side), ~jax.random.bernoulli(side)])
    unilateral = (label == AFFECTNET_8.index("contempt")) & active
    return jnp.where(unilateral[None] & ~shown[:, None], 0, both[None])


def displacements(intensities: Array) -> Values:
    """Return how far each of `FEATURES` moves, float32 [2] each, under intensities [2, units]."""
    moved = intensities @ jnp.asarray(_DISPLACEMENT)
    return dict(zip(FEATURES, moved.T, strict=True))
