"""The folder that an evaluation leaves in its run: numbers, predictions and a page.

On the page split, n, checkpoint, label set and interval stand beside every number.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxfer.config import to_json
from jaxfer.errors import UserError
from jaxfer.evaluation.ensemble import Ensemble
from jaxfer.evaluation.evaluate import Evaluation
from jaxfer.evaluation.explain import NoFeatureMap
from jaxfer.files import check_writable, refuse_links, write
from jaxfer.json_text import read
from jaxfer.metrics.scores import Measure
from jaxfer.reports import evaluation_faces, figures, html, links
from jaxfer.reports.run_page import of_split
from jaxfer.reports.words import (
    NO_INTERVAL,
    SHOWN,
    Measures,
    between,
    cell,
    configuration,
    decimal,
    percent,
    setting,
    thousands,
    where,
    with_temperature,
)
from jaxfer.tasks import MEASURES

Pairs = Mapping[str, tuple[np.ndarray, np.ndarray | None]]
"""Quantities by their name, such as `valence`: of each image as predicted and as the data says, floating [n] each.

The second is NaN where the data does not say, and None where it never does.
"""

SIDE_BY_SIDE = 6
"""How many parts of the images are columns of a table."""

OWN = {True: "yes", False: "no", None: "not known: a test split is no part of what was trained with"}
"""Whether the images belong to the data of the run."""


def place_of_evaluations(run_dir: Path, out: Path | None = None) -> Path:
    """Return where `write_evaluation` makes its folders, which is known to be writable before anything is evaluated.

    Args:
        run_dir: The folder of the run.
        out: The folder that takes the place of its own, as for `write_evaluation`.

    Raises:
        UserError: It is a link or no folder, or cannot be written or made.
    """
    place = run_dir / "evaluations" if out is None else out
    check_writable(place, "pass a folder for the evaluation as out (--out), on a disk that takes it")
    return place


def write_evaluation(
    evaluation: Evaluation, comparison: Mapping[str, Any] | None = None, *, out: Path | None = None
) -> Path:
    """Write an evaluation into its run's folder, that of an ensemble into its first run's, or into another one.

    The new folder, `evaluations/NAME`, holds `evaluation.json`, `predictions.csv`, `confusion_matrix.csv` and
    `evaluation.html`. The same inputs give the same name, and other inputs another, so that nothing but the same
    evaluation is ever replaced.

    Args:
        evaluation: Of a checkpoint on a split.
        comparison: With other runs, as `compare` returns it; it belongs to the inputs.
        out: A folder, made if need be, for runs that are read and not written to. The new one is then `RUN-NAME` in it.

    Returns:
        The new folder.

    Raises:
        UserError: The folder cannot be written, or holds another evaluation.
    """
    run_dir = evaluation.trained.run_dir
    place = place_of_evaluations(run_dir, out)
    pairs = evaluation.predictions.pairs
    measures = MEASURES | evaluation.predictions.measures
    inputs = evaluation.inputs() | ({"beside": comparison["runs"]} if comparison else {})
    found = evaluation.to_dict() | {"comparison": comparison, "inputs": inputs}
    name = _name(evaluation, inputs)
    folder = place / (name if out is None else f"{run_dir.resolve().name}-{name}")
    refuse_links(folder)
    _refuse_others(folder / "evaluation.json", inputs)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made ({error.strerror}): correct the permissions") from error
    write(_predictions(evaluation, pairs), folder / "predictions.csv")
    write(_confusion_matrix(evaluation.scores), folder / "confusion_matrix.csv")
    other = links.of_evaluation(run_dir) if out is None else ()
    write(_render(evaluation, comparison, pairs, measures, other), folder / links.EVALUATION)
    write(json.dumps(found, indent=2) + "\n", folder / "evaluation.json")
    return folder


def _name(evaluation: Evaluation, inputs: dict[str, Any]) -> str:
    split = re.sub(r"[^A-Za-z0-9]+", "-", evaluation.split.name).strip("-")[:40] or evaluation.use
    digest = hashlib.blake2b(json.dumps(inputs, sort_keys=True).encode(), digest_size=5).hexdigest()
    together = isinstance(evaluation, Ensemble)
    of = f"ensemble{len(evaluation.members)}" if together else f"epoch{evaluation.trained.epoch}"
    views = "" if evaluation.views == "one" else f"-{evaluation.views}"
    return f"{split}-{of}{views}-{digest}"


def _refuse_others(path: Path, inputs: dict[str, Any]) -> None:
    """Raise `UserError` where an evaluation of other inputs, or something else, is in the way."""
    try:
        same = not path.exists() or read(path, {"inputs": dict})["inputs"] == inputs
    except UserError:
        same = False
    if not same:
        raise UserError(f"{path} holds something else than this evaluation: move it away")


def _predictions(evaluation: Evaluation, pairs: Pairs) -> str:
    """Return a line for each example: row, image, classes, the probability of each, and what else is predicted."""
    names, predictions = evaluation.data.class_names, evaluation.predictions
    columns = dict(zip((f"p_{name}" for name in names), predictions.probabilities.T, strict=True))
    columns |= {f"actual_{name}": actual for name, (_, actual) in pairs.items() if actual is not None}
    columns |= {f"predicted_{name}": predicted for name, (predicted, _) in pairs.items()}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "image", "actual", "predicted", *map(cell, columns)])
    numbers = zip(*columns.values(), strict=True)
    rows = zip(evaluation.split.names, predictions.labels, predictions.predicted, numbers, strict=True)
    for row, (image, actual, predicted, values) in enumerate(rows):
        shown = ("" if np.isnan(value) else f"{value:.6g}" for value in values)
        writer.writerow([row, cell(image), cell(names[actual]), cell(names[predicted]), *shown])
    return text.getvalue()


def _confusion_matrix(scores: Mapping[str, Any]) -> str:
    """Return the number of images of each actual class, a line each, by predicted class, a column each."""
    text, names = io.StringIO(), list(map(cell, scores["class_names"]))
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["actual", *(f"predicted_{name}" for name in names)])
    writer.writerows([name, *row] for name, row in zip(names, scores["confusion_matrix"], strict=True))
    return text.getvalue()


def _render(
    evaluation: Evaluation,
    comparison: Mapping[str, Any] | None,
    pairs: Pairs,
    measures: Mapping[str, Measure],
    other: links.Links,
) -> str:
    """Return the page as HTML text that needs no other file; see `write_evaluation`."""
    found, scores, shown = evaluation.to_dict(), evaluation.scores, Measures(measures)
    network, together = _network(evaluation), isinstance(evaluation, Ensemble)
    # What an ensemble looks at is what each of its runs does, on whose page it stands.
    try:
        faces, places = (None, None) if together else evaluation_faces.explained(evaluation)
    except NoFeatureMap:
        if evaluation.images is not None:  # which were asked for
            raise
        faces, places = None, None
    calibrated = evaluation.with_temperature
    return html.render(
        "evaluation.html.jinja",
        found=found,
        links=other,
        role=evaluation.role,
        measures=shown,
        tiles={name: where(scores, network, shown[name].of) for name in evaluation.measures[1:]},
        shown=SHOWN[evaluation.views],
        together=together,
        comparison=comparison and _comparison(comparison, shown),
        by=evaluation.by,
        groups=_parts(evaluation, evaluation.by or "", evaluation.groups, shown),
        without_copies=evaluation.without_copies,
        copies=_parts(evaluation, "Images", _copies(evaluation), shown),
        calibrated=with_temperature(calibrated, scores) if calibrated else "",
        **of_split(scores, network, found["role"], {}),
        pairs=list(_pairs(evaluation, pairs, shown)),
        wrong=len(evaluation.predictions) - int(evaluation.predictions.correct.sum()),
        errors=evaluation_faces.errors(evaluation),
        explained=faces,
        places=places,
        sources=_sources(found),
        config=configuration(json.loads(to_json(evaluation.trained.config))),
        environment={name: setting(value) for name, value in found["environment"].items()},
    )


def _network(evaluation: Evaluation) -> str:
    """Return what belongs beside every number besides the split: which network, and how it was asked."""
    together = isinstance(evaluation, Ensemble)
    parts = [f"{len(evaluation.members)} runs" if together else f"epoch\u00a0{evaluation.trained.epoch}"]
    parts += [] if evaluation.views == "one" else [f"views: {evaluation.views}"]
    parts += ["statistics measured anew"] if evaluation.statistics_images else []
    return ", ".join(parts)


def _parts(
    evaluation: Evaluation, of: str, parts: Mapping[str, Any], measures: Measures
) -> tuple[list[str], list[list[Any]]]:
    """Return the headings and the rows of a table of parts of the images: their number, and scores with intervals.

    Few parts stand side by side, since scores can be many; many parts are a row each.
    """
    columns = [of, "Images (n)", *(measures[name].heading for name in evaluation.measures)]
    rows: list[list[Any]] = [
        [name, thousands(part["examples"]), *(measures.cell(part, one) for one in evaluation.measures)]
        for name, part in parts.items()
    ]
    if len(rows) > SIDE_BY_SIDE:
        return columns, rows
    (first, *names), *lines = zip(columns, *rows, strict=True)
    return [first, *names], [list(line) for line in lines]


def _copies(evaluation: Evaluation) -> dict[str, Any]:
    """Return the scores of the whole split, and of the images that are no copies, where these are known."""
    if evaluation.without_copies is None:
        return {}
    return {"all": evaluation.scores, "no copies": evaluation.without_copies}


def _pairs(evaluation: Evaluation, pairs: Pairs, measures: Measures) -> Iterator[dict[str, Any]]:
    """Yield what there is to show of each pair whose actual value is known of some images."""
    for name, (predicted, actual) in pairs.items():
        if actual is None:
            continue
        known = ~np.isnan(actual)
        own = (score for score in evaluation.measures if score.startswith(f"{name}_") and measures[score].leading)
        score = next(own, "")
        yield {
            "name": name,
            "known": int(known.sum()),
            "score": score,
            "basis": where(evaluation.scores, _network(evaluation), measures[score].of or name),
            "drawing": figures.embed(partial(figures.predicted_by_actual, actual[known], predicted[known])),
        }


def _comparison(comparison: Mapping[str, Any], measures: Measures) -> dict[str, Any]:
    """Return the rows of its tables, and in what else than their seeds runs differ."""
    return {
        "runs": [
            [
                one["run"],
                (percent(one["accuracy"]), _interval(one["interval"])),
                str(one["seed"]),
                (str(one["checkpoint"]["epoch"]), one["checkpoint"]["chosen"]),
            ]
            for one in comparison["runs"]
        ],
        "means": {
            measures[name].heading: f"{measures.number(name, of['mean'])} ± {measures.number(name, of['std'])}"
            for name, of in comparison["over_runs"].items()
        },
        "differences": comparison["differences"],
        "pairs": [
            [
                one["first"],
                one["second"],
                (_points(one["difference"]) + " points", f"95%: {between(one['interval'], _points)}"),
                f"{one['only_first']:,}, {one['only_second']:,}",
                (decimal(one["p_value"]), one["method"]),
            ]
            for one in comparison["mcnemar"]
        ],
    }


def _interval(bounds: list[float | None]) -> str:
    return NO_INTERVAL if None in bounds else between(bounds, percent)


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f}"


def _sources(found: Mapping[str, Any]) -> dict[str, str]:
    data = found["data"]
    return {
        "Source": data["source"],
        "Split": f"“{found['split']}”, {found['examples']:,} images, {found['role']}",
        "The data of the run": OWN[data["own"]],
        **{f"Left out: {reason}": thousands(count) for reason, count in data["left_out"].items()},
        "Fingerprint of the split": data["fingerprint"],
    }
