"""Several runs as one network: the mean of what they say of the same images."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from jaxfer.errors import UserError
from jaxfer.evaluation.compare import mcnemar
from jaxfer.evaluation.evaluate import Evaluation, compare
from jaxfer.evaluation.predict import Predictions


@dataclass(frozen=True)
class Ensemble(Evaluation):
    """The evaluation of several runs as one network, on one split.

    `trained` is the network of the first one, in whose folder reports keep the page.

    Attributes:
        members: The evaluations of the runs by themselves.
    """

    members: tuple[Evaluation, ...] = ()

    @property
    def name(self) -> str:
        """What has been evaluated: the ensemble of the runs, by their names."""
        return f"ensemble of {', '.join(one.name for one in self.members)}"

    @property
    def statistics_images(self) -> int | None:
        """On how many training images the statistics of every run were measured anew; None where they differ in it."""
        first, *others = (one.statistics_images for one in self.members)
        return first if all(other == first for other in others) else None

    @property
    def own_data(self) -> bool | None:
        """Whether the split belongs to the data of every run; None where that is not known of one."""
        found = {one.own_data for one in self.members}
        return False if False in found else None if None in found else True

    @property
    def best(self) -> Evaluation:
        """The member of the best accuracy, the first of equals."""
        return max(self.members, key=lambda one: one.scores["accuracy"] or 0.0)

    @cached_property
    def with_temperature(self) -> dict[str, Any] | None:
        """None: the temperatures of the runs were fitted to each alone."""
        return None

    @cached_property
    def comparison(self) -> dict[str, Any]:
        """The comparison of the members as of `compare`, with McNemar's test of the ensemble against the best one."""
        if self.scores["accuracy"] is None:
            return compare(self.members) | {"mcnemar": []}
        found = dataclasses.asdict(mcnemar(self.predictions.correct, self.best.predictions.correct))
        return compare(self.members) | {"mcnemar": [{"first": "ensemble", "second": self.best.name} | found]}

    def notes(self) -> list[str]:
        """Return caveats for readers of the numbers, one sentence each: those of all members."""
        notes = [note for one in self.members for note in one._caveats()]
        return [*dict.fromkeys(notes), f"{self.best.name} is the best single run by its accuracy on these very images."]

    def inputs(self) -> dict[str, Any]:
        """Return everything that decides the numbers and the page of this evaluation, as a dict for JSON."""
        return {"ensemble": "mean of log-probabilities", "members": [one.inputs() for one in self.members]}

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `evaluation.json`.

        It is that of `Evaluation.to_dict` with `members`, the name and the checkpoint of each run, in place of
        `checkpoint`.
        """
        found = super().to_dict()
        del found["checkpoint"]
        members = [{"run": one.name, "checkpoint": one.trained.checkpoint} for one in self.members]
        return {"run": found["run"], "members": members} | found


def ensemble(evaluations: Sequence[Evaluation]) -> Ensemble:
    """Return the evaluation of several runs as one network.

    Its log-probabilities are the means of those of the runs, normalised: each class has the geometric mean of its
    probabilities. The outputs of further heads, of those that all runs have, are means as well.

    Args:
        evaluations: Those of the runs, at least two, of the same images, labels and views.

    Returns:
        The evaluation. Its groups are those of the first one; an image counts as a copy where it is one of an image
        that any of the runs was trained on.

    Raises:
        UserError: There are fewer than two evaluations, or they are of other classes, images, labels or views.
    """
    if len(evaluations) < 2:
        raise UserError(f"an ensemble is of two runs or more, and there is {len(evaluations)}: pass further ones")
    first, *others = evaluations
    for other in others:
        names = f"{first.name} and {other.name} make no ensemble"
        if other.data.class_names != first.data.class_names:
            raise UserError(
                f"{names}: their classes are {', '.join(first.data.class_names)} and "
                f"{', '.join(other.data.class_names)}. Pass runs of the same classes"
            )
        if other.fingerprint != first.fingerprint:
            raise UserError(
                f"{names}: the images or labels of {first.split.name!r} that they see are not the same. Pass runs "
                "with the same image size, and one split"
            )
        if other.views != first.views:
            raise UserError(f"{names}: their views are {first.views} and {other.views}. Pass the same to both")
    copied = [one.copied for one in evaluations if one.copied is not None]
    return Ensemble(
        trained=first.trained,
        data=first.data,
        split=first.split,
        use=first.use,
        predictions=mean_prediction([one.predictions for one in evaluations]),
        views=first.views,
        by=first.by,
        more_groups=first.more_groups,
        copied=np.any(copied, axis=0) if len(copied) == len(evaluations) else None,
        logits=first.logits,
        merge=first.merge,
        members=tuple(evaluations),
    )


def mean_prediction(predictions: Sequence[Predictions]) -> Predictions:
    """Return the mean of predictions of the same examples: of their log-probabilities and of their heads.

    Args:
        predictions: Those of each network, at least one.

    Returns:
        The predictions, computed in float64, with the heads and the tasks that all of them have.
    """
    first = predictions[0]
    mean = np.mean([one.log_probabilities for one in predictions], axis=0, dtype=np.float64)
    shared = [name for name in first.heads if all(name in one.heads for one in predictions)]
    heads = {name: np.mean([one.heads[name] for one in predictions], axis=0, dtype=np.float64) for name in shared}
    return dataclasses.replace(
        first,
        logits=mean.astype(np.float32),  # normalised by `Predictions.log_probabilities`
        heads={name: values.astype(np.float32) for name, values in heads.items()},
        tasks=tuple(task for task in first.tasks if task.name in shared),
    )
