"""Many runs of one config with other values in some of its fields: a grid, or a random search."""

from jaxfer.sweeps.folder import continued, read_search
from jaxfer.sweeps.optuna import objective
from jaxfer.sweeps.results import Row, Sweep, read_sweep, to_records
from jaxfer.sweeps.run import sweep
from jaxfer.sweeps.search import Cell, LogUniform, Search, Uniform, grid, random_search

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
