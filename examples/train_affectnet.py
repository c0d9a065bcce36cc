"""Train the seed's network on labelled faces, and write a run folder with its numbers, report and checkpoints.

python examples/train_affectnet.py                                    # drawn faces, a minute or two
python examples/train_affectnet.py --data-dir DIR --preset seed       # the published run: 50 epochs on your data
python examples/train_affectnet.py --run-dir runs/NAME --resume       # go on after an interruption

docs/devices.md has the commands for several GPUs, TPU slices and clusters.
"""

import json
import sys
from pathlib import Path
from typing import Any

from jaxfer.cli.program import run
from jaxfer.cli.start import start_jax
from jaxfer.cli.training import parse_training, print_data, print_summary
from jaxfer.errors import Interrupted


def main() -> None:
    """Load, train, evaluate, report."""
    flags = parse_training(description=__doc__)
    start_up = start_jax(flags.processes, flags.config)
    # JAX is imported from here on: `--help` and mistaken flags do not wait for it.
    from jaxfer.data import load
    from jaxfer.evaluation.evaluate import summarize
    from jaxfer.training import fit
    from jaxfer.training.processes import is_first

    with start_up.part("load_data"):
        data = load(flags.config.data)
    if is_first():
        print_data(data)
    try:
        state, history = fit(flags.config, data, run_dir=flags.run_dir, resume=flags.resume, progress=True)
    except Interrupted:
        if is_first():
            print(f"Continue with: {flags.resume_command(sys.argv[0])}", file=sys.stderr)
        raise

    summary = summarize(flags.config, data, state, history) | {"start_up": start_up.to_dict()}
    if is_first():
        keep(flags.run_dir, summary)


def keep(run_dir: Path, summary: dict[str, Any]) -> None:
    """Write and show what has come out."""
    from jaxfer.evaluation.report import write_report  # Matplotlib, which takes long to import as well
    from jaxfer.training.run_folder import RunFolder

    RunFolder(run_dir).write("summary.json", json.dumps(summary, indent=2) + "\n")
    print_summary(summary)
    print(f"Report: {write_report(run_dir)}")


if __name__ == "__main__":
    run(main)
