"""Random changes to a training batch, made on the device inside the step.

A `Transform` is `(key, batch) -> batch`. Those of images alone are functions of a key and float32 images [b, h, w, c]
from 0 to 1 that return the same shape, dtype and range, every image changed independently of the others.
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
