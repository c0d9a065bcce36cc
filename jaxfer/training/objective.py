"""What training minimises: the losses of a network's heads, weighted, and a penalty on its parameters."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxfer.config import LossConfig
from jaxfer.models import Network, l2_kernels
from jaxfer.tasks import Arrays, Expression, Task, balanced_class_weights
from jaxfer.training.hyperparameters import Hyperparameters


def _all_kernels(params: Any) -> list[jax.Array]:
    return [leaf for leaf in jax.tree.leaves(params) if leaf.ndim > 1]


@struct.dataclass
class Objective:
    """A weighted sum of tasks, and the L2 term; a pytree of its numbers.

    Attributes:
        expression: The task of the head `logits`.
        tasks: Those of other heads. One whose head the network lacks, or of which a batch says nothing, adds nothing.
        head_weight: Factor of each of their losses.
        l2: Factor of the sum of squares of `kernels`, None for no such term. Keras adds that sum whole, without a half,
            and contains it in every loss it reports; so does this.
        kernels: `kernels(params)`, the kernels that it takes; by default all.
    """

    expression: Expression = Expression()
    tasks: tuple[Task, ...] = struct.field(pytree_node=False, default=())
    head_weight: Any = 1.0
    l2: Any = None
    kernels: Callable[[Any], list[jax.Array]] = struct.field(pytree_node=False, default=_all_kernels)

    def losses(self, outputs: Arrays, batch: Arrays) -> jax.Array:
        """Return the loss of each example, float32 [b]; 0 for padding.

        Args:
            outputs: What the network says of the batch.
            batch: With `label`, `mask` and whatever the tasks learn from.
        """
        losses = self.expression.loss(outputs, batch)
        for task in self.tasks:
            if task.name in outputs and task.known(batch):
                losses += self.head_weight * task.loss(outputs, batch)
        return jnp.where(batch["mask"], losses, 0)

    def penalty(self, params: Any) -> jax.Array:
        """Return the L2 term, a float32 scalar."""
        if self.l2 is None:
            return jnp.zeros(())
        return self.l2 * sum((jnp.square(kernel).sum() for kernel in self.kernels(params)), jnp.zeros(()))


def make_objective(
    config: LossConfig,
    model: Network,
    tasks: tuple[Task, ...],
    labels: np.ndarray,
    num_classes: int,
    hyper: Hyperparameters,
) -> Objective:
    """Return the objective that a config describes.

    Args:
        config: What of it is no number.
        model: The network, which may say which kernels the L2 term takes.
        tasks: Those of its other heads.
        labels: Of the training images, int32 [n], which class weights are made from.
        num_classes: How many classes there are.
        hyper: Its numbers.
    """
    weights = balanced_class_weights(labels, num_classes) if config.class_weights == "balanced" else None
    smoothing = 0.0 if hyper.label_smoothing is None else hyper.label_smoothing
    weight = 1.0 if hyper.head_weight is None else hyper.head_weight
    expression = Expression(label_smoothing=smoothing, class_weights=weights)
    return Objective(expression, tasks, weight, hyper.l2, partial(l2_kernels, model))
