"""How a face moves: emotions as facial action units, action units as displacements of features.

Action units are those of the Facial Action Coding System (Ekman and Friesen, 1978). Which of them show which emotion
follows the prototypes of EMFACS, its emotional version (Friesen and Ekman, 1983).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxfer.data.synthetic.anatomy import Values, uniform
from jaxfer.emotions import AFFECTNET_8

ACTION_UNITS = {
    1: {"brow_inner": -0.22, "brow_mid": -0.06, "lid_slant": 0.05, "forehead": 0.5},
    2: {"brow_outer": -0.13, "brow_mid": -0.13, "brow_inner": -0.02, "forehead": 0.5},
    4: {"brow_inner": 0.14, "brow_mid": 0.07, "brow_gap": -0.08, "frown": 1.0, "lid_upper": -0.015, "lid_slant": -0.03},
    5: {"lid_upper": 0.075, "lid_lower": 0.01},
    6: {"lid_lower": -0.055, "cheek": 1.0, "crow": 1.0},
    7: {"lid_lower": -0.035, "lid_upper": -0.03},
    9: {"wrinkle": 1.0, "nose": -0.05, "fold": 0.5, "brow_inner": 0.08, "brow_mid": 0.03, "lid_lower": -0.03,
        "lid_upper": -0.025, "mouth": -0.02},
    10: {"lip_raise": 0.11, "fold": 0.6, "nose": -0.02, "teeth": 0.8},
    12: {"corner_x": 0.13, "corner_y": -0.16, "fold": 0.6, "cheek": 0.4, "teeth": 1.0},
    14: {"dimple": 1.0, "corner_x": 0.03, "corner_y": -0.05},
    15: {"corner_x": -0.01, "corner_y": 0.14},
    16: {"drop": 0.05, "teeth": 0.2},
    17: {"chin_boss": 1.0, "mouth": -0.05, "corner_y": 0.04, "lip_lower": 0.015},
    20: {"corner_x": 0.12, "corner_y": 0.05, "teeth": 0.6},
    23: {"lip_upper": -0.045, "lip_lower": -0.05, "corner_x": -0.05, "corner_y": 0.03, "teeth": 0.6},
    25: {"part": 0.06, "drop": 0.06},
    26: {"drop": 0.17, "jaw": 0.1, "part": 0.05, "corner_x": -0.1, "teeth": -0.5},
}  # fmt: skip
"""What each action unit does at full intensity: displacements in half head heights (y points down), openings of the
lids and lips, and how strongly folds and wrinkles show."""

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
"""The probability that an action unit takes part in showing an emotion. Contempt shows on one side of the face."""

MOVES = sorted({name for moves in ACTION_UNITS.values() for name in moves})
"""The name of everything that action units change."""

_DISPLACEMENT = np.array([[moves.get(name, 0) for name in MOVES] for moves in ACTION_UNITS.values()])
_PRESENCE = np.array([[PROTOTYPES[name].get(unit, 0) for unit in ACTION_UNITS] for name in AFFECTNET_8])


def sample_intensities(key: Array, label: Array) -> Array:
    """Return the intensity in [0, 1] of each action unit, [2, units], on the image's left and right side.

    `label` is an int32 scalar, an index into `AFFECTNET_8`. Units that belong to the emotion have intensities from
    0.6 to 1; of the others, about one in seven moves a little, up to 0.15.
    """
    present, strength, evenness, idle, idle_strength, side = jax.random.split(key, 6)
    units = (len(ACTION_UNITS),)
    active = uniform(present, units) < jnp.asarray(_PRESENCE)[label]
    shown = (0.7 + 0.3 * uniform(strength)) * (0.85 + 0.15 * uniform(evenness, units))
    unrelated = (uniform(idle, units) < 0.15) * 0.15 * uniform(idle_strength, units)
    intensity = jnp.where(active, shown, unrelated)
    one_sided = active & (label == AFFECTNET_8.index("contempt"))
    on_left = uniform(side) < 0.5
    left, right = jnp.where(one_sided & ~on_left, 0, intensity), jnp.where(one_sided & on_left, 0, intensity)
    return jnp.stack([left, right])


def displacements(intensities: Array) -> Values:
    """Return the change, [2], of each of `MOVES` on either side under `intensities` [2, units]."""
    return dict(zip(MOVES, (intensities @ jnp.asarray(_DISPLACEMENT)).T, strict=True))
