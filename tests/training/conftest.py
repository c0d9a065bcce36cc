"""A small learning problem and a small network, fast enough to train for real in every test."""

import numpy as np
import pytest

from jaxfer.data.dataset import Dataset, Split
from jaxfer.emotions import AFFECTNET_7
from jaxfer.models import ResNetFER


def faces(count: int, name: str, seed: int) -> Split:
    """Return noise whose brightness tells the class."""
    random = np.random.default_rng(seed)
    labels = (np.arange(count) % 7).astype(np.int32)
    images = random.integers(0, 100, (count, 32, 32, 3)) + 20 * labels[:, None, None, None]
    return Split(name, images.astype(np.uint8), labels)


collect_ignore = ["child.py", "process.py", "sweep_child.py"]
"""Programs that tests start."""


@pytest.fixture
def data() -> Dataset:
    """Return 44 faces to train on and 21 to validate on; batches of 16 leave a partial one of 12."""
    return Dataset(
        {"train": faces(44, "train", 0), "val": faces(21, "val", 1)}, AFFECTNET_7, source="noise", left_out={}
    )


@pytest.fixture
def model() -> ResNetFER:
    return ResNetFER(width=8, stage_sizes=(1, 1))
