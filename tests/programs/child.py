"""A small run in a process of its own, for tests to end in every way.

`python -m programs.child NETWORK RUN_DIR [--resume] [--tensorboard] [ENDING STEP]`.

NETWORK is one of `NETWORKS`. ENDING is what happens before step STEP is taken: `kill` the process, `terminate` it
politely, `fail` with an error, or `fill` the disk.
"""

import os
import resource
import signal
import sys
import time
from pathlib import Path

import numpy as np
from networks import Convolutional

from jaxfer.cli.program import run
from jaxfer.config import AugmentConfig, Config, DataConfig, ModelConfig, OptimizerConfig
from jaxfer.data.batches import Batches
from jaxfer.data.dataset import Dataset, Split
from jaxfer.devices import tune_for_cpu
from jaxfer.emotions import AFFECTNET_7
from jaxfer.models import ResNetFER
from jaxfer.reports import TensorBoard
from jaxfer.training import fit

CONFIG = Config(
    data=DataConfig(image_size=32),
    model=ModelConfig(dropout=0.2),
    augment=AugmentConfig(flip=True, erase=0.5),
    optimizer=OptimizerConfig(ema=0.9, clip_norm=1.0),
    epochs=4,
    batch_size=16,
)

NETWORKS = {
    "Convolutional": Convolutional(dropout=CONFIG.model.dropout),
    "ResNetFER": ResNetFER(width=8, stage_sizes=(1,), dropout=CONFIG.model.dropout),
}


def faces(count: int, name: str) -> Split:
    random = np.random.default_rng(count)
    images = random.integers(0, 256, (count, 32, 32, 3), np.uint8)
    return Split(name, images, (np.arange(count) % 7).astype(np.int32))


class EndingBatches(Batches):
    """Batches that end the process when a step is asked for, once a checkpoint of `saved` or a later step is there."""

    ending, at = "", -1
    checkpoints, saved = Path(), 0

    def _wait(self):
        # Saving goes on in the background, for longer than a small network's next steps take.
        while not any(path.name.isdigit() and int(path.name) >= self.saved for path in self.checkpoints.iterdir()):
            time.sleep(0.01)

    def __getitem__(self, step: int) -> dict[str, np.ndarray]:
        if step == self.at and self.saved:
            self._wait()
        if step == self.at and self.ending == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif step == self.at and self.ending == "terminate":
            os.kill(os.getpid(), signal.SIGTERM)
        elif step == self.at and self.ending == "fail":
            raise ZeroDivisionError
        elif step == self.at and self.ending == "fill":
            # No file may grow beyond this from now on, which is how a full disk looks to whoever writes one.
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        return super().__getitem__(step)


def main() -> None:
    network, run_dir, *rest = sys.argv[1:]
    resume, writes = "--resume" in rest, "--tensorboard" in rest
    if rest and rest[-1].isdigit():
        import importlib

        EndingBatches.ending, EndingBatches.at = rest[-2], int(rest[-1])
        importlib.import_module("jaxfer.training.program").Batches = EndingBatches
    tune_for_cpu()
    data = Dataset({"train": faces(84, "train"), "val": faces(21, "val")}, AFFECTNET_7, source="noise", left_out={})
    callbacks = [TensorBoard(Path(run_dir))] if writes else []
    fit(CONFIG, data, run_dir=Path(run_dir), resume=resume, callbacks=callbacks, model=NETWORKS[network])


if __name__ == "__main__":
    run(main)
