"""A training step on one CPU device and on all of them: `python benchmarks/devices.py results/devices.json`.

The published network and drawn faces, batches of 4 to 256. Each round times both ways in turn; the ratio is the median
of the rounds' own ratios, with its quartiles. `jaxfer.devices.choose_parallel` decides by these numbers.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import jax
from machine import machine, versions

from jaxfer.config import PRESETS, DataConfig
from jaxfer.data import load
from jaxfer.data.batches import Batches
from jaxfer.devices import OneDevice, Sharded, tune_for_cpu
from jaxfer.models import make_model
from jaxfer.training import (
    Hyperparameters,
    create_state,
    make_objective,
    make_optimizer,
    make_schedule,
    make_train_step,
)

BATCHES = (4, 8, 16, 32, 64, 128, 256)
ROUNDS, IMAGES = 11, 512
"""Rounds for each batch size, and how many images a round trains on each way."""


def main() -> None:
    """Measure, print and write."""
    tune_for_cpu()
    if jax.device_count() < 2:
        sys.exit("there is one device: nothing to compare")
    train = load(DataConfig(drawn_train=1024, drawn_val=7)).train
    rows = [measure(train, size) for size in BATCHES]
    result = {
        "what": "milliseconds for a training step of the published network (64x64x3) on one CPU device and on all",
        "devices": jax.device_count(),
        "batches": rows,
        "rounds": ROUNDS,
        "machine": machine(),
        "versions": versions("jax", "flax", "optax", "numpy"),
    }
    print(json.dumps(result, indent=1))
    Path(sys.argv[1]).write_text(json.dumps(result, indent=1) + "\n")


def measure(train, size: int) -> dict[str, float | list[float]]:
    """Return the medians of both ways for batches of `size` images, and how many times faster all devices are."""
    batch = Batches(train, size, 0)[0]
    ways = {"one": step_function(train, OneDevice()), "all": step_function(train, Sharded())}
    steps = max(2, IMAGES // size)
    times = {name: [seconds(step, batch, steps)] for name, step in ways.items()}
    for _ in range(ROUNDS):
        for name, step in ways.items():
            times[name].append(seconds(step, batch, steps))
    one, every = times["one"][1:], times["all"][1:]  # the first round warms up
    low, middle, high = statistics.quantiles([a / b for a, b in zip(one, every, strict=True)], n=4)
    medians = {f"{name}_ms": round(1e3 * statistics.median(t), 3) for name, t in (("one", one), ("all", every))}
    return {"batch": size, **medians, "speedup": round(middle, 3), "quartiles": [round(low, 3), round(high, 3)]}


def step_function(train, parallel):
    """Return a function that takes one training step on a batch and waits for it."""
    config = PRESETS["published"]
    model = make_model(config.model, 7)
    optimizer = make_optimizer(config.optimizer, make_schedule(config.optimizer, steps_per_epoch=625, epochs=50))
    objective = make_objective(config.loss, model, (), train.labels, 7, Hyperparameters.of(config))
    step = make_train_step(model, optimizer, objective, parallel=parallel)
    box = [parallel.place(create_state(model, optimizer, seed=0, image_size=64))]

    def take(batch):
        box[0], metrics = step(box[0], batch)
        jax.block_until_ready(metrics)

    return take


def seconds(step, batch, steps: int) -> float:
    """Return the mean time of a step over some of them."""
    begun = time.perf_counter()
    for _ in range(steps):
        step(batch)
    return (time.perf_counter() - begun) / steps


if __name__ == "__main__":
    main()
