"""How much arithmetic a network asks for, and how much a device can do.

`python arithmetic.py CASES` is for `command.py`, which must not start JAX itself: it would take the device's memory.
"""

import json
import statistics
import sys
from collections import Counter
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from contenders.case import Case
from turns import timed

from jaxfer.config import ModelConfig
from jaxfer.models import Network, make_model


def main() -> None:
    """Print the rates of a large matrix product on this device, and how much each case asks for."""
    cases = [Case(**fields) for fields in json.loads(sys.argv[1])]
    dtypes = sorted({case.dtype for case in cases})
    asked = [sum(operations(case).values()) / 1e9 for case in cases]
    print(json.dumps({"gflop_s": {dtype: product_rate(8192, dtype) for dtype in dtypes}, "gflop": asked}))


def operations(case: Case, model: Network | None = None) -> Counter:
    """Return the operations of each part's convolutions, done directly; in training those of the gradients too.

    Args:
        case: What is done, with which network.
        model: That network, where it is not as its name alone says.
    """
    found: Any = Counter()

    def count(call, arguments, options, context):
        result = call(*arguments, **options)
        if isinstance(context.module, nn.Conv | nn.Dense) and context.method_name == "__call__":
            part = context.module.path[0].partition("_")[0]  # stem, stage1 and so on, or head
            kernel = context.module.variables["params"]["kernel"]
            passes = 1 if case.work == "infer" else 2 if part == "stem" else 3  # images need no gradient
            found[part] += 2 * passes * kernel.size // kernel.shape[-1] * result.size
        return result

    model = model or make_model(ModelConfig(variant=cast(Any, case.network)), 7)
    images = jax.ShapeDtypeStruct((case.batch, case.side, case.side, 3), jnp.float32)
    with nn.intercept_methods(count):
        jax.eval_shape(model.init, jax.random.key(0), images)
    return found


def product_rate(side: int, dtype: str = "float32") -> float:
    """Return the GFLOP/s of a product of square matrices, at JAX's default precision."""
    matrix = jax.random.normal(jax.random.key(0), (side, side), dtype)
    product = jax.jit(jnp.matmul)
    seconds = [timed(lambda _: product(matrix, matrix).block_until_ready(), 1) for _ in range(12)][2:]
    return 2e-9 * side**3 / statistics.median(seconds)


if __name__ == "__main__":
    main()
