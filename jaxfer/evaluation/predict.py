"""What a network says about every example of a split: what scores, intervals and lists of errors are made from."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxfer.data.batches import evaluation_batches
from jaxfer.data.dataset import Split
from jaxfer.devices.placement import OneDevice, Parallel
from jaxfer.metrics.affect import affect_scores, affect_terms
from jaxfer.metrics.metrics import Metrics
from jaxfer.metrics.scores import Scores
from jaxfer.models import Outputs, compiled_for
from jaxfer.training.step import merge

ROWS = 1024
"""How many predictions are scored at a time: one program serves any number of them."""


@dataclass(frozen=True)
class Predictions:
    """What a network says about n examples, in the order of their split.

    logits: float32 [n, c]; `probabilities` is their softmax.
    labels: int32 [n], what the examples are.
    affect: float32 [n, 2], valence and arousal from -1 to 1; None where the network does not predict them.
    actual_affect: float32 [n, 2], what they are, NaN where the data does not say; None where it never does.
    """

    logits: np.ndarray
    labels: np.ndarray
    affect: np.ndarray | None = None
    actual_affect: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def log_probabilities(self) -> np.ndarray:
        """The logarithms of `probabilities`, float32 [n, c]."""
        with np.errstate(invalid="ignore"):  # an infinite logit makes NaN, as it does in JAX
            shifted = self.logits - self.logits.max(axis=1, keepdims=True)
            return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))

    @cached_property
    def probabilities(self) -> np.ndarray:
        """The probability of each class, float32 [n, c], rows that sum to 1."""
        return np.exp(self.log_probabilities)

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class, int [n]; the first of equals."""
        return self.logits.argmax(axis=1)

    @property
    def confidence(self) -> np.ndarray:
        """Its probability, float32 [n]."""
        return self.probabilities.max(axis=1)

    @property
    def correct(self) -> np.ndarray:
        """Whether it is the label, bool [n]."""
        return self.predicted == self.labels

    @cached_property
    def affect_terms(self) -> np.ndarray | None:
        """Return those of `jaxfer.metrics.affect`, float64 [n, 2, 7]; None where either side of them is."""
        if self.affect is None or self.actual_affect is None:
            return None
        return affect_terms(self.affect.astype(np.float64), self.actual_affect.astype(np.float64))

    def take(self, rows: np.ndarray) -> "Predictions":
        """Return the predictions of some of the examples, by an index int [m] or a mask bool [n]."""
        affect, actual = (values if values is None else values[rows] for values in (self.affect, self.actual_affect))
        return Predictions(self.logits[rows], self.labels[rows], affect, actual)

    def scores(self, class_names: tuple[str, ...], loss: float | None = None) -> Scores:
        """Return the scores that `Metrics` has for these examples.

        loss: the training objective; None takes the cross entropy.
        """
        starts = range(0, len(self), ROWS)
        parts = (_measure(*self._padded(slice(start, start + ROWS)), loss) for start in starts)
        scores = reduce(merge, parts, Metrics.empty(len(class_names))).compute(class_names)
        terms = self.affect_terms
        return scores if terms is None else dataclasses.replace(scores, affect=affect_scores(terms.sum(axis=0)))

    def _padded(self, part: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return logits and labels of a part, lengthened to `ROWS`, and a mask that leaves the rest out."""
        logits, labels = self.logits[part], self.labels[part]
        missing = ROWS - len(labels)
        return np.pad(logits, ((0, missing), (0, 0))), np.pad(labels, (0, missing)), np.arange(ROWS) < len(labels)


_measure = jax.jit(Metrics.of_batch)


def predict_split(
    model: nn.Module,
    variables: dict[str, Any],
    split: Split,
    *,
    batch_size: int,
    parallel: Parallel | None = None,
    flip: bool = False,
) -> Predictions:
    """Return what a network says about every example of `split`, each exactly once and in order.

    variables: `params` and `batch_stats`, as `TrainState.variables` has them.
    parallel: how to use the devices; by default one. Of several processes all must call this, and get the same.
    flip: whether a prediction is the mean of those for the image and for its mirror image.
    """
    parallel = parallel or OneDevice()
    step = _compiled(model, parallel, flip)
    placed = parallel.place(variables)
    parts = [
        step(placed, {name: batch[name] for name in ("image", "mask")})
        for batch in evaluation_batches(split, batch_size, parallel.shard)
    ]
    masks = [np.asarray(part.pop("mask")) for part in parts]
    found = {name: np.concatenate([p[name][m] for p, m in zip(parts, masks, strict=True)]) for name in parts[0]}
    return Predictions(labels=split.labels, **found, actual_affect=split.affect)


@lru_cache(maxsize=8)
def _compiled(model: nn.Module, parallel: Parallel, flip: bool) -> Callable[..., dict[str, jax.Array]]:
    """Return `step(variables, batch)`, which predicts the whole batch, compiled once for all splits and runs.

    It returns `logits` and `mask`, and `affect` where the network predicts it.
    """
    axis_name, model = parallel.axis_name, compiled_for(model, parallel.devices[0].platform)

    def predict(variables: dict[str, Any], images: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        outputs = cast(Outputs, model.apply(variables, images))
        return outputs["logits"], outputs.get("affect")

    def step(variables: dict[str, Any], batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
        logits, affect = predict(variables, batch["image"])
        if flip:
            mirrored, mirrored_affect = predict(variables, batch["image"][:, :, ::-1])
            # The logarithm of the sum of both probabilities: that it is not halved changes no softmax.
            logits = jnp.logaddexp(jax.nn.log_softmax(logits), jax.nn.log_softmax(mirrored))
            affect = None if affect is None or mirrored_affect is None else (affect + mirrored_affect) / 2
        outputs = {"logits": logits, "mask": batch["mask"]} | ({} if affect is None else {"affect": affect})
        return outputs if axis_name is None else lax.all_gather(outputs, axis_name, tiled=True)

    return parallel.compile(step, donate=False)
