"""Convolutions for a CPU, by whatever method is fastest for a shape, and for networks side by side.

XLA's own convolution is the fastest on accelerators, and on a CPU for the values of large kernels. On a CPU it leaves
its fast path for small maps, and for the gradients of strided convolutions and of large kernels. For 3x3 kernels it
multiplies four times as often as it must. Networks side by side need something else: `convolve_each`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxfer.models.kernels.winograd import kernel_tiles, store, winograd, winograd_of_tiles

if TYPE_CHECKING:
    from jaxtyping import Array, Float

Padding = str | Sequence[tuple[int, int]]
"""As for `jax.lax.conv_general_dilated`: `SAME`, or the rows before and after, and the columns."""


def convolve(
    x: Float[Array, "b h w c"],
    kernel: Float[Array, "kh kw c d"],
    strides: Sequence[int],
    padding: Padding,
    **options: Any,
) -> Float[Array, "b h_out w_out d"]:
    """Convolve as `jax.lax.conv_general_dilated`, fast on a CPU; for the argument of that name of `flax.linen.Conv`.

    Convolutions in float32 or bfloat16 with SAME padding, undilated and ungrouped, are computed here, and those with a
    stride and other padding; all others by XLA. The numbers are XLA's to rounding, gradients included. Some lowerings
    have no forward-mode derivative.

    Args:
        x: Input, [b, h, w, c].
        kernel: Kernel, [kh, kw, c, d].
        strides: Stride along height and width.
        padding: As for `jax.lax.conv_general_dilated`.
        **options: The other arguments of `jax.lax.conv_general_dilated`.

    Returns:
        Output, with SAME padding [b, ceil(h / stride), ceil(w / stride), d].
    """
    if _is_plain(options) and x.dtype == kernel.dtype and x.dtype in (jnp.float32, jnp.bfloat16):
        if padding == "SAME":
            lowering = _lowering if x.dtype == jnp.float32 else _bfloat16_lowering
            return lowering(x.shape, kernel.shape, strides)(x, kernel, strides)
        if not isinstance(padding, str) and min(strides) > 1:
            # As PyTorch pads a strided layer. What SAME pads in the others is the same, and has more lowerings.
            lowering = convolve_directly if max(kernel.shape[:2]) > 3 else multiply_patches
            return lowering(x, kernel, strides, padding)
    return lax.conv_general_dilated(x, kernel, strides, padding, **options)


PREPARED = "prepared"
"""The collection of variables that holds kernels as the products of `convolve_prepared` take them."""


def convolve_prepared(
    x: Float[Array, "b h w c"],
    kernel: Float[Array, "kh kw c d"],
    strides: Sequence[int],
    padding: Padding,
    **options: Any,
) -> Float[Array, "b h_out w_out d"]:
    """Convolve as `convolve` does, in a network that learns no more, from one image on.

    Winograd's transform of a kernel takes longer than the convolution of one image with it. It is a variable of the
    module that calls this: `network.apply(variables, images, mutable=PREPARED)` makes it, and other calls read it.

    Args:
        x: Input, [b, h, w, c].
        kernel: Kernel, [kh, kw, c, d].
        strides: Stride along height and width.
        padding: As for `jax.lax.conv_general_dilated`.
        **options: The other arguments of `jax.lax.conv_general_dilated`.

    Returns:
        Output, with SAME padding [b, ceil(h / stride), ceil(w / stride), d].
    """
    if not (padding == "SAME" and _is_plain(options) and x.dtype == kernel.dtype == jnp.float32):
        return convolve(x, kernel, strides, padding, **options)
    small = max(kernel.shape[:2]) <= 3
    outputs = [-(-size // stride) for size, stride in zip(x.shape[1:3], strides, strict=True)]
    # Each place of a tile reads a kernel of its own: few tiles do not repay it.
    if x.shape[0] * outputs[0] * outputs[1] < _FEW_POSITIONS:
        return multiply_patches(x, kernel, strides) if small else xlas_convolution(x, kernel, strides)
    if kernel.shape[:2] == (3, 3) and tuple(strides) == (1, 1) and min(outputs) >= 4:
        return winograd_of_tiles(x, _Tiles(name="tiles")(kernel))
    # Smaller maps are off XLA's fast path however many images have them.
    return convolve(x, kernel, strides, padding) if min(outputs) < 4 else xlas_convolution(x, kernel, strides)


_FEW_POSITIONS = 64


class _Tiles(nn.Module):
    """Winograd's transform of a kernel, kept in the collection `PREPARED`."""

    @nn.compact
    def __call__(self, kernel: jax.Array) -> jax.Array:
        return self.variable(PREPARED, "kernel", kernel_tiles, kernel).value


