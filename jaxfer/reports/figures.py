"""The figures of a run, as Matplotlib figures that hold no global state.

Backgrounds are transparent and the data's colours legible on light and dark pages alike; `ink`, the colour of text
and axes, is what a caller changes between the two. None has a title: a page or a paper gives it a caption.
"""

import io
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from jaxfer.evaluation.intervals import f1_interval, wilson_interval
from jaxfer.inference.framing import Framing
from jaxfer.metrics.scores import Measure
from jaxfer.reports import html
from jaxfer.reports.words import printable

LIGHT_INK, DARK_INK = "#1c2024", "#e4e7eb"
"""Ink for light pages, and for dark ones."""

LIGHT_GROUND, DARK_GROUND = "#ffffff", "#1a1d21"
"""The card that a figure lies on, of light pages and of dark ones."""

TRAIN, VAL = "#d9822b", "#3f8fd2"
"""Colours of the training and the validation split."""

_HUES = (VAL, TRAIN, "#3fa66b", "#c8558a", "#8a6fd1")
LINES = [(colour, line) for line in ("-", "--") for colour in _HUES]
"""Colour and style of the lines of several runs, legible on light and dark pages."""

CLEAR_TO_BLUE = LinearSegmentedColormap.from_list("clear to blue", [to_rgba(VAL, 0), to_rgba(VAL, 1)])


def curves(history: Sequence[Mapping[str, Any]], ink: str = LIGHT_INK) -> Figure:
    """Return accuracy and loss of both splits over the epochs, side by side.

    Args:
        history: The epoch lines of `metrics.jsonl`; see `jaxfer.reports.finished_run.Run`.
        ink: Colour of text and axes.
    """
    figure = Figure(figsize=(9, 2.9), layout="constrained", facecolor="none")
    left, right = figure.subplots(1, 2)
    _draw_curve(left, history, "accuracy", ink)
    _draw_curve(right, history, "loss", ink)
    return figure


def curve(history: Sequence[Mapping[str, Any]], measure: str, ink: str = LIGHT_INK) -> Figure:
    """Return one panel of `curves`.

    Args:
        history: As for `curves`.
        measure: `accuracy` or `loss`.
        ink: Colour of text and axes.
    """
    figure = Figure(figsize=(4, 2.8), layout="constrained", facecolor="none")
    _draw_curve(figure.subplots(), history, measure, ink)
    return figure


def further(
    history: Sequence[Mapping[str, Any]], measure: Measure, names: Mapping[str, str], ink: str = LIGHT_INK
) -> Figure:
    """Return scores of heads besides the expression on the validation split over the epochs, a line for each.

    Args:
        history: Epoch lines that have these scores.
        measure: What they all measure.
        names: The score of each line by the word for it, such as `{"valence": "valence_ccc"}`.
        ink: Colour of text and axes.
    """
    figure = Figure(figsize=(4, 2.8), layout="constrained", facecolor="none")
    axes = figure.subplots()
    for (label, name), line in zip(names.items(), itertools.cycle(("-", "--", ":", "-."))):
        values = [_number(row[f"val_{name}"]) for row in history]
        axes.plot([row["epoch"] for row in history], values, color=VAL, linestyle=line, linewidth=2, label=label)
    _number_epochs(axes, history)
    axes.set_ylabel(measure.title)
    style(axes, ink)
    return figure


def framing(framed: Framing, ink: str = LIGHT_INK) -> Figure:
    """Return a training image's square, with the median box and landmarks of the faces that a detector sees in them.

    Args:
        framed: Where it sees them.
        ink: Colour of the square.
    """
    figure = Figure(figsize=(4, 2.4), layout="constrained", facecolor="none")
    axes = figure.subplots()
    axes.add_patch(Rectangle((0, 0), 1, 1, fill=False, edgecolor=ink, linewidth=1.5))
    left, top, width, height = framed.box
    axes.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=VAL, linewidth=1.5, linestyle="--"))
    if framed.landmarks:
        axes.plot(*zip(*framed.landmarks, strict=True), "o", color=TRAIN, markersize=5)
    # Equal scales, and down is down, as in images.
    axes.set(xlim=(min(-0.05, left), max(1.05, left + width)), ylim=(max(1.05, top + height), min(-0.05, top)))
    axes.set_aspect("equal")
    axes.set_axis_off()
    return figure


