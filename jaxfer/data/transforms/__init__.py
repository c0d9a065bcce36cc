"""Random changes to a training batch, made on the device inside the step.

A `Transform` is `(key, batch) -> batch`. Those of images alone are functions of a key and images [b, h, w, c] that
change every image independently of the others. They take what batches hold: integers from 0 to 255, or floating point
from 0 to 1. Those that compute with pixels return float32 from 0 to 1; those that only move them keep
dtype and range (`flip`, `crop`, `cut`, `mirror`).
"""

from jaxfer.data.transforms.colour import change_brightness, change_colour, change_contrast
from jaxfer.data.transforms.composition import Transform, augment, compose, transforms_of
from jaxfer.data.transforms.erasing import erase
from jaxfer.data.transforms.geometry import (
    changed_in_one_way,
    crop,
    cut,
    cut_and_enlarged,
    flip,
    mirror,
    move,
    moved,
    resample,
)
from jaxfer.data.transforms.mixing import cutmix, mixup
from jaxfer.data.transforms.view_grid import ViewGrid, show_views

__all__ = [
    "Transform",
    "ViewGrid",
    "augment",
    "change_brightness",
    "change_colour",
    "change_contrast",
    "changed_in_one_way",
    "compose",
    "crop",
    "cut",
    "cut_and_enlarged",
    "cutmix",
    "erase",
    "flip",
    "mirror",
    "mixup",
    "move",
    "moved",
    "resample",
    "show_views",
    "transforms_of",
]
