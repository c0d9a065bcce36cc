"""Facial-expression recognition in JAX: from the archive on disk to a network and a number you can defend.

The names below are what most programs need; each is imported when it is first used, so that importing jaxfer starts
nothing. Everything else that is public is exported by its room: `jaxfer.data`, `jaxfer.models`, `jaxfer.tasks`,
`jaxfer.training`, `jaxfer.evaluation`, `jaxfer.reports`, `jaxfer.sweeps` and so on.
"""

import importlib
from typing import TYPE_CHECKING, Any

from jaxfer.version import __version__

if TYPE_CHECKING:
    from jaxfer.config import PRESETS, Config
    from jaxfer.data import Dataset, check, load, prepare
    from jaxfer.devices import OneDevice, Pmapped, Sharded, tune_for_cpu, use_cpu_cores
    from jaxfer.errors import UserError
    from jaxfer.evaluation import evaluate, summarize
    from jaxfer.inference import FaceModel, Predictor, export_model, load_model, save_model
    from jaxfer.metrics import Metrics
    from jaxfer.models import ResNetFER, ResNetFER18, ResNetFER34, ResNetFER50, ResNetFERSmall, ResNetFERStrong
    from jaxfer.reports import ProgressBar, finish_run
    from jaxfer.runs import load_run
    from jaxfer.sweeps import grid, random_search, sweep
    from jaxfer.tasks import Task
    from jaxfer.training import Callback, TrainState, fit, make_eval_step, make_train_step

_ROOMS = {
    "config": ("Config", "PRESETS"),
    "data": ("Dataset", "check", "load", "prepare"),
    "devices": ("OneDevice", "Pmapped", "Sharded", "tune_for_cpu", "use_cpu_cores"),
    "errors": ("UserError",),
    "evaluation": ("evaluate", "summarize"),
    "inference": ("FaceModel", "Predictor", "export_model", "load_model", "save_model"),
    "metrics": ("Metrics",),
    "models": ("ResNetFER", "ResNetFER18", "ResNetFER34", "ResNetFER50", "ResNetFERSmall", "ResNetFERStrong"),
    "reports": ("ProgressBar", "finish_run"),
    "runs": ("load_run",),
    "sweeps": ("grid", "random_search", "sweep"),
    "tasks": ("Task",),
    "training": ("Callback", "TrainState", "fit", "make_eval_step", "make_train_step"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "PRESETS",
    "Callback",
    "Config",
    "Dataset",
    "FaceModel",
    "Metrics",
    "OneDevice",
    "Pmapped",
    "Predictor",
    "ProgressBar",
    "ResNetFER",
    "ResNetFER18",
    "ResNetFER34",
    "ResNetFER50",
    "ResNetFERSmall",
    "ResNetFERStrong",
    "Sharded",
    "Task",
    "TrainState",
    "UserError",
    "__version__",
    "check",
    "evaluate",
    "export_model",
    "finish_run",
    "fit",
    "grid",
    "load",
    "load_model",
    "load_run",
    "make_eval_step",
    "make_train_step",
    "prepare",
    "random_search",
    "save_model",
    "summarize",
    "sweep",
    "tune_for_cpu",
    "use_cpu_cores",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"jaxfer.{name}")
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'jaxfer' has no attribute {name!r}")
    return getattr(importlib.import_module(f"jaxfer.{_ROOM_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, *_ROOMS])
