"""What training minimises."""

from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxfer.config import LossConfig
from jaxfer.training.numbers import is_zero


class Objective(Protocol):
    """What `make_train_step` asks of a loss: a value per example, and a penalty on the parameters."""

    def per_example(self, logits: jax.Array, targets: jax.Array) -> jax.Array:
        """Return float32 [b] from logits [b, c] and labels int32 [b], or distributions float32 [b, c]."""
        ...

    def affect_error(self, predicted: jax.Array, actual: jax.Array) -> jax.Array:
        """Return what is added to it, float32 [b], where the network predicts valence and arousal.

        predicted: float32 [b, 2]. actual: float32 [b, 2], NaN where the data does not say.
        """
        ...

    def penalty(self, params: Any) -> jax.Array:
        """Return the float32 scalar that is added to the mean over the examples."""
        ...


@dataclass(frozen=True)
class CrossEntropy:
    """Cross entropy with label smoothing and class weights, the error of valence and arousal, and an L2 term.

    label_smoothing: share of each target spread evenly over all classes (Szegedy et al. 2016, section 7,
        https://arxiv.org/abs/1512.00567).
    class_weights: factor of each class's examples, or None. The mean divides by the number of examples, as Keras
        does, not by the sum of the weights.
    l2: factor of the sum of squares of the stem's and the last layer's kernels. Keras adds that sum whole, without
        a half, and contains it in every loss it reports; so does this.
    affect_weight: factor of the squared errors of valence and arousal, where the network predicts them.
    """

    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] | None = None
    l2: float = 0.0
    affect_weight: float = 1.0

    def per_example(self, logits: jax.Array, targets: jax.Array) -> jax.Array:
        """Return the weighted cross entropy in nats, float32 [b], of logits [b, c].

        targets: labels int32 [b], or distributions over the classes, float32 [b, c], whose weight is the mean of those
            of their classes.
        """
        shares = targets if targets.ndim == 2 else jax.nn.one_hot(targets, logits.shape[-1])
        losses = optax.softmax_cross_entropy(logits, optax.smooth_labels(shares, self.label_smoothing))
        if self.class_weights is None:
            return losses
        return losses * (shares * jnp.asarray([self.class_weights], jnp.float32)).sum(axis=-1)

    def affect_error(self, predicted: jax.Array, actual: jax.Array) -> jax.Array:
        """Return the weighted sum of both squared errors, float32 [b]; what the data does not say adds nothing.

        predicted: float32 [b, 2]. actual: float32 [b, 2], NaN where the data does not say.
        """
        known = ~jnp.isnan(actual)
        # Selected before squaring: the gradient of what is selected after it would be 0 times NaN, which is NaN.
        errors = jnp.where(known, predicted - jnp.where(known, actual, 0), 0)
        return self.affect_weight * jnp.square(errors).sum(axis=-1)

    def penalty(self, params: Any) -> jax.Array:
        """Return the L2 term of a `ResNetFER`'s parameters."""
        if is_zero(self.l2):
            return jnp.zeros(())
        kernels = params["stem_conv"]["kernel"], params["head"]["kernel"]
        return self.l2 * sum((jnp.square(kernel).sum() for kernel in kernels), jnp.zeros(()))


def balanced_class_weights(labels: np.ndarray, num_classes: int) -> tuple[float, ...]:
    """Return n / (num_classes * n_k) for each class k, as scikit-learn's `balanced` does.

    labels: int [n] from 0 to `num_classes - 1`, with every class present.

    >>> balanced_class_weights(np.array([0, 0, 0, 1]), 2)
    (0.6666666666666666, 2.0)
    """
    counts = np.bincount(labels, minlength=num_classes)
    return tuple((len(labels) / (num_classes * counts)).tolist())


def make_loss(config: LossConfig, labels: np.ndarray, num_classes: int) -> CrossEntropy:
    """Return the loss that a config describes, for training labels int32 [n]."""
    weights = balanced_class_weights(labels, num_classes) if config.class_weights == "balanced" else None
    numbers = {"label_smoothing": config.label_smoothing, "l2": config.l2, "affect_weight": config.head_weight}
    return CrossEntropy(class_weights=weights, **numbers)
