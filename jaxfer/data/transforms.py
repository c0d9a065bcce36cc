"""Random changes to a training batch, made on the device inside the step.

A `Transform` is `(key, batch) -> batch`. Those of images alone are functions of a key and float32 images [b, h, w, c]
from 0 to 1 that return the same shape, dtype and range, every image changed independently of the others.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxfer.config import AugmentConfig
from jaxfer.data.batches import Batch
from jaxfer.models import unit_range

Transform = Callable[[jax.Array, Batch], Batch]
"""`transform(key, batch) -> batch`. Every row is an example or padding, as its `mask` says, before and after."""


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


def transforms_of(config: AugmentConfig, num_classes: int) -> list[Transform]:
    """Return what a config asks for, in order: changes of single images, then of pairs."""
    transforms: list[Transform] = []
    single = (config.flip, config.shift, config.rotate, config.scale, config.brightness, config.contrast, config.erase)
    if any(single) or config.crop:
        transforms.append(lambda key, batch: {**batch, "image": augment(key, batch["image"], config)})
    if config.mixup:
        transforms.append(lambda key, batch: mixup(key, batch, alpha=config.mixup, num_classes=num_classes))
    if config.cutmix:
        transforms.append(lambda key, batch: cutmix(key, batch, alpha=config.cutmix, num_classes=num_classes))
    return transforms


def augment(key: jax.Array, images: jax.Array, config: AugmentConfig) -> jax.Array:
    """Apply all that `config` asks for.

    images: [b, h, w, c], uint8 from 0 to 255 or float32 from 0 to 1. Returns float32 from 0 to 1.
    """
    images = unit_range(images)
    if config.crop:
        images = crop(jax.random.fold_in(key, 5), images, config.crop)
    keys = jax.random.split(key, 5)
    if config.flip:
        images = flip(keys[0], images)
    if config.shift or config.rotate or config.scale:
        images = move(keys[1], images, shift=config.shift, rotate=config.rotate, scale=config.scale)
    if config.brightness:
        images = change_brightness(keys[2], images, config.brightness)
    if config.contrast:
        images = change_contrast(keys[3], images, config.contrast)
    if config.erase:
        images = erase(keys[4], images, config.erase)
    return images


def flip(key: jax.Array, images: jax.Array) -> jax.Array:
    """Mirror each image left to right with probability one half."""
    mirrored = jax.random.bernoulli(key, shape=(images.shape[0], 1, 1, 1))
    return jnp.where(mirrored, images[:, :, ::-1], images)


def move(key: jax.Array, images: jax.Array, *, shift: float, rotate: float, scale: float) -> jax.Array:
    """Shift, rotate and scale each image about its centre in one bilinear sampling; edges are repeated outward.

    shift: largest shift along each axis, as a share of its side. rotate: largest angle, in degrees. scale: the
    factor is drawn from 1 - scale to 1 + scale. All are uniform.
    """
    count, height, width, _ = images.shape
    shift_key, rotate_key, scale_key = jax.random.split(key, 3)
    offset = jax.random.uniform(shift_key, (count, 2), minval=-shift, maxval=shift) * jnp.array([[height, width]])
    angle = jnp.deg2rad(jax.random.uniform(rotate_key, (count,), minval=-rotate, maxval=rotate))
    factor = jax.random.uniform(scale_key, (count,), minval=1 - scale, maxval=1 + scale)

    def one(image: jax.Array, offset: jax.Array, angle: jax.Array, factor: jax.Array) -> jax.Array:
        y, x = jnp.meshgrid(jnp.arange(height) - (height - 1) / 2, jnp.arange(width) - (width - 1) / 2, indexing="ij")
        y, x = y - offset[0], x - offset[1]
        # Where each pixel comes from: the inverse of turning by the angle and scaling by the factor.
        source_y = (jnp.cos(angle) * y - jnp.sin(angle) * x) / factor + (height - 1) / 2
        source_x = (jnp.sin(angle) * y + jnp.cos(angle) * x) / factor + (width - 1) / 2
        return _bilinear(image, source_y, source_x)

    return jax.vmap(one)(images, offset, angle, factor)


def _bilinear(image: jax.Array, y: jax.Array, x: jax.Array) -> jax.Array:
    """Sample image [h, w, 3] at positions y, x [h, w]; outside, the nearest edge."""
    height, width, _ = image.shape
    y, x = jnp.clip(y, 0, height - 1), jnp.clip(x, 0, width - 1)
    top, left = jnp.floor(y).astype(jnp.int32), jnp.floor(x).astype(jnp.int32)
    bottom, right = jnp.minimum(top + 1, height - 1), jnp.minimum(left + 1, width - 1)
    down, across = (y - top)[..., None], (x - left)[..., None]
    upper = image[top, left] * (1 - across) + image[top, right] * across
    lower = image[bottom, left] * (1 - across) + image[bottom, right] * across
    return upper * (1 - down) + lower * down


def change_brightness(key: jax.Array, images: jax.Array, largest: float) -> jax.Array:
    """Add to each image one number, uniform from -largest to largest."""
    change = jax.random.uniform(key, (images.shape[0], 1, 1, 1), minval=-largest, maxval=largest)
    return jnp.clip(images + change, 0, 1)


def change_contrast(key: jax.Array, images: jax.Array, largest: float) -> jax.Array:
    """Stretch each image about its mean by one factor, uniform from 1 - largest to 1 + largest."""
    factor = jax.random.uniform(key, (images.shape[0], 1, 1, 1), minval=1 - largest, maxval=1 + largest)
    mean = images.mean((1, 2, 3), keepdims=True)
    return jnp.clip(mean + (images - mean) * factor, 0, 1)


def erase(key: jax.Array, images: jax.Array, probability: float) -> jax.Array:
    """Replace a rectangle of each image by uniform noise, with the given probability.

    The rectangle covers 2% to 20% of the image at an aspect ratio from 0.3 to 3.3 and lies wholly inside it: Zhong
    et al., "Random Erasing Data Augmentation" (2020), https://arxiv.org/abs/1708.04896, with a smaller largest area
    than theirs of 40%, which would often hide the mouth and the eyes together.
    """
    count, height, width, _ = images.shape
    chosen_key, area_key, aspect_key, place_key, noise_key = jax.random.split(key, 5)
    chosen = jax.random.bernoulli(chosen_key, probability, (count,))
    area = jax.random.uniform(area_key, (count,), minval=0.02, maxval=0.2) * height * width
    aspect = jnp.exp(jax.random.uniform(aspect_key, (count,), minval=jnp.log(0.3), maxval=jnp.log(3.3)))
    rows = jnp.clip(jnp.round(jnp.sqrt(area * aspect)), 1, height)
    columns = jnp.clip(jnp.round(jnp.sqrt(area / aspect)), 1, width)
    place = jax.random.uniform(place_key, (count, 2))
    top = jnp.floor(place[:, 0] * (height - rows + 1))
    left = jnp.floor(place[:, 1] * (width - columns + 1))
    y, x = jnp.arange(height)[None, :], jnp.arange(width)[None, :]
    in_rows = (y >= top[:, None]) & (y < (top + rows)[:, None])  # [b, h]
    in_columns = (x >= left[:, None]) & (x < (left + columns)[:, None])  # [b, w]
    inside = chosen[:, None, None] & in_rows[:, :, None] & in_columns[:, None, :]
    return jnp.where(inside[..., None], jax.random.uniform(noise_key, images.shape), images)


def crop(key: jax.Array, images: jax.Array, pad: int) -> jax.Array:
    """Cut each image out of itself with `pad` pixels of mirrored border on every side, at a random place.

    As is usual for small images (He et al. 2016, section 4.2, https://arxiv.org/abs/1512.03385, who pad with zeros).

    Args:
        key: Of the places.
        images: [b, h, w, c], each side larger than `pad`.
        pad: Pixels.
    """
    count, height, width, channels = images.shape
    padded = jnp.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="reflect")
    corners = jax.random.randint(key, (count, 2), 0, 2 * pad + 1)
    zero = jnp.zeros((), corners.dtype)

    def one(image: jax.Array, corner: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], zero), (height, width, channels))

    return jax.vmap(one)(padded, corners)


def mixup(key: jax.Array, batch: Batch, *, alpha: float, num_classes: int) -> Batch:
    """Mix each example with another one of the batch: images, labels and all else that is known of them.

    Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018, https://arxiv.org/abs/1710.09412, with a share of
    its own for each pair. Padding is neither mixed nor mixed in.

    Args:
        key: Of the pairs and the shares.
        batch: As a step has it.
        alpha: Of the Beta distribution of the shares, above 0.
        num_classes: How many classes there are.

    Returns:
        The batch with `soft_label` float32 [b, c] mixed, and in `label` the class of the larger share. What is not
        known of either example is not known of the mixture. Columns of whole numbers or of truth values, which cannot
        be mixed, are those of the larger share, as the label is.
    """
    pair_key, share_key = jax.random.split(key)
    partner = _partners(pair_key, batch["mask"])
    share = jax.random.beta(share_key, alpha, alpha, (partner.shape[0],))
    images = unit_range(batch["image"])
    weight = share[:, None, None, None]
    return _mixed(batch, images * weight + images[partner] * (1 - weight), partner, share, num_classes)


def cutmix(key: jax.Array, batch: Batch, *, alpha: float, num_classes: int) -> Batch:
    """Replace a rectangle of each image by that of another one of the batch, and mix labels by the areas.

    Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", 2019,
    https://arxiv.org/abs/1905.04899, section 3.1, with a rectangle of its own for each pair. Arguments and result are
    those of `mixup`.
    """
    pair_key, share_key, place_key = jax.random.split(key, 3)
    partner = _partners(pair_key, batch["mask"])
    images = unit_range(batch["image"])
    count, height, width, _ = images.shape
    side = jnp.sqrt(1 - jax.random.beta(share_key, alpha, alpha, (count,)))
    place = jax.random.uniform(place_key, (count, 2))
    rows, columns = (_span(place[:, i], side, size) for i, size in enumerate((height, width)))  # [b, h], [b, w]
    inside = rows[:, :, None] & columns[:, None, :]
    share = 1 - inside.mean((1, 2))
    return _mixed(batch, jnp.where(inside[..., None], images[partner], images), partner, share, num_classes)


def _span(centre: jax.Array, side: jax.Array, size: int) -> jax.Array:
    """Return which of `size` places lie within half a side of a centre, both shares [b] of them: bool [b, size]."""
    place = (jnp.arange(size) + 0.5)[None, :]
    return jnp.abs(place - (centre * size)[:, None]) < (side * size / 2)[:, None]


def _partners(key: jax.Array, mask: jax.Array) -> jax.Array:
    """Return for each row another one to mix it with, int [b]: the next in a random ring of all that are no padding."""
    order = jnp.argsort(jnp.where(mask, jax.random.uniform(key, mask.shape), 2.0))  # padding last
    place = jnp.argsort(order)
    following = order[(place + 1) % jnp.maximum(mask.sum(), 1)]
    return jnp.where(mask, following, jnp.arange(mask.shape[0]))


def _mixed(batch: Any, images: jax.Array, partner: jax.Array, share: jax.Array, num_classes: int) -> Batch:
    """Return a batch of mixed images whose labels and further columns are mixed by the share [b] of each row itself."""
    labels = batch["label"]
    soft = batch["soft_label"] if "soft_label" in batch else jax.nn.one_hot(labels, num_classes)
    columns = {name: rows for name, rows in batch.items() if name not in ("image", "label", "mask")}

    def mix(rows: jax.Array) -> jax.Array:
        weight = share.reshape(-1, *(1,) * (rows.ndim - 1))
        if not jnp.issubdtype(rows.dtype, jnp.floating):
            return jnp.where(weight >= 0.5, rows, rows[partner])
        return rows * weight.astype(rows.dtype) + rows[partner] * (1 - weight).astype(rows.dtype)

    mixed = {name: mix(jnp.asarray(rows)) for name, rows in (columns | {"soft_label": soft, "label": labels}).items()}
    return batch | mixed | {"image": images}
