"""The expression: the head `logits`, which every network has, learnt by cross entropy.

Its sums and scores are `jaxfer.metrics.Metrics` and `Scores`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from jaxfer.tasks.task import Arrays

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int


@struct.dataclass
class Expression:
    """Cross entropy with label smoothing and class weights; a pytree of its numbers.

    Attributes:
        label_smoothing: Share of each target spread evenly over all classes (Szegedy et al. 2016, section 7,
            https://arxiv.org/abs/1512.00567).
        class_weights: Factor of the loss of each class's examples, float32 [c], or None. The mean over a batch divides
            by the number of examples, as Keras does, not by the sum of the weights.
    """

    label_smoothing: Any = 0.0
    class_weights: Any = None

    def loss(self, outputs: Arrays, batch: Arrays) -> Float[Array, " b"]:
        """Return the weighted cross entropy in nats, float32 [b].

        Args:
            outputs: Contains `logits`, float32 [b, c].
            batch: Contains `label`, int32 [b], and perhaps `soft_label`, float32 [b, c] with rows that sum to 1, which
                then counts instead. The weight of a soft label is the mean of its classes' weights.

        Raises:
            AssertionError: The shapes do not fit.
        """
        logits = outputs["logits"]
        chex.assert_rank(logits, 2)
        chex.assert_equal_shape_prefix([logits, batch["label"]], 1)
        shares = batch["soft_label"] if "soft_label" in batch else jax.nn.one_hot(batch["label"], logits.shape[-1])
        losses = optax.softmax_cross_entropy(logits, optax.smooth_labels(shares, self.label_smoothing))
        if self.class_weights is None:
            return losses
        return losses * (shares * jnp.asarray([self.class_weights], jnp.float32)).sum(axis=-1)


def balanced_class_weights(labels: Int[np.ndarray, " n"], num_classes: int) -> tuple[float, ...]:
    """Return n / (num_classes * n_k) for each class k, as scikit-learn's `balanced` does.

    Args:
        labels: int [n] from 0 to `num_classes - 1`, with every class present.
        num_classes: How many classes there are.

    >>> balanced_class_weights(np.array([0, 0, 0, 1]), 2)
    (0.6666666666666666, 2.0)
    """
    counts = np.bincount(labels, minlength=num_classes)
    return tuple((len(labels) / (num_classes * counts)).tolist())
