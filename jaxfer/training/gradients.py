"""Ways to the gradient of a step: plain, at the sharpest point nearby (SAM), or accumulated over parts of a batch.

Each is a function from `Evaluate` to `Evaluate`, so they compose. The `Evaluate` that goes in is exact already: summed
over devices, averaged over the examples that the mask keeps, penalty included. The one that comes out is therefore
exact on one device, on a mesh, under pmap and in several processes.
"""

from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import optax
from jax import lax

from jaxfer.data.batches import Batch

Gradients = Any
"""A pytree like the parameters."""


class Evaluate(Protocol):
    """A function that returns the objective and its gradient at some parameters."""

    def __call__(
        self, params: Any, batch_stats: Any, batch: Batch, key: jax.Array
    ) -> tuple[tuple[jax.Array, tuple[dict[str, jax.Array], Any]], Gradients]:
        """Return `((loss, (outputs, batch_stats)), gradients)`, the statistics as they are after the batch.

        Args:
            params: The parameters, float32, where the gradient is taken.
            batch_stats: The running statistics before the batch, float32.
            batch: The batch, as for `make_train_step`, after its transforms.
            key: A typed PRNG key [] for dropout.
        """
        ...


Gradient = Callable[[Evaluate], Evaluate]


def plain(evaluate: Evaluate) -> Evaluate:
    """Return the gradient at the parameters themselves."""
    return evaluate


def sam(rho: Any) -> Gradient:
    """Return sharpness-aware minimisation: the gradient at the point of greatest loss within a radius, to first order.

    Foret et al., "Sharpness-Aware Minimization for Efficiently Improving Generalization", 2021,
    https://arxiv.org/abs/2010.01412, equations 2 and 3 with p = 2. Loss, outputs and running statistics are those at
    the parameters themselves.

    Args:
        rho: The radius, above 0: a number, or a float32 scalar of the step's hyper-parameters.
    """

    def gradient(evaluate: Evaluate) -> Evaluate:
        def sharpest(params: Any, batch_stats: Any, batch: Any, key: jax.Array) -> Any:
            found, gradients = evaluate(params, batch_stats, batch, key)
            # At a stationary point the direction is undefined: a step of nothing, not NaN.
            scale = rho / jnp.maximum(optax.global_norm(gradients), 1e-12)
            beside = jax.tree.map(lambda p, g: p + scale * g, params, gradients)
            return found, evaluate(beside, batch_stats, batch, key)[1]

        return sharpest

    return gradient


def accumulate(parts: int) -> Gradient:
    """Return the gradient as the mean over parts of a batch, one after another, for batches too large for the memory.

    Each part weighs as many examples as it has. Without batch normalisation and dropout it is the whole batch's to
    rounding. With batch normalisation each part is normalised by itself, and moves the running statistics.

    Args:
        parts: Number of parts, of equally many rows each. A batch that they do not divide is padded.
    """

    def gradient(evaluate: Evaluate) -> Evaluate:
        def averaged(params: Any, batch_stats: Any, batch: Any, key: jax.Array) -> Any:
            size = batch["mask"].shape[0]
            cut = jax.tree.map(lambda rows: _cut(rows, parts), batch)
            keys = jax.random.split(key, parts)
            counts = cut["mask"].sum(axis=1)
            # A part of nothing but padding must not count, whatever its loss is.
            shares = counts / jnp.maximum(counts.sum(), 1)

            def one(carry: Any, part: Any) -> Any:
                (statistics, total), (rows, own_key, share) = carry, part
                (loss, (outputs, after)), gradients = evaluate(params, statistics, rows, own_key)
                statistics = jax.tree.map(lambda old, new: jnp.where(share > 0, new, old), statistics, after)
                added = jax.tree.map(lambda sum_, new: sum_ + share * new, total, (loss, gradients))
                return (statistics, added), outputs

            nothing = jnp.zeros(()), jax.tree.map(jnp.zeros_like, params)
            carry, outputs = lax.scan(one, (batch_stats, nothing), (cut, keys, shares))
            batch_stats, (loss, gradients) = carry
            outputs = jax.tree.map(lambda rows: _join(rows)[:size], outputs)
            return (loss, (outputs, batch_stats)), gradients

        return averaged

    return gradient


def _cut(rows: jax.Array, parts: int) -> jax.Array:
    """Return rows [b, ...] as [parts, ceil(b / parts), ...]; part i has rows i, i + parts, ..., and zeros at the end.

    So a device that holds a run of rows holds as many of every part.
    """
    missing = -rows.shape[0] % parts
    padded = jnp.pad(rows, ((0, missing), *[(0, 0)] * (rows.ndim - 1)))
    return padded.reshape(-1, parts, *rows.shape[1:]).swapaxes(0, 1)


def _join(rows: jax.Array) -> jax.Array:
    """Return what `_cut` cut, with its padding."""
    return rows.swapaxes(0, 1).reshape(-1, *rows.shape[2:])
