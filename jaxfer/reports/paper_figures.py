"""The figures of a report as files for a paper: PNG and SVG, one column wide, without titles."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from jaxfer.errors import UserError
from jaxfer.files import write
from jaxfer.metrics.scores import Measure
from jaxfer.reports import figures, sweep_figures
from jaxfer.reports.finished_run import Run
from jaxfer.reports.runs_page import CURVES, Seen, drawn
from jaxfer.reports.sweep_figures import settings
from jaxfer.reports.words import Measures
from jaxfer.runs.results import SweepResult
from jaxfer.tasks import MEASURES

COLUMN = 3.35
"""Inches: the width of a column of most two-column styles."""

INK = "#000000"

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # Matplotlib brings it, so that every machine draws the same
    "font.size": 7,
    "lines.linewidth": 1.2,
    "svg.fonttype": "path",
    "svg.hashsalt": "jaxfer",
    "savefig.dpi": 300,
}


def of_run(run: Run, measures: Mapping[str, Measure] = MEASURES) -> dict[str, Callable[..., Figure]]:
    """Return what draws each figure of a run, by the name of its files.

    Args:
        run: A finished one.
        measures: What scores are called, by their names.
    """
    train, val = run.summary["train"], run.summary["val"]
    return {
        "accuracy": partial(figures.curve, run.history, "accuracy"),
        "loss": partial(figures.curve, run.history, "loss"),
        **({"learning-rate": partial(figures.learning_rate, run.history)} if run.tells("learning_rate") else {}),
        **({"speed": partial(figures.speed, run.history, train["examples"])} if run.tells("seconds") else {}),
        "confusion-counts": partial(figures.confusion_matrix, val),
        "confusion-shares": partial(figures.confusion_matrix, val, shares=True),
        "classes": partial(figures.per_class, val),
        "calibration": partial(figures.reliability, val),
        **{
            re.sub(r"\W+", "-", measure.noun or measure.title): partial(figures.further, run.history, measure, names)
            for measure, names in Measures(measures).curves(run.validated)
        },
    }


def of_sweep(sweep: SweepResult) -> dict[str, Callable[..., Figure]]:
    """Return what draws the figure of a sweep, under the name of its files; nothing before a cell has finished."""
    found = settings(list(sweep.fields), sweep.rows)
    finished = any(one.accuracies for one in found)
    return {"grid": partial(sweep_figures.grid, found, sweep.examples)} if finished else {}


def of_runs(runs: Sequence[Seen]) -> dict[str, Callable[..., Figure]]:
    """Return what draws the curves of several runs over each other, by the names of their files."""
    histories = drawn(runs)
    scores = CURVES if histories else ()
    return {
        score.replace("_", "-"): partial(figures.over_each_other, histories, score, legend=True) for score in scores
    }


def save_figures(drawings: Mapping[str, Callable[..., Figure]], folder: Path) -> list[Path]:
    """Write each figure as PNG of 300 dots an inch, on white, and as SVG whose letters are outlines.

    The same numbers give the same bytes, as long as Matplotlib stays the same.

    Args:
        drawings: What `of_run`, `of_runs` or `of_sweep` returns.
        folder: Where to write; it need not exist.

    Returns:
        The paths of the files.

    Raises:
        UserError: The folder cannot be written.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, draw in drawings.items():
            with mpl.rc_context(_STYLE):
                figure = draw(ink=INK)
                width, height = figure.get_size_inches()
                figure.set_size_inches(COLUMN, COLUMN * height / width)
                png, svg = (folder / f"{name}.{kind}" for kind in ("png", "svg"))
                png_bytes, svg_bytes = io.BytesIO(), io.BytesIO()
                figure.savefig(png_bytes, format="png", facecolor="white", metadata={"Software": None})
                figure.savefig(svg_bytes, format="svg", metadata={"Date": None})
            written += [write(png_bytes.getvalue(), png), write(svg_bytes.getvalue(), svg)]
    except OSError as error:
        raise UserError(
            f"figures cannot be written to {folder} ({error.strerror}): choose another --figures"
        ) from error
    return written
