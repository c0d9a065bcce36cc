"""The statistics of batch normalisation, measured anew for the parameters that are evaluated."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxfer.data.batches import Batch, evaluation_rows, gather
from jaxfer.data.dataset import Split
from jaxfer.devices.placement import OneDevice, Parallel
from jaxfer.models import Network, compiled_for

_FAR = 2.0**20
"""A running statistic by which the share of it that a step keeps is found, to float32 rounding."""


def measure_statistics(
    model: Network,
    variables: dict[str, Any],
    split: Split,
    *,
    images: int,
    batch_size: int,
    parallel: Parallel | None = None,
) -> Any:
    """Return the statistics of a network's normalisation: means over batches of images, of equal weight for each image.

    The running averages of training are those of parameters that have changed meanwhile, and not at all those of a
    moving average of parameters. It is the PreciseBN of Wu and Johnson (2021), section 3,
    https://arxiv.org/abs/2105.07576, but for the variance: theirs is that of the population, the mean of the batches'
    variances and the variance of the batches' means added. This is the first alone, which the running averages of
    training estimate, too: it is smaller by at most about one in the number of a batch's images.
    With several processes all must call this.

    Args:
        model: The network. What its collection `batch_stats` holds besides averages with exponentially falling
            weights, as those of `flax.linen.BatchNorm` and `jaxfer.models.BatchNorm`, stays as it is.
        variables: `params` and `batch_stats`, placed with `parallel.place`.
        split: The examples, seen as evaluation sees them: not augmented.
        images: How many of them, spread evenly over the split; all where there are fewer.
        batch_size: Images in a batch, of all processes together, at best as in training.
        parallel: How to use the devices; by default one.

    Returns:
        A pytree like `variables["batch_stats"]`, placed like it.
    """
    return statistics_function(model, split, images=images, batch_size=batch_size, parallel=parallel)(variables)


def statistics_function(
    model: Network,
    split: Split,
    *,
    images: int,
    batch_size: int,
    parallel: Parallel | None = None,
    several: bool = False,
) -> Callable[[dict[str, Any]], Any]:
    """Return `measure(variables) -> batch_stats`, compiled once for all variables of a network.

    Args:
        model: As for `measure_statistics`.
        split: As for `measure_statistics`.
        images: As for `measure_statistics`.
        batch_size: As for `measure_statistics`.
        parallel: As for `measure_statistics`.
        several: Whether the variables are those of several runs, stacked along a new first axis.
    """
    parallel = parallel or OneDevice()
    count = min(images, len(split))
    spread = np.arange(count) * len(split) // count
    rows = evaluation_rows(count, batch_size, parallel.shard)
    compiled = _compiled(model, parallel, several)

    def measure(variables: dict[str, Any]) -> Any:
        total = _scaled(variables["batch_stats"], 0.0)
        for one in rows:
            batch = gather({"image": split.images}, {"row": spread[one["row"]], "mask": one["mask"]})
            total = compiled((variables, total), batch)
        means = _scaled(total, 1 / count)
        return jax.tree.map(lambda mean, before: mean.astype(before.dtype), means, variables["batch_stats"])

    return measure


@lru_cache(maxsize=8)
def _compiled(model: Network, parallel: Parallel, several: bool) -> Callable[..., Any]:
    """Return `step((variables, total), batch)`, which adds a batch to the total: compiled once for a network."""
    axis_name, platform = parallel.axis_name, parallel.devices[0].platform
    model = compiled_for(model, platform, axis_name=axis_name, side_by_side=several)

    def step(carry: Any, batch: Batch) -> Any:
        variables, total = carry

        def after(value: float) -> Any:
            before = jax.tree.map(lambda leaf: jnp.full_like(leaf, value), variables["batch_stats"])
            options: Any = {"train": True, "mask": batch["mask"], "mutable": ["batch_stats"]}
            # The features that a layer drops come after the last normalisation, or are as good a sample as any.
            rngs = {"dropout": jax.random.key(0)}
            _, updates = model.apply(variables | {"batch_stats": before}, batch["image"], rngs=rngs, **options)
            return updates["batch_stats"]

        def own(running: jax.Array, none: jax.Array, half: jax.Array, far: jax.Array) -> jax.Array:
            # What a step makes of a running mean r and the batch's s is k r + (1 - k) s. A statistic of which it makes
            # something else, such as a maximum, a counter or a frozen mean, stays as it is.
            kept = (far - none) / _FAR
            rounding = 2.0**-21 * (jnp.abs(half) + jnp.abs(far)) + 1e-6
            is_mean = (kept < 1 - 4 / _FAR) & (kept > -1) & (jnp.abs(half - (none + far) / 2) < rounding)
            return jnp.where(is_mean, none / jnp.where(is_mean, 1 - kept, 1), running)

        # The passes differ only in what they make of `before`: the compiler keeps one of them.
        found = jax.tree.map(own, variables["batch_stats"], after(0.0), after(_FAR / 2), after(_FAR))
        examples = batch["mask"].sum()
        examples = examples if axis_name is None else lax.psum(examples, axis_name)
        return jax.tree.map(lambda sum_, one: sum_ + examples * one, total, found)

    return parallel.compile(jax.vmap(step, in_axes=(0, None)) if several else step, donate=False)


@jax.jit
def _scaled(tree: Any, factor: float) -> Any:
    return jax.tree.map(lambda leaf: leaf * factor, tree)
