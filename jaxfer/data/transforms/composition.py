"""What a config asks for, and transforms one after another."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxfer.config import AugmentConfig
from jaxfer.data.batches import Batch
from jaxfer.data.transforms.colour import change_brightness, change_colour, change_contrast
from jaxfer.data.transforms.erasing import erase
from jaxfer.data.transforms.geometry import (
    Step,
    changed_in_one_way,
    crop,
    cut_and_enlarged,
    flip,
    mirror,
    moved,
    resample,
)
from jaxfer.data.transforms.mixing import cutmix, mixup
from jaxfer.data.transforms.view_grid import ViewGrid, show_views
from jaxfer.errors import UserError
from jaxfer.models import unit_range

Transform = Callable[[jax.Array, Batch], Batch]
"""`transform(key, batch) -> batch`. Every row is an example or padding, as its `mask` says, before and after.

Images come as the batch or the transform before left them, integers from 0 to 255 or floating point from 0 to 1;
`jaxfer.models.unit_range` makes the second of both. They are to be returned in one of these two.
"""

_OTHERS = 2**16


def compose(*transforms: Transform) -> Transform | None:
    """Return transforms one after another, each with randomness of its own; None of none."""
    if not transforms:
        return None

    def composed(key: jax.Array, batch: Batch) -> Batch:
        for index, transform in enumerate(transforms):
            # The first has the key itself, with which runs were trained before there were others. Smaller numbers
            # would give the others what it gets by splitting that: `split(key)[1]` is `fold_in(key, 1)`.
            batch = transform(key if index == 0 else jax.random.fold_in(key, _OTHERS + index), batch)
        return batch

    return composed


def transforms_of(config: AugmentConfig, num_classes: int, views: ViewGrid | None = None) -> list[Transform]:
    """Return what a config asks for, in order: changes of single images, then of pairs.

    Args:
        config: The config. With `alternate_flip` the transforms need the column `mirrored`, which `Batches` give with
            `alternate`.
        num_classes: How many classes there are.
        views: The views in which teachers saw the images; None without teachers. The first transform then draws one of
            them, in place of the config's crop and flips.
    """
    transforms: list[Transform] = []
    if views is not None:
        turns = _turns if config.alternate_flip else lambda batch: None
        transforms.append(lambda key, batch: show_views(key, batch, views, mirrored=turns(batch)))
        config = dataclasses.replace(config, crop=0, flip=False, alternate_flip=False)
    if _changes_images(config):
        transforms.append(
            lambda key, batch: {**batch, "image": augment(key, batch["image"], config, mirrored=batch.get("mirrored"))}
        )
    if config.mixup:
        transforms.append(lambda key, batch: mixup(key, batch, alpha=config.mixup, num_classes=num_classes))
    if config.cutmix:
        transforms.append(lambda key, batch: cutmix(key, batch, alpha=config.cutmix, num_classes=num_classes))
    return transforms


def _changes_images(config: AugmentConfig) -> bool:
    """Return whether a config asks for any change of single images."""
    sides = (config.flip, config.alternate_flip, config.crop)
    places = (config.shift, config.rotate, config.scale, config.resized_crop, config.trivial)
    light = (config.brightness, config.contrast, config.saturation, config.hue)
    return any((*sides, *places, *light, config.erase))


def augment(key: jax.Array, images: jax.Array, config: AugmentConfig, mirrored: jax.Array | None = None) -> jax.Array:
    """Change single images as a config asks for: geometry first, then light, then what is erased.

    Args:
        key: Of all that is drawn. What a config does not ask for draws nothing, and leaves the others their numbers.
        images: [b, h, w, c], uint8 from 0 to 255 or float32 from 0 to 1.
        config: What to change, and by how much.
        mirrored: bool [b], which images `alternate_flip` mirrors.

    Returns:
        The images, float32 [b, h, w, c] from 0 to 1.

    Raises:
        UserError: The config has `alternate_flip`, and `mirrored` is not given.
    """
    # Of keys made from one, `split(key, 5)[i]` is `fold_in(key, i)`: what came later has the numbers from 5 on.
    keys = jax.random.split(key, 5)
    images = unit_range(images)
    if config.crop:
        images = crop(jax.random.fold_in(key, 5), images, config.crop)
    if config.alternate_flip:
        images = mirror(images, _turns({"mirrored": mirrored}))
    elif config.flip:
        images = flip(keys[0], images)
    steps = _steps(key, config)
    if steps:
        chosen = _chosen(jax.random.fold_in(key, 6), len(images), config.geometric_probability)
        images = resample(images, *steps, chosen=chosen)
    changed = images
    if config.brightness:
        changed = change_brightness(keys[2], changed, config.brightness)
    if config.contrast:
        changed = change_contrast(keys[3], changed, config.contrast)
    if config.saturation or config.hue:
        colour_key = jax.random.fold_in(key, 8)
        changed = change_colour(colour_key, changed, saturation=config.saturation, hue=config.hue)
    chosen = _chosen(jax.random.fold_in(key, 7), len(images), config.photometric_probability)
    images = changed if chosen is None else jnp.where(chosen[:, None, None, None], changed, images)
    if config.erase:
        images = erase(keys[4], images, config.erase, largest=config.erase_area, fill=config.erase_fill)
    return images


def _turns(batch: Mapping[str, Any]) -> jax.Array:
    """Return which images `alternate_flip` mirrors."""
    if batch.get("mirrored") is None:
        raise UserError(
            "alternate_flip needs to know whose turn it is, and the batch has no column 'mirrored': make its batches "
            "with Batches(..., alternate=True), or leave out --alternate-flip"
        )
    return batch["mirrored"]


def _steps(key: jax.Array, config: AugmentConfig) -> list[Step]:
    """Return the changes of place that a config asks for, with the key of `augment`."""
    steps: list[Step] = []
    if config.resized_crop:
        cut_key = jax.random.fold_in(key, 9)
        steps.append(lambda places: cut_and_enlarged(cut_key, places, config.resized_crop))
    if config.shift or config.rotate or config.scale:
        amounts = {"shift": config.shift, "rotate": config.rotate, "scale": config.scale}
        move_key = jax.random.split(key, 5)[1]
        steps.append(lambda places: moved(move_key, places, **amounts))
    if config.trivial:
        way_key = jax.random.fold_in(key, 10)
        steps.append(lambda places: changed_in_one_way(way_key, places, config.trivial))
    return steps


def _chosen(key: jax.Array, count: int, probability: float) -> jax.Array | None:
    """Return which of the images to change, bool [b]; None where it is all of them, for which nothing is drawn."""
    return None if probability == 1 else jax.random.bernoulli(key, probability, (count,))
