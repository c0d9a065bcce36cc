"""Changes of place: images mirrored, cropped, and moved, turned or stretched in one sampling."""

from collections.abc import Callable
from functools import reduce

import jax
import jax.numpy as jnp

from jaxfer.models.pixels import unit_range

Places = tuple[jax.Array, jax.Array]
"""y and x of places in each image, both float32 [b, h, w], in pixels from the centre of the image."""

Step = Callable[[Places], Places]
"""Says of places in changed images where in the images as they were that comes from which is seen there."""


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


def move(key: jax.Array, images: jax.Array, *, shift: float, rotate: float, scale: float) -> jax.Array:
    """Shift, rotate and scale each image about its centre: `moved`, sampled.

    Args:
        key: As for `moved`.
        images: As for `resample`.
        shift: As for `moved`.
        rotate: As for `moved`.
        scale: As for `moved`.
    """
    return resample(images, lambda places: moved(key, places, shift=shift, rotate=rotate, scale=scale))


def resample(images: jax.Array, *steps: Step, chosen: jax.Array | None = None) -> jax.Array:
    """Change where the pixels of images lie, in one bilinear sampling; edges are repeated outward.

    Args:
        images: Integers from 0 to 255 or floating point from 0 to 1, [b, h, w, c].
        *steps: Each says of places where what is seen there comes from: the first of the places of the pixels, each
            other of what the one before it said. So an image is changed by the last of them first.
        chosen: bool [b], False for images that stay as they are, bit by bit; None for none of them.

    Returns:
        The images, float32 [b, h, w, c] from 0 to 1.
    """
    images = unit_range(images)
    count, height, width, _ = images.shape
    rows, columns = jnp.arange(height) - (height - 1) / 2, jnp.arange(width) - (width - 1) / 2
    there = jnp.meshgrid(jnp.zeros(count), rows, columns, indexing="ij")[1:]
    y, x = reduce(lambda places, step: step(places), steps, (there[0], there[1]))
    if chosen is not None:
        y, x = (jnp.where(chosen[:, None, None], to, at) for to, at in zip((y, x), there, strict=True))
    return jax.vmap(_bilinear)(images, y + (height - 1) / 2, x + (width - 1) / 2)


def moved(key: jax.Array, places: Places, *, shift: float, rotate: float, scale: float) -> Places:
    """Shift, rotate and scale about the centre, by what is drawn uniformly for each image.

    Args:
        key: Of what is drawn.
        places: In the changed images.
        shift: Largest shift along each axis, as a share of its side.
        rotate: Largest angle either way, in degrees.
        scale: The factor is drawn from 1 - scale to 1 + scale.

    Returns:
        The places where what is seen there comes from.
    """
    count, height, width = places[0].shape
    shift_key, rotate_key, scale_key = jax.random.split(key, 3)
    offset = jax.random.uniform(shift_key, (count, 2), minval=-shift, maxval=shift) * jnp.array([[height, width]])
    angle = jnp.deg2rad(jax.random.uniform(rotate_key, (count,), minval=-rotate, maxval=rotate))
    factor = jax.random.uniform(scale_key, (count,), minval=1 - scale, maxval=1 + scale)[:, None, None]
    # The inverse of turning by the angle and scaling by the factor.
    y, x = _turned(places[0] - offset[:, 0, None, None], places[1] - offset[:, 1, None, None], angle)
    return y / factor, x / factor


SHEAR, SHIFT, ROTATE = 0.3, 0.3, 30.0
"""What `changed_in_one_way` does at strength 1: pixels a pixel, share of the side, degrees."""


def changed_in_one_way(key: jax.Array, places: Places, strength: float) -> Places:
    """Change each image in one way by chance, by an amount of chance: the geometric part of TrivialAugment.

    Müller & Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation" (2021),
    https://arxiv.org/abs/2103.10158. The ways are none, a shear along x or y, a shift along x or y, and a turn, each as
    likely. The amount is uniform either way, where the paper draws one of 31 and a sign. The largest amounts are ours,
    for faces: the paper's widest are a shear of 0.99, a shift of 32 pixels, whatever the side, and 135 degrees.

    Args:
        key: Of the ways and the amounts.
        places: In the changed images.
        strength: Scales the largest amounts. At 1 they are a shear of 0.3, a shift of 0.3 of the side, and 30 degrees.

    Returns:
        The places where what is seen there comes from.
    """
    count, height, width = places[0].shape
    way_key, amount_key = jax.random.split(key)
    way = jax.random.randint(way_key, (count,), 0, 6)
    drawn = jax.random.uniform(amount_key, (count,), minval=-strength, maxval=strength)
    # Of the five amounts of an image all but one are 0, and which of them comes first does not matter.
    amount = [jnp.where(way == number, drawn, 0)[:, None, None] for number in range(6)]
    y, x = places[0] - amount[1] * SHIFT * height, places[1] - amount[2] * SHIFT * width
    y, x = y - amount[3] * SHEAR * x, x - amount[4] * SHEAR * y
    return _turned(y, x, jnp.deg2rad(amount[5][:, 0, 0] * ROTATE))


def cut_and_enlarged(key: jax.Array, places: Places, largest: float) -> Places:
    """Cut a rectangle out of each image and enlarge it to the image's size.

    Szegedy et al., "Going Deeper with Convolutions" (2015), section 6, https://arxiv.org/abs/1409.4842.

    Args:
        key: Of the rectangles.
        places: In the changed images.
        largest: The share of the area that is cut off is uniform from 0 to this, below 1. The rectangle's aspect ratio
            to that of the image is from 3/4 to 4/3, uniform in its logarithm, and nearer to 1 where a rectangle of its
            area would not lie inside otherwise.

    Returns:
        The places where what is seen there comes from.
    """
    count, height, width = places[0].shape
    area_key, aspect_key, place_key = jax.random.split(key, 3)
    area = jax.random.uniform(area_key, (count,), minval=1 - largest, maxval=1.0)
    bound = jnp.minimum(jnp.log(4 / 3), -jnp.log(area))
    aspect = jnp.exp(jax.random.uniform(aspect_key, (count,), minval=-1.0, maxval=1.0) * bound)
    sides = jnp.sqrt(jnp.stack([area * aspect, area / aspect], axis=1))  # shares of height and width
    centre = jax.random.uniform(place_key, (count, 2), minval=-0.5, maxval=0.5) * (1 - sides)
    centre = centre * jnp.array([[height, width]])
    y, x = (at * sides[:, axis, None, None] + centre[:, axis, None, None] for axis, at in enumerate(places))
    return y, x


def _turned(y: jax.Array, x: jax.Array, angle: jax.Array) -> Places:
    """Return places turned about the centre by angles [b], in radians."""
    cos, sin = jnp.cos(angle)[:, None, None], jnp.sin(angle)[:, None, None]
    return cos * y - sin * x, sin * y + cos * x


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
