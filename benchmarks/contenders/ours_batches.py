"""jaxfer's batches in training order, from memory or from a file that is mapped read-only."""

import tempfile

import numpy as np
from contenders.case import CLASSES, IMAGES, SIDE, Case, Contender

from jaxfer.data.batches import Batches
from jaxfer.data.dataset import Split


def build(case: Case, way: str) -> Contender:
    """Return what gathers so many batches; `way` is `memory` or `mapped`."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (IMAGES, SIDE, SIDE, 3), np.uint8)
    labels = random.integers(0, CLASSES, IMAGES, np.int32)
    if way == "mapped":
        with tempfile.TemporaryFile() as file:
            images.tofile(file)
            images = np.memmap(file, np.uint8, "r", shape=images.shape)
    batches, step = Batches(Split("train", images, labels), case.batch, seed=0), 0

    def run(steps: int) -> tuple[float, float]:
        nonlocal step
        count = 0
        for batch in batches.between(step, step + steps):
            count += len(batch["image"])
        step += steps
        return count / steps, 0.0

    return Contender(run, 0, "cpu", ("jaxfer", "numpy"))
