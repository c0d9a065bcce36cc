"""The votes of FER+: ten people's answers for each face, learnt as a distribution over the ten possible answers.

Barsoum et al., "Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label Distribution", 2016,
https://arxiv.org/abs/1608.01041, section 3.4, train on such distributions by cross entropy. As in the code published
with the votes, an answer with a single vote is an outlier and is dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from jaxfer.metrics import formulas
from jaxfer.metrics.scores import Measure
from jaxfer.models import Head
from jaxfer.tasks.task import Arrays, Task

if TYPE_CHECKING:
    from jaxtyping import Array, Float


class Votes(Task):
    """The head `votes`, float32 [b, 10]: a logit for each answer, in the order of FER+'s columns.

    A batch has `votes`, float32 [b, 10]: the number of votes for each answer, a row of NaN where unknown.

    >>> outputs = {"votes": jnp.zeros((2, 10))}
    >>> batch = {"votes": jnp.array([[5.0, 5, *[0] * 8], [jnp.nan] * 10]), "mask": jnp.array([True, True])}
    >>> [round(float(loss), 4) for loss in Votes().loss(outputs, batch)]
    [2.3026, 0.0]
    """

    name = "votes"
    head = Head("votes", 10)
    columns = ("votes",)
    is_distribution = True
    measures = {
        "votes_kl": Measure("divergence from the prediction", of="votes"),
        "votes_accuracy": Measure("most frequent one predicted", of="votes", percent=True),
        "votes_cross_entropy": Measure("cross entropy", of="votes", leading=False),
    }

    def loss(self, outputs: Arrays, batch: Arrays) -> Float[Array, " b"]:
        """Return the cross entropy between votes and prediction in nats, float32 [b]; 0 for a face without votes."""
        return self.terms(outputs, batch)[:, 1]

    def terms(self, outputs: Arrays, batch: Arrays) -> Float[Array, "b 4"]:
        """Return the terms of the measures.

        Returns:
            float32 [b, 4]: 1; cross entropy between votes and prediction, and entropy of the votes, in nats; 1 where
            the most frequent answer is predicted, else 0. Zeros for a face without votes.
        """
        shares, known = _shares(jnp.asarray(batch["votes"]))
        log_probabilities = jax.nn.log_softmax(jnp.asarray(outputs["votes"]))  # [b, 10]
        cross_entropy = (shares * -log_probabilities).sum(axis=-1)
        entropy = -jnp.where(shares > 0, shares * jnp.log(jnp.where(shares > 0, shares, 1)), 0).sum(axis=-1)
        met = known & (shares.argmax(axis=-1) == log_probabilities.argmax(axis=-1))
        return jnp.stack([known.astype(shares.dtype), cross_entropy, entropy, met.astype(shares.dtype)], axis=-1)

    def scores(self, sums: Float[np.ndarray, "... 4"]) -> dict[str, Float[np.ndarray, " ..."]]:
        """Return the measures, and the number of examples.

        Args:
            sums: Sums of the terms over examples, float64 [..., 4].

        Returns:
            `votes_cross_entropy` and `votes_kl` in nats and `votes_accuracy` in [0, 1], [...]; NaN without votes.
            `votes_examples`, [...].
        """
        n, cross_entropy, entropy, met = np.moveaxis(np.asarray(sums), -1, 0)
        return {
            "votes_examples": n,
            "votes_cross_entropy": formulas.divide(cross_entropy, n, empty=np.nan),
            "votes_kl": formulas.divide(cross_entropy - entropy, n, empty=np.nan),
            "votes_accuracy": formulas.divide(met, n, empty=np.nan),
        }


def _shares(votes: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return each face's distribution of votes without outliers, [b, 10], and whether it has any; zeros if not."""
    # In parts of an image that was mixed from two there are fractions of votes: one vote or less is an outlier.
    counted = jnp.where(votes > 1, votes, 0)  # NaN is not greater
    total = counted.sum(axis=-1, keepdims=True)
    return counted / jnp.maximum(total, 1), total[:, 0] > 0
