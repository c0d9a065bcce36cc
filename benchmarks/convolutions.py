"""Ways to convolve on a CPU, by shape: `python benchmarks/convolutions.py results/convolutions.json`.

The value and both gradients of a convolution of 32 images, in turn; of images themselves, which need no gradient, the
kernel's alone. `jaxfer.models.kernels.convolution` chooses by them.
"""

import statistics
from functools import partial

import jax
import numpy as np
from command import keep, parser
from machine import versions
from turns import in_turn, timed

from jaxfer.devices import tune_for_cpu
from jaxfer.models.kernels.convolution import (
    Lowering,
    convolve_directly,
    multiply_patches,
    multiply_places,
    xlas_convolution,
)
from jaxfer.models.kernels.winograd import winograd

SHAPES = [
    *((side, 3, c, c, 1) for side, c in ((16, 64), (8, 128), (4, 256), (2, 512))),
    *((side, 3, c, 2 * c, 2) for side, c in ((16, 64), (8, 128), (4, 256))),
    *((side, 1, c, d, 1) for side, c, d in ((16, 256, 64), (16, 64, 256), (2, 2048, 512))),
    *((side, 1, c, 2 * c, 2) for side, c in ((16, 64), (4, 256))),
    (64, 7, 3, 64, 2),
]
"""Side of the map, side of the kernel, channels in and out, and stride, as in ResNets at 64x64."""

BATCH, ROUNDS, CALLS = 32, 7, 4


def main() -> None:
    """Measure, print and keep."""
    asked = parser(__doc__).parse_args()
    tune_for_cpu()
    rows = []
    for shape in SHAPES:
        rows.append(dict(zip(("side", "kernel", "in", "out", "stride"), shape, strict=True)) | {"ms": measure(*shape)})
        print(rows[-1], flush=True)
    keep(asked, {"batch": BATCH, "rounds": ROUNDS, "shapes": rows, "versions": versions("jaxfer", "jax")})


def measure(side: int, size: int, channels: int, filters: int, stride: int) -> dict[str, float]:
    """Return the median milliseconds of each way that there is for a shape."""
    random = np.random.default_rng(0)
    out = -(-side // stride)
    shapes = (BATCH, side, side, channels), (size, size, channels, filters), (BATCH, out, out, filters)
    arrays = [jax.device_put(random.normal(size=shape).astype(np.float32)) for shape in shapes]
    ways: dict[str, Lowering] = {"XLA": xlas_convolution, "patches": multiply_patches}
    if size > 3:
        ways["direct"] = convolve_directly
    else:
        ways["places"] = multiply_places
    if (size, stride) == (3, 1):
        ways["Winograd"] = lambda x, kernel, _: winograd(x, kernel)
    calls = {name: calling(way, arrays, (stride, stride), images=channels == 3) for name, way in ways.items()}
    turns = {name: partial(timed, call, CALLS) for name, call in calls.items()}
    seconds = in_turn(turns, ROUNDS + 1, rotating=False)  # the first round compiles
    return {name: round(1e3 * statistics.median(taken[1:]) / CALLS, 2) for name, taken in seconds.items()}


def calling(way, arrays, strides, *, images: bool):
    """Return what asks so many times for the value and the gradients, of images one, and waits for them.

    arrays: x, the kernel and a cotangent.
    """

    def run(x, kernel, cotangent):
        value, pull = jax.vjp(lambda x, kernel: way(x, kernel, strides), x, kernel)
        for_x, for_kernel = pull(cotangent)
        return (value, for_kernel) if images else (value, for_x, for_kernel)

    compiled = jax.jit(run)
    return lambda calls: jax.block_until_ready([compiled(*arrays) for _ in range(calls)])


if __name__ == "__main__":
    main()
