"""Train the published network on labelled faces, and write a run folder with its numbers, report and checkpoints.

python examples/train_affectnet.py --preset demo                  # drawn faces, a minute or two
python examples/train_affectnet.py --data-dir DIR                 # the published run: 50 epochs on your data
python examples/train_affectnet.py --run-dir runs/NAME --resume   # go on after an interruption

`jaxfer train` does the same; docs/devices.md has the commands for several GPUs, TPU slices and clusters.
"""

import sys

from jaxfer.cli.flags import TrainingFlags, own_network
from jaxfer.cli.program import run
from jaxfer.cli.start import start_jax
from jaxfer.errors import Interrupted


def main() -> None:
    """Load, train, evaluate, report."""
    flags = TrainingFlags.parse(description=__doc__)  # every field of `Config` is a flag
    config, run_dir = flags.config, flags.run_dir

    # Before anything of JAX: every CPU core becomes a device, processes meet, compiled programs are kept.
    start_up = start_jax(flags.processes)
    start_up.listen()
    from jaxfer.data import load
    from jaxfer.devices.distributed import is_first
    from jaxfer.reports import ProgressBar, TensorBoard, finish_run, print_data, print_summary
    from jaxfer.tasks import make_network
    from jaxfer.training import fit

    # Data: images uint8 [n, side, side, 3] and labels int32 [n] of a training and a validation split.
    with start_up.part("load_data"):
        data = load(config.data)
    if is_first():
        print_data(data)

    # Network: any linen module that gives `{"logits": [b, classes]}`; a config names one of jaxfer's own.
    classes = len(data.class_names)
    model = own_network(flags.network, classes) or make_network(config.model, classes)

    # Training: a checkpoint, a validation and a line of metrics.jsonl after each epoch.
    watching = [start_up, ProgressBar(), *([TensorBoard(run_dir)] if flags.writes_events else [])]
    try:
        state, history = fit(config, data, model=model, run_dir=run_dir, resume=flags.resume, callbacks=watching)
        # Evaluation and report: both splits whole, with intervals, in summary.json and on a page.
        summary = finish_run(run_dir, config, data, state, history, model=model, start_up=start_up.to_dict())
    except Interrupted:
        if is_first():
            print(f"Continue with: {flags.resume_command(f'python {sys.argv[0]}')}", file=sys.stderr)
        raise
    if is_first():
        print_summary(summary)
        print(f"Report: {run_dir / 'report.html'}")


if __name__ == "__main__":
    run(main)
