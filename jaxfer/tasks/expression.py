"""The expression: the head `logits`, which every network has, learnt by cross entropy.

Its sums and scores are `jaxfer.metrics.Metrics` and `Scores`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxfer.config import Sampling
from jaxfer.data.batches import class_weights
from jaxfer.errors import UserError
from jaxfer.metrics.labels import check_labels
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
        adjustment: Added to the logits, float32 [c], or None: tau times the logarithm of each class's share of the
            training images, which has the logits themselves be best for the balanced error (Menon et al. 2021,
            https://arxiv.org/abs/2007.07314, equations 9 and 10). In training only, see `Objective.evaluated`.
    """

    label_smoothing: Any = 0.0
    class_weights: Any = None
    adjustment: Any = None

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
        chex.assert_equal_shape([logits, shares])
        if self.adjustment is not None:
            logits = logits + jnp.asarray(self.adjustment, jnp.float32)[None]
        import optax  # takes a quarter of a second, for which who only predicts need not wait

        losses = optax.softmax_cross_entropy(logits, optax.smooth_labels(shares, self.label_smoothing))
        if self.class_weights is None:
            return losses
        return losses * (shares * jnp.asarray([self.class_weights], jnp.float32)).sum(axis=-1)


def balanced_class_weights(labels: Int[np.ndarray, " n"], num_classes: int) -> tuple[float, ...]:
    """Return n / (num_classes * n_k) for each class k, as scikit-learn's `balanced` does.

    Args:
        labels: int [n] from 0 to `num_classes - 1`.
        num_classes: How many classes there are.

    Raises:
        UserError: A class without a label, or a label without a class.

    >>> balanced_class_weights(np.array([0, 0, 0, 1]), 2)
    (0.6666666666666666, 2.0)
    """
    why, otherwise = "balanced class_weights weigh a class by its images", "other class_weights (--class-weights none)"
    counts = _counts(labels, num_classes, why, otherwise)
    return tuple((len(labels) / (num_classes * counts)).tolist())


def class_log_shares(
    labels: Int[np.ndarray, " n"], num_classes: int, sampling: Sampling = "uniform"
) -> Float[np.ndarray, " c"]:
    """Return the logarithm of each class's share of what an epoch shows, float32 [num_classes].

    Args:
        labels: int [n] from 0 to `num_classes - 1`.
        num_classes: How many classes there are.
        sampling: How an epoch is drawn from them, see `jaxfer.data.batches.epoch_order`.

    Raises:
        UserError: A class without a label, or a label without a class.

    >>> np.exp(class_log_shares(np.array([0, 0, 0, 1]), 2))
    array([0.75, 0.25], dtype=float32)
    """
    why, otherwise = "logit_adjustment needs each class's share of the images", "0 (--logit-adjustment 0)"
    weights = class_weights(_counts(labels, num_classes, why, otherwise), sampling)
    return np.log(weights / weights.sum()).astype(np.float32)


def _counts(labels: np.ndarray, num_classes: int, why: str, otherwise: str) -> np.ndarray:
    """Return how many images of each class there are; `UserError` says why where there is none of one."""
    check_labels(labels, num_classes, "one of the images")
    counts = np.bincount(labels, minlength=num_classes)
    if not counts.all():
        raise UserError(
            f"{why}, and there is none of class {counts.argmin()}: pass data that has them all, or {otherwise}"
        )
    return counts
