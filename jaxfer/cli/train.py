"""`jaxfer train`: one run, from the images to its report."""

import json
import sys
from dataclasses import dataclass
from typing import Any

from jaxfer.cli.flags import TrainingFlags, load_and_print, own_network
from jaxfer.cli.start import start_jax
from jaxfer.errors import Interrupted


@dataclass(frozen=True, kw_only=True)
class Train(TrainingFlags):
    """Train on labelled faces, and write a run folder with its numbers, report and checkpoints.

    jaxfer train --preset demo                  (drawn faces, a minute or two)

    jaxfer train --data-dir DIR                 (the published run: 50 epochs on your data)

    jaxfer train --run-dir runs/NAME --resume   (go on after an interruption)
    """

    json: bool = False
    """Print the summary as JSON, and nothing else, to the standard output."""

    def run(self) -> None:
        """Load, train, evaluate, report, and print the numbers."""
        flags = self.with_folder()
        start_up = start_jax(flags.processes)
        start_up.listen()
        # JAX is imported from here on: `--help` and mistaken flags do not wait for it.
        from jaxfer.data import load
        from jaxfer.devices.distributed import is_first
        from jaxfer.reports import ProgressBar, TensorBoard, finish_run, print_summary
        from jaxfer.tasks import tasks_of
        from jaxfer.training import fit

        config, run_dir = flags.config, flags.run_dir
        # Before the data is read, which can take long.
        tasks_of(config.model)
        model = own_network(flags.network, len(config.data.vocabulary))
        with start_up.part("load_data"):
            data = (load if self.json else load_and_print)(config.data)
        callbacks: list[Any] = [start_up] if self.json else [start_up, ProgressBar()]
        if flags.writes_events:
            callbacks.append(TensorBoard(run_dir))
        try:
            state, history = fit(config, data, model=model, run_dir=run_dir, resume=flags.resume, callbacks=callbacks)
            summary = finish_run(run_dir, config, data, state, history, model=model, start_up=start_up.to_dict())
        except Interrupted:
            if is_first():
                print(f"Continue with: {flags.resume_command('jaxfer train')}", file=sys.stderr)
            raise
        if is_first() and self.json:
            print(json.dumps(summary, indent=2))
        elif is_first():
            print_summary(summary)
            print(f"Report: {run_dir / 'report.html'}")