def learning_rate(history: Sequence[Mapping[str, Any]], ink: str = LIGHT_INK) -> Figure:
    """Return the learning rate of each epoch's last step.

    Args:
        history: Epoch lines that have it.
        ink: Colour of text and axes.
    """
    return _of_training(history, [_number(row["learning_rate"]) for row in history], "learning rate", ink)


def speed(history: Sequence[Mapping[str, Any]], images: int, ink: str = LIGHT_INK) -> Figure:
    """Return how many training images a second each epoch took, its validation included.

    Args:
        history: Epoch lines with `seconds`.
        images: Of an epoch.
        ink: Colour of text and axes.
    """
    return _of_training(history, images_a_second(history, images), "images a second", ink)


def images_a_second(history: Sequence[Mapping[str, Any]], images: int) -> list[float]:
    """Return how many training images a second each epoch took; NaN where its time is not known.

    >>> images_a_second([{"epoch": 1, "seconds": 10.0}, {"epoch": 2, "seconds": 15.0}], 1000)
    [100.0, 200.0]
    """
    ends = [_number(row["seconds"]) for row in history]
    # A log that begins later, as that of a run whose first lines were lost, does not say when its first epoch began.
    begins = [0.0 if history[0]["epoch"] == 1 else math.nan, *ends[:-1]]
    return [images / (end - begin) if end > begin else math.nan for begin, end in zip(begins, ends, strict=True)]


def _of_training(history: Sequence[Mapping[str, Any]], values: Sequence[float], name: str, ink: str) -> Figure:
    figure = Figure(figsize=(4, 2.2), layout="constrained", facecolor="none")
    axes = figure.subplots()
    looks = {"color": TRAIN, "linewidth": 2, "marker": "o" if len(history) < 15 else None, "markersize": 4}
    axes.plot([row["epoch"] for row in history], values, **looks)
    _number_epochs(axes, history)
    axes.set_ylabel(name)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    style(axes, ink, legend=False)
    return figure


def over_each_other(
    histories: Mapping[str, Sequence[Mapping[str, Any]]], score: str, ink: str = LIGHT_INK, *, legend: bool = False
) -> Figure:
    """Return a score of several runs over the epochs, a line for each, as `LINES` has them.

    Args:
        histories: The epoch lines of each run by its name, of at most as many as there are `LINES`.
        score: Its name in the epoch lines.
        ink: Colour of text and axes.
        legend: Whether to say below which line is which.
    """
    figure = Figure(figsize=(4, 2.8), layout="constrained", facecolor="none")
    axes = figure.subplots()
    for (name, history), (colour, line) in zip(histories.items(), LINES, strict=False):
        marker = "o" if len(history) < 15 else None
        values, epochs = [_number(row[score]) for row in history], [row["epoch"] for row in history]
        label = printable(name).replace("_", " ", int(name.startswith("_")))  # Matplotlib hides what begins with it
        axes.plot(epochs, values, color=colour, linestyle=line, marker=marker, markersize=3, label=label)
    _number_epochs(axes, [row for history in histories.values() for row in history])
    axes.set_ylabel(score.replace("val_", "validation ") if score.startswith("val_") else f"training {score}")
    style(axes, ink, legend=False)
    if legend:
        figure.legend(loc="outside lower center", ncols=2, frameon=False, labelcolor=ink, fontsize="small")
    return figure


