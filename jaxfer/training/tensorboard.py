"""TensorBoard's view of a run: event files with the numbers of `metrics.jsonl`, written while it goes on."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxfer.errors import UserError
from jaxfer.files import refuse_links

FOLDER = "tensorboard"
"""Where in a run's folder the event files lie: those of training in `train`, those of validation in `val`."""

_TRAINING = ("loss", "accuracy", "learning_rate")


def require_writer(run_dir: Path) -> None:
    """Raise `UserError` where the package that writes event files is not installed, or a link is in their place."""
    refuse_links(run_dir / FOLDER, run_dir / FOLDER / "train", run_dir / FOLDER / "val")
    try:
        import tensorboardX  # noqa: F401 - whether it is there
    except ImportError as error:
        raise UserError(
            "TensorBoard's event files need the package tensorboardX: pip install 'jaxfer[tensorboard]', or leave out "
            "--tensorboard"
        ) from error


class EventFiles:
    """The event files of one run, a point for each finished epoch; both splits share names, and so their charts.

    What an earlier process of the run wrote is replaced, so that a resumed run neither repeats nor lacks a point.

    rows: the epochs so far, as in `metrics.jsonl`. begun: when the run would have begun had it never been interrupted,
        in seconds since 1970; with a row's `seconds` it gives the point's time.
    """

    def __init__(self, run_dir: Path, rows: Iterable[Mapping[str, Any]], begun: float) -> None:
        from tensorboardX import SummaryWriter

        self._begun = begun
        self._writers = {}
        for split in ("train", "val"):
            folder = run_dir / FOLDER / split
            for old in folder.glob("events.out.tfevents.*"):
                old.unlink()
            self._writers[split] = SummaryWriter(str(folder))
        for row in rows:
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Write the point of an epoch, where TensorBoard finds it at once."""
        train = {name: row[name] for name in _TRAINING}
        val = {name.removeprefix("val_"): value for name, value in row.items() if name.startswith("val_")}
        for split, values in (("train", train), ("val", val)):
            for name, value in values.items():
                self._writers[split].add_scalar(name, value, row["epoch"], walltime=self._begun + row["seconds"])
            self._writers[split].flush()

    def close(self) -> None:
        """End the threads that write."""
        for writer in self._writers.values():
            writer.close()
