"""A training step on one CPU device and on all of them: `python benchmarks/devices.py results/devices.json`.

The published network and drawn faces, batches of 4 to 256. Each round times both ways in turn; the ratio is the median
of the rounds' own ratios, with its quartiles. `jaxfer.devices.choose_parallel` decides by these numbers.
"""

import json
import statistics
import sys
from functools import partial

import jax
from machine import machine, versions
from places import places
from turns import in_turn, timed

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
    (out,) = places(__doc__, "out")
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
    out.write_text(json.dumps(result, indent=1) + "\n")


def measure(train, size: int) -> dict[str, float | list[float]]:
    """Return the medians of both ways for batches of `size` images, and how many times faster all devices are."""
    batch = Batches(train, size, 0)[0]
    steps = max(2, IMAGES // size)
    ways = {name: taking(train, batch, parallel) for name, parallel in (("one", OneDevice()), ("all", Sharded()))}
    turns = {name: partial(timed, run, steps) for name, run in ways.items()}
    found = in_turn(turns, ROUNDS + 1, rotating=False).values()
    one, every = ([seconds / steps for seconds in taken[1:]] for taken in found)  # the first round warms up
    low, middle, high = statistics.quantiles([a / b for a, b in zip(one, every, strict=True)], n=4)
    medians = {f"{name}_ms": round(1e3 * statistics.median(t), 3) for name, t in (("one", one), ("all", every))}
    return {"batch": size, **medians, "speedup": round(middle, 3), "quartiles": [round(low, 3), round(high, 3)]}


def taking(train, batch, parallel):
    """Return a function that takes so many training steps on a batch, and waits for each."""
    config = PRESETS["published"]
    model = make_model(config.model, 7)
    optimizer = make_optimizer(config.optimizer, make_schedule(config.optimizer, steps_per_epoch=625, epochs=50))
    objective = make_objective(config.loss, model, (), train.labels, 7, Hyperparameters.of(config))
    step = make_train_step(model, optimizer, objective, parallel=parallel)
    state = parallel.place(create_state(model, optimizer, seed=0, image_size=64))

    def run(steps: int) -> None:
        nonlocal state
        for _ in range(steps):
            state, metrics = step(state, batch)
            jax.block_until_ready(metrics)

    return run


if __name__ == "__main__":
    main()
