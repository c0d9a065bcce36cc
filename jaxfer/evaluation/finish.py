"""The end of a run: its numbers and its report, in its folder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxfer.config import Config
from jaxfer.data.dataset import Dataset
from jaxfer.evaluation.evaluate import summarize
from jaxfer.training.processes import is_first
from jaxfer.training.run_folder import RunFolder
from jaxfer.training.state import TrainState


def finish_run(
    run_dir: Path,
    config: Config,
    data: Dataset,
    state: TrainState,
    history: Sequence[dict[str, Any]],
    **more: Any,
) -> dict[str, Any]:
    """Evaluate what `fit` returned, write `summary.json` and `report.html` into the run's folder, return the summary.

    more: what else the summary is to hold, JSON-ready. Of several processes all must call this.
    """
    summary = summarize(config, data, state, history) | more
    if is_first():
        from jaxfer.evaluation.report import write_report  # Matplotlib takes long to import

        RunFolder(run_dir).write("summary.json", json.dumps(summary, indent=2) + "\n")
        write_report(run_dir)
    return summary
