"""`jaxfer train`: one run, from the images to its report."""

import json
import sys
from dataclasses import dataclass
from typing import Any

from jaxfer.cli.flags import TrainingFlags, load_and_print
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
        """Train, and print what came of it."""
        train(self.with_folder(), "jaxfer train", as_json=self.json)


def train(flags: TrainingFlags, program: str, *, as_json: bool = False) -> None:
    """Load, train, evaluate, report, and print the numbers.

    program: how the person started this, for the command that continues it. as_json: whether to print the summary as
    JSON and nothing else.
    """
    start_up = start_jax(flags.processes)
    # JAX is imported from here on: `--help` and mistaken flags do not wait for it.
    from jaxfer.data import load
    from jaxfer.devices.distributed import is_first
    from jaxfer.reports import ProgressBar, TensorBoard, finish_run, print_summary
    from jaxfer.reports.tensorboard import FOLDER
    from jaxfer.training import fit

    with start_up.part("load_data"):
        data = (load if as_json else load_and_print)(flags.config.data)
    callbacks: list[Any] = [] if as_json else [ProgressBar()]
    if flags.tensorboard or (flags.resume and (flags.run_dir / FOLDER).is_dir()):
        callbacks.append(TensorBoard(flags.run_dir))
    try:
        state, history = fit(
            flags.config,
            data,
            run_dir=flags.run_dir,
            resume=flags.resume,
            callbacks=[start_up.until_first_step(), *callbacks],
        )
    except Interrupted:
        if is_first():
            print(f"Continue with: {flags.resume_command(program)}", file=sys.stderr)
        raise
    summary = finish_run(flags.run_dir, flags.config, data, state, history, start_up=start_up.to_dict())
    if is_first() and as_json:
        print(json.dumps(summary, indent=2))
    elif is_first():
        print_summary(summary)
        print(f"Report: {flags.run_dir / 'report.html'}")
