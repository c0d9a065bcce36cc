"""Which runs a sweep takes: fewer than it has cells, in an order in which few programs are compiled."""

import dataclasses
import re
from dataclasses import dataclass

from jaxfer.config import Config
from jaxfer.sweeps.fields import describe
from jaxfer.sweeps.search import Cell, Search
from jaxfer.training.hyperparameters import structure

LONGEST_NAME = 80
"""Characters of a run folder's name."""


@dataclass(frozen=True)
class PlannedRun:
    """A run that serves one cell of a sweep or, with a checkpoint at the last epoch of each, several.

    Attributes:
        name: Of its folder.
        config: That of its longest cell.
        cells: Which they are, by their place in the search.
        epochs: The last epoch of each of them.
    """

    name: str
    config: Config
    cells: tuple[int, ...]
    epochs: tuple[int, ...]


def plan(search: Search) -> list[PlannedRun]:
    """Return the runs of a search, those that share a program one after another.

    Cells that differ only in the number of epochs are one run, where the learning rate does not depend on it.
    """
    groups: dict[Config, list[int]] = {}
    for index, cell in enumerate(search.cells):
        config = cell.config
        key = config if config.depends_on_epochs else dataclasses.replace(config, epochs=1)
        groups.setdefault(key, []).append(index)
    runs = [_run(search.cells, indices, number) for number, indices in enumerate(groups.values(), 1)]
    programs = list(dict.fromkeys(structure(run.config) for run in runs))
    return sorted(runs, key=lambda run: programs.index(structure(run.config)))


def _run(cells: tuple[Cell, ...], indices: list[int], number: int) -> PlannedRun:
    epochs = tuple(cells[index].config.epochs for index in indices)
    longest = cells[max(indices, key=lambda index: cells[index].config.epochs)]
    words = re.sub(r"[^\w.+-]+", "-", describe(longest.values))
    return PlannedRun(f"{number:02}-{words}"[:LONGEST_NAME], longest.config, tuple(indices), epochs)
