"""What a run tells those who watch it: a progress bar, event files, a pruner, or a class of one's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxfer.config import Config


@dataclass(frozen=True)
class Begun:
    """A run as it begins or goes on.

    Attributes:
        config: Its configuration.
        run_dir: Its folder, or None.
        steps_per_epoch: Steps in an epoch.
        step: How many are done already.
        rows: Those of the epochs that are done, as in `metrics.jsonl`.
        seconds: Of training so far.
    """

    config: Config
    run_dir: Path | None
    steps_per_epoch: int
    step: int
    rows: Sequence[dict[str, Any]]
    seconds: float


class Callback:
    """Watches a run; override what is of interest. Of several processes the first one's callbacks are called.

    What a method raises ends the run, whose checkpoints stay.
    """

    def begin(self, run: Begun) -> None:
        """Take note of a run before its first step."""

    def step(self, step: int, loss: float) -> None:
        """Take note that `step` steps are done; `loss` is that of one of the latest."""

    def epoch(self, row: dict[str, Any]) -> None:
        """Take note of a finished epoch, whose checkpoint is saved: its row, as in `metrics.jsonl`."""

    def end(self) -> None:
        """Take note that the run has ended, in whatever way."""
