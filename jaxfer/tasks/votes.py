"""The votes of FER+: what ten people saw in a face, learnt as a distribution over the ten things they could say.

Barsoum et al., "Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label Distribution", 2016,
https://arxiv.org/abs/1608.01041, section 3.4, train on such distributions by cross entropy. As in the code beside their
votes, a single vote for something counts as an outlier and is dropped.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxfer.metrics import formulas
from jaxfer.metrics.scores import Measure
from jaxfer.models import Head
from jaxfer.tasks.task import Arrays, Task


class Votes(Task):
    """The head `votes`, float32 [b, 10]: a logit for each thing that people could say, in the order of FER+'s columns.

    >>> outputs = {"votes": jnp.zeros((2, 10))}
    >>> batch = {"votes": jnp.array([[5.0, 5, *[0] * 8], [jnp.nan] * 10]), "mask": jnp.array([True, True])}
    >>> [round(float(loss), 4) for loss in Votes().loss(outputs, batch)]
    [2.3026, 0.0]
    """

    name = "votes"
    head = Head("votes", 10)
    columns = ("votes",)
    measures = {
        "votes_kl": Measure("divergence from the prediction", of="votes"),
        "votes_accuracy": Measure("most frequent one predicted", of="votes", percent=True),
        "votes_cross_entropy": Measure("cross entropy", of="votes", leading=False),
    }

    def loss(self, outputs: Arrays, batch: Arrays) -> Any:
        """Return the cross entropy between votes and prediction in nats, float32 [b]; 0 of a face without votes."""
        return self.terms(outputs, batch)[:, 1]

    def terms(self, outputs: Arrays, batch: Arrays) -> Any:
        """Return whether there are votes, their cross entropy, their entropy, and whether the first is met, [b, 4]."""
        shares, known = _shares(jnp.asarray(batch["votes"]))
        log_probabilities = jax.nn.log_softmax(jnp.asarray(outputs["votes"]))  # [b, 10]
        cross_entropy = -(shares * log_probabilities).sum(axis=-1)
        entropy = -jnp.where(shares > 0, shares * jnp.log(jnp.where(shares > 0, shares, 1)), 0).sum(axis=-1)
        met = known & (shares.argmax(axis=-1) == log_probabilities.argmax(axis=-1))
        return jnp.stack([known.astype(shares.dtype), cross_entropy, entropy, met.astype(shares.dtype)], axis=-1)

    def scores(self, sums: Any) -> dict[str, Any]:
        """Return the measures, NaN where no face has votes, and `votes_examples`, from [..., 4]."""
        n, cross_entropy, entropy, met = np.moveaxis(np.asarray(sums), -1, 0)
        return {
            "votes_examples": n,
            "votes_cross_entropy": formulas.divide(cross_entropy, n, empty=np.nan),
            "votes_kl": formulas.divide(cross_entropy - entropy, n, empty=np.nan),
            "votes_accuracy": formulas.divide(met, n, empty=np.nan),
        }


def _shares(votes: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return each face's distribution of votes less outliers, [b, 10], zeros without any, and whether there are."""
    # In parts of an image that was mixed from two there are fractions of votes: one vote or less is an outlier.
    counted = jnp.where(votes > 1, votes, 0)  # NaN is not greater
    total = counted.sum(axis=-1, keepdims=True)
    return counted / jnp.maximum(total, 1), total[:, 0] > 0
