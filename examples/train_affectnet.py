"""Train the seed's network on labelled faces, and write a run folder with its numbers, report and checkpoints.

python examples/train_affectnet.py                                    # drawn faces, a minute or two
python examples/train_affectnet.py --data-dir DIR --preset seed       # the published run: 50 epochs on your data
python examples/train_affectnet.py --run-dir runs/NAME --resume       # go on after an interruption
"""

import json
import sys

from jaxfer.cli.program import run
from jaxfer.cli.start import start_jax
from jaxfer.cli.training import parse_training, print_summary
from jaxfer.errors import Interrupted


def main() -> None:
    """Load, train, evaluate, report."""
    flags = parse_training(description=__doc__)
    start_up = start_jax()
    # JAX is imported from here on: `--help` and mistaken flags do not wait for it.
    from jaxfer.data import load
    from jaxfer.evaluation.evaluate import summarize
    from jaxfer.training import fit
    from jaxfer.training.run_folder import RunFolder

    with start_up.part("load_data"):
        data = load(flags.config.data)
    print(f"{data.source}: {len(data.train):,} faces in {data.train.name}, {len(data.val):,} in {data.val.name}")
    for reason, count in data.left_out.items():
        print(f"left out: {count:,} {reason}")
    for warning in data.warnings:
        print(f"note: {warning}")

    try:
        state, history = fit(flags.config, data, run_dir=flags.run_dir, resume=flags.resume, progress=True)
    except Interrupted:
        print(f"Continue with: python {sys.argv[0]} --run-dir {flags.run_dir} --resume", file=sys.stderr)
        raise

    summary = summarize(flags.config, data, state, history) | {"start_up": start_up.to_dict()}
    RunFolder(flags.run_dir).write("summary.json", json.dumps(summary, indent=2) + "\n")
    print_summary(summary)
    from jaxfer.evaluation.report import write_report  # Matplotlib, which takes long to import as well

    print(f"Report: {write_report(flags.run_dir)}")


if __name__ == "__main__":
    run(main)
