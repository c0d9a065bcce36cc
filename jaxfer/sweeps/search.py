"""What a sweep tries: the cells of a grid, or values drawn at random."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from jaxfer.config import Config
from jaxfer.errors import UserError
from jaxfer.sweeps.fields import changed, describe, field_path, is_whole, value_at


@dataclass(frozen=True)
class Cell:
    """One configuration of a sweep.

    Attributes:
        values: Of the fields that the sweep changes, by their dotted paths.
        config: The whole configuration.
    """

    values: dict[str, Any]
    config: Config


@dataclass(frozen=True)
class Search:
    """All configurations of a sweep, made by `grid` or `random_search`.

    Attributes:
        base: The configuration around what changes.
        kind: Which of the two made it.
        cells: At least one, no two of the same configuration.

    Raises:
        UserError: Two cells are the same.
    """

    base: Config
    kind: Literal["grid", "random"]
    cells: tuple[Cell, ...]

    def __post_init__(self) -> None:
        seen: set[Config] = set()
        for cell in self.cells:
            if cell.config in seen:
                raise UserError(f"two cells of the sweep are the same ({describe(cell.values)}): pass each value once")
            seen.add(cell.config)

    @property
    def fields(self) -> dict[str, list[Any]]:
        """The values of each field that changes: a grid's in its order, drawn ones in rising order."""
        found: dict[str, list[Any]] = {path: [] for path in self.cells[0].values}
        for cell in self.cells:
            for path, value in cell.values.items():
                if value not in found[path]:
                    found[path].append(value)
        return found if self.kind == "grid" else {path: _sorted(values) for path, values in found.items()}


@dataclass(frozen=True)
class Uniform:
    """Draw evenly from `low` to `high`; for a field of whole numbers, a whole number.

    Raises:
        UserError: `low` is not below `high`, or one of them is not finite.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not -math.inf < self.low < self.high < math.inf:
            raise UserError(f"values cannot be drawn from {self.low} to {self.high}: pass the lower one first")

    def draw(self, random: np.random.Generator) -> float:
        """Return one value."""
        return float(random.uniform(self.low, self.high))


@dataclass(frozen=True)
class LogUniform:
    """Draw evenly on a logarithmic scale from `low` to `high`: as many from 0.001 to 0.01 as from 0.01 to 0.1.

    Raises:
        UserError: `low` is not above 0 and below `high`, or `high` is not finite.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high < math.inf:
            raise UserError(
                f"values cannot be drawn from {self.low} to {self.high} on a logarithmic scale: pass two above 0, the "
                "lower one first"
            )

    def draw(self, random: np.random.Generator) -> float:
        """Return one value."""
        return math.exp(random.uniform(math.log(self.low), math.log(self.high)))


Range = Uniform | LogUniform


def grid(base: Config, fields: Mapping[str, Sequence[Any]]) -> Search:
    """Return the cells of a grid: every combination of the values, those of the last field changing fastest.

    Args:
        base: The config around what changes.
        fields: Values by the field's dotted path or bare name, of the field's type or as JSON has it.

    Raises:
        UserError: `fields` is empty, or has one that does not exist, is named twice or has no values; a value is not of
            its field's type, or a config refuses it; or two cells are the same.

    >>> [cell.values for cell in grid(Config(), {"learning_rate": (0.01, 0.001), "epochs": (25,)}).cells]
    [{'optimizer.learning_rate': 0.01, 'epochs': 25}, {'optimizer.learning_rate': 0.001, 'epochs': 25}]
    """
    known = by_path(fields)
    combinations = itertools.product(*known.values())
    cells = (cell(base, dict(zip(known, values, strict=True))) for values in combinations)
    return Search(base, "grid", tuple(cells))


def random_search(base: Config, fields: Mapping[str, Sequence[Any] | Range], *, count: int, seed: int = 0) -> Search:
    """Return different cells with values drawn at random, a function of the arguments alone.

    Args:
        base: The config around what changes.
        fields: By the field's dotted path or bare name a `Uniform`, a `LogUniform`, or values to choose from. What is
            drawn from a range is rounded: to whole numbers in a field of them, otherwise to four significant digits.
        count: How many cells, at least 1.
        seed: Decides what is drawn; at least 0.

    Raises:
        UserError: `grid` would refuse the fields or their values; `count` is below 1; or there are not so many
            different cells.
    """
    if count < 1:
        raise UserError(f"a random search of {count} cells is empty: pass at least 1")
    known, random = by_path(fields), np.random.default_rng(seed)
    cells: dict[Config, Cell] = {}
    for _ in range(100 * count):
        values = {path: _draw(random, path, source) for path, source in known.items()}
        drawn = cell(base, values)
        cells.setdefault(drawn.config, drawn)
        if len(cells) == count:
            return Search(base, "random", tuple(cells.values()))
    raise UserError(f"only {len(cells)} different cells can be drawn: ask for as many, or pass wider ranges")


def cell(base: Config, values: Mapping[str, Any]) -> Cell:
    """Return the cell with these values, by dotted paths, which the config may turn into others of the field's type.

    Raises:
        UserError: A value is not of the field's type, or a config refuses it.
    """
    config = changed(base, values)
    return Cell({path: value_at(config, path) for path in values}, config)


def by_path(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is to be tried of each field by its dotted path.

    Args:
        fields: By dotted path or bare name a `Range`, or values in a tuple or a list.

    Raises:
        UserError: `fields` is empty, or has one that does not exist, is named twice, or has no values or a single one
            that is in no tuple or list.
    """
    if not fields:
        raise UserError("the sweep is empty: name at least one field and its values, such as learning_rate=0.01,0.001")
    known: dict[str, Any] = {}
    for name, values in fields.items():
        path = field_path(name)
        if path in known:
            raise UserError(f"{path} is named twice: pass all of its values at once")
        if isinstance(values, str) or not isinstance(values, Sequence | Range):
            raise UserError(f"the values of {path} are {values!r}: pass several, in a tuple or a list")
        if not isinstance(values, Range) and not values:
            raise UserError(f"{path} has no values to try: pass at least one, such as {value_at(Config(), path)!r}")
        known[path] = values
    return known


def _draw(random: np.random.Generator, path: str, source: Sequence[Any] | Range) -> Any:
    if not isinstance(source, Range):
        return source[int(random.integers(len(source)))]
    drawn = source.draw(random)
    return round(drawn) if is_whole(path) else float(f"{drawn:.4g}")


def _sorted(values: list[Any]) -> list[Any]:
    return sorted(values, key=lambda value: (str(type(value)), value if isinstance(value, int | float) else str(value)))
