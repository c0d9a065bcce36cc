"""What has come of a sweep so far: a row for each cell, read from the folders of its runs."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxfer.errors import UserError
from jaxfer.json_text import check, read
from jaxfer.runs.folder import SUMMARY, RunFolder, read_rows
from jaxfer.runs.results import CellResult, SweepResult
from jaxfer.sweeps.folder import read_index

SCORES = ("accuracy", "loss", "macro_f1", "mse", "r2")
FAILURE = "failure.json"
"""The file of a run that failed, in place of `summary.json`."""


def read_sweep(sweep_dir: Path) -> SweepResult:
    """Return what has come of the sweep in a folder, which may still go on.

    Raises:
        UserError: There is none, or a file of it is damaged.
    """
    index = read_index(sweep_dir)
    by_run: dict[str, list[int]] = {}
    for place, cell in enumerate(index["cells"]):
        by_run.setdefault(cell["run"], []).append(place)
    rows: dict[int, CellResult] = {}
    for run, places in by_run.items():
        cells = [index["cells"][place] for place in places]
        rows |= zip(places, _rows(sweep_dir / run, cells), strict=True)
    return SweepResult(
        sweep_dir, index["base"], index["fields"], index["search"], tuple(rows[place] for place in sorted(rows))
    )


def has_ended(run_dir: Path) -> bool:
    """Return whether the run in a folder has nothing left to do."""
    return (run_dir / SUMMARY).exists() or (run_dir / FAILURE).exists()


def ending(run_dir: Path) -> dict[str, Any]:
    """Return `summary.json` or `failure.json` of a run; empty where it has neither yet."""
    return _summary(run_dir / SUMMARY) or _summary(run_dir / FAILURE)


def summary_name(epoch: int) -> str:
    """Return the name of the summary of a cell that ends after this epoch, before its run does."""
    return f"summary-{epoch}.json"


def _summary(file: Path) -> dict[str, Any]:
    """Return what a summary holds; empty where it is not there."""
    if not file.exists():
        return {}
    advice = "remove it, and continue the sweep with --resume"
    found = read(file, {"val": {"split": str, "examples": int}}, advice)
    known = {"epochs": int, "reason": str}
    check(found, {name: kind for name, kind in known.items() if name in found}, str(file), advice)
    bounds = found["val"].get("intervals", {})
    check(bounds, dict[str, list[float]], f"{file}: intervals", advice)
    if any(len(pair) != 2 for pair in bounds.values()):
        raise UserError(f"{file} is damaged: each interval must be a lower and an upper bound; {advice}")
    return found


def to_records(sweep: SweepResult) -> list[dict[str, Any]]:
    """Return the rows as flat, JSON-ready objects, for `table.csv` and for scripts."""
    return [
        row.values
        | {"status": row.status}
        | {f"val_{name}": _finite(row.scores.get(name)) for name in SCORES}
        | {"split": row.scores.get("split"), "examples": row.scores.get("examples")}
        | {"seconds": row.seconds, "run": row.run.relative_to(sweep.path).as_posix(), "epoch": row.epoch}
        | {"shared": row.shared, "reason": row.reason}
        for row in sweep.rows
    ]


def write_table(sweep: SweepResult) -> None:
    """Write `table.csv` into the sweep's folder: a line for each cell."""
    records = to_records(sweep)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    RunFolder(sweep.path).write("table.csv", text.getvalue())


def _rows(run_dir: Path, cells: Sequence[dict[str, Any]]) -> list[CellResult]:
    """Return the rows of the cells that one run serves."""
    end, ended = ending(run_dir), has_ended(run_dir)
    history = {row["epoch"]: row for row in read_rows(run_dir) if row["kind"] == "epoch"}
    rows = []
    for cell in cells:
        epoch = cell["epoch"]
        basics = {"values": cell["values"], "run": run_dir, "epoch": epoch, "shared": len(cells) > 1}
        if not ended:
            rows.append(CellResult(**basics, status="unfinished", reason="", seconds=None, scores={}))
        elif epoch not in history:
            reason = end.get("reason", f"{run_dir / 'metrics.jsonl'} lacks epoch {epoch}")
            rows.append(CellResult(**basics, status="failed", reason=reason, seconds=None, scores={}))
        else:
            reached = history[epoch]
            own = _summary(run_dir / summary_name(epoch)) or (end if end.get("epochs") == epoch else {})
            scores = {name: reached.get(f"val_{name}") for name in SCORES}
            scores |= {name: end["val"][name] for name in ("split", "examples")}
            scores["intervals"] = own.get("val", {}).get("intervals", {})
            rows.append(
                CellResult(**basics, status="finished", reason="", seconds=reached.get("seconds"), scores=scores)
            )
    return rows


def _finite(number: float | None) -> float | None:
    """Return the number, or None in place of NaN and infinity, which JSON lacks."""
    return number if number is not None and math.isfinite(number) else None
