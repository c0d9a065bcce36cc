"""What a compiled step exchanges is read from its text."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxfer.devices import Sharded

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def collectives():
    specification = importlib.util.spec_from_file_location("scaling_process", BENCHMARKS / "scaling_process.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.collectives


def test_the_bytes_of_each_sum_over_devices_are_those_of_its_arrays(collectives):
    devices = Sharded()
    whole, cut = devices._sharding(), devices._sharding("batch")
    summed = jax.jit(lambda x: (x.sum(0), (x > 0).sum()), in_shardings=cut, out_shardings=whole)
    found = list(collectives(summed.lower(np.ones((8, 5, 3), np.float32)).compile().as_text()))
    assert {kind for kind, _, _ in found} == {"all-reduce"}
    assert sum(size for _, size, _ in found) == 5 * 3 * 4 + 4
    assert any("reduce_sum" in name for _, _, name in found)


def test_what_needs_no_other_device_exchanges_nothing(collectives):
    cut = Sharded()._sharding("batch")
    alone = jax.jit(jnp.sin, in_shardings=cut, out_shardings=cut)
    assert list(collectives(alone.lower(np.ones((8, 2), np.float32)).compile().as_text())) == []
