"""What a network says about every example of a split: what scores, intervals and lists of errors are made from."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxfer.data.batches import columns, evaluation_batches
from jaxfer.data.dataset import Split
from jaxfer.devices.placement import OneDevice, Parallel
from jaxfer.metrics import Metrics, Scores
from jaxfer.metrics.metrics import further_scores
from jaxfer.metrics.scores import Measure
from jaxfer.models import Network, compiled_for
from jaxfer.tasks import Task
from jaxfer.training.step import merge

ROWS = 1024
"""How many predictions are scored at a time: one program serves any number of them."""


@dataclass(frozen=True)
class Predictions:
    """What a network says about n examples, in the order of their split.

    Attributes:
        logits: float32 [n, c]; `probabilities` is their softmax.
        labels: int32 [n], what the examples are.
        heads: What its further heads say, by name, float32 [n, ...].
        columns: What else the data says of the examples, by name, [n, ...].
        tasks: Those of the heads that the data says something of.
    """

    logits: np.ndarray
    labels: np.ndarray
    heads: Mapping[str, np.ndarray] = field(default_factory=dict)
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()

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
    def terms(self) -> dict[str, np.ndarray]:
        """What each example adds to the sums of each task, by its name, float64 [n, ...]."""
        heads, columns = ({name: _as_float64(v) for name, v in part.items()} for part in (self.heads, self.columns))
        return {task.name: np.asarray(task.terms(heads, columns), np.float64) for task in self.tasks}

    @property
    def measures(self) -> dict[str, Measure]:
        """The tasks' measures, by name."""
        return {name: measure for task in self.tasks for name, measure in task.measures.items()}

    @property
    def pairs(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Numbers that the tasks predict and those that the data says, [n] each, by name; NaN where it does not."""
        return {name: pair for task in self.tasks for name, pair in task.pairs(self.heads, self.columns).items()}

    def take(self, rows: np.ndarray) -> "Predictions":
        """Return the predictions of some of the examples, by an index int [m] or a mask bool [n]."""
        heads, columns = ({name: v[rows] for name, v in part.items()} for part in (self.heads, self.columns))
        return Predictions(self.logits[rows], self.labels[rows], heads, columns, self.tasks)

    def scores(self, class_names: tuple[str, ...], loss: float | None = None) -> Scores:
        """Return the scores that `Metrics` has for these examples.

        loss: the training objective; None takes the cross entropy.
        """
        starts = range(0, len(self), ROWS)
        parts = (_measure(*self._padded(slice(start, start + ROWS)), loss) for start in starts)
        scores = reduce(merge, parts, Metrics.empty(len(class_names))).compute(class_names)
        sums = {name: terms.sum(axis=0) for name, terms in self.terms.items()}
        return dataclasses.replace(scores, tasks=further_scores(sums, self.tasks))

    def _padded(self, part: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return logits and labels of a part, lengthened to `ROWS`, and a mask that leaves the rest out."""
        logits, labels = self.logits[part], self.labels[part]
        missing = ROWS - len(labels)
        return np.pad(logits, ((0, missing), (0, 0))), np.pad(labels, (0, missing)), np.arange(ROWS) < len(labels)


def _as_float64(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float64) if np.issubdtype(values.dtype, np.floating) else values


_measure = jax.jit(Metrics.of_batch)


def predict_split(
    model: Network,
    variables: dict[str, Any],
    split: Split,
    *,
    batch_size: int,
    tasks: Sequence[Task] = (),
    parallel: Parallel | None = None,
    flip: bool = False,
) -> Predictions:
    """Return what a network says about every example of `split`, each exactly once and in order.

    Args:
        model: The network.
        variables: `params` and `batch_stats`, as `TrainState.variables` has them.
        split: The examples.
        batch_size: How many go through the network at a time.
        tasks: What its further heads predict, to be scored where the split says what is right.
        parallel: How to use the devices; by default one. Of several processes all must call this, and get the same.
        flip: Whether a prediction is the mean of those for the image and for its mirror image.
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
    known = {name: values for name, values in columns(split).items() if name not in ("image", "label")}
    scored = tuple(task for task in tasks if task.name in found and task.known(known))
    return Predictions(found.pop("logits"), split.labels, found, known, scored)


@lru_cache(maxsize=8)
def _compiled(model: Network, parallel: Parallel, flip: bool) -> Callable[..., dict[str, jax.Array]]:
    """Return `step(variables, batch)`, which predicts the whole batch, compiled once for all splits and runs.

    It returns the network's outputs and `mask`.
    """
    axis_name, model = parallel.axis_name, compiled_for(model, parallel.devices[0].platform)

    def step(variables: dict[str, Any], batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
        predict = partial(model.apply, variables, train=False, mask=batch["mask"])
        outputs: Any = predict(batch["image"])
        if flip:
            mirrored: Any = predict(batch["image"][:, :, ::-1])
            # The logarithm of the sum of both probabilities: that it is not halved changes no softmax.
            both = jnp.logaddexp(*(jax.nn.log_softmax(one["logits"]) for one in (outputs, mirrored)))
            outputs = {name: (outputs[name] + mirrored[name]) / 2 for name in outputs} | {"logits": both}
        outputs = outputs | {"mask": batch["mask"]}
        return outputs if axis_name is None else lax.all_gather(outputs, axis_name, tiled=True)

    return parallel.compile(step, donate=False)
