"""Images that live on the devices and come from the host: the same run, however it is cut into dispatches."""

import dataclasses

import chex
import jax
import pytest

from jaxfer.config import AugmentConfig, Config, DataConfig, LossConfig, OptimizerConfig
from jaxfer.models import ResNetFER
from jaxfer.training import HostFeed, OneDevice, Pmapped, ResidentFeed, Sharded, fit

AUGMENT = AugmentConfig(flip=True, shift=0.1, rotate=10, brightness=0.1, erase=0.5)
CONFIG = Config(
    data=DataConfig(image_size=32),
    loss=LossConfig(l2=0.001),
    augment=AUGMENT,
    optimizer=OptimizerConfig(optimizer="sgd", momentum=0.0, learning_rate=0.05, ema=0.9),
    epochs=2,
    batch_size=8,
)
"""6 steps an epoch, the last of them with 4 examples."""

MODEL = ResNetFER(width=8, stage_sizes=(1,), dropout=0.3)


def run(data, feed, config=CONFIG, **options):
    state, history = fit(config, data, feed=feed, model=MODEL, **options)
    rows = [{name: value for name, value in row.items() if name not in ("kind", "seconds")} for row in history]
    return jax.device_get(dataclasses.replace(state, key=jax.random.key_data(state.key))), rows


def assert_same(found, expected):
    """Compare states and rows: to rounding, the numbers of the whole run are those of another."""
    chex.assert_trees_all_close(found[0], expected[0], rtol=0, atol=1e-5)
    for row, other in zip(found[1], expected[1], strict=True):
        assert row == pytest.approx(other, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("way", [OneDevice, Sharded, Pmapped])
def test_resident(data, way):
    config = dataclasses.replace(CONFIG, batch_size=14)
    host = run(data, HostFeed(), config, parallel=way())
    assert_same(run(data, ResidentFeed(steps=3), config, parallel=way()), host)
