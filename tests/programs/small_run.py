"""One short run for tests of how it is dispatched, what makes two of them the same, and a short end of it."""

import json

import chex
import jax
import numpy as np
import pytest
from networks import Linear

from jaxfer.config import AugmentConfig, Config, DataConfig, LossConfig, OptimizerConfig
from jaxfer.data.dataset import Dataset, Split
from jaxfer.emotions import AFFECTNET_7
from jaxfer.runs.folder import RunFolder
from jaxfer.training import fit


def faces(count, name, seed):
    """Return noise whose brightness tells the class."""
    random = np.random.default_rng(seed)
    labels = (np.arange(count) % 7).astype(np.int32)
    images = random.integers(0, 100, (count, 32, 32, 3)) + 20 * labels[:, None, None, None]
    return Split(name, images.astype(np.uint8), labels)


DATA = Dataset({"train": faces(44, "train", 0), "val": faces(21, "val", 1)}, AFFECTNET_7, source="noise", left_out={})
"""44 faces to train on and 21 to validate on, which every test leaves as they are."""

CONFIG = Config(
    data=DataConfig(image_size=32),
    loss=LossConfig(l2=0.001),
    augment=AugmentConfig(flip=True, brightness=0.1),
    # Plain SGD: Adam's scaling would hide a gradient that is too large, and blow up rounding where one is small.
    optimizer=OptimizerConfig(optimizer="sgd", momentum=0.0, learning_rate=0.05, ema=0.9),
    epochs=2,
    batch_size=13,
)
"""Four steps an epoch, of 13, 13, 13 and 5 examples: neither divides by two devices."""

MODEL = Linear(dropout=0.3)


def two(way):
    """Return a way to run, on two devices where it takes several."""
    return way() if way.__name__ == "OneDevice" else way(tuple(jax.local_devices()[:2]))


def run(config, data, **options):
    """Return the final state on the host and the rows without the clock's number."""
    network = {} if "program" in options else {"model": MODEL}  # a program has its own
    state, rows = fit(config, data, **network | options)
    return on_host(state), without_clock(rows)


def on_host(state):
    return jax.device_get(state.replace(key=jax.random.key_data(state.key)))


def without_clock(rows):
    return [{name: value for name, value in row.items() if name not in ("kind", "seconds")} for row in rows]


def assert_same_to_rounding(found, expected):
    chex.assert_trees_all_close(found[0], expected[0], rtol=0, atol=1e-5)
    for row, other in zip(found[1], expected[1], strict=True):
        assert row == pytest.approx(other, rel=1e-4, abs=1e-5)


def finish(run_dir, config, data, state, history, name="summary.json", **_):
    """Write as much of a summary as a sweep reads."""
    intervals = {"accuracy": [history[-1]["val_accuracy"], 1.0]}
    val = {"split": data.val.name, "examples": len(data.val), "intervals": intervals}
    summary = {"val": val, "epochs": history[-1]["epoch"], "data": {"fingerprint": data.fingerprint}}
    RunFolder(run_dir).write(name, json.dumps(summary))
