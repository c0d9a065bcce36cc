"""A rectangle of an image filled with something else, so that a network learns to do without what it hides."""

from typing import Literal

import jax
import jax.numpy as jnp

from jaxfer.models.pixels import unit_range


def erase(
    key: jax.Array,
    images: jax.Array,
    probability: float,
    *,
    largest: float = 0.2,
    fill: Literal["noise", "mean"] = "noise",
) -> jax.Array:
    """Fill a rectangle of each image with something else, with a probability.

    The rectangle lies wholly inside the image, at an aspect ratio from 0.3 to 3.3: Zhong et al., "Random Erasing Data
    Augmentation" (2020), https://arxiv.org/abs/1708.04896. By default it covers at most 20% of the image, and not 40%
    as theirs does, which would often hide the mouth and the eyes together. The aspect ratio is uniform in its
    logarithm, so that tall and wide ones are as likely; theirs is uniform itself, which has three in four longer along
    one axis. Where a rectangle does not fit, theirs is drawn anew, and this one cut to the image.

    Args:
        key: Of who is chosen, of the rectangles and of the noise.
        images: Integers from 0 to 255 or floating point from 0 to 1, [b, h, w, c].
        probability: That an image is chosen, from 0 to 1.
        largest: The area is uniform from 0.02 to this, as a share of the image; at least 0.02, at most 1. A rectangle
            that would be longer than the image is as long.
        fill: `noise`, uniform from 0 to 1, or `mean`, the image's own mean of each channel.

    Returns:
        The images, float32 [b, h, w, c] from 0 to 1.
    """
    images = unit_range(images)
    count, height, width, _ = images.shape
    chosen_key, area_key, aspect_key, place_key, noise_key = jax.random.split(key, 5)
    chosen = jax.random.bernoulli(chosen_key, probability, (count,))
    area = jax.random.uniform(area_key, (count,), minval=0.02, maxval=largest) * height * width
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
    filling = images.mean((1, 2), keepdims=True) if fill == "mean" else jax.random.uniform(noise_key, images.shape)
    return jnp.where(inside[..., None], filling, images)
