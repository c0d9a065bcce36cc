"""The report of a sweep: what to pick by the validation split, all cells as a figure and a table, and their cost."""

from collections.abc import Sequence
from functools import partial
from importlib import resources
from pathlib import Path

from jaxfer.evaluation.intervals import wilson_interval
from jaxfer.reports import page, sweep_figures
from jaxfer.reports.markup import duration, figure, percent
from jaxfer.reports.page import escape, facts, tile
from jaxfer.reports.report_record import configuration
from jaxfer.reports.report_scores import interval
from jaxfer.reports.sweep_cells import table
from jaxfer.reports.sweep_figures import named, short
from jaxfer.reports.sweep_settings import Setting, best, settings
from jaxfer.sweeps import CellResult, SweepResult, read_sweep

MOST_SAID = 30
"""Settings that the words for a figure go through one by one."""


def write_sweep_report(sweep_dir: Path) -> Path:
    """Write `report.html` into the folder of a sweep, finished or not, and return its path.

    Raises `UserError` naming the file that is missing or damaged, or a page that cannot be written.
    """
    return page.write(render(read_sweep(sweep_dir)), sweep_dir / "report.html")


def render(sweep: SweepResult) -> str:
    """Return the page as HTML text that needs no other file; its links lead to the runs in the sweep's folder."""
    found = settings(list(sweep.fields), sweep.rows)
    chosen = best(found)
    return page.fill(
        "jaxfer.reports",
        "sweep.html",
        title=escape(f"{sweep.path.resolve().name}: {len(sweep.rows)} cells"),
        name=escape(sweep.path.resolve().name),
        kind=f"Best validation accuracy of {len(found)} settings",
        accuracy=percent(chosen and chosen.mean),
        pick=escape(pick(sweep)),
        caution=escape(_caution(sweep, found, chosen)),
        tiles=_tiles(sweep.rows),
        figure=_figure(sweep, found),
        cells=table(sweep, chosen),
        cost=_cost(sweep.rows),
        config=configuration(sweep.base),
        sort=resources.files("jaxfer.reports.page").joinpath("sort.js").read_text(encoding="utf-8"),
    )


def pick(sweep: SweepResult) -> str:
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
    return f"{percent(one.mean)} (95% interval {interval(one.cells[0].scores, 'accuracy')})"


def _caution(sweep: SweepResult, found: Sequence[Setting], chosen: Setting | None) -> str:
    """Return what keeps the pick in proportion: how many others are as good, and what the number is not."""
    if chosen is None:
        return ""
    low, _ = wilson_interval(chosen.mean, sweep.examples)
    near = sum(one is not chosen and one.mean >= low for one in found)
    others = {0: "No other setting lies", 1: "One other setting lies"}.get(near, f"{near} other settings lie")
    return (
        f"{others} inside Wilson's 95% interval of {sweep.examples:,} images around it. The number is "
        f"optimistic, since the setting was chosen on the very images of “{sweep.split}”: report the one that it has "
        "on images that chose nothing, such as a test split."
    )


def _tiles(rows: Sequence[CellResult]) -> str:
    count = {status: sum(row.status == status for row in rows) for status in ("finished", "failed", "unfinished")}
    spent, alone = cost(rows)
    tiles = {
        "Cells": (f"{len(rows)}", ", ".join(f"{number} {status}" for status, number in count.items() if number)),
        "Runs": (f"{len({row.run for row in rows})}", f"{sum(row.shared for row in rows)} cells share a run"),
        "Time": (duration(spent), "of training, all runs together"),
        "Saved": (percent(1 - spent / alone if alone else None), f"of {duration(alone)} for each cell by itself"),
    }
    return "".join(tile(name, value, note) for name, (value, note) in tiles.items())


def cost(rows: Sequence[CellResult]) -> tuple[float, float]:
    """Return the seconds that a sweep's runs took, and those that its cells would have, each trained from its start."""
    runs: dict[Path, float] = {}
    for row in rows:
        runs[row.run] = max(runs.get(row.run, 0.0), row.seconds or 0.0)
    return sum(runs.values()), sum(row.seconds or 0.0 for row in rows)


def _cost(rows: Sequence[CellResult]) -> str:
    spent, alone = cost(rows)
    longest = max((row.seconds for row in rows if row.seconds is not None), default=0.0)
    return facts(
        "Time of training and validation. A cell that is the beginning of a longer run costs nothing of its own.",
        {
            "All runs": duration(spent),
            "Every cell from its start": duration(alone),
            "Saved by sharing": f"{duration(alone - spent)} ({percent(1 - spent / alone if alone else None)})",
            "Longest cell": duration(longest),
        },
    )


def _figure(sweep: SweepResult, found: Sequence[Setting]) -> str:
    if not any(one.accuracies for one in found):
        return ""
    fields = list(found[0].values)
    several = any(len(one.accuracies) > 1 for one in found)
    spread = " Where several seeds were run, their mean and standard deviation." if several else ""
    drawn = figure(
        partial(sweep_figures.grid, found, sweep.examples),
        f"Validation accuracy by {', '.join(map(short, fields))}. {_in_words(found)}",
        f"Accuracy in percent on the validation split ({sweep.split}, n\u00a0=\u00a0{sweep.examples:,}) by "
        f"{' and '.join(map(short, fields))}, each cell at its last epoch.{spread}",
    )
    return f'<section><h2>The grid</h2><div class="wide">{drawn}</div></section>'


def _in_words(found: Sequence[Setting]) -> str:
    """Return the figure for those who do not see it: every number where they are few, else what they lie between."""
    if len(found) > MOST_SAID:
        means = [one.mean for one in found if one.accuracies]
        return f"From {percent(min(means))} to {percent(max(means))}; the table below has every cell."
    lines = (f"{', '.join(map(named, one.values.values()))}: {percent(one.mean)}" for one in found)
    return f"{'; '.join(lines)}."
