"""Statistics of batch normalisation measured anew: against NumPy, on any devices, and in whole runs."""

import dataclasses

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import Linear, drawn
from small_data import bright_faces, dataset_of

from jaxfer.config import AugmentConfig, Config, DataConfig, LossConfig, OptimizerConfig
from jaxfer.devices import OneDevice, Pmapped, Sharded
from jaxfer.models import BatchNorm, unit_range
from jaxfer.training import Callback, Objective, evaluate_split, fit, make_eval_step, measure_statistics

CONFIG = Config(
    data=DataConfig(image_size=32),
    augment=AugmentConfig(flip=True),
    loss=LossConfig(l2=0.0),
    optimizer=OptimizerConfig(optimizer="sgd", learning_rate=0.05, ema=0.9, statistics_images=20),
    epochs=2,
    batch_size=16,
)


class Net(nn.Module):
    """A network that normalises the colours of patches."""

    axis_name: str | None = None
    momentum: float = 0.9

    @nn.compact
    def __call__(self, images, *, train=False, mask=None):
        x = nn.avg_pool(unit_range(images), (8, 8), (8, 8))
        x = BatchNorm(momentum=self.momentum, axis_name=self.axis_name, name="norm")(x, train=train, mask=mask)
        return {"logits": nn.Dense(7, name="head")(x.reshape(len(x), -1))}


class FlaxNet(nn.Module):
    """The same with Flax's own layer."""

    @nn.compact
    def __call__(self, images, *, train=False, mask=None):
        x = nn.avg_pool(unit_range(images), (8, 8), (8, 8))
        mask = None if mask is None else mask[:, None, None, None]
        x = nn.BatchNorm(use_running_average=not train, momentum=0.99, name="norm")(x, mask=mask)
        return {"logits": nn.Dense(7, name="head")(x.reshape(len(x), -1))}


class StopAt(Callback):
    """Ends a run after a step, in the middle of its second epoch."""

    def __init__(self, last):
        self._last = last

    def step(self, step, loss):
        if step == self._last:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def data():
    return dataset_of(bright_faces(44, "train", 0), bright_faces(21, "val", 1))


def moments(images, batches):
    """Return mean and variance [3] of patches: means over batches, each counted as often as it has images."""
    patches = (images / 255.0).reshape(len(images), 4, 8, 4, 8, 3).mean((2, 4))
    parts = [patches[rows].reshape(-1, 3) for rows in batches]
    weights = [len(rows) for rows in batches]
    return tuple(np.average([f(part, axis=0) for part in parts], axis=0, weights=weights) for f in (np.mean, np.var))


@pytest.mark.parametrize("model", [Net(), Net(momentum=0.5), FlaxNet()], ids=["Net", "another momentum", "Flax"])
def test_they_are_those_of_the_images_whatever_the_running_ones_were(data, model):
    variables = drawn(model, data.train.images[:1])
    found = measure_statistics(model, variables, data.train, images=1000, batch_size=16)["norm"]
    mean, var = moments(data.train.images, [range(16), range(16, 32), range(32, 44)])
    # 1e-5: a variance from float32 sums of squares.
    np.testing.assert_allclose(found["mean"], mean, rtol=1e-5)
    np.testing.assert_allclose(found["var"], var, rtol=1e-3, atol=1e-6)


def test_fewer_images_are_spread_over_the_split(data):
    model = Net()
    variables = drawn(model, data.train.images[:1])
    found = measure_statistics(model, variables, data.train, images=11, batch_size=16)["norm"]
    mean, _ = moments(data.train.images, [range(0, 44, 4)])
    np.testing.assert_allclose(found["mean"], mean, rtol=1e-5)


