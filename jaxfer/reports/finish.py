"""The end of a run: its numbers and its report, in its folder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxfer.config import Config
from jaxfer.data.dataset import Dataset
from jaxfer.devices.consensus import Agreement
from jaxfer.devices.distributed import is_first
from jaxfer.devices.placement import Parallel, choose_parallel
from jaxfer.evaluation.summary import summarize
from jaxfer.inference.faces import is_installed
from jaxfer.inference.framing import measure_framing, sample_rows
from jaxfer.interrupt import ending_on_signals
from jaxfer.models import Network
from jaxfer.runs.folder import SUMMARY, RunFolder, read_rows
from jaxfer.tasks import MEASURES, Task
from jaxfer.training.state import TrainState


def finish_run(
    run_dir: Path | str,
    config: Config,
    data: Dataset,
    state: TrainState,
    history: Sequence[dict[str, Any]],
    name: str = SUMMARY,
    *,
    parallel: Parallel | None = None,
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
        parallel: As passed to `fit`.
        model: As passed to `fit`.
        tasks: As passed to `fit`.
        more: What else the summary is to hold, JSON-ready.

    Raises:
        Interrupted: SIGINT or SIGTERM came. The run is as `fit` left it: resuming it comes here again.
        UserError: A file cannot be written, here or by the process that writes.
    """
    run_dir = Path(run_dir)
    with ending_on_signals(history[-1]["step"]):
        parallel = parallel or choose_parallel(config.batch_size)
        summary = summarize(config, data, state, history, parallel=parallel, model=model, tasks=tasks)
        begun = next((row for row in read_rows(run_dir) if row["kind"] == "pretrained"), None)
        summary |= ({} if begun is None else {"pretrained": begun}) | {"framing": _framing(data)} | more
        text = json.dumps(summary, indent=2) + "\n"

        def written() -> None:
            if is_first() and name == SUMMARY:
                from jaxfer.reports.run_page import write_report  # Matplotlib takes long to import

                own = {name: measure for task in tasks for name, measure in task.measures.items()}
                write_report(run_dir, text, measures=MEASURES | own)
            # Last, since it ends the run: whatever keeps the page from being written is met again on resuming.
            RunFolder(run_dir).write(name, text)

        # No process ends as if all were well where the one that writes cannot.
        Agreement(parallel).together(written)
        return summary


def _framing(data: Dataset) -> dict[str, Any] | None:
    """Return how the training images frame faces; None where no detector is installed, or it finds none in them."""
    if not is_installed():
        return None
    found = measure_framing(data.train.images[sample_rows(len(data.train))])
    return found and found.to_dict()
