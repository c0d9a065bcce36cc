"""`jaxfer train`: one run, from the images to its report."""

import json
import sys
from dataclasses import dataclass
from typing import Any

from jaxfer.cli.flags import TrainingFlags, load_and_print, print_summary
from jaxfer.cli.start import start_jax
from jaxfer.errors import Interrupted


@dataclass(frozen=True, kw_only=True)
class Train(TrainingFlags):
    """Train on labelled faces, and write a run folder with its numbers, report and checkpoints.

    jaxfer train                                        (drawn faces, a minute or two)

    jaxfer train --data-dir DIR --preset published      (the published run: 50 epochs on your data)

    jaxfer train --run-dir runs/NAME --resume           (go on after an interruption)
    """

    json: bool = False
    """Print the summary as JSON, and nothing else, to the standard output."""

    def run(self) -> None:
        """Load, train, evaluate, report, and print the numbers."""
        flags = self.with_folder()
        start_up = start_jax(flags.processes)
        # JAX is imported from here on: `--help` and mistaken flags do not wait for it.
        from jaxfer.data import load
        from jaxfer.devices.distributed import is_first
        from jaxfer.reports.finish import finish_run
        from jaxfer.training import fit

        with start_up.part("load_data"):
            data = (load if self.json else load_and_print)(flags.config.data)
        options: dict[str, Any] = {"resume": flags.resume, "tensorboard": flags.tensorboard, "progress": not self.json}
        try:
            state, history = fit(flags.config, data, run_dir=flags.run_dir, **options)
        except Interrupted:
            if is_first():
                print(f"Continue with: {flags.resume_command('jaxfer train')}", file=sys.stderr)
            raise
        summary = finish_run(flags.run_dir, flags.config, data, state, history, start_up=start_up.to_dict())
        if is_first() and self.json:
            print(json.dumps(summary, indent=2))
        elif is_first():
            print_summary(summary)
            print(f"Report: {flags.run_dir / 'report.html'}")
