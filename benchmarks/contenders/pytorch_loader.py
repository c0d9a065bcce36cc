"""PyTorch's DataLoader on images in memory, in this process: workers would only add copies between processes."""

# pyright: reportMissingImports=false
from itertools import islice

import torch
from contenders.case import CLASSES, IMAGES, SIDE, Case, Contender
from torch.utils.data import DataLoader, TensorDataset


def build(case: Case, _: str) -> Contender:
    """Return what gathers so many batches. A sampler of whole batches, with no batch size, was no faster."""
    images = torch.randint(0, 256, (IMAGES, SIDE, SIDE, 3), dtype=torch.uint8)
    dataset = TensorDataset(images, torch.randint(0, CLASSES, (IMAGES,)))
    loader = DataLoader(dataset, case.batch, shuffle=True)

    def endless():
        while True:
            yield from loader

    batches = endless()

    def run(steps: int) -> tuple[float, float]:
        return sum(len(images) for images, _ in islice(batches, steps)) / steps, 0.0

    return Contender(run, 0, "cpu", ("torch", "numpy"))
