"""Shapes as masks: approximate signed distances, negative inside, turned into coverage in [0, 1].

Edges are smooth, so no shape has to be drawn larger and reduced; a wider edge is a blurred picture.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

Number = Array | float
Layer = tuple[Array, Array | np.ndarray]
"""A mask [size, size] and the colour [3] that it lays over what is below."""


class Pen(NamedTuple):
    """Turns distances into masks whose edges are `softness` wide, in half head heights."""

    softness: Array

    def fill(self, distance: Array) -> Array:
        """Return 1 inside, 0 outside, and a smooth step between."""
        t = jnp.clip(0.5 - distance * (0.5 / self.softness), 0, 1)
        return t * t * (3 - 2 * t)

    def line(self, distance: Array, width: Number) -> Array:
        """Return a line of half `width` along distance zero; it pales where it is thinner than the edge."""
        return self.fill(distance - width) - self.fill(distance + width)

    def between(self, y: Array, top: Array, bottom: Array) -> Array:
        """Return the mask of what lies between two curves, nothing where they have crossed.

        Args:
            y: Heights of the pixels; y points down.
            top: The height of the upper curve at each pixel.
            bottom: That of the lower one.
        """
        return jnp.maximum(0, self.fill(top - y) - self.fill(bottom - y))


def ellipse(x: Array, y: Array, rx: Number, ry: Number) -> Array:
    """Return the distance from an ellipse about the origin, to first order.

    Args:
        x: Places of the pixels.
        y: Likewise.
        rx: Half its width.
        ry: Half its height.
    """
    u, v = x * (1 / rx), y * (1 / ry)
    level = u * u + v * v
    slope = jnp.sqrt((u * (1 / rx)) ** 2 + (v * (1 / ry)) ** 2 + 1e-6)
    return 0.5 * (level - 1) / slope


def box(x: Array, y: Array, rx: Number, ry: Number, corner: Number) -> Array:
    """Return the distance from a rectangle about the origin with rounded corners.

    Args:
        x: As for `ellipse`.
        y: As for `ellipse`.
        rx: As for `ellipse`.
        ry: As for `ellipse`.
        corner: The radius of its corners.
    """
    dx, dy = jnp.abs(x) - (rx - corner), jnp.abs(y) - (ry - corner)
    outside = jnp.sqrt(jnp.maximum(dx, 0) ** 2 + jnp.maximum(dy, 0) ** 2 + 1e-9)
    return outside + jnp.minimum(jnp.maximum(dx, dy), 0) - corner


def glow(x: Array, y: Array, rx: Number, ry: Number) -> Array:
    """Return a spot that fades from 1 at the origin to 0 at an ellipse, and is 0 beyond.

    Args:
        x: As for `ellipse`.
        y: As for `ellipse`.
        rx: As for `ellipse`.
        ry: As for `ellipse`.
    """
    return jnp.maximum(0, 1 - (x * (1 / rx)) ** 2 - (y * (1 / ry)) ** 2) ** 2
