"""Changes of light and colour, every pixel of an image by the same rule."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxfer.models.pixels import LUMA, unit_range

YIQ = np.array([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
"""NTSC's luma and two measures of colour, in rows, from red, green and blue; of gray both are 0."""


def change_brightness(key: jax.Array, images: jax.Array, largest: float) -> jax.Array:
    """Add one number to all pixels of an image.

    Args:
        key: Of the numbers, one for each image.
        images: Integers from 0 to 255 or floating point from 0 to 1, [b, h, w, c].
        largest: The number is uniform from -largest to largest, as a share of the full range.

    Returns:
        The images, float32, clipped to 0 and 1.
    """
    change = jax.random.uniform(key, (images.shape[0], 1, 1, 1), minval=-largest, maxval=largest)
    return jnp.clip(unit_range(images) + change, 0, 1)


def change_contrast(key: jax.Array, images: jax.Array, largest: float) -> jax.Array:
    """Stretch an image about its mean, over pixels and channels.

    Args:
        key: Of the factors, one for each image.
        images: Integers from 0 to 255 or floating point from 0 to 1, [b, h, w, c].
        largest: The factor is uniform from 1 - largest to 1 + largest.

    Returns:
        The images, float32, clipped to 0 and 1.
    """
    factor = jax.random.uniform(key, (images.shape[0], 1, 1, 1), minval=1 - largest, maxval=1 + largest)
    images = unit_range(images)
    mean = images.mean((1, 2, 3), keepdims=True)
    return jnp.clip(mean + (images - mean) * factor, 0, 1)


def change_colour(key: jax.Array, images: jax.Array, *, saturation: float, hue: float) -> jax.Array:
    """Stretch and turn the colours of an image about gray, its luma kept where nothing is clipped.

    Colours are those of YIQ: I and Q of every pixel are scaled by a factor and turned by an angle. What is gray stays
    gray, to rounding, and images of one channel are returned as they are.

    Args:
        key: Of the factors and the angles, one each for an image.
        images: Integers from 0 to 255 or floating point from 0 to 1, red, green and blue [b, h, w, 3], or [b, h, w, 1].
        saturation: The factor is uniform from 1 - saturation to 1 + saturation.
        hue: The angle is uniform from -hue to hue, in degrees.

    Returns:
        The images, float32, clipped to 0 and 1.
    """
    images = unit_range(images)
    count, *_, channels = images.shape
    if channels == 1:
        return images
    factor_key, angle_key = jax.random.split(key)
    factor = jax.random.uniform(factor_key, (count,), minval=1 - saturation, maxval=1 + saturation)
    angle = jnp.deg2rad(jax.random.uniform(angle_key, (count,), minval=-hue, maxval=hue))
    luma, along, across = (np.linalg.inv(YIQ) @ part @ YIQ for part in _PARTS)
    along, across = (
        jnp.asarray(part, jnp.float32)[None] * amount[:, None, None]
        for part, amount in ((along, factor * jnp.cos(angle)), (across, factor * jnp.sin(angle)))
    )
    mixed = jnp.asarray(luma, jnp.float32)[None] + along + across  # [b, 3 of the result, 3 of the image]
    # Written out: as a product of matrices it would have fewer digits on some accelerators.
    return jnp.clip((images[..., None, :] * mixed[:, None, None]).sum(-1), 0, 1)


_PARTS = (np.diag([1, 0, 0]), np.diag([0, 1, 1]), np.array([[0, 0, 0], [0, 0, -1], [0, 1, 0]]))
"""Luma as it is; I and Q as they are, and a quarter of a turn further."""
