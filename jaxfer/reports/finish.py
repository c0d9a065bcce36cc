"""The end of a run: its numbers and its report, in its folder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxfer.config import Config
from jaxfer.data.dataset import Dataset
from jaxfer.devices.distributed import is_first
from jaxfer.evaluation.summary import summarize
from jaxfer.inference.faces import is_installed
from jaxfer.inference.framing import measure_framing, sample_rows
from jaxfer.models import Network
from jaxfer.runs.folder import SUMMARY, RunFolder
from jaxfer.tasks import MEASURES, Task
from jaxfer.training.interrupt import ending_on_signals
from jaxfer.training.state import TrainState


def finish_run(
    run_dir: Path,
    config: Config,
    data: Dataset,
    state: TrainState,
    history: Sequence[dict[str, Any]],
    name: str = SUMMARY,
    *,
    model: Network | None = None,
    tasks: Sequence[Task] = (),
    **more: Any,
) -> dict[str, Any]:
    """Evaluate what `fit` returned, write `summary.json` and `report.html` into the run's folder, return the summary.

    Of several processes all must call this.

    Args:
        run_dir: The folder of the run.
        config: What was trained.
        data: What it was trained on.
        state: What `fit` returned.
        history: The rows that it returned.
        name: Of the summary's file, another one for a cell of a sweep that ends before its run.
        model: As passed to `fit`.
        tasks: As passed to `fit`.
        more: What else the summary is to hold, JSON-ready.

    Raises:
        Interrupted: SIGINT or SIGTERM came. The run is as `fit` left it: resuming it comes here again.
        UserError: A file cannot be written.
    """
    with ending_on_signals(history[-1]["step"]):
        summary = summarize(config, data, state, history, model=model, tasks=tasks) | more
        if is_first():
            summary |= {"framing": _framing(data)}
            text = json.dumps(summary, indent=2) + "\n"
            if name == SUMMARY:
                from jaxfer.reports.run_page import write_report  # Matplotlib takes long to import

                own = {name: measure for task in tasks for name, measure in task.measures.items()}
                write_report(run_dir, text, measures=MEASURES | own)
            # Last, since it ends the run: whatever keeps the page from being written is met again on resuming.
            RunFolder(run_dir).write(name, text)
        return summary


def _framing(data: Dataset) -> dict[str, Any] | None:
    """Return how the training images frame faces; None where no detector is installed, or it finds none in them."""
    if not is_installed():
        return None
    found = measure_framing(data.train.images[sample_rows(len(data.train))])
    return found and found.to_dict()
