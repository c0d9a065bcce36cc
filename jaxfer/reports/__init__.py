"""What people look at: the pages of runs, of sweeps and of evaluations, their figures, and what a terminal shows."""

from jaxfer.reports.finish import finish_run
from jaxfer.reports.progress import ProgressBar
from jaxfer.reports.tensorboard import TensorBoard

__all__ = ["ProgressBar", "TensorBoard", "finish_run"]
