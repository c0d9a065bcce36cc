"""From the votes of several people to the distribution that a network learns."""

from collections.abc import Sequence

import numpy as np

from jaxfer.errors import UserError


def soft_labels(votes: Sequence[Sequence[float] | None], labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Return float32 [n, num_classes], rows that sum to 1: each face's share of the votes for the classes in use.

    votes: for each face, those for each of `jaxfer.emotions.AFFECTNET_8`, or None. A face without votes for any class
        in use has all its weight on its label.
    labels: int32 [n].

    Raises `UserError` where no face has votes.

    >>> soft_labels([(3, 1, 0, 0, 0, 0, 0, 4), None], np.array([0, 2]), num_classes=7)
    array([[0.75, 0.25, 0.  , 0.  , 0.  , 0.  , 0.  ],
           [0.  , 0.  , 1.  , 0.  , 0.  , 0.  , 0.  ]], dtype=float32)
    """
    if all(row is None for row in votes):
        raise UserError("soft labels were asked for, but this data has one label a face and no votes: leave them out")
    counts = np.array([(0.0,) * 8 if row is None else row for row in votes])[:, :num_classes]
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.where(totals > 0, counts / np.maximum(totals, 1e-12), np.eye(num_classes)[labels])
    return shares.astype(np.float32)
