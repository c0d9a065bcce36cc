"""The settings of a sweep, and its figure: validation accuracy over them, as `jaxfer.reports.figures` draws a run's."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure

from jaxfer.evaluation.intervals import wilson_interval
from jaxfer.reports.figures import CLEAR_TO_BLUE, DARK_GROUND, LIGHT_GROUND, LIGHT_INK, TRAIN, VAL, style
from jaxfer.reports.words import printable, setting

if TYPE_CHECKING:
    from jaxfer.runs.results import CellResult

MOST_TICKS = 8
"""Values of a field that an axis names one by one; more of them lie on a scale."""

_POOR_TO_GOOD = LinearSegmentedColormap.from_list("poor to good", ["#a3abb5", VAL])


@dataclass(frozen=True)
class Setting:
    """One combination of values, in one run or in several seeds.

    Attributes:
        values: By field, without the seed where the sweep has other fields.
        cells: One for each seed.
    """

    values: dict[str, Any]
    cells: "list[CellResult]"

    @property
    def accuracies(self) -> list[float]:
        """Validation accuracy of each finished cell, in [0, 1]."""
        return [cell.scores["accuracy"] for cell in self.cells if cell.status == "finished"]

    @property
    def mean(self) -> float:
        """Validation accuracy, averaged over the finished seeds; NaN where none is."""
        return statistics.fmean(self.accuracies) if self.accuracies else math.nan

    @property
    def deviation(self) -> float:
        """Standard deviation between the finished seeds, with n - 1 in its denominator; NaN for fewer than two."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else math.nan

    @property
    def finished(self) -> bool:
        """Whether every cell is."""
        return all(cell.status == "finished" for cell in self.cells)


def settings(fields: Sequence[str], rows: "Sequence[CellResult]") -> list[Setting]:
    """Return the settings of a sweep over some fields, in the order of their first cells."""
    kept = [field for field in fields if field != "seed"] or list(fields)
    groups: dict[str, Setting] = {}
    for row in rows:
        values = {field: row.values[field] for field in kept}
        groups.setdefault(repr(values), Setting(values, [])).cells.append(row)
    return list(groups.values())


def best(candidates: Sequence[Setting]) -> Setting | None:
    """Return the finished setting of highest mean validation accuracy, the first of equals; None where none finished.

    Only numbers of the validation split decide.
    """
    return max((one for one in candidates if one.finished), key=lambda one: one.mean, default=None)


def grid(found: Sequence[Setting], examples: int, ink: str = LIGHT_INK) -> Figure:
    """Return what shows these settings best: points over one field, a heat map of two, lines across three or more.

    Args:
        found: The settings of a sweep, at least one of them with a finished cell.
        examples: Of the validation split, for the intervals of single runs.
        ink: Colour of text and axes.
    """
    fields = list(found[0].values)
    if len(fields) == 1:
        return _points(found, examples, ink)
    if len(fields) == 2 and all(len(_distinct(one.values[field] for one in found)) <= MOST_TICKS for field in fields):
        return heat_map(found, ink)
    return _parallel(found, ink)


def _points(found: Sequence[Setting], examples: int, ink: str = LIGHT_INK) -> Figure:
    """Return accuracy over one field: one run with its 95% interval, several seeds with their standard deviation."""
    (field,) = found[0].values
    scale = Scale([one.values[field] for one in found])
    figure = Figure(figsize=(4.6, 2.8), layout="constrained", facecolor="none")
    axes = figure.subplots()
    drawn = sorted((scale.place(one.values[field]), one) for one in found if one.accuracies)
    x, mean = [place for place, _ in drawn], np.array([100 * one.mean for _, one in drawn])
    bounds = 100 * np.reshape([_bounds(one, examples) for _, one in drawn], (-1, 2))
    axes.errorbar(x, mean, np.abs(bounds.T - mean), fmt="o-", color=VAL, ecolor=ink, elinewidth=1, markersize=6)
    for one in found:
        if not one.accuracies:
            axes.axvline(scale.place(one.values[field]), color=ink, linestyle=":", linewidth=1)
            top = (scale.place(one.values[field]), 1.02)
            axes.annotate(one.cells[0].status, top, xycoords=("data", "axes fraction"), ha="center", fontsize="small")
    axes.set(xlabel=short(field), ylabel="validation accuracy, %", xlim=(-0.06, 1.06))
    axes.set_xticks(*scale.ticks)
    style(axes, ink, legend=False)
    return figure


def heat_map(found: Sequence[Setting], ink: str = LIGHT_INK) -> Figure:
    """Return accuracy over two fields, in percent: for several seeds their mean and standard deviation."""
    across, down = found[0].values
    columns, rows = (_distinct(one.values[field] for one in found) for field in (across, down))
    if len(columns) > len(rows) and len(columns) > 5:
        across, down, columns, rows = down, across, rows, columns
    shown = {(repr(one.values[down]), repr(one.values[across])): one for one in found}
    accuracy = np.full((len(rows), len(columns)), math.nan)
    figure = Figure(figsize=(4.6, 0.9 + 0.45 * len(rows)), layout="constrained", facecolor="none")
    axes = figure.subplots()
    for row, column in np.ndindex(accuracy.shape):
        one = shown.get((repr(rows[row]), repr(columns[column])))
        accuracy[row, column] = math.nan if one is None else one.mean
        axes.text(column, row, _in_cell(one), ha="center", va="center")
    low, high = np.nanmin(accuracy), np.nanmax(accuracy)
    # The poorest is shaded too, so that it does not look like one that is missing.
    axes.imshow(accuracy, cmap=CLEAR_TO_BLUE, aspect="auto", vmin=low - 0.2 * (high - low), vmax=high)
    axes.set_xticks(range(len(columns)), map(named, columns))
    axes.set_yticks(range(len(rows)), map(named, rows))
    axes.set(xlabel=short(across), ylabel=short(down))
    style(axes, ink, grid=None, legend=False)
    return figure


