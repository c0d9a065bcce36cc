"""What a finished run left in its folder: configuration, history and final scores, read and checked."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxfer.errors import UserError
from jaxfer.json_text import check, parse, read, read_text
from jaxfer.metrics.scores import Scores
from jaxfer.reports.words import is_score
from jaxfer.runs.folder import parse_row


@dataclass(frozen=True, kw_only=True)
class _Split(Scores):
    """The scores of a split, and its name."""

    split: str


_SUMMARY = {
    "epochs": int,
    "steps": int,
    "seconds": float,
    "train": _Split,
    "val": _Split,
    "checkpoint": {"epoch": int, "step": int, "chosen": str},
    "best": {"epoch": int, "val_accuracy": float, "val_loss": float},
    "data": {
        "source": str,
        "warnings": list[str],
        "left_out": dict[str, int],
        "unreadable": list[list[str]],
        "fingerprint": str,
    },
    "environment": {},
}
_CHANCE = {"mean": float, "percentile_95": float}
_CALIBRATED = {"cross_entropy": float, "ece": float}
_TEMPERATURE = {"value": float, "split": str, "examples": int, "before": _CALIBRATED, "after": _CALIBRATED}
_WHOSE = "pass the folder of a run that jaxfer trained"


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        name: Of its folder.
        config: `config.json`.
        history: The epoch lines of `metrics.jsonl`.
        summary: `summary.json`, whose `train` and `val` are `Scores.to_dict()` with the `split` they belong to.
    """

    name: str
    config: dict[str, Any]
    history: list[dict[str, Any]]
    summary: dict[str, Any]

    def tells(self, name: str) -> bool:
        """Return whether every epoch has this number, which the run may not have known, or its release not logged."""
        return all(name in line for line in self.history)

    @property
    def validated(self) -> list[str]:
        """The scores that every epoch has of the validation split, such as `accuracy` for `val_accuracy`."""
        names = (name for name in self.history[0] if name.startswith("val_"))
        return [name.removeprefix("val_") for name in names if all(name in line for line in self.history)]


def read_run(run_dir: Path, summary: str | None = None) -> Run:
    """Return the run in a folder.

    Args:
        run_dir: The folder.
        summary: The text of its `summary.json`, where that is still to be written.

    Raises:
        UserError: A file is missing, not JSON, or without something that training writes; it says which.
    """
    config = without_nan(read(run_dir / "config.json", dict, _WHOSE))
    history = _read_history(run_dir / "metrics.jsonl")
    where = run_dir / "summary.json"
    if summary is None and not where.exists():
        raise UserError(
            f"{where} does not exist: the run has not ended. Let it finish, or resume it, first; after `fit` in "
            "Python, `jaxfer.finish_run` ends it."
        )
    found = read(where, _SUMMARY, _WHOSE) if summary is None else parse(summary, str(where), _SUMMARY)
    found = without_nan(found)
    if found.get("temperature") is not None:  # a run of a release before, or one that diverged, has none
        check(found["temperature"], _TEMPERATURE, f"{where}: temperature")
    splits = found["train"], found["val"]
    for split in splits:
        bounds, place = split.get("intervals", {}), f"{where}: intervals of {split['split']!r}"
        check(bounds, dict[str, list[float]], place)
        if any(len(pair) != 2 for pair in bounds.values()):
            raise UserError(f"{place} is damaged: each must be a lower and an upper bound")
        # What is a score of one split is one of the other.
        scores = (name for name in split if any(name in each and is_score(name, each[name]) for each in splits))
        known: dict[str, Any] = dict.fromkeys(scores, float)
        known |= {name: int for name in split if name.endswith("_examples")}
        # A run of a release before has none, and an interval in its place, which was none.
        known |= {"ece_by_chance": _CHANCE} if "ece_by_chance" in split else {}
        check(split, known, str(where))
        names, matrix = split["class_names"], split["confusion_matrix"]
        if list(split["per_class"]) != names or [len(row) for row in matrix] != [len(names)] * len(names):
            raise UserError(f"{where}: the scores of {split['split']!r} do not fit its class names {names}")
    return Run(run_dir.resolve().name, config, history, found)


def _read_history(path: Path) -> list[dict[str, Any]]:
    lines = enumerate(read_text(path, "pass the folder of a run that jaxfer trained").splitlines(), 1)
    rows = [without_nan(parse_row(line, f"{path}, line {number}")) for number, line in lines]
    epochs = [row for row in rows if row["kind"] == "epoch"]
    if not epochs:
        raise UserError(f"{path} holds no epochs: the run ended before its first one did")
    return epochs


def without_nan(value: Any) -> Any:
    """Return a JSON value with null in place of numbers that are none, which pages leave out."""
    if isinstance(value, dict):
        return {name: without_nan(inside) for name, inside in value.items()}
    if isinstance(value, list):
        return [without_nan(inside) for inside in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
