"""Which labels are labels: indices into the classes. All others are refused on the host, and masked on a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from jaxfer.errors import UserError

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Int


def is_class(labels: Int[Array, " b"], classes: int) -> Bool[Array, " b"]:
    """Return which labels stand for one of so many classes, bool [b].

    >>> is_class(jnp.array([0, 6, 7, -1]), 7).tolist()
    [True, True, False, False]
    """
    labels = jnp.asarray(labels)
    return (labels >= 0) & (labels < classes)


def check_labels(labels: Int[np.ndarray, " n"], classes: int, whose: str) -> None:
    """Refuse labels that stand for none of the classes.

    Args:
        labels: Integers [n].
        classes: How many classes there are.
        whose: What has the labels, such as `val of FER2013`.

    Raises:
        UserError: One is below 0, or is `classes` or more.

    >>> check_labels(np.array([0, 7]), 7, "the batch")
    Traceback (most recent call last):
    jaxfer.errors.UserError: the batch has the label 7: pass indices into its class names, 0 to 6
    """
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        wrong = labels[(labels < 0) | (labels >= classes)][0]
        raise UserError(f"{whose} has the label {wrong}: pass indices into its class names, 0 to {classes - 1}")
