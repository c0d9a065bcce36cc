"""The interface between a run and its observers: a progress bar, event files, a pruner, or a class of one's own."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxfer.config import Config


@dataclass(frozen=True)
class Begun:
    """A run as it begins or continues.

    Attributes:
        config: Its configuration.
        run_dir: Its folder, or None.
        steps_per_epoch: Steps in an epoch.
        step: Number of steps done already.
        rows: The rows of the finished epochs, as in `metrics.jsonl`.
        seconds: Seconds of training so far.
        notes: What a reader of its numbers should know of how it is trained, one sentence each.
        chance: The accuracy of always answering the commonest class in training, and that in validation.
    """

    config: Config
    run_dir: Path | None
    steps_per_epoch: int
    step: int
    rows: Sequence[dict[str, Any]]
    seconds: float
    notes: tuple[str, ...] = ()
    chance: tuple[float, float] = (math.nan, math.nan)


class Callback:
    """An observer of a run: override the methods of interest.

    With several processes only those of the first are called. An exception of a method ends the run; its checkpoints
    stay.
    """

    def begin(self, run: Begun) -> None:
        """Take note of a run before its first step."""

    def teach(self, done: int, images: int) -> None:
        """Take note that teachers have seen `done` of so many images in all views, between beginning and first step."""

    def step(self, step: int, loss: float) -> None:
        """Take note of steps.

        Args:
            step: Number of steps done.
            loss: Loss of one of the latest steps. Losses are read late, so that the devices need not wait.
        """

    def epoch(self, row: dict[str, Any]) -> None:
        """Take note of a finished epoch, after its checkpoint: `row` as in `metrics.jsonl`."""

    def end(self) -> None:
        """Take note that the run has ended, in whatever way."""
