"""How the contenders that are written in JAX go through their batches, ours and plain Flax alike."""

from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

import jax
import numpy as np
from contenders.case import Case


def inference(
    case: Case, logits_of: Callable[[np.ndarray], jax.Array | np.ndarray]
) -> Callable[[int], tuple[float, float]]:
    """Return what applies the network to so many batches and reads each one's logits."""
    batches = cycle([images for images, _ in case.batches()])

    def run(steps: int) -> tuple[float, float]:
        logits = np.zeros(())
        for images in islice(batches, steps):
            logits = np.asarray(logits_of(images))
        return float(np.abs(logits).mean()), 0.0

    return run


def size(params: Any) -> int:
    """Return how many values a tree of parameters holds."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def device() -> str:
    """Return what JAX computes on."""
    first = jax.devices()[0]
    return "cpu" if first.platform == "cpu" else first.device_kind
