"""An evaluation: one checkpoint on one split, with what a reader needs to judge its numbers."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxfer.config import Views, to_json
from jaxfer.data.copies import copies_of
from jaxfer.data.dataset import TEST, Dataset, Split, Use
from jaxfer.data.groups import group_names
from jaxfer.devices.placement import OneDevice, choose_parallel
from jaxfer.emotions import merged, merged_further
from jaxfer.errors import UserError
from jaxfer.evaluation.compare import mcnemar, over_runs
from jaxfer.evaluation.intervals import WITH_INTERVAL
from jaxfer.evaluation.predict import Predictions, predict_split
from jaxfer.evaluation.summary import CALIBRATED, environment, scored
from jaxfer.metrics.labels import check_labels
from jaxfer.runs.folder import differences
from jaxfer.runs.load import Trained
from jaxfer.training.statistics import measure_statistics

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
        views: What the network was shown of each image, see `jaxfer.models.views`.
        by: Name of the groups that are scored apart, or None.
        images: Rows to explain by Grad-CAM, or None for a choice.
        more_groups: The group of each face, [n], by the names of groupings that the data does not have itself.
        copied: Whether each image has an exact copy in the run's training split, bool [n]; None where nobody asked.
        logits: For each class of the data, which logit of the network stands for it; by default those of all.
        merge: Which of the network's classes count as another, OLD=NEW, their probabilities being added.
    """

    trained: Trained
    data: Dataset
    split: Split
    use: Use
    predictions: Predictions
    views: Views = "one"
    by: str | None = None
    images: tuple[int, ...] | None = None
    more_groups: Mapping[str, np.ndarray] = field(default_factory=dict)
    copied: np.ndarray | None = None
    logits: tuple[int, ...] = ()
    merge: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What has been evaluated: the name of the run."""
        return self.trained.name

    @property
    def role(self) -> str:
        """The name of the kind of split for readers: `Training`, `Validation` or `Test`."""
        return ROLES[self.use]

    @property
    def statistics_images(self) -> int | None:
        """On how many training images the statistics of normalisation were measured anew; see `Trained`."""
        return self.trained.statistics_images

    @property
    def own_data(self) -> bool | None:
        """Whether the split belongs to the data of the run; None where that is not known."""
        if self.of_some_classes or self.merge:  # which have another fingerprint than all of the same data
            return None if self.data.place == str(self.trained.config.data.data_dir or "") else False
        # Whoever evaluates on a test split has not read the others.
        found = "" if self.use == "test" else self.data.fingerprint
        return self.trained.fingerprint == found if self.trained.fingerprint and found else None

    @property
    def of_some_classes(self) -> bool:
        """Whether some of the network's classes are compared alone."""
        return bool(self._left_out)

    @property
    def _left_out(self) -> list[str]:
        """The network's classes that are not compared."""
        counted = _counted(self.trained, self.merge) if self.logits else {}
        return [name for name, answer in counted.items() if answer not in self.data.class_names]

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
        """The names of the scores that are shown: all that have an interval, and `ece`."""
        return (*WITH_INTERVAL, "ece", *self.predictions.measures)

    @cached_property
    def groups(self) -> dict[str, dict[str, Any]]:
        """Number of examples, `measures` and what stands beside them of each group of `by`, by its name."""
        if self.by is None:
            return {}
        column = self._group_of_each(self.by)
        return {name: self._part(column == name) for name in group_names(column)}

    @cached_property
    def without_copies(self) -> dict[str, Any] | None:
        """The same of the images without an exact copy in the run's training split, and the number of `copies`."""
        return None if self.copied is None else {"copies": int(self.copied.sum())} | self._part(~self.copied)

    @cached_property
    def with_temperature(self) -> dict[str, Any] | None:
        """Cross entropy and calibration error with the run's temperature, and where that was fitted.

        They are `cross_entropy` with its `intervals`, `ece` with `ece_by_chance`, and of the temperature `value`,
        `split` and `examples`.
        None where there is no temperature of this checkpoint. No other score of a class or of a head changes.
        """
        temperature = self.trained.temperature
        if temperature is None:
            return None
        scores = scored(self.predictions.scaled(temperature.value), self.data.class_names)
        return {
            "value": temperature.value,
            "split": temperature.split,
            "examples": temperature.examples,
            **{name: scores[name] for name in (*CALIBRATED, "ece_by_chance")},
            "intervals": {"cross_entropy": scores["intervals"]["cross_entropy"]},
        }

    def _part(self, rows: np.ndarray) -> dict[str, Any]:
        """Return number of examples, `measures` and what stands beside them of the rows, bool [n]."""
        scores = scored(self.predictions.take(rows), self.data.class_names)
        return {name: scores[name] for name in ("examples", *self.measures, "intervals", "ece_by_chance")}

    def _group_of_each(self, by: str) -> np.ndarray:
        return self.more_groups[by] if by in self.more_groups else self.split.groups[by]

    def notes(self) -> list[str]:
        """Return caveats for readers of the numbers, one sentence each."""
        notes = self._caveats()
        if self.trained.temperature and self.use == "val" and self.own_data is not False:
            notes.append("The temperature was fitted on this very split, which makes the scores with it optimistic.")
        if self.trained.temperature and self.views != "one":
            notes.append("The temperature was fitted to predictions of each image alone, without further views of it.")
        return notes

    def _caveats(self) -> list[str]:
        """Return those that have nothing to do with the temperature."""
        notes = []
        if self.of_some_classes:
            notes.append(
                f"Compared are {', '.join(self.data.class_names)} alone: the answer is the likeliest of these "
                f"{len(self.logits)} of the network's {len(self.trained.class_names)} classes, without "
                f"{', '.join(self._left_out)}."
            )
        if self.merge:
            notes.append(
                f"Merged are {', '.join(self.merge)}: the probabilities of what counts as one class are added."
            )
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
        if self.copied is not None and self.copied.all():
            notes.append("Every image has an exact copy in the training split of the run.")
        return notes

    def inputs(self) -> dict[str, Any]:
        """Return everything that decides the numbers and the page of this evaluation, as a dict for JSON."""
        return {
            "config": json.loads(to_json(self.trained.config)),
            "checkpoint": self.trained.checkpoint,
            "weights": self.trained.digest,
            "trained_on": self.trained.fingerprint,
            "split": self.split.name,
            "use": self.use,
            "fingerprint": self.fingerprint,
            "names": _hash(self.split.names),
            "views": self.views,
            "statistics_images": self.statistics_images,
            "copied": None if self.copied is None else _hash(self.copied.astype(str).tolist()),
            "temperature": self.trained.temperature and self.trained.temperature.value,
            "by": self.by,
            "groups": self.by and _hash(self._group_of_each(self.by).tolist()),
            "images": self.images and list(self.images),
        } | ({"merge": list(self.merge)} if self.merge else {})

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `evaluation.json`.

        `run`: the name of the run. `role`: what the split is for, in words. `checkpoint`: epoch, step and how it was
        chosen. `views`: what the network was shown of each image; releases before had `flip` in its place, true for
        `flip` and false for `one`. `statistics_images`: on how many training images the statistics of normalisation
        were measured anew, 0 for those of the checkpoint. `notes`: caveats. Then come the fields of `scores`,
        `temperature` (`with_temperature`), `without_copies`, and the `groups` of the column `by`; and at last `data`,
        `environment`, and the `inputs`, which decide all of it.
        """
        return {
            "run": self.name,
            "role": self.role.lower(),
            "checkpoint": self.trained.checkpoint,
            "views": self.views,
            "statistics_images": self.statistics_images,
            "notes": self.notes(),
            **self.scores,
            "temperature": self.with_temperature,
            "without_copies": self.without_copies,
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
    views: Views = "one",
    by: str | None = None,
    images: tuple[int, ...] | None = None,
    more_groups: Mapping[str, np.ndarray] | None = None,
    statistics_images: int = 0,
    without_copies: bool = False,
    own: Dataset | None = None,
    merge: tuple[str, ...] = (),
) -> Evaluation:
    """Evaluate the network of a run on a split.

    Args:
        trained: The network, as `jaxfer.runs.load.load_run` returns it.
        data: The data set. Its classes are those of the network, or some of them: the network then chooses among these
            alone, and what was fitted to all, the temperature, is left out.
        split_name: The split, as `Dataset.split` takes it.
        views: What the network is shown of each image, see `jaxfer.models.views`; its answers are averaged.
        by: Name of the groups to score apart, or None.
        images: Rows to explain by Grad-CAM, or None for a choice.
        more_groups: The group of each face, [n], by the names of groupings that the data does not have itself.
        statistics_images: On how many images of the run's training split to measure the statistics of normalisation
            anew, see `jaxfer.training.measure_statistics`; 0 takes those that the checkpoint holds. What was fitted to
            those, the temperature, is then left out.
        without_copies: Whether to score the images apart that have no exact copy in the run's training split.
        own: The data that the run was trained on, for both; by default `data`.
        merge: Which of the network's classes count as another, OLD=NEW, as in the data: their probabilities are added,
            and the temperature is left out, too.

    Raises:
        UserError: The split does not exist; a class is none of the network's; a label is none of them; the images are
            of another range than networks take; the data does not have the groups `by`, or more than `MOST_GROUPS` of
            them; a row of `images` is not in the split; the run's training split is asked for and not there, or has
            changed; or there are no statistics to measure.
    """
    refuse_classes(trained, data.class_names, merge)
    split = data.split(split_name)
    check_labels(split.labels, len(data.class_names), f"{split.name} of {data.source}")
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
    if images is not None and not images:
        raise UserError("no row is named to explain: pass rows (--images), or leave them out for a choice")
    beyond = [row for row in images or () if not 0 <= row < len(split)]
    if beyond:
        raise UserError(
            f"there is no row {beyond[0]} in {split.name!r}: pass rows from 0 to {len(split) - 1}, as "
            "predictions.csv counts them"
        )
    copied = None
    if without_copies:
        copied = copies_of(split.images, _training_split(trained, own or data).images)
    if statistics_images:
        trained = with_measured_statistics(trained, own or data, statistics_images)
    parallel = choose_parallel(trained.config.batch_size)
    options = {"batch_size": trained.config.batch_size, "parallel": parallel, "views": views, "tasks": trained.tasks}
    predictions = predict_split(trained.model, trained.variables, split, **options)
    parts = [_logits_of(name, trained, merge) for name in data.class_names]
    logits = tuple(part[0] for part in parts)
    if data.class_names != trained.class_names:
        each = [np.logaddexp.reduce(predictions.logits[:, part], axis=1) for part in parts]
        predictions = dataclasses.replace(predictions, logits=np.stack(each, axis=1))
    if len(logits) < len(trained.class_names):
        trained = dataclasses.replace(trained, temperature=None)
    use = data.use(split_name)
    more = more_groups or {}
    return Evaluation(trained, data, split, use, predictions, views, by, images, more, copied, logits, merge)


def _counted(trained: Trained, merge: Sequence[str]) -> dict[str, str]:
    """Return the class that each of the network's classes counts as."""
    first = trained.config.data.merge
    before, after = merged(first), merged(merged_further(first, merge))
    counted = {of: after[name] for name, of in before.items()}
    return {name: counted.get(name, name) for name in trained.class_names}


