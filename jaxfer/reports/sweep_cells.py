"""The table of a sweep's cells."""

import math
from typing import Any
from urllib.parse import quote

from jaxfer.reports.markup import duration, number, setting
from jaxfer.reports.page import escape, scroll
from jaxfer.reports.report_scores import interval
from jaxfer.reports.sweep_figures import named, short
from jaxfer.reports.sweep_settings import Setting
from jaxfer.sweeps import CellResult, SweepResult

MEASURES = {"accuracy": "Accuracy", "macro_f1": "Macro F1", "loss": "Loss", "mse": "MSE", "r2": "R²"}
"""What the table calls the scores of a cell."""


def table(sweep: SweepResult, chosen: Setting | None) -> str:
    """Return the table of all cells, sortable by its headings, with the cells of the chosen setting marked."""
    columns = [*map(short, sweep.fields), *MEASURES.values(), "Time", "Run"]
    body = "".join(_row(row, sweep, picked=chosen is not None and row in chosen.cells) for row in sweep.rows)
    caption = (
        f"Every cell at its last epoch, on the validation split ({sweep.split}, n\u00a0=\u00a0{sweep.examples:,}) with "
        "95% intervals over its images. A heading sorts by its column."
    )
    return scroll(caption, columns, body, kind="sortable noted", buttons=True)


def _row(row: CellResult, sweep: SweepResult, *, picked: bool) -> str:
    first, *others = row.values.values()
    html = f'<th scope="row" data-value="{escape(_key(first))}">{escape(named(first))}</th>'
    html += "".join(_cell(_key(value), named(value)) for value in others)
    for name in MEASURES:
        score = row.scores.get(name)
        html += _cell(_key(score), number(name, score), interval(row.scores, name) if row.scores else "")
    html += _cell(_key(row.seconds), "n/a" if row.seconds is None else duration(row.seconds))
    mark = ' class="pick"' if picked else ""
    return f"<tr{mark}>{html}<td>{_run(row, sweep, picked=picked)}</td></tr>"


def _cell(key: str, text: str, note: str = "") -> str:
    small = f"<small>{escape(note)}</small>" if note else ""
    return f'<td data-value="{escape(key)}">{escape(text)}{small}</td>'


def _key(value: Any) -> str:
    """Return what a value is sorted by; nothing for what is missing."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return str(value) if isinstance(value, int | float) else setting(value)


def _run(row: CellResult, sweep: SweepResult, *, picked: bool) -> str:
    """Return a link to a cell's run, and what there is to know about it."""
    place = quote(row.run.relative_to(sweep.path).as_posix())
    page = "report.html" if (row.run / "report.html").is_file() else ""
    notes = ["the pick"] if picked else []
    notes += [f"shared, its epoch {row.epoch}"] if row.shared else []
    notes += [] if row.status == "finished" else [f"{row.status}: {row.reason}" if row.reason else row.status]
    small = "".join(f"<small>{escape(note)}</small>" for note in notes)
    return f'<a href="{escape(place)}/{page}">{escape(row.run.name)}</a>{small}'
