"""What serving a batch costs beside a training step: `python benchmarks/serving.py results/serving.json`.

The seed's network and batch of 32, drawn faces in memory and read-only mapped from the disk. Each round times
gathering batches in training order, then as many whole steps of the public loop's parts; the medians are compared.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from machine import machine, versions

from jaxfer.config import PRESETS, DataConfig
from jaxfer.data import load
from jaxfer.data.batches import Batches
from jaxfer.data.dataset import Split
from jaxfer.models import make_model
from jaxfer.training import choose_parallel, create_state, make_optimizer, make_schedule, make_train_step, use_cpu_cores
from jaxfer.training.losses import make_loss

ROUNDS, STEPS = 15, 30


def main() -> None:
    """Measure, print and write."""
    use_cpu_cores()
    config = PRESETS["seed"]
    train = load(DataConfig(drawn_train=20_000, drawn_val=7)).train
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images"
        path.write_bytes(np.asarray(train.images).tobytes())
        mapped = Split("mapped", np.memmap(path, np.uint8, "r", shape=train.images.shape), train.labels)
        step = step_function(config, train)
        times = {"memory": [], "mapped": [], "step": []}
        sources = {
            name: Batches(split, config.batch_size, 0) for name, split in (("memory", train), ("mapped", mapped))
        }
        for turn in range(ROUNDS):
            for name, batches in sources.items():
                times[name].append(seconds(lambda index, b=batches: b[index], turn * STEPS))
            times["step"].append(seconds(lambda index: step(sources["memory"][index]), turn * STEPS))
    medians = {name: 1e3 * statistics.median(values) for name, values in times.items()}
    result = {
        "what": "milliseconds for a batch of 32 (64x64x3, 20,000 faces) and for a training step of the seed's network",
        "median_ms": {name: round(value, 4) for name, value in medians.items()},
        "share_of_step": {name: round(medians[name] / medians["step"], 5) for name in sources},
        "rounds": ROUNDS,
        "steps_per_round": STEPS,
        "machine": machine(),
        "versions": versions("jax", "flax", "optax", "numpy"),
    }
    print(json.dumps(result, indent=1))
    Path(sys.argv[1]).write_text(json.dumps(result, indent=1) + "\n")


def step_function(config, train):
    """Return a function that takes one training step on a batch and waits for it."""
    parallel = choose_parallel(config.batch_size)
    model = make_model(config.model, 7)
    optimizer = make_optimizer(config.optimizer, make_schedule(config.optimizer, steps_per_epoch=625, epochs=50))
    step = make_train_step(model, optimizer, make_loss(config.loss, train.labels, 7), parallel=parallel)
    box = [parallel.place(create_state(model, optimizer, seed=0, image_size=64))]

    def take(batch):
        box[0], metrics = step(box[0], batch)
        jax.block_until_ready(metrics)

    return take


def seconds(action, start: int) -> float:
    """Return the mean time of `action(index)` over a round of consecutive indices, after a first call."""
    action(start)
    begun = time.perf_counter()
    for index in range(start, start + STEPS):
        action(index)
    return (time.perf_counter() - begun) / STEPS


if __name__ == "__main__":
    main()
