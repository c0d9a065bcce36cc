"""What a sweep says about its settings: cells that differ in nothing but the seed count as one."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jaxfer.sweeps import CellResult


@dataclass(frozen=True)
class Setting:
    """One combination of values, in one run or in several seeds.

    values: by field, without the seed where the sweep has other fields. cells: of each seed.
    """

    values: dict[str, Any]
    cells: list[CellResult]

    @property
    def accuracies(self) -> list[float]:
        """Validation accuracy of each finished cell, in [0, 1]."""
        return [cell.scores["accuracy"] for cell in self.cells if cell.status == "finished"]

    @property
    def mean(self) -> float:
        """Validation accuracy, averaged over the finished seeds; NaN where none is."""
        return statistics.fmean(self.accuracies) if self.accuracies else math.nan

    @property
    def deviation(self) -> float:
        """Standard deviation between the finished seeds, with n - 1 in its denominator; NaN for fewer than two."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else math.nan

    @property
    def finished(self) -> bool:
        """Whether every cell is."""
        return all(cell.status == "finished" for cell in self.cells)


def settings(fields: Sequence[str], rows: Sequence[CellResult]) -> list[Setting]:
    """Return the settings of a sweep over some fields, in the order of their first cells."""
    kept = [field for field in fields if field != "seed"] or list(fields)
    groups: dict[str, Setting] = {}
    for row in rows:
        values = {field: row.values[field] for field in kept}
        groups.setdefault(repr(values), Setting(values, [])).cells.append(row)
    return list(groups.values())


def best(candidates: Sequence[Setting]) -> Setting | None:
    """Return the finished setting of highest mean validation accuracy, the first of equals; None where none finished.

    Only numbers of the validation split decide.
    """
    return max((one for one in candidates if one.finished), key=lambda one: one.mean, default=None)
