"""An evaluation: one checkpoint on one split, with what a reader needs to judge its numbers."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from jaxfer.config import Config, to_json
from jaxfer.data.dataset import TEST, Dataset, Split, Use
from jaxfer.data.groups import group_names
from jaxfer.devices.placement import choose_parallel
from jaxfer.errors import UserError
from jaxfer.evaluation.compare import mcnemar, over_runs
from jaxfer.evaluation.predict import Predictions, predict_split
from jaxfer.evaluation.summary import environment, scored
from jaxfer.runs.folder import differences
from jaxfer.runs.load import Trained

ROLES = {"train": "Training", "val": "Validation", "test": "Test"}
"""What the numbers of each kind of split are called."""

MOST_GROUPS = 50
"""Most groups of a column that are scored apart; a column with more is one of numbers or names."""


@dataclass(frozen=True)
class Evaluation:
    """One checkpoint on one split.

    Attributes:
        trained: The network, from a checkpoint of its run.
        data: The data set.
        split: The split.
        use: What the split is for: `train`, `val` or `test`.
        predictions: The predictions for the split.
        flip: Whether probabilities are means over the image and its mirror image.
        by: Name of the groups that are scored apart, or None.
        images: Rows to explain by Grad-CAM, or None for a choice.
        more_groups: The group of each face, [n], by the names of groupings that the data does not have itself.
    """

    trained: Trained
    data: Dataset
    split: Split
    use: Use
    predictions: Predictions
    flip: bool
    by: str | None = None
    images: tuple[int, ...] | None = None
    more_groups: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def role(self) -> str:
        """The name of the kind of split for readers: `Training`, `Validation` or `Test`."""
        return ROLES[self.use]

    @property
    def own_data(self) -> bool | None:
        """Whether the split belongs to the data of the run; None where that is not known."""
        # Whoever evaluates on a test split has not read the others.
        found = "" if self.use == "test" else self.data.fingerprint
        return self.trained.fingerprint == found if self.trained.fingerprint and found else None

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of the split."""
        return self.data.fingerprint_of(self.split)

    @cached_property
    def scores(self) -> dict[str, Any]:
        """The scores as of `scored`, without the training objective, and the name of the split."""
        scores = scored(self.predictions, self.data.class_names)
        del scores["loss"]
        return {"split": self.split.name} | scores

    @property
    def measures(self) -> tuple[str, ...]:
        """The names of the scores that have an interval."""
        return tuple(self.scores["intervals"])

    @cached_property
    def groups(self) -> dict[str, dict[str, Any]]:
        """Number of examples, measures and intervals of each group of `by`, by its name."""
        if self.by is None:
            return {}
        column, found = self._group_of_each(self.by), {}
        for name in group_names(column):
            scores = scored(self.predictions.take(column == name), self.data.class_names)
            found[name] = {measure: scores[measure] for measure in ("examples", *self.measures, "intervals")}
        return found

    def _group_of_each(self, by: str) -> np.ndarray:
        return self.more_groups[by] if by in self.more_groups else self.split.groups[by]

    def notes(self) -> list[str]:
        """Return caveats for readers of the numbers, one sentence each."""
        notes = []
        if self.use == "train":
            notes.append("The network has learnt from these images: its scores on them do not say what to expect.")
        if self.use == "test":
            notes.append("A test split is for the final number only: choose nothing by it.")
        if self.use == "val" and self.own_data is not False and self.trained.chosen == "best":
            notes.append("The checkpoint was chosen by its accuracy on this very split, which makes it optimistic.")
        if self.own_data is False:
            notes.append(
                "The data are not those of the run: whether the network has learnt from some of these images, under "
                "another name, is not known."
            )
        if not self.trained.ends_epoch:
            notes.append(f"The checkpoint was saved within an epoch, at step {self.trained.step:,}.")
        return notes

    def inputs(self) -> dict[str, Any]:
        """Return everything that decides the numbers and the page of this evaluation, as a dict for JSON."""
        return {
            "config": json.loads(to_json(self.trained.config)),
            "checkpoint": self.trained.checkpoint,
            "trained_on": self.trained.fingerprint,
            "split": self.split.name,
            "use": self.use,
            "fingerprint": self.fingerprint,
            "names": _hash(self.split.names),
            "flip": self.flip,
            "by": self.by,
            "groups": self.by and _hash(self._group_of_each(self.by).tolist()),
            "images": self.images and list(self.images),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `evaluation.json`."""
        return {
            "run": self.trained.name,
            "role": self.role.lower(),
            "checkpoint": self.trained.checkpoint,
            "flip": self.flip,
            "notes": self.notes(),
            **self.scores,
            "by": {"column": self.by, "groups": self.groups},
            "data": {
                "source": self.data.source,
                "left_out": {reason: count for reason, count in self.data.left_out.items() if reason != TEST},
                "own": self.own_data,
                "fingerprint": self.fingerprint,
            },
            "environment": environment(),
            "inputs": self.inputs(),
        }


def evaluate(
    trained: Trained,
    data: Dataset,
    split_name: str = "val",
    *,
    flip: bool = False,
    by: str | None = None,
    images: tuple[int, ...] | None = None,
    more_groups: Mapping[str, np.ndarray] | None = None,
) -> Evaluation:
    """Evaluate the network of a run on a split.

    Args:
        trained: The network, as `jaxfer.runs.load.load_run` returns it.
        data: The data set, with the classes of the network.
        split_name: The split, as `Dataset.split` takes it.
        flip: Whether to average probabilities over the image and its mirror image.
        by: Name of the groups to score apart, or None.
        images: Rows to explain by Grad-CAM, or None for a choice.
        more_groups: The group of each face, [n], by the names of groupings that the data does not have itself.

    Raises:
        UserError: The split does not exist; the classes are not the network's; the data does not have the groups `by`,
            or more than `MOST_GROUPS` of them; or a row of `images` is not in the split.
    """
    if len(data.class_names) != trained.config.data.num_classes:
        raise UserError(
            f"the network of {trained.name} knows {trained.config.data.num_classes} classes, and the data has "
            f"{len(data.class_names)}: pass data of the same classes"
        )
    split = data.split(split_name)
    groups = {**split.groups, **(more_groups or {})} if by is not None else {}
    if by is not None and by not in groups:
        there = ", ".join(groups) or "none"
        raise UserError(
            f"{data.source} has no column {by!r} to divide its faces by: pass one of those it has ({there})"
        )
    if by is not None and (count := len(set(groups[by]))) > MOST_GROUPS:
        raise UserError(
            f"the column {by!r} divides the faces into {count:,} groups, too many to tell apart: "
            f"pass one of at most {MOST_GROUPS}"
        )
    beyond = [row for row in images or () if not 0 <= row < len(split)]
    if beyond:
        raise UserError(
            f"there is no row {beyond[0]} in {split.name!r}: pass rows from 0 to {len(split) - 1}, as "
            "predictions.csv counts them"
        )
    parallel = choose_parallel(trained.config.batch_size)
    options = {"batch_size": trained.config.batch_size, "parallel": parallel, "flip": flip, "tasks": trained.tasks}
    predictions = predict_split(trained.model, trained.variables, split, **options)
    use = data.use(split_name)
    return Evaluation(trained, data, split, use, predictions, flip, by, images, more_groups or {})


def compare(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Compare runs on the same images.

    Args:
        evaluations: One or more evaluations.

    Returns:
        A dict for JSON: mean and standard deviation over the runs, McNemar's test of each pair, and the differences
        between their configs besides the seed.

    Raises:
        UserError: The evaluations are not of the same images and labels.
    """
    first, *others = evaluations
    for other in others:
        if other.fingerprint != first.fingerprint:
            raise UserError(
                f"{first.trained.name} and {other.trained.name} cannot be compared: the images or labels of "
                f"{first.split.name!r} that they see are not the same. Evaluate them one by one, or pass runs "
                "with the same image size and classes"
            )
    measured = [name for name in first.measures if all(name in other.measures for other in others)]
    pairs = [(a, b) for i, a in enumerate(evaluations) for b in evaluations[i + 1 :]]
    base, *changed = (_but_for_seed_and_place(one.trained.config) for one in evaluations)
    return {
        "runs": [
            {"run": one.trained.name, "seed": one.trained.config.seed, "checkpoint": one.trained.checkpoint}
            | {"accuracy": one.scores["accuracy"], "interval": one.scores["intervals"]["accuracy"]}
            for one in evaluations
        ],
        "over_runs": over_runs([one.scores for one in evaluations], measured),
        "differences": sorted({differences(base, other) for other in changed if other != base}),
        "mcnemar": [
            {"first": a.trained.name, "second": b.trained.name}
            | dataclasses.asdict(mcnemar(a.predictions.correct, b.predictions.correct))
            for a, b in pairs
        ],
    }


def _but_for_seed_and_place(config: Config) -> Config:
    """Return a config without the seed and the place of the data, which may differ between runs of an experiment."""
    return dataclasses.replace(config, seed=0, data=dataclasses.replace(config.data, data_dir=None, soft_labels=False))


def _hash(names: Sequence[str]) -> str:
    content = "\n".join(names).encode(errors="surrogateescape")
    return hashlib.blake2b(content, digest_size=16).hexdigest()
