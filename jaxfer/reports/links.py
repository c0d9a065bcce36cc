"""Where the pages of a run, its evaluations, its sweep and its neighbours lie, each as seen from another.

Only pages that are there, or will be, are linked, by relative addresses: folders that are moved together keep them.
"""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

REPORT = "report.html"
"""The page of a run, of a sweep, or of a folder of them."""

EVALUATION = "evaluation.html"

MOST = 20
"""Evaluations of a run that its page links."""

Links = Sequence[tuple[str, Sequence[tuple[str, str]]]]
"""What the pages are, and of each its text and its address."""


def of_run(run_dir: Path) -> Links:
    """Return what the page of a run links: its evaluations, its sweep, and the page of all runs."""
    run_dir = run_dir.resolve()
    evaluated = evaluations(run_dir)
    more = [(f"{len(evaluated) - MOST:,} more", "evaluations/")] if len(evaluated) > MOST else []
    links = [
        ("Evaluations", [(name, f"evaluations/{address(name, EVALUATION)}") for name in evaluated[:MOST]] + more),
        ("Sweep", _sweep(run_dir, "../../")),
        ("All runs in", _beside(run_dir, "../")),
    ]
    return [link for link in links if link[1]]


def of_evaluation(run_dir: Path) -> Links:
    """Return what the page of an evaluation in a run's own folder links: the run, and its sweep."""
    run_dir = run_dir.resolve()
    run = [(run_dir.name, f"../../{REPORT}")] if (run_dir / REPORT).is_file() else []
    links = [("Run", run), ("Sweep", _sweep(run_dir, "../../../../")), ("All runs in", _beside(run_dir, "../../../"))]
    return [link for link in links if link[1]]


def of_sweep(sweep_dir: Path) -> Links:
    """Return what the page of a sweep links besides the runs in its table: the page of all runs."""
    beside = _beside(sweep_dir.resolve(), "../")
    return [("All runs in", beside)] if beside else []


def evaluations(run_dir: Path) -> list[str]:
    """Return the names of the evaluations in a run's folder that have a page."""
    return sorted(page.parent.name for page in run_dir.glob(f"evaluations/*/{EVALUATION}"))


def address(folder: str, page: str = REPORT) -> str:
    """Return the address of a page in a folder.

    >>> address("50 epochs?")
    '50%20epochs%3F/report.html'
    """
    return f"{quote(folder)}/{page}"


def _sweep(run_dir: Path, up: str) -> list[tuple[str, str]]:
    """Return the page of the sweep that a run belongs to; it is written when the sweep ends, after the run's."""
    sweep_dir = run_dir.parent.parent
    belongs = run_dir.parent.name == "cells" and (sweep_dir / "sweep.json").is_file()
    return [(sweep_dir.name, f"{up}{REPORT}")] if belongs else []


def _beside(folder: Path, up: str) -> list[tuple[str, str]]:
    """Return the page of the folder in which a run or a sweep lies."""
    return [(folder.parent.name, f"{up}{REPORT}")] if (folder.parent / REPORT).is_file() else []