def _logits_of(answer: str, trained: Trained, merge: Sequence[str]) -> list[int]:
    """Return which logits stand for a class, that of its own name first."""
    found = [
        (name != answer, index) for index, (name, of) in enumerate(_counted(trained, merge).items()) if of == answer
    ]
    return [index for _, index in sorted(found)]


def classes_of(trained: Trained, merge: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the classes that a network tells apart where some of them count as one, in its order.

    Args:
        trained: The network.
        merge: Which count as another, OLD=NEW.

    Raises:
        UserError: `jaxfer.emotions.merged_further` refuses these.
    """
    return tuple(dict.fromkeys(_counted(trained, merge).values()))


def refuse_classes(trained: Trained, class_names: Sequence[str], merge: Sequence[str] = ()) -> None:
    """Refuse classes to evaluate the network of a run on that it does not know.

    Args:
        trained: The network.
        class_names: The classes.
        merge: Which of the network's count as another, OLD=NEW.

    Raises:
        UserError: It does not know one of them.
    """
    known = classes_of(trained, merge)
    unknown = [name for name in class_names if name not in known]
    if unknown:
        both = [name for name in class_names if name in known]
        fewer = f", or compare those that it knows alone (--classes {','.join(both)})" if len(both) > 1 else ""
        raise UserError(
            f"the network of {trained.name} tells {', '.join(known)}, and not {', '.join(unknown)}: "
            f"pass data of its classes{fewer}"
        )


def with_measured_statistics(trained: Trained, own: Dataset, images: int) -> Trained:
    """Return the network of a run with the statistics of its normalisation measured anew.

    A run whose config has no `statistics_images` is so evaluated as one that has them, see
    `jaxfer.training.measure_statistics`.

    Args:
        trained: The network. Its temperature, which was fitted with other statistics, is left out.
        own: The data that the run was trained on.
        images: How many images of the training split to measure them on; all where there are fewer.

    Raises:
        UserError: `images` is below 1, the network has no such statistics, or the data are not those of the run.
    """
    if images < 1:
        raise UserError(f"statistics_images (--statistics-images) is {images}: pass a number of images, at least 1")
    if not trained.variables["batch_stats"]:
        raise UserError(
            f"the network of {trained.name} has no statistics of batch normalisation to measure anew: "
            "leave out statistics_images (--statistics-images)"
        )
    training, batch_size = _training_split(trained, own), trained.config.batch_size
    parallel = choose_parallel(batch_size)
    options = {"images": images, "batch_size": batch_size, "parallel": parallel}
    found = measure_statistics(trained.model, parallel.place(trained.variables), training, **options)
    # Back on one device, as what was read: what explains a network combines both.
    variables = trained.variables | {"batch_stats": jax.device_put(jax.device_get(found), OneDevice().device)}
    measured = min(images, len(training))
    return dataclasses.replace(trained, variables=variables, temperature=None, statistics_images=measured)


def _training_split(trained: Trained, own: Dataset) -> Split:
    """Return what a run was trained on. Raises `UserError` where that is not there, or is not the same any more."""
    if "train" not in own.splits:
        raise UserError(
            f"the training split of {trained.name} is needed, and {own.source} was read without it: pass the run's "
            "whole data as `own`"
        )
    if trained.fingerprint and own.fingerprint != trained.fingerprint:
        raise UserError(
            f"the images or labels of {own.source} are not those that {trained.name} was trained on: nothing can be "
            "measured on its training images, or compared with them"
        )
    return own.train


def refuse_other_images(seen: Sequence[tuple[str, str, str]]) -> None:
    """Refuse to compare runs that are evaluated on other images or labels than the first of them.

    Args:
        seen: Of each its name, and the name and the fingerprint of its split.

    Raises:
        UserError: The fingerprints differ.
    """
    (first, split, fingerprint), *others = seen
    for name, _, found in others:
        if found != fingerprint:
            raise UserError(
                f"{first} and {name} cannot be compared: the images or labels of {split!r} that they see are not the "
                "same. Evaluate them one by one, or pass runs of the same data, image size and classes"
            )


def compare(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Compare runs on the same images.

    Args:
        evaluations: One or more evaluations.

    Returns:
        A dict for JSON: mean and standard deviation over the runs, McNemar's test of each pair whose accuracies are
        numbers, and the differences between their configs besides the seed.

    Raises:
        UserError: The evaluations are not of the same images and labels.
    """
    first, *others = evaluations
    refuse_other_images([(one.trained.name, one.split.name, one.fingerprint) for one in evaluations])
    measured = [name for name in first.measures if all(name in other.measures for other in others)]
    known = [one for one in evaluations if one.scores["accuracy"] is not None]
    pairs = [(a, b) for i, a in enumerate(known) for b in known[i + 1 :]]
    base, *changed = (one.trained.config for one in evaluations)
    found = {differences(base, config, but_for=_SEED_AND_PLACE) for config in changed}
    names = _names([one.trained.run_dir for one in evaluations])
    return {
        "runs": [
            {"run": names[one.trained.run_dir], "seed": one.trained.config.seed, "checkpoint": one.trained.checkpoint}
            | {"accuracy": one.scores["accuracy"], "interval": one.scores["intervals"]["accuracy"]}
            for one in evaluations
        ],
        "over_runs": over_runs([one.scores for one in evaluations], measured),
        "differences": sorted(found - {""}),
        "mcnemar": [
            {"first": names[a.trained.run_dir], "second": names[b.trained.run_dir]}
            | dataclasses.asdict(mcnemar(a.predictions.correct, b.predictions.correct))
            for a, b in pairs
        ],
    }


def _names(folders: Sequence[Path]) -> dict[Path, str]:
    """Return the name of each folder, with as many of those around it as tell them apart."""
    parts = [folder.resolve().parts for folder in folders]
    named = (["/".join(one[-depth:]) for one in parts] for depth in range(1, max(map(len, parts)) + 1))
    names = next((names for names in named if len(set(names)) == len(names)), [folder.name for folder in folders])
    return dict(zip(folders, names, strict=True))


_SEED_AND_PLACE = ("seed", "data_dir", "val_dir", "test_dir", "table")
"""What may differ between the configs of runs of one experiment: the seed, and where the data lies."""


def _hash(names: Sequence[str]) -> str:
    content = "\n".join(names).encode(errors="surrogateescape")
    return hashlib.blake2b(content, digest_size=16).hexdigest()
