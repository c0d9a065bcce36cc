"""The report of a run: one self-contained page that puts split, sample size and epoch beside every number."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jaxfer import page
from jaxfer.evaluation import figures
from jaxfer.evaluation.finished_run import Run, read_run
from jaxfer.evaluation.markup import decimal, duration, figure, heat_table, percent, setting
from jaxfer.page import escape, facts, table

MEASURES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "cross_entropy": "Cross entropy",
    "loss": "Loss (training objective)",
    "mse": "Mean squared error",
    "r2": "R²",
    "ece": "Calibration error",
}
"""What the page calls the fields of `Scores`."""

MOST_LISTED = 200
"""Unreadable images that the page lists; `summary.json` has all of them."""


def write_report(run_dir: Path) -> Path:
    """Write `report.html` into the folder of a finished run and return its path.

    Raises `UserError` naming the file of the run that is missing or damaged, or a page that cannot be written.
    """
    return page.write(render(read_run(run_dir)), run_dir / "report.html")


def render(run: Run) -> str:
    """Return the page as HTML text that needs no other file."""
    accuracy = percent(run.summary["val"]["accuracy"])
    return page.fill(
        "jaxfer.evaluation",
        "report.html",
        title=escape(f"{run.name}: validation accuracy {accuracy}"),
        name=escape(run.name),
        accuracy=accuracy,
        basis=escape(_basis(run.summary)),
        context=escape(_context(run.summary)),
        tiles=_tiles(run.summary),
        curves=_curves(run),
        splits=_splits(run.summary),
        classes=_classes(run.summary),
        confusion=_confusion(run.summary),
        calibration=_calibration(run.summary),
        data=_data(run.summary),
        config=_config(run.config),
        environment=_environment(run.summary),
    )


def _basis(summary: Mapping[str, Any]) -> str:
    val, checkpoint = summary["val"], summary["checkpoint"]
    return (
        f"Measured on the {val['examples']:,} images of the split “{val['split']}”, with the checkpoint of epoch "
        f"{checkpoint['epoch']} of {summary['epochs']} (step {checkpoint['step']:,}; chosen: {checkpoint['chosen']})."
    )


def _context(summary: Mapping[str, Any]) -> str:
    """Return what keeps the headline in proportion: the training split, the best epoch, the largest class."""
    train, val, best = summary["train"], summary["val"], summary["best"]
    largest, scores = max(val["per_class"].items(), key=lambda item: item[1]["support"])
    share = scores["support"] / val["examples"] if val["examples"] else None
    return (
        f"On the {train['examples']:,} images it was trained on (“{train['split']}”) the same checkpoint has "
        f"{percent(train['accuracy'])}. The best validation accuracy of any epoch was {percent(best['val_accuracy'])} "
        f"(epoch {best['epoch']}, n = {val['examples']:,}), an optimistic figure: it was picked on the images it "
        f"is measured on. Always answering “{largest}” would have {percent(share)} on “{val['split']}”."
    )


def _where(summary: Mapping[str, Any]) -> str:
    """Return what belongs beside every number of the validation split."""
    val = summary["val"]
    return f"{val['split']}, n\u00a0=\u00a0{val['examples']:,}, epoch\u00a0{summary['checkpoint']['epoch']}"


def _number(measure: str, value: float | None) -> str:
    return percent(value) if "accuracy" in measure else decimal(value)


def _tiles(summary: Mapping[str, Any]) -> str:
    return "".join(
        f"<div><dt>{MEASURES[measure]}</dt>"
        f"<dd>{_number(measure, summary['val'][measure])}<small>{escape(_where(summary))}</small></dd></div>"
        for measure in ("balanced_accuracy", "macro_f1", "cross_entropy", "ece")
    )


def _curves(run: Run) -> str:
    train, val = run.summary["train"], run.summary["val"]
    best, last = figures.best_epoch(run.history), run.history[-1]
    html = ""
    for measure in ("accuracy", "loss"):
        in_words = [
            f"{measure.capitalize()} of both splits by epoch.",
            f"At epoch {last['epoch']} training has {_number(measure, last[measure])},",
            f"validation {_number(measure, last[f'val_{measure}'])}.",
        ]
        if best is not None:
            in_words.append(f"Validation accuracy is best at epoch {best['epoch']}, where validation has")
            in_words.append(f"{_number(measure, best[f'val_{measure}'])}.")
        caption = (
            f"{MEASURES[measure]} on {train['examples']:,} training images (“{train['split']}”) and "
            f"{val['examples']:,} validation images (“{val['split']}”). Training values are means over an epoch in "
            "which the network still learned, with augmentation and dropout."
        )
        html += figure(partial(figures.curve, run.history, measure), " ".join(in_words), caption)
    return html


def _splits(summary: Mapping[str, Any]) -> str:
    val, train = summary["val"], summary["train"]
    return table(
        f"The checkpoint of epoch {summary['checkpoint']['epoch']} on both splits, in evaluation mode. Only the "
        "validation split says what to expect on new faces.",
        ["Measure", f"Validation (“{val['split']}”)", f"Training (“{train['split']}”)"],
        [
            ["Images (n)", f"{val['examples']:,}", f"{train['examples']:,}"],
            *([title, _number(name, val[name]), _number(name, train[name])] for name, title in MEASURES.items()),
        ],
    )


def _classes(summary: Mapping[str, Any]) -> str:
    return table(
        f"Each class on the validation split ({_where(summary)}). Support is the number of its images.",
        ["Class", "Precision", "Recall", "F1", "Support"],
        [
            [name, decimal(of["precision"]), decimal(of["recall"]), decimal(of["f1"]), f"{of['support']:,}"]
            for name, of in summary["val"]["per_class"].items()
        ],
    )


def _confusion(summary: Mapping[str, Any]) -> str:
    return heat_table(
        f"Images of the validation split ({_where(summary)}) by actual class (rows) and predicted class (columns). "
        "The shade is a count's share of its row.",
        summary["val"]["class_names"],
        summary["val"]["confusion_matrix"],
    )


def _calibration(summary: Mapping[str, Any]) -> str:
    val, error = summary["val"], decimal(summary["val"]["ece"])
    bins = [item for item in val["calibration"] if item["examples"]]
    diagram = figure(
        partial(figures.reliability, val),
        f"Accuracy in {len(bins)} ranges of confidence, against the diagonal of perfect calibration; "
        f"the expected calibration error is {error}.",
        f"Validation split ({_where(summary)}). Below the diagonal the network is surer than it is right.",
    )
    numbers = table(
        f"Expected calibration error {error} on the validation split ({_where(summary)}): the distance between "
        "confidence and accuracy, averaged over the images.",
        ["Mean confidence", "Accuracy", "Images"],
        [[decimal(item["confidence"]), decimal(item["accuracy"]), f"{item['examples']:,}"] for item in bins],
    )
    return diagram + numbers


def _data(summary: Mapping[str, Any]) -> str:
    data, train, val = summary["data"], summary["train"], summary["val"]
    unreadable = data["unreadable"]
    html = facts(
        "Where the images come from, and how many were not used.",
        {
            "Source": data["source"],
            "Training images": f"{train['examples']:,} (“{train['split']}”)",
            "Validation images": f"{val['examples']:,} (“{val['split']}”)",
            **{f"Note {number}": warning for number, warning in enumerate(data["warnings"], 1)},
            **{f"Left out: {reason}": f"{count:,}" for reason, count in data["left_out"].items()},
            "Fingerprint": data["fingerprint"],
        },
    )
    if unreadable:
        shown = unreadable[:MOST_LISTED]
        caption = f"{len(shown):,} of {len(unreadable):,} unreadable images, and why."
        listed = table(caption, ["Image", "Reason"], shown, kind="facts")
        html += f"<details><summary>Unreadable images: {len(unreadable):,}</summary>{listed}</details>"
    return html


def _config(config: Mapping[str, Any]) -> str:
    groups = {name: value for name, value in config.items() if isinstance(value, dict)}
    run = {name: value for name, value in config.items() if name not in groups}
    return "".join(
        facts(name, {field: setting(value) for field, value in group.items()})
        for name, group in {"run": run, **groups}.items()
    )


def _environment(summary: Mapping[str, Any]) -> str:
    seconds, steps = summary["seconds"], summary["steps"]
    time = {
        "Duration": duration(seconds),
        "Epochs": f"{summary['epochs']:,}",
        "Steps": f"{steps:,}",
        "Time per step": f"{1000 * seconds / max(steps, 1):.1f} ms",
    }
    environment = {name: setting(value) for name, value in summary["environment"].items()}
    return facts("Time of the run, evaluation included.", time) + facts("Versions and devices.", environment)
