"""The folder of one run: its configuration, its log, and its checkpoints."""

import dataclasses
import json
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxfer.config import Config, from_json, to_json
from jaxfer.devices.distributed import is_first
from jaxfer.errors import UserError
from jaxfer.files import append, make, refuse_links, write
from jaxfer.json_text import check, parse, read_text

if TYPE_CHECKING:
    from jaxfer.runs.checkpoints import Checkpoints


SUMMARY = "summary.json"
"""The file that only a finished run has."""


CHECKPOINTS = "checkpoints"
"""The folder in it that no other folder of a network has."""

RESUMED = "pass the folder of one, or start without --resume"
"""What to do where the folder of a run that is to go on holds none."""


def is_run(folder: Path) -> bool:
    """Return whether a folder is that of a run, and not that of a model."""
    return (folder / CHECKPOINTS).is_dir()


def refuse_taken(folder: Path) -> None:
    """Refuse to start a run where there is one.

    Args:
        folder: The folder of the run to start.

    Raises:
        UserError: It holds a run already.
    """
    if (folder / "config.json").exists():
        raise UserError(f"{folder} already holds a run: continue it with --resume, or choose another --run-dir")


class RunFolder:
    """The folder of one run.

    It holds `config.json`, `metrics.jsonl` (one line for each finished epoch), `summary.json`, `report.html` and
    `checkpoints/`, and if it has teachers what they say (`teachers-*.npz`). Open one with `create` or `reopen`. With
    several processes only the first one writes.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, config: Config) -> "RunFolder":
        """Start a run in a folder.

        Args:
            path: The folder. It must not hold a run.
            config: What the run trains; written to `config.json`.

        Raises:
            UserError: The folder holds a run already, or cannot be written.
        """
        refuse_taken(path)
        if is_run(path):
            raise UserError(
                f"{path} holds the checkpoints of a run whose config.json is gone: put that back and continue with "
                "--resume, or choose another --run-dir"
            )
        folder = cls(path)
        folder.write("config.json", to_json(config))
        return folder

    @classmethod
    def reopen(cls, path: Path, config: Config) -> "RunFolder":
        """Continue a run. Nothing is written: `update` does that, once the fingerprints are known to be the same.

        Some fields of the config may have changed. The data, its table, a list of its groups, the teachers and the
        weights it began with may lie elsewhere, and links of the data may be followed or not: their fingerprints check
        that. The number of epochs may differ unless the learning rate depends on it: the shorter run is then a prefix
        of the longer one.

        Args:
            path: The folder of the run.
            config: The config with which the run began.

        Raises:
            UserError: The folder holds no run, or one of another config.
        """
        changes = changed(read_config(path), config)
        if changes:
            raise UserError(f"{path} was begun with another configuration ({changes}): drop these or start a new run")
        return cls(path)

    def update(self, config: Config) -> None:
        """Write the config of a run that goes on, where it has changed as `reopen` allows."""
        if is_first() and read_config(self.path) != config:
            self.write("config.json", to_json(config))

    def check_shared(self) -> None:
        """Check that this process sees what the first one has written.

        Raises:
            UserError: It does not; the folder is not shared.
        """
        if not (self.path / "config.json").is_file():
            raise UserError(f"{self.path} is not the folder that process 0 writes: pass one that all machines share")

    def checkpoints(self) -> "Checkpoints":
        """Return the run's checkpoints, to be closed by the caller."""
        # Orbax takes long to import: only who keeps a run needs it.
        from jaxfer.runs.checkpoints import Checkpoints

        return Checkpoints(self.path / CHECKPOINTS)

    def log(self, row: dict[str, Any]) -> None:
        """Append one line to `metrics.jsonl`, where readers see it at once."""
        if is_first():
            append(json.dumps(row) + "\n", self.path / "metrics.jsonl")

    def rewind(self, step: int) -> list[dict[str, Any]]:
        """Drop the rows logged after `step`, whose epochs will be trained again, and return the others.

        Raises:
            UserError: `metrics.jsonl` is a link.
        """
        refuse_links(self.path / "metrics.jsonl")
        if not (self.path / "metrics.jsonl").exists():
            return []
        rows = [row for row in read_rows(self.path) if row["step"] <= step]
        self.write("metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        return rows

    def write(self, name: str, text: str) -> None:
        """Write a text file of the run, whole or not at all."""
        if is_first():
            write(text, self.path / name)


MAY_CHANGE = ("data_dir", "val_dir", "test_dir", "table", "group_by", "follow_links")
"""What of its data's config may change when a run goes on: where the data lies, and how its files are found."""


def moved(begun: Config, config: Config) -> set[str]:
    """Return the fields that say where something lies, which may lie elsewhere when a run or a sweep goes on.

    Args:
        begun: Its config as it began.
        config: Its config now.

    Returns:
        The names of `MAY_CHANGE`; `teachers` where there are as many, and `pretrained` where there are weights in both.
    """
    as_many = len(begun.distill.teachers) == len(config.distill.teachers)
    both = begun.model.pretrained is not None and config.model.pretrained is not None
    return {*MAY_CHANGE, *(["teachers"] if as_many else []), *(["pretrained"] if both else [])}


def changed(begun: Config, config: Config) -> str:
    """Return in what a run that goes on differs from itself as it began, in words, but for what may change.

    Args:
        begun: Its config as it began.
        config: Its config now.

    Returns:
        The fields with both values, see `differences`; empty where only those differ that may, see `RunFolder.reopen`.
    """
    return differences(
        begun, config, but_for=moved(begun, config) | (set() if config.depends_on_epochs else {"epochs"})
    )


def make_run_folder(path: Path) -> None:
    """Make the folder of a run, unless it is there.

    Raises:
        UserError: That cannot be done.
    """
    try:
        make(path)
    except OSError as error:
        raise UserError(f"the run folder {path} cannot be made ({error.strerror}): choose another") from error


def read_config(path: Path, advice: str = "pass the folder of one") -> Config:
    """Return the config of the run in a folder.

    Args:
        path: The folder.
        advice: What to do where it holds no run.

    Raises:
        UserError: The folder holds no run, or its config cannot be read.
    """
    file = path / "config.json"
    if not file.is_file():
        raise UserError(f"{path} holds no run (no config.json): {advice}")
    text = read_text(file, "copy the run again")
    if "class_names" in parse(text, str(file), dict, "copy the run again"):
        raise UserError(f"{path} holds no run but a model that was saved: {advice}")
    return following_no_links(from_json(text, str(file)))


def following_no_links(config: Config) -> Config:
    """Return a config that follows no links out of data: a folder may be of others, who do not decide that."""
    return dataclasses.replace(config, data=dataclasses.replace(config.data, follow_links=False))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows that the run in a folder has logged so far.

    A last line that a killed process did not finish is left out, and whatever follows a line that is no row. Without
    a log there are no rows.
    """
    log = path / "metrics.jsonl"
    rows = []
    for line in read_text(log, "copy the run again", errors="replace").splitlines() if log.exists() else []:
        try:
            row = parse_row(line, str(log))
            check(row, {"step": int}, str(log))
            rows.append(row)
        except UserError:
            break
    return rows


_EPOCH = ("loss", "accuracy", "val_loss", "val_accuracy", "seconds", "learning_rate")
"""Numbers of an epoch's row: the first four are in each, the others wherever the run knew them."""


def parse_row(line: str, where: str) -> dict[str, Any]:
    """Return a row of a log.

    Args:
        line: Its line.
        where: What errors call it.

    Raises:
        UserError: It is none.
    """
    row = parse(line, where, {"kind": str})
    if row["kind"] == "epoch":
        numbers = {name for name in row if name.startswith("val_")} | set(_EPOCH) & set(row) | set(_EPOCH[:4])
        check(row, {"epoch": int} | dict.fromkeys(numbers, float), where)
    return row


def differences(old: Config, new: Config, *, but_for: Collection[str] = ()) -> str:
    """Return the fields in which two configs differ, in words.

    Args:
        old: One of them.
        new: The other.
        but_for: The names of fields that may differ.

    Returns:
        Each field with both values, separated by semicolons; empty if the others are equal.

    >>> differences(Config(seed=1), Config(seed=2, epochs=60))
    'epochs 50, now 60; seed 1, now 2'
    >>> differences(Config(seed=1), Config(seed=2, epochs=60), but_for={"seed"})
    'epochs 50, now 60'
    """
    before, after = _flat(dataclasses.asdict(old)), _flat(dataclasses.asdict(new))
    names = [name for name in before if name not in but_for and before[name] != after[name]]
    return "; ".join(f"{name} {before[name]}, now {after[name]}" for name in names)


def _flat(fields: dict[str, Any]) -> dict[str, Any]:
    flat = {}
    for name, value in fields.items():
        flat |= _flat(value) if isinstance(value, dict) else {name: value}
    return flat
