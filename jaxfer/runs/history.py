"""The record of a run: its rows in memory and, if it has a folder, everything on the disk that resuming needs."""

import dataclasses
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from jaxfer.config import Config, from_json, to_json
from jaxfer.devices.consensus import Agreement
from jaxfer.devices.distributed import is_first
from jaxfer.errors import UserError
from jaxfer.files import hold
from jaxfer.metrics.metrics import Metrics
from jaxfer.runs.folder import RESUMED, RunFolder, changed, make_run_folder, read_config, read_rows


class History:
    """The record of one run; a context, which waits for the last checkpoint when it ends.

    Attributes:
        rows: One row for each finished epoch, as in `metrics.jsonl`.

    Args:
        run_dir: The run's folder, or None to keep the rows in memory alone.
        config: The config that the folder keeps.
        facts: Notes beside each checkpoint that must be the same on resuming, such as `fingerprint` of the images.
        agreement: That of the run's processes. All of them take part in saving and restoring.
        resume: Whether to continue the run in the folder.
        together: Number of runs that share the time, in equal parts.

    Raises:
        UserError: The folder does not fit `resume`, is that of another config, is in use, cannot be written, or is not
            shared by all processes; or `resume` comes without a folder.
    """

    def __init__(
        self,
        run_dir: Path | None,
        config: Config,
        facts: dict[str, str],
        agreement: Agreement,
        *,
        resume: bool,
        together: int = 1,
    ) -> None:
        if run_dir is None and resume:
            raise UserError("resuming needs the folder of the run: pass --run-dir")
        self.rows: list[dict[str, Any]] = []
        self._begun = self._saved = time.monotonic()
        self._before, self._together = 0.0, together
        self._folder = self._checkpoints = None
        self._held = ExitStack()
        if run_dir is not None:
            with self._held:
                self._folder = agreement.together(lambda: self._open(run_dir, config, resume=resume))
                agreement.together(self._folder.check_shared)
                self._checkpoints = self._folder.checkpoints()
                self._facts, self._config = facts, config
                self._held = self._held.pop_all()  # until the run ends

    @property
    def seconds(self) -> float:
        """Seconds of training so far, with those before a resumption."""
        return self._before + (time.monotonic() - self._begun) / self._together

    @property
    def unsaved_seconds(self) -> float:
        """Seconds since the last checkpoint."""
        return time.monotonic() - self._saved

    @property
    def saved_step(self) -> int | None:
        """The step of the newest checkpoint, or None."""
        return None if self._checkpoints is None else self._checkpoints.latest

    def restore(self, state: Any, running: Metrics) -> tuple[Any, Metrics]:
        """Return the state of the newest checkpoint, and the metrics of its unfinished epoch.

        Args:
            state: A `TrainState` of the same structure, shapes and placement; returned where there is no checkpoint.
            running: Likewise metrics.

        Raises:
            UserError: The checkpoint cannot be read, or was made with another config, other images, labels, teachers
                or pieces.
        """
        if self._folder is None or self._checkpoints is None:
            return state, running
        step = self.saved_step
        if step is not None:
            notes = self._checkpoints.notes(step)
            self._check_config(notes)
            for name, fact in self._facts.items():
                # What checkpoints of releases before say nothing of is not known to differ.
                if notes.get(name, fact if name == "pieces" else None) != fact:
                    was = _OTHERS.get(name, "trained on other images or labels than these: pass the data it began with")
                    if name == "fingerprint" and '"group_by"' not in notes.get("config", ""):
                        was += _HELD_OUT_BY_NAME
                    shown = was.format(was=notes.get(name) or "none", now=fact or "none")
                    raise UserError(f"{self._folder.path} was {shown}")
            saved = self._checkpoints.restore(step, {"state": state, "running": _stored(running)})
            state, running = saved["state"], _restored(saved["running"], running)
            self._before = notes["seconds"]
        self._refuse_fewer(step or 0)
        self._folder.update(self._config)
        # What was logged after the checkpoint happens again: without one, everything.
        self.rows = [row for row in self._folder.rewind(step or 0) if row["kind"] == "epoch"]
        return state, running

    def _refuse_fewer(self, step: int) -> None:
        """Refuse a config of fewer epochs than the checkpoint has seen, which would then be no run of that config."""
        assert self._folder is not None
        rows = [row for row in read_rows(self._folder.path) if row["kind"] == "epoch" and row["step"] <= step]
        if rows and step > self._config.epochs * (rows[-1]["step"] // rows[-1]["epoch"]):
            raise UserError(
                f"{self._folder.path} has been trained beyond epoch {self._config.epochs}, its last one now: pass at "
                f"least {rows[-1]['epoch']} epochs, or begin a new run"
            )

    def add(self, row: dict[str, Any]) -> None:
        """Record the row of a finished epoch."""
        self.rows.append(row)
        if self._folder is not None:
            self._folder.log(row)

    def note(self, kind: str, values: dict[str, Any]) -> None:
        """Log something of the run's beginning, once."""
        if self._folder is not None and not any(row["kind"] == kind for row in read_rows(self._folder.path)):
            self._folder.log({"kind": kind, "step": 0} | values)

    def save(
        self, step: int, state: Any, running: Metrics, *, val_accuracy: float | None = None, keep: bool = False
    ) -> None:
        """Save a checkpoint in the background.

        Args:
            step: The number of steps done.
            state: The `TrainState` after them.
            running: Metrics of the unfinished epoch.
            val_accuracy: Validation accuracy, where it was measured. Only then can the checkpoint become the best.
            keep: Whether it stays when newer and better ones come. Only one with a `val_accuracy` can.

        Raises:
            UserError: This or the previous save failed, as on a full disk.
        """
        self._saved = time.monotonic()
        if self._checkpoints is not None:
            notes = {"seconds": self.seconds, "config": to_json(self._config)} | self._facts
            tree = {"state": state, "running": _stored(running)}
            self._checkpoints.save(step, tree, notes, val_accuracy=val_accuracy, keep=keep)

    def _open(self, run_dir: Path, config: Config, *, resume: bool) -> RunFolder:
        if not is_first():
            return RunFolder(run_dir)
        if resume:
            read_config(run_dir, RESUMED)  # refuses a folder without a run, in which nothing is to be written
        else:
            make_run_folder(run_dir)
        self._held.enter_context(hold(run_dir))
        return RunFolder.reopen(run_dir, config) if resume else RunFolder.create(run_dir, config)

    def _check_config(self, notes: dict[str, Any]) -> None:
        """Refuse a config that is not the one of the checkpoint: somebody has edited `config.json`."""
        # Checkpoints of releases before say nothing of it.
        changes = changed(from_json(notes["config"], "a checkpoint"), self._config) if "config" in notes else ""
        if changes:
            raise UserError(
                f"{self._folder.path if self._folder else ''} was trained with another configuration than its "
                f"config.json says now ({changes}): put back what was edited, or start a new run"
            )

    def __enter__(self) -> "History":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with self._held:
            if self._checkpoints is not None:
                self._checkpoints.__exit__(kind, error, _)


_OTHERS = {
    "pretrained": "begun from other weights than these: pass the file it began with (--pretrained)",
    "teachers": "taught by other teachers than these: pass the runs it began with, with their checkpoints of that time "
    "(--teachers)",
    "pieces": "made of other pieces of your own than these ({was}; now {now}): pass to fit those it began with",
}
"""What a run was, by the fact that another value of tells; all others are facts of images and labels."""

_HELD_OUT_BY_NAME = (
    ". Where that is this data, without a validation split: the release it began with held images out by their names, "
    "with copies and persons on both sides, so that it can only begin anew"
)
"""What may be the reason, of a run whose config knows no groups."""


def _stored(running: Metrics) -> dict[str, Any]:
    """Return metrics in the form of all checkpoints, old ones too.

    Training sums no terms of further tasks, and where there are examples without a label it ends before it saves.
    """
    fields = dict(vars(running))
    del fields["tasks"], fields["unlabelled"]
    return fields | {"affect": None}


def _restored(fields: dict[str, Any], empty: Metrics) -> Metrics:
    return dataclasses.replace(empty, **{name: values for name, values in fields.items() if name != "affect"})
