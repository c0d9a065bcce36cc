"""Batch normalisation that is exact on padded and on sharded batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float


class BatchNorm(nn.Module):
    """Batch normalisation over all axes but the last, exact on padded and on sharded batches.

    It takes the mean over the *examples* that `mask` keeps, on all devices of `axis_name` together.
    `flax.linen.BatchNorm` takes the mean of the devices' means. A padded last batch therefore gives the same numbers
    however it is cut up. Statistics are float32 whatever `dtype` is. The running variance is the biased one, as in
    Keras and Flax (PyTorch keeps the unbiased).

    Attributes:
        momentum: Share of the running statistics that a step keeps.
        epsilon: Added to the variance before its square root.
        scale_init: Initialiser of the scale.
        dtype: Dtype of the output; None keeps the input's.
        axis_name: The mapped axis whose devices share the batch, under pmap or shard_map; None elsewhere.
    """

    momentum: float = 0.99
    epsilon: float = 1e-3
    scale_init: Callable[..., jax.Array] = nn.initializers.ones
    dtype: Any = None
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "b ... c"], *, train: bool | Bool[Array, ""], mask: Bool[Array, " b"] | None = None
    ) -> Float[Array, "b ... c"]:
        """Normalise a batch, and in training move the running statistics.

        Args:
            x: The batch, floating point [b, ..., c].
            train: Whether to take the batch's statistics; else the running ones. An array where that depends on the
                step.
            mask: Which rows are examples, bool [b]; None if all are.

        Returns:
            The normalised batch, `dtype` [b, ..., c].
        """
        channels = x.shape[-1]
        scale = self.param("scale", self.scale_init, (channels,), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (channels,), jnp.float32)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,), jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, (channels,), jnp.float32)
        before = running_mean.value, running_var.value
        if train is False:
            mean, var = before
        else:
            mean, var = self._moments(x, mask)
            if not self.is_initializing():
                running_mean.value = self.momentum * running_mean.value + (1 - self.momentum) * mean
                running_var.value = self.momentum * running_var.value + (1 - self.momentum) * var
            if train is not True:
                after = mean, var, running_mean.value, running_var.value
                chosen = [jnp.where(train, new, old) for new, old in zip(after, (*before, *before), strict=True)]
                mean, var, running_mean.value, running_var.value = chosen
        factor = scale * lax.rsqrt(var + self.epsilon)
        shape = (1,) * (x.ndim - 1) + (channels,)
        # Subtracting the mean before scaling keeps the precision that folding it into the bias would lose.
        normalised = (x.astype(jnp.float32) - mean.reshape(shape)) * factor.reshape(shape) + bias.reshape(shape)
        return normalised.astype(self.dtype or x.dtype)

    def _moments(self, x: jax.Array, mask: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        """Return the float32 mean and biased variance [c] of the unmasked examples on all devices."""
        x = x.astype(jnp.float32).reshape(x.shape[0], -1, x.shape[-1])  # [b, positions, c]
        # Sums of each example first, then of the examples that count: masking the whole map would cost a pass over it.
        weights = jnp.ones(x.shape[0]) if mask is None else mask.astype(jnp.float32)
        # In full precision: a variance from sums of squares does not survive the short floats of tensor cores.
        over_examples = partial(jnp.matmul, weights, precision=lax.Precision.HIGHEST)
        sums = over_examples(x.sum(1)), over_examples(jnp.square(x).sum(1)), weights.sum() * x.shape[1]
        if self.axis_name is not None and not self.is_initializing():
            sums = lax.psum(sums, self.axis_name)
        total, squares, count = sums
        mean = total / jnp.maximum(count, 1)
        return mean, jnp.maximum(squares / jnp.maximum(count, 1) - jnp.square(mean), 0)

    def folded(
        self, layer: Mapping[str, Any], params: Mapping[str, Any], statistics: Mapping[str, Any]
    ) -> dict[str, Float[np.ndarray, " ..."]]:
        """Return the layer before this one with this one, as it is in evaluation, folded into it.

        Args:
            layer: `kernel` [..., c] and where it has one `bias` [c] of a convolution or a dense layer.
            params: `scale` and `bias` of this layer, [c].
            statistics: Its running `mean` and `var`, [c].

        Returns:
            `kernel` and `bias`, float32, computed in float64.
        """
        scale, shift, mean, var = (
            np.asarray(values, np.float64)
            for values in (params["scale"], params["bias"], statistics["mean"], statistics["var"])
        )
        factor = scale / np.sqrt(var + self.epsilon)
        kernel, bias = (np.asarray(layer.get(name, 0), np.float64) for name in ("kernel", "bias"))
        folded = {"kernel": kernel * factor, "bias": (bias - mean) * factor + shift}
        return {name: values.astype(np.float32) for name, values in folded.items()}


class Folded(nn.Module):
    """In place of a normalisation that was folded into the layer before it: nothing.

    Attributes:
        scale_init: As in `BatchNorm`, not used.
        dtype: As in `BatchNorm`, not used.
        axis_name: As in `BatchNorm`, not used.
    """

    scale_init: Callable[..., jax.Array] = nn.initializers.ones
    dtype: Any = None
    axis_name: str | None = None

    def __call__(
        self, x: Float[Array, "b ... c"], *, train: bool, mask: Bool[Array, " b"] | None = None
    ) -> Float[Array, "b ... c"]:
        """Return x."""
        return x
