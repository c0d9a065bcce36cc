"""The small learning problem of `programs.small_run`, fast enough to train for real in every test."""

import pytest
from programs.small_run import DATA


@pytest.fixture(scope="session")
def data():
    return DATA