def convolve_each(
    x: Float[Array, "b h w c"],
    kernel: Float[Array, "kh kw c d"],
    strides: Sequence[int],
    padding: Padding,
    **options: Any,
) -> Float[Array, "b h_out w_out d"]:
    """Convolve as `convolve` does, where `jax.vmap` gives each of several networks side by side its own kernel.

    XLA turns the convolution into a grouped one there, for which an accelerator has no good kernels. A step of eight
    published networks took an H200 6.3 ms, longer than eight steps of one. A product of patches becomes a batched
    product, which is fast.

    Args:
        x: Input, [b, h, w, c].
        kernel: Kernel, [kh, kw, c, d].
        strides: Stride along height and width.
        padding: As for `jax.lax.conv_general_dilated`.
        **options: The other arguments of `jax.lax.conv_general_dilated`.

    Returns:
        Output, with SAME padding [b, ceil(h / stride), ceil(w / stride), d].
    """
    if padding != "VALID" and _is_plain(options):
        return multiply_patches(x, kernel, strides, padding)
    return lax.conv_general_dilated(x, kernel, strides, padding, **options)


def _is_plain(options: dict[str, Any]) -> bool:
    """Return whether these are the options of a convolution that is undilated and ungrouped."""
    dilated = any(d != 1 for name in ("lhs_dilation", "rhs_dilation") for d in options.get(name) or ())
    return not dilated and options.get("feature_group_count", 1) == 1


def _pads(
    x: Sequence[int], kernel: Sequence[int], strides: Sequence[int], padding: Padding
) -> tuple[tuple[int, int], ...]:
    """Return the rows before and after, and the columns, that a padding adds to an x of this shape."""
    pads = lax.padtype_to_pads(x[1:3], kernel[:2], strides, padding) if isinstance(padding, str) else padding
    return tuple((int(low), int(high)) for low, high in pads)


def _sides(
    x: Sequence[int], kernel: Sequence[int], strides: Sequence[int], pads: Sequence[tuple[int, int]]
) -> list[int]:
    """Return the height and width of the output."""
    return [
        (size + low + high - side) // stride + 1
        for size, side, stride, (low, high) in zip(x[1:3], kernel[:2], strides, pads, strict=True)
    ]


Lowering = Callable[[jax.Array, jax.Array, Sequence[int]], jax.Array]


