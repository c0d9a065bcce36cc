"""The figures of a run, as Matplotlib figures that hold no global state.

Backgrounds are transparent and the data's colours legible on light and dark pages alike; `ink`, the colour of text
and axes, is what a caller changes between the two.
"""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

LIGHT_INK, DARK_INK = "#1c2024", "#e4e7eb"
"""Ink for light pages, and for dark ones."""

TRAIN, VAL = "#d9822b", "#3f8fd2"
"""Colours of the training and the validation split."""


def curves(history: Sequence[Mapping[str, Any]], ink: str = LIGHT_INK) -> Figure:
    """Return accuracy and loss of both splits over the epochs, side by side.

    history: the epoch lines of `metrics.jsonl`; see `jaxfer.evaluation.finished_run.Run`.
    """
    figure = Figure(figsize=(9, 2.9), layout="constrained", facecolor="none")
    left, right = figure.subplots(1, 2)
    _draw_curve(left, history, "accuracy", ink)
    _draw_curve(right, history, "loss", ink)
    return figure


def curve(history: Sequence[Mapping[str, Any]], measure: str, ink: str = LIGHT_INK) -> Figure:
    """Return one panel of `curves`: `measure` is `accuracy` or `loss`."""
    figure = Figure(figsize=(4.4, 2.9), layout="constrained", facecolor="none")
    _draw_curve(figure.subplots(), history, measure, ink)
    return figure


def best_epoch(history: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the epoch line with the highest validation accuracy, the last of equals; None where none is finite."""
    finite = [line for line in history if math.isfinite(_number(line["val_accuracy"]))]
    return max(finite, key=lambda line: (line["val_accuracy"], line["epoch"]), default=None)


def _draw_curve(axes: Axes, history: Sequence[Mapping[str, Any]], measure: str, ink: str) -> None:
    epochs = [line["epoch"] for line in history]
    train, val = ([_number(line[name]) for line in history] for name in (measure, f"val_{measure}"))
    marker = "o" if len(epochs) < 15 else None
    axes.plot(epochs, train, color=TRAIN, linestyle="--", marker=marker, markersize=3, label="training")
    axes.plot(epochs, val, color=VAL, linewidth=2, marker=marker, markersize=4, label="validation")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    best = best_epoch(history)
    if best is not None:
        axes.axvline(best["epoch"], color=ink, linewidth=0.8, linestyle=":")
        axes.plot(best["epoch"], _number(best[f"val_{measure}"]), "o", color=VAL, markersize=7)
        axes.annotate(
            f"best accuracy, epoch {best['epoch']}",
            (best["epoch"], 1.02),
            xycoords=("data", "axes fraction"),
            ha="right" if best["epoch"] > np.mean(axes.get_xlim()) else "left",
            fontsize=8,
        )
    _style(axes, measure.capitalize(), ink)


def confusion_matrix(scores: Mapping[str, Any], ink: str = LIGHT_INK) -> Figure:
    """Return a confusion matrix of counts, each row shaded by its shares.

    scores: `Scores.to_dict()`, or a split of `summary.json`.
    """
    counts, names = np.array(scores["confusion_matrix"]), scores["class_names"]  # [c, c]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(5.6, 5.2), layout="constrained", facecolor="none")
    axes = figure.subplots()
    clear_to_blue = LinearSegmentedColormap.from_list("clear to blue", [to_rgba(VAL, 0), to_rgba(VAL, 1)])
    axes.imshow(shares, cmap=clear_to_blue, vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        bold = "bold" if row == column else "normal"
        axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=ink, weight=bold)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("actual")
    _style(axes, "", ink)
    axes.grid(visible=False)
    return figure


def reliability(scores: Mapping[str, Any], ink: str = LIGHT_INK) -> Figure:
    """Return accuracy by confidence, against the diagonal of perfect calibration.

    scores: `Scores.to_dict()`, or a split of `summary.json`.
    """
    bins = scores["calibration"]
    edges = np.linspace(0, 1, len(bins) + 1)
    figure = Figure(figsize=(4.4, 2.9), layout="constrained", facecolor="none")
    axes = figure.subplots()
    accuracy = [_number(item["accuracy"]) for item in bins]
    axes.bar(edges[:-1], accuracy, width=0.9 / len(bins), align="edge", color=VAL)
    axes.plot([0, 1], [0, 1], color=ink, linewidth=1, linestyle=":", label="perfect calibration")
    axes.set(xlabel="confidence", xlim=(0, 1), ylim=(0, 1), yticks=(0.2, 0.4, 0.6, 0.8, 1))
    _style(axes, "Accuracy by confidence", ink)
    return figure


def to_svg(figure: Figure) -> str:
    """Return the figure as SVG text whose letters stay text, in the reader's own sans-serif font."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "jaxfer", "font.sans-serif": ["DejaVu Sans"]}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue().replace("'DejaVu Sans'", "system-ui")


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _style(axes: Axes, title: str, ink: str) -> None:
    """Give the axes their colours, a title at the left and a legend at the right of it."""
    axes.set_facecolor("none")
    axes.spines[:].set_visible(False)
    axes.grid(axis="y", color=ink, alpha=0.15, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=ink, length=0)
    for text in (axes.xaxis.label, axes.yaxis.label, *axes.texts):
        text.set_color(ink)
    if title:
        axes.set_title(title, loc="left", color=ink, fontsize=11, weight="bold", pad=18)
        corner = {"loc": "lower right", "bbox_to_anchor": (1, 1.12), "borderpad": 0, "borderaxespad": 0}
        axes.legend(frameon=False, ncols=2, labelcolor=ink, fontsize=8, columnspacing=1, **corner)
