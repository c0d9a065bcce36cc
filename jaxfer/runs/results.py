"""What has come of many runs that belong together, whoever planned them: a row for each cell of a sweep."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class CellResult:
    """What has come of one cell.

    values: of the fields that the sweep changes, by dotted paths, as JSON has them.
    run: folder of the run that serves the cell. epoch: after which it has reached the cell's end.
    shared: whether that run serves other cells too.
    status: a cell is finished when its run has ended, and failed where the run did so before the cell's last epoch.
    reason: why it failed; else empty.
    seconds: of training from the run's start to the cell's end; None unless it is finished.
    scores: `accuracy`, `loss`, `macro_f1`, `mse` and `r2` of the whole validation split after that epoch, with the
        `split` they belong to, its number of `examples` and the 95% `intervals` of all but the loss; empty unless it
        is finished.
    """

    values: dict[str, Any]
    run: Path
    epoch: int
    shared: bool
    status: Literal["finished", "failed", "unfinished"]
    reason: str
    seconds: float | None
    scores: dict[str, Any]


@dataclass(frozen=True)
class SweepResult:
    """A sweep and what has come of it so far.

    path: its folder. base: the configuration around what changes, as JSON has it. fields: the values of each field
    that changes, by dotted paths. search: `grid` or `random`. rows: one for each cell.
    """

    path: Path
    base: dict[str, Any]
    fields: dict[str, list[Any]]
    search: str
    rows: tuple[CellResult, ...]

    @property
    def split(self) -> str:
        """The name of the validation split, that of the first finished cell; empty before there is one."""
        return next((row.scores["split"] for row in self.rows if row.scores), "")

    @property
    def examples(self) -> int:
        """The number of its examples; 0 before there is a finished cell."""
        return next((row.scores["examples"] for row in self.rows if row.scores), 0)

    @property
    def best(self) -> CellResult | None:
        """The finished cell of the best validation accuracy, the first of equals."""
        finished = [row for row in self.rows if row.status == "finished"]
        return max(finished, key=lambda row: row.scores["accuracy"], default=None)

    @property
    def epochs(self) -> tuple[int, int]:
        """How many epochs the sweep takes, and how many its cells would take one by one."""
        longest: dict[Path, int] = {}
        for row in self.rows:
            longest[row.run] = max(row.epoch, longest.get(row.run, 0))
        return sum(longest.values()), sum(row.epoch for row in self.rows)
