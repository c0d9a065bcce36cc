"""3x3 convolutions with a quarter of the multiplications: Winograd's F(4x4, 3x3) and its exact gradients.

The map is cut into tiles of 4x4 outputs, each made from 6x6 inputs. With the matrices of Lavin and Gray, "Fast
algorithms for convolutional neural networks" (2016), section 4.2, https://arxiv.org/abs/1509.09308, an output tile is

    A^T [ (G k G^T) * (B^T x B) ] A

so that the sum over channels becomes 36 matrix products, one for each of the 6x6 positions. Every transform is linear,
and the gradients are the same pipeline run backwards, with 36 products for each of the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

if TYPE_CHECKING:
    from jaxtyping import Array, Float

_B_TRANSPOSED = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    np.float32,
)
_G = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], np.float32) / 24
_G_BOTH = np.einsum("qj,pi->qpij", _G, _G).reshape(36, 9)
"""G k G^T as one product, columns first like the tiles of the inputs: one pass over a kernel in place of two."""
_A_TRANSPOSED = np.array(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], np.float32
)


@jax.custom_vjp
def winograd(x: Float[Array, "b h w c"], kernel: Float[Array, "3 3 c d"]) -> Float[Array, "b h w d"]:
    """Convolve with a 3x3 kernel, stride 1 and SAME padding.

    Meant for float32: there the error is about 1e-5 of the largest value of the direct sum. Shorter floats lose too
    much in the transforms. It has no forward-mode derivative.

    Args:
        x: Input, [b, h, w, c].
        kernel: Kernel, [3, 3, c, d].

    Returns:
        Output, [b, h, w, d].
    """
    return _forward(x, kernel)[0]


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple]:
    inputs, kernels = _input_tiles(x), kernel_tiles(kernel)
    return _multiplied(inputs, kernels, x), (inputs, kernels, x)


def winograd_of_tiles(x: Float[Array, "b h w c"], tiles: Float[Array, "36 c d"]) -> Float[Array, "b h w d"]:
    """Convolve as `winograd` does, with a kernel that was transformed before.

    Args:
        x: Input, [b, h, w, c].
        tiles: What `kernel_tiles` made of the kernel, [36, c, d].

    Returns:
        Output, [b, h, w, d].
    """
    return _multiplied(_input_tiles(x), tiles, x)


def _multiplied(inputs: jax.Array, kernels: jax.Array, x: jax.Array) -> jax.Array:
    """Return the output for x from the tiles of its inputs [6, 6, b, t, u, c] and those of the kernel [36, c, d]."""
    products = jnp.einsum("ptc,pcd->ptd", _flat(inputs), kernels)
    return _outputs(products.reshape(*inputs.shape[:-1], kernels.shape[-1]), x)


def _backward(residuals: tuple, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    inputs, kernels, x = residuals
    products = _flat(_outputs_transposed(gradient))
    for_inputs = jnp.einsum("ptd,pcd->ptc", products, kernels).reshape(inputs.shape)
    for_kernels = jnp.einsum("ptc,ptd->pcd", _flat(inputs), products)
    return _input_tiles_transposed(for_inputs, x), _kernel_tiles_transposed(for_kernels)


winograd.defvjp(_forward, _backward)


def _combine(matrix: np.ndarray, parts: list[jax.Array]) -> jax.Array:
    """Return, stacked, a sum of the parts for each row of the matrix: sums of slices, which XLA fuses into one pass."""
    sums = []
    for row in matrix:
        terms = [part * factor.astype(part.dtype) for factor, part in zip(row, parts, strict=True) if factor]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        sums.append(total)
    return jnp.stack(sums)


def store(x: jax.Array) -> jax.Array:
    """Have XLA write x to memory, so that it is not fused into the next pass and computed anew for each term there."""
    return cast(jax.Array, lax.optimization_barrier(x))


def _flat(tiles: jax.Array) -> jax.Array:
    """Return [6, 6, b, t, u, c] as [36, b * t * u, c]: a matrix for each position."""
    return tiles.reshape(36, -1, tiles.shape[-1])


def _input_tiles(x: jax.Array) -> jax.Array:
    """Return B^T x B of the 6x6 inputs of every tile: [6, 6, b, t, u, c] for t by u tiles."""
    b, h, w, c = x.shape
    t, u = -(-h // 4), -(-w // 4)
    padded = jnp.pad(x, ((0, 0), (1, 4 * t + 3 - h), (1, 4 * u + 3 - w), (0, 0)))
    # Inputs 4 and 5 of a tile are inputs 0 and 1 of the next one, so that no slice needs a stride.
    blocks = padded.reshape(b, t + 1, 4, u + 1, 4, c)
    rows = [blocks[:, :t, i] for i in range(4)] + [blocks[:, 1:, i] for i in range(2)]
    rows = store(_combine(_B_TRANSPOSED, rows))  # [6, b, t, u + 1, 4, c]
    columns = [rows[:, :, :, :u, j] for j in range(4)] + [rows[:, :, :, 1:, j] for j in range(2)]
    return _combine(_B_TRANSPOSED, columns)


def _input_tiles_transposed(tiles: jax.Array, x: jax.Array) -> jax.Array:
    """Return the gradient for x [b, h, w, c] from that for its tiles [6, 6, b, t, u, c]."""
    b, h, w, c = x.shape
    t, u = tiles.shape[3:5]
    columns = store(_combine(_B_TRANSPOSED.T, list(tiles)))  # [6, 6, b, t, u, c]
    columns = _overlap(list(columns), 3)  # [6, b, t, u + 1, 4, c]
    rows = store(_combine(_B_TRANSPOSED.T, list(columns)))
    rows = _overlap(list(rows), 1)  # [b, t + 1, 4, u + 1, 4, c]
    return rows.reshape(b, 4 * t + 4, 4 * u + 4, c)[:, 1 : 1 + h, 1 : 1 + w]


def _overlap(parts: list[jax.Array], axis: int) -> jax.Array:
    """Add the last two of six inputs of each tile along `axis` to the first two of the next; the four follow `axis`."""

    def shifted(part: jax.Array, before: int) -> jax.Array:
        padding = [(0, 0)] * part.ndim
        padding[axis] = (before, 1 - before)
        return jnp.pad(part, padding)

    own = [shifted(part, 0) for part in parts[:4]]
    return jnp.stack([own[0] + shifted(parts[4], 1), own[1] + shifted(parts[5], 1), own[2], own[3]], axis + 1)


def _outputs(products: jax.Array, x: jax.Array) -> jax.Array:
    """Return A^T M A of the products M [6, 6, b, t, u, d] of every tile, put together: [b, h, w, d]."""
    b, h, w, _ = x.shape
    t, u, d = products.shape[3:]
    rows = store(_combine(_A_TRANSPOSED, [products[:, i] for i in range(6)]))  # [4, 6, b, t, u, d]
    tiles = _combine(_A_TRANSPOSED, [rows[:, j] for j in range(6)])  # [4, 4, b, t, u, d], columns first
    return tiles.transpose(2, 3, 1, 4, 0, 5).reshape(b, 4 * t, 4 * u, d)[:, :h, :w]


def _outputs_transposed(gradient: jax.Array) -> jax.Array:
    """Return the gradient for the products [6, 6, b, t, u, d] from that for the output [b, h, w, d]."""
    b, h, w, d = gradient.shape
    t, u = -(-h // 4), -(-w // 4)
    padded = jnp.pad(gradient, ((0, 0), (0, 4 * t - h), (0, 4 * u - w), (0, 0)))
    tiles = padded.reshape(b, t, 4, u, 4, d)
    rows = store(_combine(_A_TRANSPOSED.T, [tiles[:, :, i] for i in range(4)]))  # [6, b, t, u, 4, d]
    return _combine(_A_TRANSPOSED.T, [rows[:, :, :, :, j] for j in range(4)])


def kernel_tiles(kernel: Float[Array, "3 3 c d"]) -> Float[Array, "36 c d"]:
    """Return G k G^T of a kernel [3, 3, c, d]: [36, c, d]."""
    return jnp.dot(_G_BOTH, kernel.reshape(9, -1)).reshape(36, *kernel.shape[2:])


def _kernel_tiles_transposed(tiles: jax.Array) -> jax.Array:
    """Return the gradient for the kernel [3, 3, c, d] from that for its tiles [36, c, d]."""
    return jnp.dot(_G_BOTH.T, tiles.reshape(36, -1)).reshape(3, 3, *tiles.shape[1:])
