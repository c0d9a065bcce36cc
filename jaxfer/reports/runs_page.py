"""The page of a folder of runs: their curves over each other, a table of them all, and what lies beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxfer.errors import UserError
from jaxfer.files import write
from jaxfer.json_text import read
from jaxfer.reports import figures, html, links
from jaxfer.reports.finished_run import without_nan
from jaxfer.reports.sweep_figures import named, short
from jaxfer.reports.words import Measures, counted, duration
from jaxfer.runs.folder import SUMMARY, read_rows
from jaxfer.tasks import MEASURES

if TYPE_CHECKING:
    from jaxfer.runs.results import SweepResult

MOST_NAMED = 8
"""Fields in which a run differs from others that its row names, and folders that are passed over."""

_LEARNING = "Each is a mean over an epoch in which the network still learned."
CURVES = {
    "val_accuracy": ("Validation accuracy", ""),
    "accuracy": ("Training accuracy", _LEARNING),
    "val_loss": ("Validation loss", "It has in it what each run's objective adds to the cross entropy."),
    "loss": ("Training loss", _LEARNING),
}
"""What is drawn, by its name in `metrics.jsonl`: its title, and what is to be known of it."""


@dataclass(frozen=True)
class Seen:
    """A run as its folder has it, finished or not.

    Attributes:
        name: Of its folder.
        config: `config.json`; empty where it cannot be read.
        history: Its finished epochs.
        val: The `split` and its number of `examples`, and `fingerprint`, once it has finished; else empty.
        reason: Why something of it cannot be read; else empty.
        evaluations: What `evaluation.json` of each of its evaluations says that has a page, by its name.
        page: Whether it has a page.
    """

    name: str
    config: dict[str, Any]
    history: list[dict[str, Any]]
    val: dict[str, Any]
    reason: str
    evaluations: dict[str, dict[str, Any]]
    page: bool

    @property
    def last(self) -> float | None:
        """Validation accuracy after its last epoch, in [0, 1]; None without one."""
        return self.history[-1]["val_accuracy"] if self.history else None

    @property
    def status(self) -> str:
        """Whether it has finished, and how far it is."""
        if not self.config:
            return "n/a"
        done = f"{self.history[-1]['epoch'] if self.history else 0} of {self.config.get('epochs')}"
        return f"{done}{'' if self.val else ', not finished'}"


def read_runs(folder: Path) -> list[Seen]:
    """Return the runs that lie directly in a folder, by their names; one that cannot be read says why."""
    return [_seen(path) for path in sorted(folder.iterdir()) if (path / "config.json").is_file()]


def _seen(run_dir: Path) -> Seen:
    config, history, val, evaluated, reason = {}, [], {}, {}, ""
    try:
        config = without_nan(read(run_dir / "config.json", dict, "copy the run again"))
        history = without_nan([row for row in read_rows(run_dir) if row["kind"] == "epoch"])
        if (run_dir / SUMMARY).is_file():
            form = {"val": {"split": str, "examples": int}, "data": {"fingerprint": str}}
            summary = read(run_dir / SUMMARY, form, "copy the run again")
            val = {name: summary["val"][name] for name in ("split", "examples")}
            val["fingerprint"] = summary["data"]["fingerprint"]
        for name in links.evaluations(run_dir):
            advice = "evaluate it again"
            evaluated[name] = without_nan(read(run_dir / "evaluations" / name / "evaluation.json", _EVALUATION, advice))
    except UserError as error:
        reason = str(error).replace(f"{run_dir}/", "")
    return Seen(run_dir.name, config, history, val, reason, evaluated, (run_dir / links.REPORT).is_file())


_EVALUATION = {"role": str, "split": str, "examples": int, "accuracy": float, "intervals": dict[str, list[float]]}


def write_runs_report(folder: Path, runs: Sequence[Seen], sweeps: "Sequence[SweepResult]") -> Path:
    """Write `report.html` into a folder of runs.

    Args:
        folder: The folder.
        runs: The runs in it, as `read_runs` returns them.
        sweeps: The sweeps in it.

    Returns:
        The path of the page.

    Raises:
        UserError: The page cannot be written.
    """
    return write(_render(folder, runs, sweeps), folder / links.REPORT)


def drawn(runs: Sequence[Seen]) -> dict[str, list[dict[str, Any]]]:
    """Return the histories that are drawn, by the names of their runs: of many, those of the highest accuracy."""
    known = [run for run in runs if run.history]
    best = sorted(known, key=lambda run: -1.0 if run.last is None else run.last, reverse=True)[: len(figures.LINES)]
    return {run.name: run.history for run in known if run in best}


def _render(folder: Path, runs: Sequence[Seen], sweeps: "Sequence[SweepResult]") -> str:
    """Return the page as HTML text that needs no other file; its links lead to the runs and sweeps in the folder."""
    shown, histories = Measures(MEASURES), drawn(runs)
    differing = _differing(runs)
    there = {run.name for run in runs} | {sweep.path.name for sweep in sweeps}
    others = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._")
    others = [name for name in others if name not in there]
    more = [f"{len(others) - MOST_NAMED:,} more"] if len(others) > MOST_NAMED else []
    return html.render(
        "runs.html.jinja",
        links=(),
        name=folder.resolve().name,
        counted=_counted(runs, sweeps),
        compared=_compared(runs),
        others=others[:MOST_NAMED] + more,
        lines=[
            {"name": name, "colour": colour, "dashes": "dashed" if line == "--" else "solid"}
            for name, (colour, line) in zip(histories, figures.LINES, strict=False)
        ],
        undrawn=sum(bool(run.history) for run in runs) - len(histories),
        curves=[
            {
                "title": title,
                "note": f"{_compared(runs) if name.startswith('val_') else ''} {note}".strip(),
                "drawing": figures.embed(partial(figures.over_each_other, histories, name)),
                "last": [shown.number(name.removeprefix("val_"), each[-1][name]) for each in histories.values()],
            }
            for name, (title, note) in (CURVES.items() if histories else ())
        ],
        columns=["Run", "Validation accuracy", "Best of any epoch", "Loss", "Epochs", "Time", "Split", "Data"],
        rows=[_row(run, differing, shown) for run in runs],
        evaluated=[
            _evaluation_row(run.name, name, found, shown) for run in runs for name, found in run.evaluations.items()
        ],
        sweeps=[_sweep_row(sweep, shown) for sweep in sweeps],
    )


def _counted(runs: Sequence[Seen], sweeps: "Sequence[SweepResult]") -> str:
    damaged = sum(bool(run.reason) for run in runs)
    finished = sum(bool(run.val) and not run.reason for run in runs)
    parts = [counted(finished, "finished run")]
    parts += [f"{rest:,} not finished"] if (rest := len(runs) - finished - damaged) else []
    parts += [f"{damaged:,} that cannot be read"] if damaged else []
    return ", ".join(parts + ([counted(len(sweeps), "sweep")] if sweeps else []))


def _sets(runs: Sequence[Seen]) -> int:
    """Return how many data sets the finished runs have."""
    return len({(run.val["fingerprint"], run.val["split"], run.val["examples"]) for run in runs if run.val})


def _compared(runs: Sequence[Seen]) -> str:
    sets = _sets(runs)
    if sets > 1:
        return f"They have {sets} different data sets (“Data” below): compare only numbers of the same one."
    one = next((run.val for run in runs if run.val), None)
    same = "All finished ones have the same data" if len(runs) > 1 else "Its data"
    return f"{same}: “{one['split']}” with n = {one['examples']:,}." if one else ""


def _differing(runs: Sequence[Seen]) -> dict[str, dict[str, Any]]:
    """Return, by the name of each run, the fields of its configuration that are not the same in all of them."""
    flat = {run.name: _flat(run.config) for run in runs if run.config}
    fields = dict.fromkeys(field for values in flat.values() for field in values)
    apart = [field for field in fields if len({repr(values.get(field)) for values in flat.values()}) > 1]
    return {name: {field: values[field] for field in apart if field in values} for name, values in flat.items()}


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    groups = {name: value for name, value in config.items() if isinstance(value, dict)}
    inside = {f"{group}.{name}": value for group, values in groups.items() for name, value in values.items()}
    return {name: value for name, value in config.items() if name not in groups} | inside


def _in_words(values: Mapping[str, Any]) -> str:
    """Return the values of some fields, the first of many."""
    fields = [f"{short(field)} {named(value)}" for field, value in values.items()]
    return ", ".join(fields[:MOST_NAMED] + ([f"{len(fields) - MOST_NAMED} more"] if len(fields) > MOST_NAMED else []))


def _row(run: Seen, differing: Mapping[str, Mapping[str, Any]], shown: Measures) -> dict[str, Any]:
    """Return the row of a run."""
    last, best = run.history[-1] if run.history else {}, figures.best_epoch(run.history) or {}
    interval = shown.interval({"accuracy": run.last} | run.val, "accuracy") if run.val and run.last is not None else ""
    seconds, fingerprint = last.get("seconds"), run.val.get("fingerprint", "")[:8]
    notes = [_in_words(differing.get(run.name, {})), run.reason]
    return {
        "picked": False,
        "cells": [
            html.Cell(run.name, run.name, notes, links.address(run.name) if run.page else ""),
            _score("accuracy", run.last, shown, interval),
            _score("accuracy", best.get("val_accuracy"), shown, f"epoch {best['epoch']}" if best else ""),
            _score("loss", last.get("val_loss"), shown),
            html.Cell(html.sorted_by(last.get("epoch", 0)), run.status),
            html.Cell(html.sorted_by(seconds), "n/a" if seconds is None else duration(seconds)),
            _split(run.val),
            html.Cell(fingerprint, fingerprint or "n/a"),
        ],
    }


def _evaluation_row(run: str, name: str, found: Mapping[str, Any], shown: Measures) -> dict[str, Any]:
    address = links.address(f"{run}/evaluations/{name}", links.EVALUATION)
    accuracy = _score("accuracy", found["accuracy"], shown, shown.interval(found, "accuracy"))
    cells = [html.Cell(name, name, (), address), html.Cell(run, run), accuracy]
    return {"picked": False, "cells": [*cells, html.Cell(found["role"], found["role"]), _split(found)]}


def _sweep_row(sweep: "SweepResult", shown: Measures) -> dict[str, Any]:
    best, name = sweep.best, sweep.path.name
    notes = [_in_words(best.values)] if best else []
    interval = shown.interval(best.scores, "accuracy") if best else ""
    return {
        "picked": False,
        "cells": [
            html.Cell(name, name, notes, links.address(name) if (sweep.path / links.REPORT).is_file() else ""),
            _score("accuracy", best and best.scores["accuracy"], shown, interval),
            html.Cell(str(len(sweep.rows)), f"{len(sweep.rows):,}"),
            _split({"split": sweep.split, "examples": sweep.examples} if best else {}),
        ],
    }


def _score(name: str, value: float | None, shown: Measures, note: str = "") -> html.Cell:
    return html.Cell(html.sorted_by(value), shown.number(name, value), [note])


def _split(found: Mapping[str, Any]) -> html.Cell:
    """Return the cell of a split, by its number of images."""
    if not found:
        return html.Cell("", "n/a")
    return html.Cell(str(found["examples"]), found["split"], [f"n\u00a0=\u00a0{found['examples']:,}"])
