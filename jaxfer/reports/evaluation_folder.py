"""The folder that an evaluation leaves in its run: numbers, predictions and a page."""

import csv
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from jaxfer.data.checking.wording import printable
from jaxfer.errors import UserError
from jaxfer.evaluation.evaluate import Evaluation
from jaxfer.files import refuse_links
from jaxfer.reports import page


def write_evaluation(evaluation: Evaluation, comparison: dict[str, Any] | None = None) -> Path:
    """Write an evaluation into its run's folder and return the new folder, `evaluations/NAME`.

    It holds `evaluation.json`, `predictions.csv` and `evaluation.html`. The same inputs give the same name, and other
    inputs another, so that nothing but the same evaluation is ever replaced.

    comparison: with other runs, as `compare` returns it; it belongs to the inputs.

    Raises `UserError` where the folder cannot be written, or holds another evaluation.
    """
    from jaxfer.reports.evaluation_page import render

    inputs = evaluation.inputs() | ({"beside": comparison["runs"]} if comparison else {})
    found = evaluation.to_dict() | {"comparison": comparison, "inputs": inputs}
    folder = evaluation.trained.run_dir / "evaluations" / _name(evaluation, inputs)
    refuse_links(folder.parent, folder)
    _refuse_others(folder / "evaluation.json", inputs)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made ({error.strerror}): correct the permissions") from error
    page.write(_predictions(evaluation), folder / "predictions.csv")
    page.write(printable(render(evaluation, comparison)), folder / "evaluation.html")
    page.write(json.dumps(found, indent=2) + "\n", folder / "evaluation.json")
    return folder


def _name(evaluation: Evaluation, inputs: dict[str, Any]) -> str:
    split = re.sub(r"[^A-Za-z0-9]+", "-", evaluation.split.name).strip("-")[:40] or evaluation.use
    digest = hashlib.blake2b(json.dumps(inputs, sort_keys=True).encode(), digest_size=5).hexdigest()
    flip = "-flip" if evaluation.flip else ""
    return f"{split}-epoch{evaluation.trained.epoch}{flip}-{digest}"


def _refuse_others(path: Path, inputs: dict[str, Any]) -> None:
    """Raise `UserError` where an evaluation of other inputs, or something else, is in the way."""
    try:
        same = not path.exists() or json.loads(path.read_text(encoding="utf-8"))["inputs"] == inputs
    except (OSError, ValueError, KeyError, TypeError):
        same = False
    if not same:
        raise UserError(f"{path} holds something else than this evaluation: move it away")


def _predictions(evaluation: Evaluation) -> str:
    """Return a line for each example: row, image, classes, the probability of each class, valence and arousal."""
    names, predictions = evaluation.data.class_names, evaluation.predictions
    columns = dict(zip((f"p_{name}" for name in names), predictions.probabilities.T, strict=True))
    pairs = predictions.pairs
    columns |= {f"actual_{name}": actual for name, (_, actual) in pairs.items()}
    columns |= {f"predicted_{name}": predicted for name, (predicted, _) in pairs.items()}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "image", "actual", "predicted", *columns])
    numbers = zip(*columns.values(), strict=True)
    rows = zip(evaluation.split.names, predictions.labels, predictions.predicted, numbers, strict=True)
    for row, (image, actual, predicted, values) in enumerate(rows):
        shown = ("" if np.isnan(value) else f"{value:.6g}" for value in values)
        writer.writerow([row, printable(image), names[actual], names[predicted], *shown])
    return text.getvalue()
