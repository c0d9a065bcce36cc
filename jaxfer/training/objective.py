"""The objective of training: the weighted losses of a network's heads, and a penalty on its parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxfer.config import LossConfig, Sampling
from jaxfer.data.batches import TEACHER
from jaxfer.metrics.labels import is_class
from jaxfer.models import Network, l2_kernels
from jaxfer.tasks import Arrays, Distillation, Expression, Task, balanced_class_weights, class_log_shares
from jaxfer.training.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int


def _all_kernels(params: Any) -> list[jax.Array]:
    return [leaf for leaf in jax.tree.leaves(params) if leaf.ndim > 1]


@struct.dataclass
class Objective:
    """A weighted sum of the losses of tasks, and the L2 term; a pytree of its numbers.

    Attributes:
        expression: The task of the head `logits`.
        tasks: The tasks of other heads. A task adds nothing where the network lacks its head or the batch its columns.
        head_weight: Factor of the losses of `tasks`, a number or float32 [].
        l2: Factor of the sum of squares of the kernels, a number or float32 []; None for no such term. As in Keras the
            sum is not halved, and every loss that is reported contains the term.
        kernels: `kernels(params)` returns the kernels of the L2 term; by default all.
        distillation: What a head of logits learns from teachers, where the batch has the column `teacher_` and the
            head's name; None for nothing.
    """

    expression: Expression = Expression()
    tasks: tuple[Task, ...] = struct.field(pytree_node=False, default=())
    head_weight: Any = 1.0
    l2: Any = None
    kernels: Callable[[Any], list[jax.Array]] = struct.field(pytree_node=False, default=_all_kernels)
    distillation: Distillation | None = None

    def losses(self, outputs: Arrays, batch: Arrays) -> Float[Array, " b"]:
        """Return the loss of each example, float32 [b]; 0 for padding, and where the label is no class.

        Args:
            outputs: The network's outputs, with `logits` float32 [b, c].
            batch: The batch, with `label` int32 [b], `mask` bool [b] and the columns of the tasks.
        """
        losses = self._taught("logits", self.expression.loss(outputs, batch), outputs, batch)
        for task in self.tasks:
            if task.name in outputs and task.known(batch):
                own = task.loss(outputs, batch)
                chex.assert_equal_shape([losses, own], custom_message=f"the loss of the task {task.name} is not [b]")
                losses += self.head_weight * self._taught(task.name, own, outputs, batch)
        return jnp.where(batch["mask"] & is_class(batch["label"], outputs["logits"].shape[1]), losses, 0)

    def evaluated(self) -> Objective:
        """Return the objective that is reported of evaluation: without what is for training alone."""
        return dataclasses.replace(self, expression=dataclasses.replace(self.expression, adjustment=None))

    def _taught(self, name: str, own: jax.Array, outputs: Arrays, batch: Arrays) -> jax.Array:
        """Return the losses [b] of a head with what it is to learn from teachers, where the batch has that."""
        if self.distillation is None or TEACHER + name not in batch:
            return own
        return self.distillation.loss(own, outputs[name], batch[TEACHER + name])

    def penalty(self, params: Any) -> Float[Array, ""]:
        """Return the L2 term of parameters, float32 []."""
        if self.l2 is None:
            return jnp.zeros(())
        return self.l2 * sum((jnp.square(kernel).sum() for kernel in self.kernels(params)), jnp.zeros(()))


def make_objective(
    config: LossConfig,
    model: Network,
    tasks: tuple[Task, ...],
    labels: Int[np.ndarray, " n"],
    num_classes: int,
    hyper: Hyperparameters,
    sampling: Sampling = "uniform",
) -> Objective:
    """Return the objective that a config describes.

    Args:
        config: The config; its numbers are taken from `hyper`.
        model: The network, which may name the kernels of the L2 term.
        tasks: The tasks of its other heads.
        labels: The labels of the training images, int32 [n], for class weights and logit adjustment.
        num_classes: Number of classes.
        hyper: The hyper-parameters.
        sampling: How an epoch is drawn from those images, for logit adjustment.

    Raises:
        UserError: The config needs training images of every class, and there are none of one.
    """
    weights = balanced_class_weights(labels, num_classes) if config.class_weights == "balanced" else None
    smoothing = 0.0 if hyper.label_smoothing is None else hyper.label_smoothing
    weight = 1.0 if hyper.head_weight is None else hyper.head_weight
    tau = hyper.logit_adjustment
    adjustment = None if tau is None else tau * class_log_shares(labels, num_classes, sampling)
    expression = Expression(label_smoothing=smoothing, class_weights=weights, adjustment=adjustment)
    share, temperature = hyper.teacher_weight, hyper.teacher_temperature
    distillation = None if share is None else Distillation(share, temperature)
    return Objective(expression, tasks, weight, hyper.l2, partial(l2_kernels, model), distillation)
