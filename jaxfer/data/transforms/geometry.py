"""Changes of place: mirrored, cropped and moved images."""

import jax
import jax.numpy as jnp


def flip(key: jax.Array, images: jax.Array) -> jax.Array:
    """Mirror each image left to right with probability one half."""
    return mirror(images, jax.random.bernoulli(key, shape=(images.shape[0],)))


def mirror(images: jax.Array, mirrored: jax.Array) -> jax.Array:
    """Mirror left to right those of images [b, h, w, c] that `mirrored`, bool [b], says."""
    return jnp.where(mirrored[:, None, None, None], images[:, :, ::-1], images)


def crop(key: jax.Array, images: jax.Array, pad: int) -> jax.Array:
    """Cut each image out of itself with `pad` pixels of mirrored border on every side, at a random place.

    As is usual for small images (He et al. 2016, section 4.2, https://arxiv.org/abs/1512.03385, who pad with zeros).

    Args:
        key: Of the places.
        images: [b, h, w, c], each side larger than `pad`.
        pad: Pixels.
    """
    return cut(images, jax.random.randint(key, (images.shape[0], 2), 0, 2 * pad + 1), pad)


def cut(images: jax.Array, corners: jax.Array, pad: int) -> jax.Array:
    """Cut each image out of itself with `pad` pixels of mirrored border on every side.

    Args:
        images: [b, h, w, c], each side larger than `pad`.
        corners: Where each cut begins in the padded image, row and column, int [b, 2] from 0 to 2 pad.
        pad: Pixels.
    """
    _, height, width, channels = images.shape
    padded = jnp.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="reflect")
    zero = jnp.zeros((), corners.dtype)

    def one(image: jax.Array, corner: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], zero), (height, width, channels))

    return jax.vmap(one)(padded, corners)


def move(
    key: jax.Array,
    images: jax.Array,
    *,
    shift: float,
    rotate: float,
    scale: float,
    chosen: jax.Array | None = None,
) -> jax.Array:
    """Shift, rotate and scale each image about its centre in one bilinear sampling; edges are repeated outward.

    Args:
        key: Of what is drawn, uniformly, for each image.
        images: float32 [b, h, w, c].
        shift: Largest shift along each axis, as a share of its side.
        rotate: Largest angle, in degrees.
        scale: The factor is drawn from 1 - scale to 1 + scale.
        chosen: bool [b], False for images that stay as they are; None for none of them.
    """
    count, height, width, _ = images.shape
    shift_key, rotate_key, scale_key = jax.random.split(key, 3)
    offset = jax.random.uniform(shift_key, (count, 2), minval=-shift, maxval=shift) * jnp.array([[height, width]])
    angle = jnp.deg2rad(jax.random.uniform(rotate_key, (count,), minval=-rotate, maxval=rotate))
    factor = jax.random.uniform(scale_key, (count,), minval=1 - scale, maxval=1 + scale)
    if chosen is not None:
        offset, angle = jnp.where(chosen[:, None], offset, 0), jnp.where(chosen, angle, 0)
        factor = jnp.where(chosen, factor, 1)

    def one(image: jax.Array, offset: jax.Array, angle: jax.Array, factor: jax.Array) -> jax.Array:
        y, x = jnp.meshgrid(jnp.arange(height) - (height - 1) / 2, jnp.arange(width) - (width - 1) / 2, indexing="ij")
        y, x = y - offset[0], x - offset[1]
        # Where each pixel comes from: the inverse of turning by the angle and scaling by the factor.
        source_y = (jnp.cos(angle) * y - jnp.sin(angle) * x) / factor + (height - 1) / 2
        source_x = (jnp.sin(angle) * y + jnp.cos(angle) * x) / factor + (width - 1) / 2
        return _bilinear(image, source_y, source_x)

    return jax.vmap(one)(images, offset, angle, factor)


def _bilinear(image: jax.Array, y: jax.Array, x: jax.Array) -> jax.Array:
    """Sample image [h, w, c] at positions y, x [h, w]; outside, the nearest edge."""
    height, width, _ = image.shape
    y, x = jnp.clip(y, 0, height - 1), jnp.clip(x, 0, width - 1)
    top, left = jnp.floor(y).astype(jnp.int32), jnp.floor(x).astype(jnp.int32)
    bottom, right = jnp.minimum(top + 1, height - 1), jnp.minimum(left + 1, width - 1)
    down, across = (y - top)[..., None], (x - left)[..., None]
    upper = image[top, left] * (1 - across) + image[top, right] * across
    lower = image[bottom, left] * (1 - across) + image[bottom, right] * across
    return upper * (1 - down) + lower * down