def _parallel(found: Sequence[Setting], ink: str = LIGHT_INK) -> Figure:
    """Return a line for each setting, through an axis for each field to its accuracy; the best one is the bold one."""
    fields = list(found[0].values)
    drawn = [one for one in found if one.accuracies]
    scales = {field: Scale([one.values[field] for one in found]) for field in fields}
    accuracy = Scale([100 * one.mean for one in drawn], named=False)
    figure = Figure(figsize=(max(4.6, 1.2 * (len(fields) + 1)), 3.1), layout="constrained", facecolor="none")
    axes = figure.subplots()
    chosen = best(found)
    for one in sorted(drawn, key=lambda one: (one is chosen, one.mean)):
        heights = [*(scales[field].place(one.values[field]) for field in fields), accuracy.place(100 * one.mean)]
        colour = TRAIN if one is chosen else _POOR_TO_GOOD(heights[-1])
        axes.plot(range(len(heights)), heights, color=colour, linewidth=3 if one is chosen else 1.5)
    for index, scale in enumerate([*scales.values(), accuracy]):
        axes.axvline(index, color=ink, linewidth=1, alpha=0.5)
        for height, text in zip(*scale.ticks, strict=True):
            box = {"facecolor": _ground(ink), "alpha": 0.8, "linewidth": 0, "pad": 1}
            axes.text(index + 0.06, height, text, va="center", fontsize="small", bbox=box)
    axes.set(xlim=(-0.1, len(fields) + 0.45), ylim=(-0.05, 1.05), yticks=[])
    axes.set_xticks(range(len(fields) + 1), [*map(short, fields), "validation\naccuracy, %"])
    style(axes, ink, grid=None, legend=False)
    return figure


class Scale:
    """Where the values of a field lie on an axis from 0 to 1.

    Few values lie at equal distances in their order. Many numbers lie on a scale, logarithmic where they are positive
    and the largest is more than twenty times the smallest.

    Args:
        values: Of the field, in any order.
        named: Whether few values are told apart one by one.
    """

    def __init__(self, values: Sequence[Any], *, named: bool = True) -> None:
        ordered = _distinct(values)
        scaled = _numeric(ordered) and not (named and len(ordered) <= MOST_TICKS)
        self._order = None if scaled else [repr(value) for value in ordered]
        self._named = ordered
        if self._order is None:
            self._log = ordered[0] > 0 and ordered[-1] > 20 * ordered[0]
            self._low, self._high = self._of(ordered[0]), self._of(ordered[-1])

    def place(self, value: Any) -> float:
        """Return where a value lies."""
        if self._order is not None:
            return self._order.index(repr(value)) / max(len(self._order) - 1, 1)
        return (self._of(value) - self._low) / (self._high - self._low) if self._high > self._low else 0.5

    @property
    def ticks(self) -> tuple[list[float], list[str]]:
        """Places to name, and their names."""
        if self._order is not None:
            return [self.place(value) for value in self._named], [named(value) for value in self._named]
        ends = [self._named[0], self._named[-1]] if self._high > self._low else [self._named[0]]
        return [self.place(value) for value in ends], [f"{value:.3g}" for value in ends]

    def _of(self, value: float) -> float:
        return math.log(value) if self._log else value


def short(field: str) -> str:
    """Return the name of a field without its group.

    >>> short("optimizer.learning_rate")
    'learning_rate'
    """
    return printable(field.rpartition(".")[2])


def named(value: Any) -> str:
    """Return a value in words, numbers with at most four digits.

    >>> named(0.0006954998251295218), named(1e-05), named(True)
    ('0.0006955', '1e-05', 'yes')
    """
    return f"{value:.4g}" if isinstance(value, float) else setting(value)


def _ground(ink: str) -> str:
    """Return the colour of the card that a figure in this ink lies on."""
    return LIGHT_GROUND if sum(to_rgb(ink)) < 1.5 else DARK_GROUND


def _distinct(values: Iterable[Any]) -> list[Any]:
    """Return each value once: numbers from the least to the greatest, others as they come."""
    once = list({repr(value): value for value in values}.values())
    return sorted(once) if _numeric(once) else once


def _numeric(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _bounds(one: Setting, examples: int) -> tuple[float, float]:
    if len(one.accuracies) > 1:
        return one.mean - one.deviation, one.mean + one.deviation
    return wilson_interval(one.mean, examples)


def _in_cell(one: Setting | None) -> str:
    if one is None or not one.accuracies:
        return "" if one is None else one.cells[0].status
    spread = f"\n± {100 * one.deviation:.1f}" if len(one.accuracies) > 1 else ""
    return f"{100 * one.mean:.1f}{spread}"
