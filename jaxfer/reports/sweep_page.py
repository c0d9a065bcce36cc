"""The report of a sweep: what to pick by the validation split, all cells as a figure and a table, and their cost."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jaxfer.evaluation.intervals import wilson_interval
from jaxfer.files import write
from jaxfer.metrics.scores import Measure
from jaxfer.reports import figures, html, links, sweep_figures
from jaxfer.reports.sweep_figures import Setting, best, named, settings, short
from jaxfer.reports.words import Measures, configuration, duration, percent
from jaxfer.tasks import MEASURES

if TYPE_CHECKING:
    from jaxfer.runs.results import CellResult, SweepResult

MOST_SAID = 30
"""Settings that the words for a figure go through one by one."""


def write_sweep_report(sweep: "SweepResult", measures: Mapping[str, Measure] = MEASURES) -> Path:
    """Write `report.html` into the folder of a sweep, finished or not.

    Args:
        sweep: What has come of it so far.
        measures: What scores are called, by their names; others are called by these names.

    Returns:
        The path of the page.

    Raises:
        UserError: The page cannot be written.
    """
    return write(_render(sweep, measures), sweep.path / links.REPORT)


def _render(sweep: "SweepResult", measures: Mapping[str, Measure] = MEASURES) -> str:
    """Return the page as HTML text that needs no other file; its links lead to the runs in the sweep's folder."""
    found, shown = settings(list(sweep.fields), sweep.rows), Measures(measures)
    chosen, scores = best(found), shown.names(*(row.scores for row in sweep.rows if row.scores))
    return html.render(
        "sweep.html.jinja",
        sweep=sweep,
        links=links.of_sweep(sweep.path),
        name=sweep.path.resolve().name,
        found=found,
        fields=[short(field) for field in found[0].values],
        accuracy=chosen and chosen.mean,
        pick=pick(sweep),
        near=chosen and _near(sweep, found, chosen),
        tiles=_tiles(sweep.rows),
        drawing=_drawing(sweep, found),
        drawing_in_words=_in_words(found),
        several=any(len(one.accuracies) > 1 for one in found),
        columns=[*map(short, sweep.fields), *(shown.column(name) for name in scores), "Time", "Run"],
        rows=[
            {"picked": picked, "cells": _cells(row, scores, shown, _link(row, sweep), _notes(row, picked=picked))}
            for row in sweep.rows
            for picked in [chosen is not None and row in chosen.cells]
        ],
        cost=_cost(sweep.rows),
        config=_shared(sweep),
    )


def _shared(sweep: "SweepResult") -> dict[str, dict[str, str]]:
    """Return the configuration in words, but for the fields that the sweep changes."""
    config = configuration(sweep.base)
    for path in sweep.fields:
        section, _, name = path.rpartition(".")
        config.get(section or "run", {}).pop(name, None)
    return {section: fields for section, fields in config.items() if fields}


def pick(sweep: "SweepResult") -> str:
    """Return the sentence that says which cell to pick, from numbers of the validation split alone."""
    found = settings(list(sweep.fields), sweep.rows)
    chosen = best(found)
    if chosen is None:
        return "No cell has finished: there is nothing to pick yet."
    values = ", ".join(f"{short(field)} {named(value)}" for field, value in chosen.values.items())
    return (
        f"Pick {values}: validation accuracy {_known(chosen)} on the {sweep.examples:,} images of the "
        f"split “{sweep.split}”, the highest of {sum(one.finished for one in found)} finished settings, each at its "
        "last epoch."
    )


def _known(one: Setting) -> str:
    """Return a setting's accuracy with what is known of its spread."""
    if len(one.accuracies) > 1:
        return (
            f"{percent(one.mean)} ± {100 * one.deviation:.1f} (mean and standard deviation of {len(one.cells)} seeds)"
        )
    return f"{percent(one.mean)} (95% interval {Measures(MEASURES).interval(one.cells[0].scores, 'accuracy')})"


