"""The end of a run: its numbers and its report, in its folder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxfer.config import Config
from jaxfer.data.dataset import Dataset
from jaxfer.devices.distributed import is_first
from jaxfer.evaluation.summary import summarize
from jaxfer.runs.folder import SUMMARY, RunFolder
from jaxfer.training.state import TrainState


def finish_run(
    run_dir: Path,
    config: Config,
    data: Dataset,
    state: TrainState,
    history: Sequence[dict[str, Any]],
    name: str = SUMMARY,
    **more: Any,
) -> dict[str, Any]:
    """Evaluate what `fit` returned, write `summary.json` and `report.html` into the run's folder, return the summary.

    name: of the summary's file, another one for a cell of a sweep that ends before its run; the report is the run's.
    more: what else the summary is to hold, JSON-ready. Of several processes all must call this.
    """
    summary = summarize(config, data, state, history) | more
    if is_first():
        text = json.dumps(summary, indent=2) + "\n"
        if name == SUMMARY:
            from jaxfer.reports.run_page import write_report  # Matplotlib takes long to import

            write_report(run_dir, text)
        # Last, since it ends the run: whatever keeps the page from being written is met again on resuming.
        RunFolder(run_dir).write(name, text)
    return summary
