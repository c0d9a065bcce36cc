"""Many runs of one config with other values in some of its fields: a grid, or a random search."""

from jaxfer.sweeps.folder import continued, read_search
from jaxfer.sweeps.optuna import optuna_objective
from jaxfer.sweeps.results import CellResult, SweepResult, read_sweep, to_records
from jaxfer.sweeps.run import sweep
from jaxfer.sweeps.search import Cell, LogUniform, Search, Uniform, grid, random_search

__all__ = [
    "Cell",
    "CellResult",
    "LogUniform",
    "Search",
    "SweepResult",
    "Uniform",
    "continued",
    "grid",
    "optuna_objective",
    "random_search",
    "read_search",
    "read_sweep",
    "sweep",
    "to_records",
]
