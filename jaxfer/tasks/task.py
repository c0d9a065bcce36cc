"""What every head is to whoever trains, scores and shows it."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from jaxfer.metrics.scores import Measure
from jaxfer.models import Head

Arrays = Mapping[str, Any]
"""Arrays by name, of JAX inside a step and of NumPy outside: a network's outputs, or a batch and its columns."""


class Task:
    """One head of a network: what it predicts, its loss, and the measures of how good it is.

    Subclass it, set the attributes, and pass an instance to `fit(tasks=[...])` with a network that has its head.

    Attributes:
        name: The entry of the network's outputs that is this head.
        head: The layer that `ResNetFER` gets for it.
        columns: Those of a batch that say what is right; any one of them is enough to learn from.
        measures: Its scores that have an interval, by name, and how each is shown.
    """

    name: str
    head: Head
    columns: tuple[str, ...]
    measures: Mapping[str, Measure]

    def known(self, batch: Arrays) -> bool:
        """Return whether a batch, or a split's columns, say anything about this task."""
        return any(name in batch for name in self.columns)

    def loss(self, outputs: Arrays, batch: Arrays) -> Any:
        """Return what training minimises of each example, float32 [b]; 0 where the batch does not say what is right."""
        raise NotImplementedError

    def terms(self, outputs: Arrays, batch: Arrays) -> Any:
        """Return what each example adds to the sums that the scores are made from, [b, ...], in the outputs' library.

        An example of which the batch does not say what is right adds zeros.
        """
        raise NotImplementedError

    def scores(self, sums: Any) -> dict[str, Any]:
        """Return the `measures` and, by names that end in `_examples`, of how many examples they are.

        Args:
            sums: Those of `terms` over examples, float64 [..., ...]; further axes in front, such as resamples, stay.
        """
        raise NotImplementedError

    def pairs(self, outputs: Arrays, batch: Arrays) -> dict[str, tuple[Any, Any]]:
        """Return predicted and actual numbers [b] by name, for tables and figures; NaN where the data does not say."""
        return {}


def sums_of(task: Task, outputs: Arrays, batch: Arrays) -> Any:
    """Return the sums of a task's terms over the examples of a batch that its mask keeps."""
    terms = task.terms(outputs, batch)  # [b, ...]
    mask = batch["mask"].reshape(-1, *(1,) * (terms.ndim - 1))
    return jnp.where(mask, terms, 0).sum(axis=0)
