"""What a person sees while a run goes on: a progress bar and a line per epoch, with rich."""

from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class ProgressBar:
    """A bar over the steps of a run, and a line above it for each epoch. A file gets the lines alone.

    epochs: of the whole run; steps_per_epoch: of one; step: how many steps are done already.
    """

    def __init__(self, *, epochs: int, steps_per_epoch: int, step: int) -> None:
        self.epochs = epochs
        console = Console(highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._progress.add_task("steps", total=epochs * steps_per_epoch, completed=step)

    def step(self, step: int, loss: float) -> None:
        """Show that `step` steps are done, and the loss of one of the latest."""
        self._progress.update(self._task, completed=step, description=f"loss {loss:.3f}")

    def epoch(self, row: dict[str, Any]) -> None:
        """Print the line of an epoch from its row in `metrics.jsonl`."""
        self._progress.console.print(
            f"epoch {row['epoch']:>{len(str(self.epochs))}}/{self.epochs}"
            f"  train loss {row['loss']:.4f} accuracy {row['accuracy']:.4f}"
            f"  val loss {row['val_loss']:.4f} accuracy {row['val_accuracy']:.4f}"
            f"  {row['seconds']:.0f} s",
            soft_wrap=True,
        )

    def __enter__(self) -> "ProgressBar":
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._progress.stop()
