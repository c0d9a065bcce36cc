"""Distillation: a network learns the probabilities of its teachers beside the labels.

Hinton et al., "Distilling the Knowledge in a Neural Network", 2015, https://arxiv.org/abs/1503.02531, section 2. With a
teacher of the same network it is the born-again training of Furlanello et al., 2018, https://arxiv.org/abs/1805.04770.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import chex
import jax
import jax.numpy as jnp
from flax import struct

if TYPE_CHECKING:
    from jaxtyping import Array, Float


@struct.dataclass
class Distillation:
    """The divergence of a head's prediction from its teachers', in a share of the head's loss; a pytree of its numbers.

    Attributes:
        weight: The share, from 0 to 1; the labels have the rest.
        temperature: What both logits are divided by, above 0.
    """

    weight: Any
    temperature: Any

    def loss(
        self, own: Float[Array, " b"], logits: Float[Array, "b c"], teacher: Float[Array, "b c"]
    ) -> Float[Array, " b"]:
        """Return (1 - w) own + w T^2 KL(teacher || student), both at the temperature T, in nats, float32 [b].

        The factor T^2 keeps the size of the gradient, which the temperature divides by that.

        Args:
            own: The losses by the labels.
            logits: Those of the network that learns.
            teacher: Logits, or logarithms of probabilities, of its teachers.

        Raises:
            AssertionError: The shapes do not fit.
        """
        chex.assert_equal_shape([logits, teacher])
        target = jax.nn.log_softmax(teacher / self.temperature)
        found = jax.nn.log_softmax(logits / self.temperature)
        divergence = (jnp.exp(target) * (target - found)).sum(axis=-1)
        return (1 - self.weight) * own + self.weight * self.temperature**2 * divergence
