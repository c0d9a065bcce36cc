"""A small learning problem, fast enough to sweep over for real in every test."""

import pytest
from programs.small_run import small_data

from jaxfer.data.dataset import Dataset


@pytest.fixture
def data() -> Dataset:
    return small_data()
