"""All that draws or prints: pages of checks, runs, evaluations, sweeps and folders of them, figures, terminal text.

Each is imported when it is first asked for: a page needs Matplotlib or Pillow, and most of them JAX.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxfer.reports.card import model_card
    from jaxfer.reports.check_page import write_check
    from jaxfer.reports.doctor import examine, print_examination
    from jaxfer.reports.evaluation_page import place_of_evaluations, write_evaluation
    from jaxfer.reports.finish import finish_run
    from jaxfer.reports.progress import ProgressBar
    from jaxfer.reports.reading_bar import images_bar
    from jaxfer.reports.run_page import write_report
    from jaxfer.reports.runs_page import read_runs, write_runs_report
    from jaxfer.reports.sweep_page import write_sweep_report
    from jaxfer.reports.tensorboard import TensorBoard
    from jaxfer.reports.terminal import (
        print_check,
        print_comparison,
        print_data,
        print_evaluation,
        print_prepared,
        print_summary,
        print_sweep,
        print_tests,
    )

__all__ = [
    "ProgressBar",
    "TensorBoard",
    "examine",
    "finish_run",
    "images_bar",
    "model_card",
    "place_of_evaluations",
    "print_check",
    "print_comparison",
    "print_data",
    "print_evaluation",
    "print_examination",
    "print_prepared",
    "print_summary",
    "print_sweep",
    "print_tests",
    "read_runs",
    "write_check",
    "write_evaluation",
    "write_report",
    "write_runs_report",
    "write_sweep_report",
]

_PLACES = {
    "ProgressBar": "progress",
    "TensorBoard": "tensorboard",
    "examine": "doctor",
    "finish_run": "finish",
    "images_bar": "reading_bar",
    "model_card": "card",
    "place_of_evaluations": "evaluation_page",
    "print_examination": "doctor",
    "read_runs": "runs_page",
    "write_check": "check_page",
    "write_evaluation": "evaluation_page",
    "write_report": "run_page",
    "write_runs_report": "runs_page",
    "write_sweep_report": "sweep_page",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    place = _PLACES.get(name, "terminal")
    return getattr(import_module(f"jaxfer.reports.{place}"), name)
