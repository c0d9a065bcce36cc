"""Random changes to training images, made on the device inside the step.

Each function takes a key and float32 images [b, h, w, 3] from 0 to 1 and returns the same shape, dtype and range,
every image changed independently of the others.
"""

import jax
import jax.numpy as jnp

from jaxfer.config import AugmentConfig


def augment(key: jax.Array, images: jax.Array, config: AugmentConfig) -> jax.Array:
    """Apply all that `config` asks for.

    images: [b, h, w, 3], uint8 from 0 to 255 or float32 from 0 to 1. Returns float32 from 0 to 1.
    """
    if images.dtype == jnp.uint8:
        images = images.astype(jnp.float32) / 255
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