def _near(sweep: "SweepResult", found: Sequence[Setting], chosen: Setting) -> int:
    """Return how many other settings are as good as the chosen one for all that the images can tell."""
    low, _ = wilson_interval(chosen.mean, sweep.examples)
    return sum(one is not chosen and one.mean >= low for one in found)


def _tiles(rows: "Sequence[CellResult]") -> list[tuple[str, str, str]]:
    count = {status: sum(row.status == status for row in rows) for status in ("finished", "failed", "unfinished")}
    spent, alone = cost(rows)
    return [
        ("Cells", f"{len(rows)}", ", ".join(f"{number} {status}" for status, number in count.items() if number)),
        ("Runs", f"{len({row.run for row in rows})}", f"{sum(row.shared for row in rows)} cells share a run"),
        ("Time", duration(spent), "of training, all runs together"),
        ("Saved", _saved(spent, alone), f"of {duration(alone)} for each cell by itself"),
    ]


def cost(rows: "Sequence[CellResult]") -> tuple[float, float]:
    """Return the seconds that a sweep's runs took, and those that its cells would have, each trained from its start."""
    runs: dict[Path, float] = {}
    for row in rows:
        runs[row.run] = max(runs.get(row.run, 0.0), row.seconds or 0.0)
    return sum(runs.values()), sum(row.seconds or 0.0 for row in rows)


def _cost(rows: "Sequence[CellResult]") -> dict[str, str]:
    spent, alone = cost(rows)
    longest = max((row.seconds for row in rows if row.seconds is not None), default=0.0)
    return {
        "All runs": duration(spent),
        "Every cell from its start": duration(alone),
        "Saved by sharing": f"{duration(alone - spent)} ({_saved(spent, alone)})",
        "Longest cell": duration(longest),
    }


def _saved(spent: float, alone: float) -> str:
    return percent(1 - spent / alone if alone else None)


def _drawing(sweep: "SweepResult", found: Sequence[Setting]) -> figures.Drawing | None:
    """Return the figure of the grid; None before a cell has finished."""
    finished = any(one.accuracies for one in found)
    return figures.embed(partial(sweep_figures.grid, found, sweep.examples)) if finished else None


def _in_words(found: Sequence[Setting]) -> str:
    """Return the figure for those who do not see it: every number where they are few, else what they lie between."""
    known = [one.mean for one in found if one.accuracies]
    if len(found) > MOST_SAID and known:
        return f"From {percent(min(known))} to {percent(max(known))}; the table below has every cell."
    means = (percent(one.mean if one.accuracies else None) for one in found)
    values = (", ".join(map(named, one.values.values())) for one in found)
    return "; ".join(map(": ".join, zip(values, means, strict=True))) + "."


def _cells(
    row: "CellResult", scores: Sequence[str], measures: Measures, page: str, notes: Sequence[str]
) -> list[html.Cell]:
    values = [html.Cell(html.sorted_by(value), named(value)) for value in row.values.values()]
    for name in scores:
        score = row.scores.get(name)
        note = measures.interval(row.scores, name) if row.scores else ""
        values.append(html.Cell(html.sorted_by(score), measures.number(name, score), [note]))
    time = "n/a" if row.seconds is None else duration(row.seconds)
    return [*values, html.Cell(html.sorted_by(row.seconds), time), html.Cell(row.run.name, row.run.name, notes, page)]


def _link(row: "CellResult", sweep: "SweepResult") -> str:
    page = links.REPORT if (row.run / links.REPORT).is_file() else ""
    return links.address(row.run.relative_to(sweep.path).as_posix(), page)


def _notes(row: "CellResult", *, picked: bool) -> list[str]:
    """Return what there is to know about a cell's run."""
    notes = ["the pick"] if picked else []
    notes += [f"shared, its epoch {row.epoch}"] if row.shared else []
    return notes + ([] if row.status == "finished" else [f"{row.status}: {row.reason}" if row.reason else row.status])
