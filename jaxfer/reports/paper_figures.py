"""The figures of a report as files for a paper: PNG and SVG, one column wide, without titles."""

import io
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from jaxfer.errors import UserError
from jaxfer.files import write
from jaxfer.reports import figures, sweep_figures
from jaxfer.reports.finished_run import Run
from jaxfer.reports.sweep_settings import settings
from jaxfer.sweeps import SweepResult

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


def of_run(run: Run) -> dict[str, Callable[..., Figure]]:
    """Return what draws each figure of a run, by the name of its files."""
    val = run.summary["val"]
    affect = {"concordance": partial(figures.concordance, run.history)} if run.has_affect else {}
    return {
        "accuracy": partial(figures.curve, run.history, "accuracy"),
        "loss": partial(figures.curve, run.history, "loss"),
        "confusion-counts": partial(figures.confusion_matrix, val),
        "confusion-shares": partial(figures.confusion_matrix, val, shares=True),
        "classes": partial(figures.per_class, val),
        "calibration": partial(figures.reliability, val),
        **affect,
    }


def of_sweep(sweep: SweepResult) -> dict[str, Callable[..., Figure]]:
    """Return what draws the figure of a sweep, under the name of its files; nothing before a cell has finished."""
    found = settings(list(sweep.fields), sweep.rows)
    finished = any(one.accuracies for one in found)
    return {"grid": partial(sweep_figures.grid, found, sweep.examples)} if finished else {}


def save_figures(drawings: Mapping[str, Callable[..., Figure]], folder: Path) -> list[Path]:
    """Write each figure as PNG of 300 dots an inch, on white, and as SVG whose letters are outlines.

    The same numbers give the same bytes, as long as Matplotlib stays the same.

    Raises `UserError` where the folder cannot be written.
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
