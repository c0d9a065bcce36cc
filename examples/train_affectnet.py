"""Train the published network on labelled faces, and write a run folder with its numbers, report and checkpoints.

python examples/train_affectnet.py                                         # drawn faces, a minute or two
python examples/train_affectnet.py --data-dir DIR --preset published       # the published run: 50 epochs on your data
python examples/train_affectnet.py --run-dir runs/NAME --resume            # go on after an interruption

It is `jaxfer train`, whose steps are in jaxfer/cli/train.py; docs/devices.md has the commands for several GPUs, TPU
slices and clusters.
"""

import sys

from jaxfer.cli.flags import TrainingFlags
from jaxfer.cli.program import run
from jaxfer.cli.train import train


def main() -> None:
    """Load, train, evaluate, report."""
    train(TrainingFlags.parse(description=__doc__), f"python {sys.argv[0]}")


if __name__ == "__main__":
    run(main)
