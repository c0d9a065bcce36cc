"""What people look at: the pages of runs, of sweeps and of evaluations, their figures, and what a terminal shows."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxfer.reports.finish import finish_run
    from jaxfer.reports.progress import ProgressBar
    from jaxfer.reports.tensorboard import TensorBoard

__all__ = ["ProgressBar", "TensorBoard", "finish_run"]

_FILES = {"ProgressBar": "progress", "TensorBoard": "tensorboard", "finish_run": "finish"}


def __getattr__(name: str) -> Any:
    # When first used: a command that only writes a file must not wait for JAX.
    if name not in _FILES:
        raise AttributeError(f"module 'jaxfer.reports' has no attribute {name!r}")
    return getattr(importlib.import_module(f"jaxfer.reports.{_FILES[name]}"), name)
