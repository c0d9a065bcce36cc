"""What a finished run left in its folder: configuration, history and final scores, read and checked."""

import json
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from jaxfer.errors import UserError
from jaxfer.metrics.scores import Scores


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
_CALIBRATED = {"cross_entropy": float, "ece": float}
_TEMPERATURE = {"value": float, "split": str, "examples": int, "before": _CALIBRATED, "after": _CALIBRATED}
_EPOCH = {"epoch": int, "loss": float, "accuracy": float, "val_loss": float, "val_accuracy": float}


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
    config = _parse(_read(run_dir / "config.json"), {}, str(run_dir / "config.json"))
    history = _read_history(run_dir / "metrics.jsonl")
    where = run_dir / "summary.json"
    if summary is None and not where.exists():
        raise UserError(f"{where} does not exist: the run has not ended. Let it finish, or resume it, first.")
    found = _parse(_read(where) if summary is None else summary, _SUMMARY, str(where))
    if found.get("temperature") is not None:  # a run of a release before, or one that diverged, has none
        _check(found["temperature"], _TEMPERATURE, f"{where}: temperature")
    for split in (found["train"], found["val"]):
        bounds, place = split.get("intervals", {}), f"{where}: intervals of {split['split']!r}"
        _check(bounds, dict[str, list[float]], place)
        if any(len(pair) != 2 for pair in bounds.values()):
            raise UserError(f"{place} is damaged: each must be a lower and an upper bound")
        _check(split, {name: int for name in split if name.endswith("_examples")}, str(where))
        names, matrix = split["class_names"], split["confusion_matrix"]
        if list(split["per_class"]) != names or [len(row) for row in matrix] != [len(names)] * len(names):
            raise UserError(f"{where}: the scores of {split['split']!r} do not fit its class names {names}")
    return Run(run_dir.resolve().name, config, history, found)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror}. Pass the folder of a run that jaxfer trained."
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is damaged: it is not text") from error


def _read_history(path: Path) -> list[dict[str, Any]]:
    epochs = []
    for number, line in enumerate(_read(path).splitlines(), 1):
        event = _parse(line, {"kind": str}, f"{path}, line {number}")
        if event["kind"] == "epoch":
            scores = {name: float for name in event if name.startswith("val_")}
            _check(event, _EPOCH | scores, f"{path}, line {number}")
            epochs.append(event)
    if not epochs:
        raise UserError(f"{path} holds no epochs: the run ended before its first one did")
    return epochs


def _parse(text: str, wanted: Any, where: str) -> Any:
    try:
        value = json.loads(text, parse_constant=lambda nan_or_infinity: None)
    except json.JSONDecodeError as error:
        raise UserError(f"{where} is damaged: it is not JSON ({error})") from error
    _check(value, wanted, where)
    return value


def _check(value: Any, wanted: Any, where: str) -> None:
    """Raise `UserError` where the JSON value lacks what is wanted.

    Args:
        value: What was read.
        wanted: A type; `list[item]`; `dict[str, item]` for an object of any fields; a dict, or a dataclass's fields
            without a default, for an object with at least these. A float may be an int, or null in place of NaN.
        where: The file, and the place in it.
    """
    if is_dataclass(wanted):
        hints = get_type_hints(wanted)
        wanted = {field.name: hints[field.name] for field in fields(wanted) if _is_required(field)}
    kind = get_origin(wanted) or (dict if isinstance(wanted, dict) else wanted)
    accepted = (float, int, type(None)) if kind is float else kind
    if not isinstance(value, accepted):
        raise UserError(f"{where} is damaged: expected a value of type {kind.__name__}, found {str(value)[:40]!r}")
    if kind is list:
        items = [(get_args(wanted)[0], item, f"{where}[{index}]") for index, item in enumerate(value)]
    elif kind is dict:
        inner = wanted if isinstance(wanted, dict) else dict.fromkeys(value, get_args(wanted)[1])
        missing = inner.keys() - value.keys()
        if missing:
            raise UserError(f"{where} is damaged: it lacks {', '.join(sorted(missing))}")
        items = [(item, value[name], f"{where}: {name}") for name, item in inner.items()]
    else:
        items = []
    for item, inside, place in items:
        _check(inside, item, place)


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING
