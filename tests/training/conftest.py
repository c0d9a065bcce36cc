"""A small learning problem and a small network, fast enough to train for real in every test."""

import pytest
from programs.small_run import small_data

from jaxfer.data.dataset import Dataset
from jaxfer.models import ResNetFER

collect_ignore = ["child.py", "process.py", "sweep_child.py"]
"""Programs that tests start."""


@pytest.fixture
def data() -> Dataset:
    return small_data()


@pytest.fixture
def model() -> ResNetFER:
    return ResNetFER(width=8, stage_sizes=(1, 1))
