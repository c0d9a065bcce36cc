"""The page of an evaluation: split, n, checkpoint, label set and interval beside every number."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from jaxfer.evaluation.evaluate import Evaluation
from jaxfer.reports import evaluation_faces, figures, page, report_record, report_scores
from jaxfer.reports.markup import between, decimal, figure, noted_table, number, percent, setting
from jaxfer.reports.page import escape, facts, tile
from jaxfer.reports.report_scores import MEASURES as TITLES
from jaxfer.reports.report_scores import NO_INTERVAL, interval


def render(evaluation: Evaluation, comparison: Mapping[str, Any] | None) -> str:
    """Return the page as HTML text that needs no other file; `comparison` is that with other runs."""
    found, role = evaluation.to_dict(), evaluation.role
    accuracy, kind = percent(found["accuracy"]), found["role"]
    summary = {"val": evaluation.scores, "checkpoint": found["checkpoint"]}
    return page.fill(
        "jaxfer.reports",
        "evaluation.html",
        title=escape(f"{found['run']}: {kind} accuracy {accuracy} on {found['split']}"),
        name=escape(found["run"]),
        role=role,
        accuracy=accuracy,
        basis=escape(_basis(evaluation)),
        notes="".join(f"<p>{escape(note)}</p>" for note in found["notes"]),
        labels=escape(_labels(found)),
        tiles=_tiles(evaluation),
        comparison=_comparison(evaluation, comparison) if comparison else "",
        groups=_groups(evaluation) if evaluation.by else "",
        classes=report_scores.classes(summary, kind),
        confusion=report_scores.confusion(summary, kind),
        calibration=report_scores.calibration(summary, kind),
        affect=_affect(evaluation),
        errors=evaluation_faces.errors(evaluation),
        explained=evaluation_faces.explained(evaluation),
        data=_data(found),
        config=report_record.configuration(found["inputs"]["config"]),
        environment=facts("Of this evaluation.", {name: setting(it) for name, it in found["environment"].items()}),
    )


def _basis(evaluation: Evaluation) -> str:
    scores, checkpoint = evaluation.scores, evaluation.trained.checkpoint
    averaged = ", probabilities averaged over each image and its mirror image" if evaluation.flip else ""
    return (
        f"95% interval {interval(scores, 'accuracy')}. Measured on the {scores['examples']:,} images of the "
        f"{evaluation.role.lower()} split “{scores['split']}”, with the checkpoint after epoch {checkpoint['epoch']} "
        f"(step {checkpoint['step']:,}; chosen: {checkpoint['chosen']}){averaged}."
    )


def _labels(found: Mapping[str, Any]) -> str:
    names = found["class_names"]
    return (
        f"Label set, {len(names)} classes: {', '.join(names)}. Intervals of scores are bootstrap percentiles over the "
        "images, those of shares are Wilson's; neither says what another seed would change."
    )


def _where(evaluation: Evaluation, measure: str = "") -> str:
    return report_scores.where({"val": evaluation.scores, "checkpoint": evaluation.trained.checkpoint}, measure)


def _tiles(evaluation: Evaluation) -> str:
    scores = evaluation.scores
    return "".join(
        tile(TITLES[name], number(name, scores[name]), f"95%: {interval(scores, name)}", _where(evaluation, name))
        for name in evaluation.measures[1:]
    )


def _groups(evaluation: Evaluation) -> str:
    def rows() -> Iterator[tuple[str, list[tuple[str, str]]]]:
        for name, scores in evaluation.groups.items():
            cells = [(number(one, scores[one]), interval(scores, one)) for one in evaluation.measures]
            yield name, [(f"{scores['examples']:,}", ""), *cells]

    listed = noted_table(
        f"Scores of each group by {evaluation.by} on the {evaluation.role.lower()} split ({_where(evaluation)}), with "
        "95% intervals. Macro F1 and R² average over all classes, also those that a group lacks.",
        [evaluation.by or "", "Images (n)", *(TITLES[name] for name in evaluation.measures)],
        rows(),
    )
    return f"<section><h2>By {escape(evaluation.by or '')}</h2>{listed}</section>"


def _affect(evaluation: Evaluation) -> str:
    pairs = evaluation.predictions.pairs
    if not pairs:
        return ""
    drawn = []
    for affect, (predicted, actual) in pairs.items():
        known, ccc = ~np.isnan(actual), f"{affect}_ccc"
        drawn.append(
            figure(
                partial(figures.agreement, actual[known], predicted[known]),
                f"Predicted by actual {affect} of {known.sum():,} images, whose concordance is "
                f"{number(ccc, evaluation.scores[ccc])}.",
                f"Predicted by actual {affect} of the images of the {evaluation.role.lower()} split whose {affect} is "
                f"known ({_where(evaluation, ccc)}): the darker, the more images. On the dotted line both are equal.",
            )
        )
    return f'<section><h2>Valence and arousal</h2><div class="pair">{"".join(drawn)}</div></section>'


def _comparison(evaluation: Evaluation, comparison: Mapping[str, Any]) -> str:
    split = f"{evaluation.role.lower()} split “{evaluation.scores['split']}”, n = {evaluation.scores['examples']:,}"
    runs = noted_table(
        f"Accuracy of each run on the {split}, with bootstrap 95% intervals.",
        ["Run", "Accuracy", "Seed", "Epoch"],
        [
            (
                one["run"],
                [
                    (percent(one["accuracy"]), _range(one["interval"])),
                    (str(one["seed"]), ""),
                    (str(one["checkpoint"]["epoch"]), one["checkpoint"]["chosen"]),
                ],
            )
            for one in comparison["runs"]
        ],
    )
    tables = runs + _mean(comparison, split) + _pairs(comparison, split)
    return f'<section><h2>Beside other runs</h2><div class="stack">{tables}</div></section>'


def _mean(comparison: Mapping[str, Any], split: str) -> str:
    found = comparison["over_runs"]
    differ = "".join(f" One differs in more than its seed: {text}." for text in comparison["differences"])
    return facts(
        f"Mean and sample standard deviation over {len(comparison['runs'])} runs on the {split}.{differ}",
        {TITLES[name]: f"{number(name, of['mean'])} ± {number(name, of['std'])}" for name, of in found.items()},
    )


def _pairs(comparison: Mapping[str, Any], split: str) -> str:
    return noted_table(
        f"McNemar's test of each pair on the {split}: whether two networks that err equally often would differ so "
        "much. Of many pairs, some are below 0.05 by chance.",
        ["First", "Second", "Difference of accuracy", "Right: first only, second only", "p"],
        [
            (
                one["first"],
                [
                    (one["second"], ""),
                    (f"{100 * one['difference']:+.1f} points", f"95%: {_points(one['interval'])}"),
                    (f"{one['only_first']:,}, {one['only_second']:,}", ""),
                    (decimal(one["p_value"]), one["method"]),
                ],
            )
            for one in comparison["mcnemar"]
        ],
    )


def _range(bounds: list[float | None]) -> str:
    return NO_INTERVAL if None in bounds else between("accuracy", bounds)


def _points(bounds: list[float]) -> str:
    return " to ".join(f"{100 * bound:+.1f}" for bound in bounds)


def _data(found: Mapping[str, Any]) -> str:
    data = found["data"]
    own = {True: "yes", False: "no", None: "not known: a test split is no part of what was trained with"}[data["own"]]
    return facts(
        "Where the images come from.",
        {
            "Source": data["source"],
            "Split": f"“{found['split']}”, {found['examples']:,} images, {found['role']}",
            "The data of the run": own,
            **{f"Left out: {reason}": f"{count:,}" for reason, count in data["left_out"].items()},
            "Fingerprint of the split": data["fingerprint"],
        },
    )
