"""Many runs of one config with other values in some of its fields: a grid, or a random search."""

from jaxfer.training.sweep.folder import continued, read_search
from jaxfer.training.sweep.objective import objective
from jaxfer.training.sweep.results import Row, Sweep, read_sweep, to_records
from jaxfer.training.sweep.run import sweep
from jaxfer.training.sweep.search import Cell, LogUniform, Search, Uniform, grid, random_search

__all__ = [
    "Cell",
    "LogUniform",
    "Row",
    "Search",
    "Sweep",
    "Uniform",
    "continued",
    "grid",
    "objective",
    "random_search",
    "read_search",
    "read_sweep",
    "sweep",
    "to_records",
]
