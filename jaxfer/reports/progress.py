"""What a person sees while a run goes on: a progress bar and a line per epoch, with rich."""

import dataclasses
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jaxfer.reports import lagging
from jaxfer.training import Begun, Callback

EVERY = 60.0
"""Seconds without a line after which one says how far a run is, where no bar does."""


class ProgressBar(Callback):
    """A bar over the steps of a run, and a line above it for each epoch.

    A file gets lines alone: one before the first step, one for each epoch, and one for each minute without another.
    """

    def begin(self, run: Begun) -> None:
        """Print the notes, and show the bar."""
        self._epochs, self._chance = run.config.epochs, run.chance
        self._lags = lagging.averages(dataclasses.asdict(run.config))
        console = Console(highlight=False)
        for note in run.notes:
            console.print(f"note: {note}", soft_wrap=True, markup=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        total = self._epochs * run.steps_per_epoch
        self._task = self._progress.add_task("steps", total=total, completed=run.step)
        self._progress.start()
        self._total, self._told = total, time.monotonic()
        if self._progress.disable and run.step < total:
            console.print(f"compiling, then steps {run.step + 1:,} to {total:,}", soft_wrap=True)

    def teach(self, done: int, images: int) -> None:
        """Show a bar over the images that teachers see, and take it away after the last one."""
        self._tell(f"teachers: {done:,} of {images:,} images")
        if not done:
            self._teachers = self._progress.add_task("teachers", total=images)
        self._progress.update(self._teachers, completed=done, visible=done < images)

    def step(self, step: int, loss: float) -> None:
        """Show how many steps are done, and a loss."""
        self._progress.update(self._task, completed=step, description=f"loss {loss:.3f}")
        self._tell(f"step {step:,} of {self._total:,}  loss {loss:.4f}")

    def epoch(self, row: dict[str, Any]) -> None:
        """Print the line of an epoch."""
        self._told = time.monotonic()
        self._progress.console.print(
            f"epoch {row['epoch']:>{len(str(self._epochs))}}/{self._epochs}"
            f"  train loss {row['loss']:.4f} accuracy {row['accuracy']:.4f}"
            f"  val loss {row['val_loss']:.4f} accuracy {row['val_accuracy']:.4f}"
            f"  {row['seconds']:.0f} s",
            soft_wrap=True,
        )
        if self._lags and lagging.lags(row, self._chance):
            self._lags = False  # once is enough
            self._progress.console.print(f"note: {lagging.note(row, self._chance)}", soft_wrap=True, markup=False)

    def end(self) -> None:
        """Take the bar away."""
        self._progress.stop()

    def _tell(self, text: str) -> None:
        """Print a line where there is no bar, and there was no line for a minute."""
        if self._progress.disable and time.monotonic() - self._told >= EVERY:
            self._told = time.monotonic()
            self._progress.console.print(text, soft_wrap=True)


class TogetherLine(Callback):
    """A line for each epoch of several runs that are trained side by side; pass one object to all of them."""

    def __init__(self, runs: int) -> None:
        self._rows: list[dict[str, Any]] = []
        self._runs = runs

    def begin(self, run: Begun) -> None:
        """Take note of one of the runs."""
        self._epochs = run.config.epochs

    def step(self, step: int, loss: float) -> None:
        """Print the line of the epoch before, once all runs that still go on have told theirs."""
        self._print()

    def epoch(self, row: dict[str, Any]) -> None:
        """Take note of one run's epoch."""
        self._rows.append(row)
        if len(self._rows) == self._runs:
            self._print()

    def end(self) -> None:
        """Print what is left."""
        self._print()

    def _print(self) -> None:
        if not self._rows:
            return
        best, epoch = max(row["val_accuracy"] for row in self._rows), self._rows[0]["epoch"]
        seconds = sum(row["seconds"] for row in self._rows) / len(self._rows) * self._runs
        print(
            f"epoch {epoch:>{len(str(self._epochs))}}/{self._epochs}  {len(self._rows)} runs, "
            f"best val accuracy {best:.4f}  {seconds:.0f} s"
        )
        self._rows.clear()
