"""TensorBoard's view of a run: event files with the numbers of `metrics.jsonl`, written while it goes on."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxfer.errors import UserError
from jaxfer.files import refuse_links
from jaxfer.training import Begun, Callback

FOLDER = "tensorboard"
"""Where in a run's folder the event files lie: those of training in `train`, those of validation in `val`."""

_TRAINING = ("loss", "accuracy", "learning_rate")


class TensorBoard(Callback):
    """Event files in the folder of a run, a point for each finished epoch; both splits share names, and so charts.

    What an earlier process of the run wrote is replaced, so that a resumed run neither repeats nor lacks a point.

    Args:
        run_dir: The folder of the run.

    Raises:
        UserError: The package that writes event files is not installed, or a link is in their place.
    """

    def __init__(self, run_dir: Path) -> None:
        self._folder = run_dir / FOLDER
        refuse_links(self._folder, self._folder / "train", self._folder / "val")
        try:
            import tensorboardX  # noqa: F401 - whether it is there
        except ImportError as error:
            raise UserError(
                "TensorBoard's event files need the package tensorboardX: pip install 'jaxfer[tensorboard]', or leave "
                "out --tensorboard"
            ) from error
        self._writers: dict[str, Any] = {}

    def begin(self, run: Begun) -> None:
        """Write the points of the epochs so far."""
        from tensorboardX import SummaryWriter

        # When the run would have begun had it never been interrupted: with a row's seconds it gives the point's time.
        self._begun = time.time() - run.seconds
        for split in ("train", "val"):
            for old in (self._folder / split).glob("events.out.tfevents.*"):
                old.unlink()
            self._writers[split] = SummaryWriter(str(self._folder / split))
        for row in run.rows:
            self.epoch(row)

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Write the point of an epoch, where TensorBoard finds it at once."""
        # An optimizer of one's own keeps its learning rate to itself.
        train = {name: row[name] for name in _TRAINING if name in row}
        val = {name.removeprefix("val_"): value for name, value in row.items() if name.startswith("val_")}
        for split, values in (("train", train), ("val", val)):
            for name, value in values.items():
                self._writers[split].add_scalar(name, value, row["epoch"], walltime=self._begun + row["seconds"])
            self._writers[split].flush()

    def end(self) -> None:
        """End the threads that write."""
        for writer in self._writers.values():
            writer.close()
