"""The interface of every head to training, scores and pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import chex
import jax.numpy as jnp

from jaxfer.metrics.scores import Measure
from jaxfer.models import Head

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Array, Float

Arrays = Mapping[str, Any]
"""Arrays by name: a network's outputs, or the columns of a batch. JAX's inside a step, NumPy's outside."""


class Task:
    """One head of a network: its prediction, its loss, and the measures of its quality.

    Subclass it, set the attributes, and pass an instance to `fit(tasks=[...])` with a network that has its head.

    Attributes:
        name: The head's entry in the network's outputs.
        head: The layer that `ResNetFER` gets for it.
        columns: The columns of a batch that hold the annotation; any one of them is enough to learn from.
        measures: The scores that get an interval, by name, and how each is shown.
        is_distribution: Whether the outputs are logits [b, c] of one distribution, which can be learnt from teachers.
    """

    name: str
    head: Head
    columns: tuple[str, ...]
    measures: Mapping[str, Measure]
    is_distribution: bool = False

    def known(self, batch: Arrays) -> bool:
        """Return whether a batch, or a split, has one of this task's `columns`."""
        return any(name in batch for name in self.columns)

    def loss(self, outputs: Arrays, batch: Arrays) -> Float[Array, " b"]:
        """Return the loss of each example.

        Args:
            outputs: The network's outputs, JAX arrays [b, ...].
            batch: The batch, JAX arrays [b, ...].

        Returns:
            The losses, float32 [b]; 0 for an example without annotation.
        """
        raise NotImplementedError

    def terms(self, outputs: Arrays, batch: Arrays) -> Float[Array, "b ..."] | Float[np.ndarray, "b ..."]:
        """Return the terms of each example; `scores` takes their sums.

        Args:
            outputs: The network's outputs, JAX or NumPy arrays [b, ...].
            batch: The batch, or the columns of a split, of the same library.

        Returns:
            The terms [b, ...], of the same library; zeros for an example without annotation.
        """
        raise NotImplementedError

    def scores(self, sums: Float[np.ndarray, " ..."]) -> dict[str, Float[np.ndarray, " ..."]]:
        """Return the measures, and the numbers of examples behind them.

        Args:
            sums: Sums of `terms` over examples, float64 [...]. Further axes may come first, such as resamples.

        Returns:
            The scores by name, with those further axes: each of `measures`, and numbers of examples by names that end
            in `_examples`.
        """
        raise NotImplementedError

    def pairs(self, outputs: Arrays, batch: Arrays) -> dict[str, tuple[Any, Any]]:
        """Return predicted and actual numbers by name, for tables and figures.

        Args:
            outputs: The network's outputs, NumPy arrays [b, ...].
            batch: The columns of a split, NumPy arrays [b, ...].

        Returns:
            Pairs (predicted, actual), each [b], by name; NaN without annotation, the second None where
                the split has none of the columns. By default there are none.
        """
        return {}


def sums_of(task: Task, outputs: Arrays, batch: Arrays) -> Float[Array, " ..."]:
    """Return the sums of a task's terms over the valid examples of a batch.

    Args:
        task: The task.
        outputs: The network's outputs, JAX arrays [b, ...].
        batch: The batch, with its `mask` bool [b].

    Returns:
        The sums, float32 of the shape of one example's terms.
    """
    terms = task.terms(outputs, batch)  # [b, ...]
    words = f"the terms of the task {task.name} are not [b, ...]"
    chex.assert_equal_shape_prefix([terms, batch["mask"]], 1, custom_message=words)
    mask = batch["mask"].reshape(-1, *(1,) * (terms.ndim - 1))
    return jnp.where(mask, terms, 0).sum(axis=0)
