"""The report of a run: one self-contained page with split, sample size, epoch and interval beside every number."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxfer.reports import page, report_record, report_scores
from jaxfer.reports.finished_run import Run, read_run
from jaxfer.reports.markup import percent
from jaxfer.reports.page import escape
from jaxfer.reports.report_scores import interval


def write_report(run_dir: Path, summary: str | None = None) -> Path:
    """Write `report.html` into the folder of a finished run and return its path.

    summary: the text of its `summary.json`, where that is still to be written.

    Raises `UserError` naming the file of the run that is missing or damaged, or a page that cannot be written.
    """
    return page.write(render(read_run(run_dir, summary)), run_dir / "report.html")


def render(run: Run) -> str:
    """Return the page as HTML text that needs no other file."""
    summary, accuracy = run.summary, percent(run.summary["val"]["accuracy"])
    return page.fill(
        "jaxfer.reports",
        "report.html",
        title=escape(f"{run.name}: validation accuracy {accuracy}"),
        name=escape(run.name),
        accuracy=accuracy,
        basis=escape(_basis(summary)),
        context=escape(_context(summary)),
        labels=escape(_labels(summary)),
        tiles=report_scores.tiles(summary),
        curves=report_scores.learning_curves(run),
        splits=report_scores.splits(summary),
        classes=report_scores.classes(summary),
        confusion=report_scores.confusion(summary),
        calibration=report_scores.calibration(summary),
        data=report_record.data(summary),
        config=report_record.configuration(run.config),
        environment=report_record.environment(summary),
    )


def _basis(summary: Mapping[str, Any]) -> str:
    val, checkpoint = summary["val"], summary["checkpoint"]
    return (
        f"95% interval {interval(val, 'accuracy')}. "
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
        f"{percent(train['accuracy'])} (95% interval {interval(train, 'accuracy')}). The best validation accuracy of "
        f"any epoch was {percent(best['val_accuracy'])} "
        f"(epoch {best['epoch']}, n = {val['examples']:,}), an optimistic figure: it was picked on the images it "
        f"is measured on. Always answering “{largest}” would have {percent(share)} on “{val['split']}”."
    )


def _labels(summary: Mapping[str, Any]) -> str:
    """Return the label set, and where the intervals come from."""
    names = summary["val"]["class_names"]
    if "intervals" in summary["val"]:
        source = (
            "Intervals of a split's scores are bootstrap percentiles over its images; those of shares are Wilson's."
        )
    else:
        source = "Intervals are Wilson's, from counts; this run's summary holds no others."
    return f"Label set, {len(names)} classes: {', '.join(names)}. {source}"
