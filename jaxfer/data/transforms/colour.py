"""Changes of light and colour, every pixel of an image by the same rule."""

import jax
import jax.numpy as jnp


def change_brightness(key: jax.Array, images: jax.Array, largest: float) -> jax.Array:
    """Add one number to all pixels of an image.

    Args:
        key: Of the numbers, one for each image.
        images: float32 [b, h, w, c] from 0 to 1.
        largest: The number is uniform from -largest to largest, as a share of the full range.

    Returns:
        The images, clipped to their range.
    """
    change = jax.random.uniform(key, (images.shape[0], 1, 1, 1), minval=-largest, maxval=largest)
    return jnp.clip(images + change, 0, 1)


def change_contrast(key: jax.Array, images: jax.Array, largest: float) -> jax.Array:
    """Stretch an image about its mean, over pixels and channels.

    Args:
        key: Of the factors, one for each image.
        images: float32 [b, h, w, c] from 0 to 1.
        largest: The factor is uniform from 1 - largest to 1 + largest.

    Returns:
        The images, clipped to their range.
    """
    factor = jax.random.uniform(key, (images.shape[0], 1, 1, 1), minval=1 - largest, maxval=1 + largest)
    mean = images.mean((1, 2, 3), keepdims=True)
    return jnp.clip(mean + (images - mean) * factor, 0, 1)