@pytest.mark.parametrize("way", [Sharded, Pmapped])
def test_they_are_the_same_on_several_devices(data, way):
    variables = drawn(Net(), data.train.images[:1])
    one, many = (
        measure_statistics(Net(), parallel.place(variables), data.train, images=37, batch_size=14, parallel=parallel)
        for parallel in (OneDevice(), way())
    )
    chex.assert_trees_all_close(jax.device_get(many), jax.device_get(one), rtol=1e-5, atol=1e-6)


def test_a_run_validates_and_keeps_those_of_its_average(data, tmp_path):
    state, rows = fit(CONFIG, data, run_dir=tmp_path / "run", model=Net())
    expected = measure_statistics(Net(), state.variables, data.train, images=20, batch_size=16)
    chex.assert_trees_all_close(jax.device_get(state.batch_stats), jax.device_get(expected), rtol=1e-5, atol=1e-6)
    metrics = evaluate_split(make_eval_step(Net(), Objective()), state.variables, data.val, batch_size=16)
    assert rows[-1]["val_loss"] == pytest.approx(metrics.compute(data.class_names).loss, rel=1e-5)
    off = dataclasses.replace(CONFIG, optimizer=dataclasses.replace(CONFIG.optimizer, statistics_images=0))
    running, _ = fit(off, data, model=Net())
    chex.assert_trees_all_equal(running.params, state.params)  # training never looks at them
    assert not np.allclose(running.batch_stats["norm"]["mean"], state.batch_stats["norm"]["mean"])


def test_a_run_resumes_to_the_same_bits(data, tmp_path):
    whole, _ = fit(CONFIG, data, run_dir=tmp_path / "whole", model=Net())

    with pytest.raises(KeyboardInterrupt):
        fit(CONFIG, data, run_dir=tmp_path / "stopped", model=Net(), callbacks=[StopAt(4)])
    resumed, _ = fit(CONFIG, data, run_dir=tmp_path / "stopped", model=Net(), resume=True)
    chex.assert_trees_all_equal(jax.device_get(resumed.variables), jax.device_get(whole.variables))


class Odd(nn.Module):
    """A network whose `batch_stats` are a mean, and much that is none."""

    @nn.compact
    def __call__(self, images, *, train=False, mask=None):
        x = nn.avg_pool(unit_range(images), (8, 8), (8, 8))
        x = BatchNorm(momentum=0.99999, name="norm")(x, train=train, mask=mask)
        x = nn.BatchNorm(use_running_average=True, name="frozen")(x)
        x = nn.SpectralNorm(nn.Conv(4, (1, 1)), name="spectral")(x, update_stats=train)
        largest = self.variable("batch_stats", "largest", jnp.zeros, ())
        count = self.variable("batch_stats", "count", jnp.zeros, (), jnp.int32)
        if train and not self.is_initializing():
            largest.value = jnp.maximum(largest.value, jnp.abs(x).max())
            count.value = count.value + 1
        return {"logits": nn.Dense(7, name="head")(x.reshape(len(x), -1))}


def test_what_is_no_running_mean_stays_as_it_is(data):
    variables = jax.tree.map(jnp.asarray, Odd().init(jax.random.key(0), data.train.images[:2]))
    stats = {**variables["batch_stats"], "largest": jnp.float32(0.75), "count": jnp.int32(41)}
    found = measure_statistics(Odd(), variables | {"batch_stats": stats}, data.train, images=44, batch_size=16)
    mean, _ = moments(data.train.images, [range(16), range(16, 32), range(32, 44)])
    # The momentum leaves few digits of how much of a running mean a step replaces.
    np.testing.assert_allclose(found.pop("norm")["mean"], mean, rtol=0.02)
    stats.pop("norm")
    chex.assert_trees_all_close(found, stats, rtol=1e-6)
    chex.assert_trees_all_equal_dtypes(found, stats)


def test_a_network_without_statistics_has_none_to_measure(data):
    variables = drawn(Linear(), data.train.images[:1]) | {"batch_stats": {}}
    assert measure_statistics(Linear(), variables, data.train, images=20, batch_size=16) == {}