def _lowering(x: Sequence[int], kernel: Sequence[int], strides: Sequence[int]) -> Lowering:
    """Return the fastest way on a CPU to convolve an x and a kernel of these shapes.

    docs/performance.md has the milliseconds of each way for each shape, which `benchmarks/convolutions.py` measured.
    """
    outputs = [-(-size // stride) for size, stride in zip(x[1:3], strides, strict=True)]
    positions = x[0] * outputs[0] * outputs[1]
    if max(kernel[:2]) > 3:
        return convolve_directly
    if tuple(kernel[:2]) == (3, 3) and max(outputs) <= 2 and positions >= 32:
        return multiply_places
    # With few positions Winograd spends more on the kernel's transform than the products save.
    if tuple(kernel[:2]) == (3, 3) and tuple(strides) == (1, 1) and min(outputs) >= 4 and positions >= 4 * kernel[2]:
        return lambda x, kernel, _: winograd(x, kernel)
    return multiply_patches


def _bfloat16_lowering(x: Sequence[int], kernel: Sequence[int], strides: Sequence[int]) -> Lowering:
    """Return the fastest way on a CPU with matrix units (AMX) to convolve an x and a kernel of these shapes.

    Only products and plain convolutions reach these units, and there multiplying is cheap and moving is not.
    """
    plain = tuple(strides) == (1, 1) and tuple(kernel[:2]) == (3, 3) and x[3] > 3
    return convolve_plainly if plain else multiply_patches if max(kernel[:2]) <= 3 else xlas_convolution


def convolve_directly(
    x: Float[Array, "b h w c"], kernel: Float[Array, "kh kw c d"], strides: Sequence[int], padding: Padding = "SAME"
) -> Float[Array, "b h_out w_out d"]:
    """Convolve by XLA, except for the gradient of the kernel: that is one matrix product.

    It has no forward-mode derivative.

    Args:
        x: Input, [b, h, w, c].
        kernel: Kernel, [kh, kw, c, d].
        strides: Stride along height and width.
        padding: As for `jax.lax.conv_general_dilated`.

    Returns:
        Output, with SAME padding [b, ceil(h / stride), ceil(w / stride), d].
    """
    pads = _pads(x.shape, kernel.shape, strides, padding)
    return cast(jax.Array, _directly(x, kernel, tuple(strides), pads))


def xlas_convolution(
    x: Float[Array, "b h w c"], kernel: Float[Array, "kh kw c d"], strides: Sequence[int], padding: Padding = "SAME"
) -> Float[Array, "b h_out w_out d"]:
    """Convolve wholly by XLA, gradients included.

    Args:
        x: Input, [b, h, w, c].
        kernel: Kernel, [kh, kw, c, d].
        strides: Stride along height and width.
        padding: As for `jax.lax.conv_general_dilated`.

    Returns:
        Output, with SAME padding [b, ceil(h / stride), ceil(w / stride), d].
    """
    return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


Pads = tuple[tuple[int, int], ...]


def _directly_forward(x: jax.Array, kernel: jax.Array, strides: tuple[int, ...], pads: Pads) -> tuple[jax.Array, tuple]:
    return xlas_convolution(x, kernel, strides, pads), (x, kernel)


def _directly_backward(
    strides: tuple[int, ...], pads: Pads, residuals: tuple, gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    _, pull = jax.vjp(lambda x: xlas_convolution(x, kernel, strides, pads), x)
    # The compiler leaves out the first where x needs no gradient, as images do not.
    return *pull(gradient), _kernel_gradient(x, gradient, kernel.shape, strides, pads)


def _kernel_gradient(
    x: jax.Array, gradient: jax.Array, shape: Sequence[int], strides: Sequence[int], pads: Pads
) -> jax.Array:
    """Return the kernel's gradient: the inputs under each of its elements times the gradient of the output.

    The product sums over the outputs. They come last, so that only runs of neighbours are copied: first the inputs by
    their place within a stride, then those under each column of the kernel, then those under each row.
    """
    (kh, kw, c, d), (b, h, w, _), (out_h, out_w), (sh, sw) = shape, x.shape, gradient.shape[1:3], strides
    rows, columns = out_h + (kh - 1) // sh, out_w + (kw - 1) // sw
    (top, _), (left, _) = pads
    margins = (0, 0, 0), (top, sh * rows - h - top, 0), (left, sw * columns - w - left, 0), (0, 0, 0)
    padded = lax.pad(x, jnp.zeros((), x.dtype), margins).reshape(b, rows, sh, columns, sw, c)
    phases = store(padded.transpose(2, 4, 5, 0, 1, 3))  # [sh, sw, c, b, rows, columns]
    met = store(jnp.stack([phases[:, j % sw, ..., j // sw : j // sw + out_w] for j in range(kw)]))
    met = jnp.stack([met[:, i % sh, ..., i // sh : i // sh + out_h, :] for i in range(kh)])  # [kh, kw, c, b, ...]
    return jnp.dot(met.reshape(kh * kw * c, -1), gradient.reshape(-1, d)).reshape(kh, kw, c, d)


_directly = jax.custom_vjp(xlas_convolution, nondiff_argnums=(2, 3))
_directly.defvjp(_directly_forward, _directly_backward)


def convolve_plainly(
    x: Float[Array, "b h w c"], kernel: Float[Array, "kh kw c d"], strides: Sequence[int]
) -> Float[Array, "b h w d"]:
    """Convolve with SAME padding and a kernel of odd sides by XLA, with gradients of plain convolutions and products.

    XLA's own gradients are a convolution with a reversed kernel and one with a kernel as large as the map; where oneDNN
    computes convolutions, it takes neither. It has no forward-mode derivative.

    Args:
        x: Input, [b, h, w, c].
        kernel: Kernel, [kh, kw, c, d], kh and kw odd.
        strides: (1, 1).

    Returns:
        Output, [b, h, w, d].
    """
    return cast(jax.Array, _plainly(x, kernel))


@jax.custom_vjp
def _plainly(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return xlas_convolution(x, kernel, (1, 1))


def _plainly_forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple]:
    return _plainly(x, kernel), (x, kernel)


def _plainly_backward(residuals: tuple, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    (kh, kw, c, d), (h, w) = kernel.shape, x.shape[1:3]
    padded = jnp.pad(x, ((0, 0), (kh // 2, kh // 2), (kw // 2, kw // 2), (0, 0)))
    met = [padded[:, i : i + h, j : j + w].reshape(-1, c) for i in range(kh) for j in range(kw)]
    for_kernel = jnp.stack([jnp.dot(inputs.T, gradient.reshape(-1, d)) for inputs in met]).reshape(kernel.shape)
    return xlas_convolution(gradient, jnp.flip(kernel, (0, 1)).swapaxes(2, 3), (1, 1)), for_kernel


_plainly.defvjp(_plainly_forward, _plainly_backward)


def multiply_patches(
    x: Float[Array, "b h w c"], kernel: Float[Array, "kh kw c d"], strides: Sequence[int], padding: Padding = "SAME"
) -> Float[Array, "b h_out w_out d"]:
    """Convolve as one matrix product of all patches under the kernel with the kernel.

    Args:
        x: Input, [b, h, w, c].
        kernel: Kernel, [kh, kw, c, d].
        strides: Stride along height and width.
        padding: As for `jax.lax.conv_general_dilated`.

    Returns:
        Output, with SAME padding [b, ceil(h / stride), ceil(w / stride), d].
    """
    height, width = kernel.shape[:2]
    pads = _pads(x.shape, kernel.shape, strides, padding)
    out_h, out_w = _sides(x.shape, kernel.shape, strides, pads)
    padded = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    rows = [slice(i, i + (out_h - 1) * strides[0] + 1, strides[0]) for i in range(height)]
    columns = [slice(j, j + (out_w - 1) * strides[1] + 1, strides[1]) for j in range(width)]
    patches = jnp.concatenate(
        [padded[:, i, j] for i in rows for j in columns], axis=-1
    )  # [b, out_h, out_w, kh * kw * c]
    multiply = _multiply_bfloat16 if x.dtype == jnp.bfloat16 else jnp.dot
    return multiply(patches, kernel.reshape(-1, kernel.shape[-1]))


@jax.custom_vjp
def _multiply_bfloat16(patches: jax.Array, kernel: jax.Array) -> jax.Array:
    """Multiply as `jnp.dot`, whose own gradient for the kernel is a product that is transposed afterwards.

    XLA's CPU compiler of jax 0.12 takes both at once and no longer adds up in float32: it is wrong by a fiftieth.
    """
    return jnp.dot(patches, kernel)


def _multiply_bfloat16_forward(patches: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple]:
    return _multiply_bfloat16(patches, kernel), (patches, kernel)


def _multiply_bfloat16_backward(residuals: tuple, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    patches, kernel = residuals
    return jnp.dot(gradient, kernel.T), jnp.einsum("bhwp,bhwd->pd", patches, gradient)


_multiply_bfloat16.defvjp(_multiply_bfloat16_forward, _multiply_bfloat16_backward)


def multiply_places(
    x: Float[Array, "b h w c"], kernel: Float[Array, "kh kw c d"], strides: Sequence[int]
) -> Float[Array, "b h_out w_out d"]:
    """Convolve with SAME padding as a sum over the elements of the kernel, each times the inputs under it.

    On a map of 2x2 more than half of what lies under a 3x3 kernel is padding, which patches would multiply too.

    Args:
        x: Input, [b, h, w, c].
        kernel: Kernel, [kh, kw, c, d].
        strides: Stride along height and width.

    Returns:
        Output, [b, ceil(h / stride), ceil(w / stride), d].
    """
    sizes = x.shape[1:3]
    padding = lax.padtype_to_pads(sizes, kernel.shape[:2], strides, "SAME")
    outputs = [-(-size // stride) for size, stride in zip(sizes, strides, strict=True)]
    total = jnp.zeros((x.shape[0], *outputs, kernel.shape[-1]), x.dtype)
    # Split and not indexed, so that the kernel's gradient is the products put together and not a sum of padded ones.
    split = lax.split(kernel.reshape(-1, *kernel.shape[2:]), (1,) * (kernel.shape[0] * kernel.shape[1]))
    for place, part in zip(np.ndindex(*kernel.shape[:2]), split, strict=True):
        spans = [
            _met(size, out, index - low, stride)
            for size, out, index, (low, _), stride in zip(sizes, outputs, place, padding, strides, strict=True)
        ]
        (rows, above, below), (columns, left, right) = spans
        product = jnp.dot(x[:, rows, columns], part[0])
        if product.size:
            total += jnp.pad(product, ((0, 0), (above, below), (left, right), (0, 0)))
    return total


def _met(size: int, out: int, shift: int, stride: int) -> tuple[slice, int, int]:
    """Return the inputs 0 <= o * stride + shift < size of outputs o, and how many outputs come before and after."""
    met = [o for o in range(out) if 0 <= o * stride + shift < size]
    if not met:
        return slice(0, 0), 0, out
    return slice(met[0] * stride + shift, met[-1] * stride + shift + 1, stride), met[0], out - 1 - met[-1]