def best_epoch(history: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the epoch line with the highest validation accuracy, the last of equals; None where none is finite."""
    finite = [line for line in history if math.isfinite(_number(line["val_accuracy"]))]
    return max(finite, key=lambda line: (line["val_accuracy"], line["epoch"]), default=None)


def _draw_curve(axes: Axes, history: Sequence[Mapping[str, Any]], measure: str, ink: str) -> None:
    epochs = [line["epoch"] for line in history]
    train, val = ([_number(line[name]) for line in history] for name in (measure, f"val_{measure}"))
    marker = "o" if len(epochs) < 15 else None
    axes.fill_between(epochs, train, val, color=ink, alpha=0.07, linewidth=0)
    axes.plot(epochs, train, color=TRAIN, linestyle="--", marker=marker, markersize=3, label="training")
    axes.plot(epochs, val, color=VAL, linewidth=2, marker=marker, markersize=4, label="validation")
    axes.set_ylabel(measure)
    _number_epochs(axes, history)
    _mark_gap(axes, train[-1], val[-1], ink)
    best = best_epoch(history)
    if best is not None:
        axes.axvline(best["epoch"], color=ink, linewidth=0.8, linestyle=":")
        axes.plot(best["epoch"], _number(best[f"val_{measure}"]), "o", color=VAL, markersize=7)
        axes.annotate(
            f"best accuracy, epoch {best['epoch']}",
            (best["epoch"], 1.02),
            xycoords=("data", "axes fraction"),
            ha="right" if best["epoch"] > np.mean(axes.get_xlim()) else "left",
            fontsize="small",
        )
    style(axes, ink)


def _number_epochs(axes: Axes, history: Sequence[Mapping[str, Any]]) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    epochs = [row["epoch"] for row in history]
    axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)


def _mark_gap(axes: Axes, train: float, val: float, ink: str) -> None:
    """Draw a bracket at the right of the axes from one split's last value to the other's, and say how far it is."""
    if not (math.isfinite(train) and math.isfinite(val)):
        return
    beside = axes.get_yaxis_transform()  # x in shares of the axes, y in data
    axes.plot([1.02, 1.02], [train, val], color=ink, linewidth=1, transform=beside, clip_on=False, label="_gap")
    words = f"gap\n{abs(train - val):.2f}"
    axes.text(1.04, (train + val) / 2, words, transform=beside, va="center", fontsize="small")


def confusion_matrix(scores: Mapping[str, Any], ink: str = LIGHT_INK, *, shares: bool = False) -> Figure:
    """Return a confusion matrix of counts, each row shaded by its shares.

    Args:
        scores: `Scores.to_dict()`, or a split of `summary.json`.
        ink: Colour of text and axes.
        shares: Whether to write the shares of a row, which add up to one, in place of the counts.
    """
    counts, names = np.array(scores["confusion_matrix"]), list(map(printable, scores["class_names"]))  # [c, c]
    normalised = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(5.6, 5.2), layout="constrained", facecolor="none")
    axes = figure.subplots()
    axes.imshow(normalised, cmap=CLEAR_TO_BLUE, vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        bold = "bold" if row == column else "normal"
        text = f"{normalised[row, column]:.2f}" if shares else f"{counts[row, column]:,}"
        axes.text(column, row, text, ha="center", va="center", color=ink, weight=bold)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="actual")
    style(axes, ink, grid=None, legend=False)
    return figure


def per_class(scores: Mapping[str, Any], ink: str = LIGHT_INK) -> Figure:
    """Return a bar for each class's F1 with its 95% interval, and marks for its precision and recall.

    Args:
        scores: `Scores.to_dict()`, or a split of `summary.json`.
        ink: Colour of text and axes.
    """
    names, classes = list(map(printable, scores["class_names"])), list(scores["per_class"].values())
    f1 = np.array([_number(of["f1"]) for of in classes])
    bounds = np.array([f1_interval(of, n) for of, n in zip(f1, related(scores), strict=True)])  # [c, 2]
    rows = range(len(names))
    figure = Figure(figsize=(4, 0.8 + 0.32 * len(names)), layout="constrained", facecolor="none")
    axes = figure.subplots()
    errors = np.abs(bounds.T - f1)
    bars = {"ecolor": ink, "error_kw": {"elinewidth": 1, "alpha": 0.7}}
    axes.barh(rows, f1, xerr=errors, color=VAL, alpha=0.75, height=0.62, label="F1", **bars)
    for measure, marker in (("precision", "<"), ("recall", ">")):
        values = [_number(of[measure]) for of in classes]
        looks = {"color": TRAIN, "markeredgecolor": ink, "markeredgewidth": 0.6, "clip_on": False}
        axes.plot(values, rows, marker, **looks, label=measure)
    axes.set_yticks(rows, names)
    axes.set_xlim(0, 1)
    axes.invert_yaxis()
    style(axes, ink, grid="x")
    return figure


def related(scores: Mapping[str, Any]) -> list[int]:
    """Return, for each class, the examples that are of it or were taken for it: TP + FP + FN."""
    counts = np.array(scores["confusion_matrix"])
    return (counts.sum(axis=0) + counts.sum(axis=1) - np.diag(counts)).tolist()


def reliability(scores: Mapping[str, Any], ink: str = LIGHT_INK) -> Figure:
    """Return accuracy by confidence with 95% intervals, against the diagonal of perfect calibration.

    Args:
        scores: `Scores.to_dict()`, or a split of `summary.json`.
        ink: Colour of text and axes.
    """
    bins = scores["calibration"]
    edges = np.linspace(0, 1, len(bins) + 1)
    accuracy = np.array([_number(item["accuracy"]) for item in bins])
    filled = [item["examples"] > 0 for item in bins]
    bounds = [wilson_interval(share, item["examples"]) for share, item in zip(accuracy, bins, strict=True)]
    figure = Figure(figsize=(4, 2.8), layout="constrained", facecolor="none")
    axes = figure.subplots()
    axes.bar(edges[:-1], accuracy, width=0.9 / len(bins), align="edge", color=VAL)
    errors = np.abs(np.array(bounds)[filled].T - accuracy[filled])
    centres = edges[:-1][filled] + 0.45 / len(bins)
    axes.errorbar(centres, accuracy[filled], errors, fmt="none", ecolor=ink, elinewidth=1, alpha=0.7)
    axes.plot([0, 1], [0, 1], color=ink, linewidth=1, linestyle=":", label="perfect calibration")
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1), yticks=(0.2, 0.4, 0.6, 0.8, 1))
    style(axes, ink)
    return figure


def predicted_by_actual(actual: np.ndarray, predicted: np.ndarray, ink: str = LIGHT_INK) -> Figure:
    """Return how often a value was predicted (up) where the data says another (across), and the line of equals.

    Args:
        actual: What the data says, [n], without NaN.
        predicted: Of the same images, [n].
        ink: Colour of text and axes.
    """
    values = np.concatenate([actual, predicted]) if len(actual) else np.zeros(1)
    low = math.floor(values.min())
    high = max(math.ceil(values.max()), low + 1)
    counts = np.histogram2d(predicted, actual, bins=20, range=[(low, high), (low, high)])[0]
    figure = Figure(figsize=(3.4, 3.2), layout="constrained", facecolor="none")
    axes = figure.subplots()
    axes.imshow(counts, cmap=CLEAR_TO_BLUE, origin="lower", extent=(low, high, low, high))
    axes.plot([low, high], [low, high], color=ink, linewidth=1, linestyle=":")
    ticks = (low, (low + high) / 2, high)
    axes.set(xlabel="actual", ylabel="predicted", xticks=ticks, yticks=ticks)
    axes.grid(color=ink, alpha=0.15, linewidth=0.8)
    style(axes, ink, grid=None, legend=False)
    return figure


class Drawing(NamedTuple):
    """A figure as SVG in a data URI, once for light pages and once for dark ones."""

    light: str
    dark: str


def embed(draw: Callable[[str], Figure]) -> Drawing:
    """Return the figure that `draw` makes of an ink, for a page to embed."""
    light = to_svg(draw(LIGHT_INK))
    # Drawing takes long, and the figure for dark pages is the same in other colours.
    dark = light.replace(f": {LIGHT_INK}", f": {DARK_INK}").replace(f": {LIGHT_GROUND}", f": {DARK_GROUND}")
    return Drawing(*(html.embedded("image/svg+xml", svg.encode()) for svg in (light, dark)))


def to_svg(figure: Figure) -> str:
    """Return the figure as SVG text whose letters stay text, in the reader's own sans-serif font."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "jaxfer", "font.sans-serif": ["DejaVu Sans"]}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue().replace("'DejaVu Sans'", "system-ui")


def style(axes: Axes, ink: str, *, grid: Literal["x", "y"] | None = "y", legend: bool = True) -> None:
    """Give axes that are drawn their colours, a grid and a legend.

    Args:
        axes: With everything on them.
        ink: Colour of text and grid.
        grid: `x` for lines at the ticks across, `y` for those at the ticks up, None for none.
        legend: Whether to add one, above the axes at the right.
    """
    axes.set_facecolor("none")
    axes.spines[:].set_visible(False)
    axes.set_axisbelow(True)
    axes.tick_params(colors=ink, length=0)
    for text in (axes.xaxis.label, axes.yaxis.label, *axes.texts):
        text.set_color(ink)
    if grid is not None:
        axes.grid(axis=grid, color=ink, alpha=0.15, linewidth=0.8)
    if legend:
        corner = {"loc": "lower right", "bbox_to_anchor": (1, 1.1), "borderpad": 0, "borderaxespad": 0}
        axes.legend(frameon=False, ncols=3, labelcolor=ink, fontsize="small", columnspacing=1, **corner)


def _number(value: float | None) -> float:
    return math.nan if value is None else value
