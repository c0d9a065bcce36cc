"""The predictions of a network for every example of a split, from which scores and intervals are computed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, reduce
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax import lax

from jaxfer.config import Views
from jaxfer.data.batches import columns, evaluation_batches
from jaxfer.data.dataset import Split
from jaxfer.devices.placement import OneDevice, Parallel
from jaxfer.metrics import Metrics, Scores, ranking
from jaxfer.metrics.labels import check_labels
from jaxfer.metrics.metrics import further_scores
from jaxfer.metrics.scores import ClassScores, Measure
from jaxfer.models import Network, checked_outputs, compiled_for
from jaxfer.models.views import over_views
from jaxfer.tasks import Task
from jaxfer.training.step import merge

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Shaped

ROWS = 1024
"""Predictions scored at a time, the last ones padded: so one compiled program serves any number of them."""


@dataclass(frozen=True)
class Predictions:
    """The predictions of a network for n examples, in the order of their split.

    Attributes:
        logits: Logits of the expressions, float32 [n, c].
        labels: Labels of the examples, int32 [n].
        heads: Outputs of further heads, float32 [n, ...], by name.
        columns: Further annotations of the examples, [n, ...], by name.
        tasks: The tasks of the further heads.

    Raises:
        UserError: A label is none of the c classes.
    """

    logits: Float[np.ndarray, "n c"]
    labels: Int[np.ndarray, " n"]
    heads: Mapping[str, Float[np.ndarray, "n ..."]] = field(default_factory=dict)
    columns: Mapping[str, Shaped[np.ndarray, "n ..."]] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()

    def __post_init__(self) -> None:
        check_labels(self.labels, self.logits.shape[1], "one of the examples")

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        heads = "".join(f", {name}" for name in self.heads)
        return f"Predictions({len(self):,} examples, {self.logits.shape[1]} classes{heads})"

    @cached_property
    def log_probabilities(self) -> Float[np.ndarray, "n c"]:
        """The logarithms of `probabilities`, float32 [n, c]."""
        with np.errstate(invalid="ignore"):  # an infinite logit makes NaN, as it does in JAX
            shifted = self.logits - self.logits.max(axis=1, keepdims=True)
            return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))

    @cached_property
    def probabilities(self) -> Float[np.ndarray, "n c"]:
        """The probability of each class, float32 [n, c], rows that sum to 1."""
        return np.exp(self.log_probabilities)

    @property
    def predicted(self) -> Int[np.ndarray, " n"]:
        """The most probable class, int [n]; the first of equals."""
        return self.logits.argmax(axis=1)

    @property
    def confidence(self) -> Float[np.ndarray, " n"]:
        """The probability of the predicted class, float32 [n]."""
        return self.probabilities.max(axis=1)

    @property
    def correct(self) -> Bool[np.ndarray, " n"]:
        """Whether the predicted class is the label, bool [n]."""
        return self.predicted == self.labels

    @property
    def correct_in_two(self) -> Bool[np.ndarray, " n"]:
        """Whether the label is one of the two most probable classes, bool [n]."""
        return ranking.among_first(2, self.logits, self.labels)

    @property
    def scored(self) -> tuple[Task, ...]:
        """Those of the tasks that the data says something of."""
        return tuple(task for task in self.tasks if task.known(self.columns))

    @cached_property
    def terms(self) -> dict[str, Float[np.ndarray, "n ..."]]:
        """The terms of each example, float64 [n, ...], by the name of the task."""
        heads, columns = ({name: _as_float64(v) for name, v in part.items()} for part in (self.heads, self.columns))
        return {task.name: np.asarray(task.terms(heads, columns), np.float64) for task in self.scored}

    @property
    def measures(self) -> dict[str, Measure]:
        """The measures of the tasks that are scored, by name."""
        return {name: measure for task in self.scored for name, measure in task.measures.items()}

    @property
    def pairs(self) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
        """Predicted and actual numbers of the tasks, pairs of [n], by name; see `Task.pairs`."""
        return {name: pair for task in self.tasks for name, pair in task.pairs(self.heads, self.columns).items()}

    def take(self, rows: Int[np.ndarray, " m"] | Bool[np.ndarray, " n"]) -> Predictions:
        """Return the predictions of some of the examples, by an index int [m] or a mask bool [n]."""
        heads, columns = ({name: v[rows] for name, v in part.items()} for part in (self.heads, self.columns))
        return Predictions(self.logits[rows], self.labels[rows], heads, columns, self.tasks)

    def scaled(self, temperature: float) -> Predictions:
        """Return these predictions with logits divided by a temperature, as of `jaxfer.metrics.fit_temperature`.

        The predicted classes stay as they are; the network is less sure of them above 1, and surer below.
        """
        with np.errstate(invalid="ignore"):
            # From the largest on, whose 0 stays alone where rounding of the others' quotients could reach it.
            below = self.logits - self.logits.max(axis=1, keepdims=True)
        return dataclasses.replace(self, logits=below / np.float32(temperature))

    def scores(self, class_names: tuple[str, ...], loss: float | None = None) -> Scores:
        """Return the scores of these predictions, as `Metrics` computes them, with those that need the rank of each.

        Args:
            class_names: The names of the c classes.
            loss: The training objective, a mean over the examples; None takes the cross entropy.
        """
        starts = range(0, len(self), ROWS)
        parts = (_measure(*self._padded(slice(start, start + ROWS)), loss) for start in starts)
        scores = reduce(merge, parts, Metrics.empty(len(class_names))).compute(class_names)
        # In float64 on the host, unlike `Metrics.tasks`: a correlation from float32 sums would lose digits.
        sums = {name: terms.sum(axis=0) for name, terms in self.terms.items()}
        tasks = further_scores(sums, self.tasks)
        defined = len(self) and not np.isnan(self.probabilities).any()
        top2_accuracy = float(self.correct_in_two.mean()) if defined else math.nan
        return dataclasses.replace(scores, tasks=tasks, top2_accuracy=top2_accuracy, per_class=self._ranked(scores))

    def _ranked(self, scores: Scores) -> dict[str, ClassScores]:
        """Return the scores of the classes with those by rank."""
        from scipy.special import logsumexp  # takes long to import

        with np.errstate(invalid="ignore"):
            # By logarithms of odds: probabilities near 1 are one when rounded, and examples equal that are not.
            logits = self.logits.astype(np.float64)
            others = [logsumexp(np.delete(logits, c, axis=1), axis=1) for c in range(logits.shape[1])]
            odds = logits - np.stack(others, axis=1)
        found = {name: getattr(ranking, name)(odds, self.labels) for name in ("auc", "average_precision")}
        return {
            name: dataclasses.replace(of, **{score: float(values[row]) for score, values in found.items()})
            for row, (name, of) in enumerate(scores.per_class.items())
        }

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
    views: Views = "one",
) -> Predictions:
    """Return the predictions of a network for a split, each example exactly once and in order.

    With several processes all must call this. Each gets the predictions of the whole split.

    Args:
        model: The network.
        variables: `params` and `batch_stats`, as `TrainState.variables` has them.
        split: The examples.
        batch_size: Examples in a batch, of all processes together.
        tasks: The tasks of its further heads, scored where the split has their columns.
        parallel: How to use the devices; by default one.
        views: What the network is shown of each image, see `jaxfer.models.views`; probabilities, and the outputs of
            further heads, are means over it.

    Raises:
        UserError: The images are of another range than networks take, or a label is none of the network's classes.
    """
    split.check_range()
    parallel = parallel or OneDevice()
    step = _compiled(model, parallel, views)
    placed = parallel.place(variables)
    parts = [
        step(placed, {name: batch[name] for name in ("image", "mask")})
        for batch in evaluation_batches(split, batch_size, parallel.shard)
    ]
    # Read only now that every batch has been sent off, so that the devices never wait for the host.
    masks = [np.asarray(part.pop("mask")) for part in parts]
    found = {name: np.concatenate([p[name][m] for p, m in zip(parts, masks, strict=True)]) for name in parts[0]}
    known = {name: values for name, values in columns(split).items() if name not in ("image", "label")}
    predicted = tuple(task for task in tasks if task.name in found)
    return Predictions(found.pop("logits"), split.labels, found, known, predicted)


@lru_cache(maxsize=8)
def _compiled(model: Network, parallel: Parallel, views: Views) -> Callable[..., dict[str, jax.Array]]:
    """Return `step(variables, batch)`, compiled once for all splits and runs of a network.

    It returns the network's outputs for the global batch, and its `mask`: each process pads its own rows, so that
    padding may lie between examples.
    """
    axis_name, model = parallel.axis_name, compiled_for(model, parallel.devices[0].platform)

    def step(variables: dict[str, Any], batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
        def predict(images: jax.Array) -> dict[str, jax.Array]:
            return checked_outputs(model.apply(variables, images, train=False, mask=mask), len(mask))

        mask = batch["mask"]
        outputs = over_views(predict, batch["image"], views) | {"mask": mask}
        return outputs if axis_name is None else lax.all_gather(outputs, axis_name, tiled=True)

    return parallel.compile(step, donate=False)
