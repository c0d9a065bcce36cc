"""The report of a run: one self-contained page with split, sample size, epoch and interval beside every number."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jaxfer.config import AugmentConfig
from jaxfer.evaluation.intervals import f1_interval, wilson_interval
from jaxfer.files import write
from jaxfer.inference.framing import Framing
from jaxfer.metrics.scores import Measure
from jaxfer.reports import figures, html, lagging, links
from jaxfer.reports.finished_run import Run, read_run
from jaxfer.reports.words import (
    NO_INTERVAL,
    Measures,
    between,
    by_chance,
    configuration,
    decimal,
    duration,
    known_of,
    percent,
    setting,
    thousands,
    where,
    with_temperature,
)
from jaxfer.tasks import MEASURES

MOST_LISTED = 200
"""Unreadable images that the page lists; `summary.json` has all of them."""


def write_report(run_dir: Path, summary: str | None = None, measures: Mapping[str, Measure] = MEASURES) -> Path:
    """Write `report.html` into the folder of a finished run.

    Args:
        run_dir: The folder.
        summary: The text of its `summary.json`, where that is still to be written.
        measures: What scores are called, by their names; others that the run has are called by these names.

    Returns:
        The path of the page.

    Raises:
        UserError: A file of the run is missing or damaged, or the page cannot be written.
    """
    return write(render(read_run(run_dir, summary), measures, links.of_run(run_dir)), run_dir / links.REPORT)


def render(run: Run, measures: Mapping[str, Measure] = MEASURES, other: links.Links = ()) -> str:
    """Return the page as HTML text that needs no other file.

    Args:
        run: The run.
        measures: As for `write_report`.
        other: The pages that it links.
    """
    summary, found = run.summary, Measures(measures)
    train, val, epoch = summary["train"], summary["val"], summary["checkpoint"]["epoch"]
    further = found.curves(run.validated)
    drawings = {name: figures.embed(partial(figures.curve, run.history, name)) for name in ("accuracy", "loss")}
    for measure, names in further:
        drawings[measure.noun or measure.title] = figures.embed(partial(figures.further, run.history, measure, names))
    framed = summary.get("framing") and Framing.from_dict(summary["framing"], f"summary.json of {run.name}: framing")
    if framed:
        drawings["framing"] = figures.embed(partial(figures.framing, framed))
    pace = figures.images_a_second(run.history, train["examples"]) if run.tells("seconds") else []
    if pace:
        drawings["speed"] = figures.embed(partial(figures.speed, run.history, train["examples"]))
    if run.tells("learning_rate"):
        drawings["learning_rate"] = figures.embed(partial(figures.learning_rate, run.history))
    largest = max(val["per_class"], key=lambda name: val["per_class"][name]["support"])
    return html.render(
        "report.html.jinja",
        run=run,
        links=other,
        summary=summary,
        measures=found,
        last=run.history[-1],
        learnt_with=_learnt_with(run.config),
        best_epoch=figures.best_epoch(run.history),
        largest=largest,
        largest_share=_chance(val) if val["examples"] else None,
        further=further,
        pace=[each for each in pace if math.isfinite(each)],
        lagging=lagging.explained(run.history, run.config, (_chance(train), _chance(val))),
        **_epochs(run, found, pace, [name for _, names in further for name in names.values()]),
        score_rows=_scores(found, val, train),
        **of_split(val, f"epoch\u00a0{epoch}", "validation", drawings),
        calibrated=_calibrated(summary.get("temperature")),
        sources=_sources(summary),
        framing=framed,
        most_listed=MOST_LISTED,
        config=configuration(run.config),
        time=_time(summary),
        environment={name: setting(value) for name, value in summary["environment"].items()},
    )


def _learnt_with(config: Mapping[str, Any]) -> str:
    """Return what a config does to images and features in training alone, in words; empty where that is nothing."""
    # Those that are on unless said otherwise, as probabilities, change nothing by themselves.
    changes = [name for name, value in vars(AugmentConfig()).items() if not value]
    augment, model = (part if isinstance(part := config.get(name), dict) else {} for name in ("augment", "model"))
    augmented, dropped = any(augment.get(name) for name in changes), model.get("dropout")
    return " and ".join(word for word, there in (("augmentation", augmented), ("dropout", dropped)) if there)


def _chance(split: Mapping[str, Any]) -> float:
    """Return the accuracy of always answering the commonest class of a split; NaN where it has no images."""
    most = max(of["support"] for of in split["per_class"].values())
    return most / split["examples"] if split["examples"] else math.nan


def of_split(scores: Mapping[str, Any], network: str, kind: str, drawings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `scores.html.jinja` shows of the scores of a split.

    Args:
        scores: A split of `summary.json`, or `Evaluation.scores`.
        network: Whose they are, as `where` takes it.
        kind: What the split is for, such as `validation`.
        drawings: Figures by the names under which the page shows them, to which those of the split are added.

    Returns:
        The template's variables by name, but for `calibrated`.
    """
    drawn = {"classes": figures.per_class, "calibration": figures.reliability}
    predicted = [sum(column) for column in zip(*scores["confusion_matrix"], strict=True)]
    counted = zip(scores["per_class"].items(), predicted, figures.related(scores), strict=True)
    # Those of releases before have none.
    by_rank = {
        name: heading
        for name, heading in (("auc", "AUC"), ("average_precision", "Average precision"))
        if all(name in of for of in scores["per_class"].values())
    }
    return {
        "scores": scores,
        "kind": kind,
        "basis": where(scores, network),
        "drawings": {**drawings, **{name: figures.embed(partial(draw, scores)) for name, draw in drawn.items()}},
        "class_columns": ["Class", "Precision", "Recall", "F1", *by_rank.values(), "Support"],
        "class_rows": [
            [
                name,
                (decimal(of["precision"]), _between(wilson_interval, of["precision"], as_such)),
                (decimal(of["recall"]), _between(wilson_interval, of["recall"], of["support"])),
                (decimal(of["f1"]), _between(f1_interval, of["f1"], either)),
                *(decimal(of[score]) for score in by_rank),
                thousands(of["support"]),
            ]
            for (name, of), as_such, either in counted
        ],
        "calibration_rows": [
            [
                decimal(of["confidence"]),
                percent(of["accuracy"]),
                _between(wilson_interval, of["accuracy"], of["examples"], percent),
                thousands(of["examples"]),
            ]
            for of in scores["calibration"]
            if of["examples"]
        ],
        "chance": by_chance(scores),
    }


