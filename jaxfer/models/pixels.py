"""What a network makes of pixels before its first layer: a common range, one channel, and one light for all images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxfer.errors import UserError

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int, Num

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the luma of ITU-R BT.601, section 2.5.1; they add up to 1."""


def unit_range(
    images: Float[Array, "b h w c"] | Int[Array, "b h w c"], dtype: Any = jnp.float32
) -> Float[Array, "b h w c"]:
    """Return images as floating point from 0 to 1.

    Args:
        images: Integers of any type from 0 to 255, or floating point from 0 to 1 already, [b, h, w, c].
        dtype: Dtype of the result.

    Returns:
        The images in [0, 1], `dtype` [b, h, w, c].

    Raises:
        UserError: They are uint16, which images of 16 bits have, from 0 to 65,535.
    """
    if images.dtype == jnp.uint16:
        raise UserError("images of 16 bits go from 0 to 65,535: divide them by 257, and pass uint8")
    scale = 255.0 if jnp.issubdtype(images.dtype, jnp.integer) else 1.0
    return images.astype(dtype) / scale


ROUNDING = 1e-3
"""How far beyond 0 and 1 images may be that were resized or stored in few bits."""


def check_range(images: Num[np.ndarray, "b h w c"]) -> None:
    """Refuse images on the host that `unit_range` does not understand; of integers of 16 bits that speaks itself.

    Args:
        images: Integers or floating point [b, h, w, c].

    Raises:
        UserError: They are neither, integers beyond 0 and 255, or floating point beyond 0 and 1 by more than rounding.
    """
    integers = images.dtype.kind in "ui"
    if not integers and not jnp.issubdtype(images.dtype, jnp.floating):
        raise UserError(f"images are of {images.dtype}: pass integers from 0 to 255, or floating point from 0 to 1")
    if images.dtype in (np.uint8, np.uint16) or not images.size:
        return
    low, high = images.min(), images.max()
    if not (low >= -ROUNDING and high <= (255 if integers else 1) + ROUNDING):
        raise UserError(
            f"images of {images.dtype} have values from {low:g} to {high:g}: pass integers from 0 to 255, or floating "
            "point from 0 to 1, finite and not standardised, since the network does that itself where it was trained so"
        )


def luma(images: Float[Array, "b h w 3"]) -> Float[Array, "b h w 1"]:
    """Return images in one channel, 0.299 R + 0.587 G + 0.114 B: the luma of ITU-R BT.601, section 2.5.1.

    Args:
        images: RGB, floating point [b, h, w, 3].

    Returns:
        The luma, of the same dtype and range, [b, h, w, 1]. Where all three channels are equal it is each of them.
    """
    red, green, blue = (images[..., i : i + 1] * share for i, share in enumerate(LUMA))
    return red + green + blue  # and no product of matrices, which an accelerator may take in short floats


def standardized(images: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """Return each image with mean 0 and deviation 1 over all its pixels and channels.

    Brightness and contrast of a whole image then change nothing. An image is divided by at least 1 / (255 sqrt(n)) for
    its n values, the deviation where one value alone is a level of uint8 off: so flat images become zeros.

    Args:
        images: float32 from 0 to 1, [b, h, w, c].

    Returns:
        The images, float32 [b, h, w, c], with finite gradients for flat images too.
    """
    _, h, w, c = images.shape
    centred = images - images.mean((1, 2, 3), keepdims=True)
    variance = jnp.square(centred).mean((1, 2, 3), keepdims=True)
    # The bound is on the variance: the square root of zero has no finite gradient.
    return centred * lax.rsqrt(jnp.maximum(variance, 1 / (255**2 * h * w * c)))


def normalized(
    images: Float[Array, "b h w c"], mean: Sequence[float], deviation: Sequence[float]
) -> Float[Array, "b h w c"]:
    """Return images less a mean and divided by a deviation for each channel, as other libraries show them to networks.

    Args:
        images: Floating point from 0 to 1, [b, h, w, c].
        mean: The mean of each channel, c numbers from 0 to 1.
        deviation: Likewise the deviations.

    >>> normalized(jnp.full((1, 1, 1, 3), 0.5), (0.5, 0.25, 0.0), (0.5, 0.5, 0.5)).ravel()
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    return (images - jnp.asarray(mean, images.dtype)[None, None, None]) / jnp.asarray(deviation, images.dtype)[
        None, None, None
    ]


def first_layers_view(
    images: Num[Array, "b h w c"],
    *,
    gray: bool = False,
    standardize: bool = False,
    mean: Sequence[float] = (),
    deviation: Sequence[float] = (),
    dtype: Any = jnp.float32,
) -> Float[Array, "b h w c"]:
    """Return what the first layer of a network sees of images.

    Args:
        images: RGB, integers from 0 to 255 or floating point from 0 to 1, [b, h, w, 3]; or [b, h, w, 1] for `gray`.
        gray: Whether it sees one channel, see `luma`.
        standardize: Whether it sees `standardized` images.
        mean: With `deviation`, see `normalized`; empty where it sees values from 0 to 1.
        deviation: See `mean`.
        dtype: Dtype of the result.

    Returns:
        `dtype` [b, h, w, 3], or [b, h, w, 1] where it is gray.

    Raises:
        UserError: The images have another number of channels, or are uint16.
    """
    channels = images.shape[-1]
    if channels != 3 and not (gray and channels == 1):
        wanted = "3, or 1" if gray else "3, or let the network be gray" if channels == 1 else "3"
        raise UserError(f"images have {channels} channel{'s' * (channels != 1)}: pass {wanted}")
    if not (gray or standardize or mean):
        return unit_range(images, dtype)
    x = unit_range(images)  # float32, in which sums over an image are good
    if channels == 3 and gray:
        x = luma(x)
    if standardize:
        x = standardized(x)
    if mean:
        x = normalized(x, mean, deviation)
    return x.astype(dtype)
