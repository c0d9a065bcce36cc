"""The kernels that a network computes with, chosen by whoever compiles it for a kind of device.

A network made by hand computes with XLA's own; `compiled_for` gives it those of a kind of device. The network cannot
ask JAX for its backend: a program made on a laptop for a GPU would hold a CPU's kernels. Nor would
`jax.lax.platform_dependent` do: Winograd's transforms of the forward pass would not be kept for the backward pass.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import flax.linen as nn
import jax
from jax import lax

from jaxfer.models.kernels.convolution import PREPARED, convolve, convolve_each, convolve_prepared
from jaxfer.models.kernels.max_pool import max_pool

__all__ = [
    "CPU",
    "CPU_PREPARED",
    "PREPARED",
    "SIDE_BY_SIDE",
    "XLA",
    "Kernels",
    "compiled_for",
    "convolve",
    "convolve_each",
    "convolve_prepared",
    "max_pool",
]

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class Kernels:
    """The functions with which a network convolves and pools.

    Attributes:
        convolution: Called as `jax.lax.conv_general_dilated` is.
        max_pool: `max_pool(x, window, stride, padding="same")` of x [b, h, w, c], as the function of that name.
        at_once: Numbers of images to compute at once, growing: as many as there are in pieces of the last, what is
            left in pieces of the one before. Empty where all at once are fastest.
    """

    convolution: Callable[..., jax.Array]
    max_pool: Callable[..., jax.Array]
    at_once: tuple[int, ...] = ()


def _xlas_max_pool(x: jax.Array, window: int, stride: int, padding: str = "same") -> jax.Array:
    pads: Any = "SAME" if padding == "same" else ((window // 2, window // 2),) * 2
    return nn.max_pool(x, (window, window), (stride, stride), pads)


XLA = Kernels(lax.conv_general_dilated, _xlas_max_pool)
"""XLA's own: right everywhere, fastest on accelerators, differentiable in both modes."""

CPU = Kernels(convolve, max_pool)
"""Fastest on a CPU."""

CPU_PREPARED = Kernels(convolve_prepared, _xlas_max_pool, at_once=(1, 4, 8, 32))
"""Fastest on a CPU for a network that only predicts, with its collection `PREPARED`.

Few images stay in the caches with their maps and tiles; with many, large kernels are read less often. On two cores with
AVX2, 256 images in pieces of 32 take 0.88 (shipped), 0.97 (published) and 0.67 (ResNetFER18) of the time that they take
in pieces of eight where freed memory is kept, and 1.01, 0.82 and 0.81 elsewhere.
"""

SIDE_BY_SIDE = Kernels(convolve_each, _xlas_max_pool)
"""Fastest on an accelerator where `jax.vmap` gives each of several networks its own parameters."""


def compiled_for(
    model: Module, platform: str, *, axis_name: str | None = None, side_by_side: bool = False, prepared: bool = False
) -> Module:
    """Return a network as it is to be compiled for a kind of device.

    Only the fields `kernels`, where there are `Kernels` in it, and `axis_name` are set. A network without them runs as
    it is.

    Args:
        model: The network.
        platform: The platform of the devices, such as `cpu` or `cuda`.
        axis_name: The mapped axis over which the network shares its statistics, or None.
        side_by_side: Whether `jax.vmap` will give each of several networks its own parameters.
        prepared: Whether the network only predicts and will have its collection `PREPARED`, if its kernels use one.

    Returns:
        A copy of the network, with the same parameters.
    """
    on_cpu = CPU_PREPARED if prepared else CPU
    kernels = on_cpu if platform == "cpu" else SIDE_BY_SIDE if side_by_side else XLA
    fields: dict[str, Any] = {"kernels": kernels} if isinstance(getattr(model, "kernels", None), Kernels) else {}
    fields |= {"axis_name": axis_name} if hasattr(model, "axis_name") else {}
    return model.clone(**fields)