def _between(
    interval: Callable[[float, int], tuple[float, float]],
    share: float | None,
    n: int,
    shown: Callable[[float], str] = decimal,
) -> str:
    """Return the interval of a share in words; None is what JSON has for NaN."""
    return NO_INTERVAL if share is None else between(interval(share, n), shown)


def _calibrated(temperature: Mapping[str, Any] | None) -> str:
    """Return what the temperature in a summary does, in words; nothing where there is none."""
    return with_temperature(temperature | temperature["after"], temperature["before"]) if temperature else ""


def _epochs(run: Run, measures: Measures, pace: list[float], further: list[str]) -> dict[str, list[Any]]:
    """Return all numbers of the curves.

    Args:
        run: The run.
        measures: What scores are called.
        pace: Images a second of each epoch; none where the log does not say.
        further: The scores of heads besides the expression.
    """
    examples = run.summary["val"]["examples"]
    rates = run.tells("learning_rate")

    def row(line: Mapping[str, Any], images: list[float]) -> list[str]:
        accuracy = line["val_accuracy"]
        known = _between(wilson_interval, accuracy, examples, percent)
        seen = [percent(line["accuracy"]), decimal(line["loss"]), percent(accuracy), known, decimal(line["val_loss"])]
        seen += [measures.number(name, line[f"val_{name}"]) for name in further]
        seen += ["n/a" if line["learning_rate"] is None else f"{line['learning_rate']:.3g}"] if rates else []
        return [str(line["epoch"]), *seen, *(f"{each:,.0f}" if math.isfinite(each) else "n/a" for each in images)]

    headings = (measures[name].heading for name in further)
    own = ["Epoch", "Training accuracy", "Training loss", "Validation accuracy", "95% interval", "Validation loss"]
    own += [f"Validation {heading[0].lower()}{heading[1:]}" for heading in headings]
    own += [*(["Learning rate"] if rates else []), *(["Images a second"] if pace else [])]
    paces = [[each] for each in pace] or [[]] * len(run.history)
    return {"epoch_columns": own, "epoch_rows": [row(*each) for each in zip(run.history, paces, strict=True)]}


def _scores(measures: Measures, *splits: Mapping[str, Any]) -> list[list[Any]]:
    """Return all scores that these splits have, and of how many images those are that are not known of all."""
    first, *others = map(known_of, splits)
    return [
        ["Images (n)", *(thousands(split["examples"]) for split in splits)],
        *(
            [measures[name].heading, *(measures.cell(split, name) for split in splits)]
            for name in measures.names(*splits)
        ),
        *(
            [f"Images whose {of} is known (n)", *(thousands(known[of]) for known in (first, *others))]
            for of in first
            if all(of in known for known in others)
        ),
    ]


def _sources(summary: Mapping[str, Any]) -> dict[str, str]:
    data, train, val = summary["data"], summary["train"], summary["val"]
    return {
        "Source": data["source"],
        "Training images": f"{train['examples']:,} (“{train['split']}”)",
        "Validation images": f"{val['examples']:,} (“{val['split']}”)",
        **{f"Note {number}": warning for number, warning in enumerate(data["warnings"], 1)},
        **{f"Left out: {reason}": thousands(count) for reason, count in data["left_out"].items()},
        "Fingerprint": data["fingerprint"],
    }


def _time(summary: Mapping[str, Any]) -> dict[str, str]:
    seconds, steps = summary["seconds"], summary["steps"]
    return {
        "Duration": duration(seconds),
        "Epochs": thousands(summary["epochs"]),
        "Steps": thousands(steps),
        "Time per step": f"{1000 * seconds / max(steps, 1):.1f} ms",
    }
