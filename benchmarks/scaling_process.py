"""What `scaling.py` starts: a process that trains with others, or one that counts what a compiled step exchanges.

`python scaling_process.py train NETWORK SIDE BATCH COUNT INDEX PORT` takes steps in turns with the others, on its rows
of the batch, and alone, on as many rows: what the first take more is communication, in the same moment of a shared
machine. `python scaling_process.py exchange NETWORK SIDE BATCH COUNT KERNELS` needs no others: COUNT devices in one
process compile to the same sums. KERNELS are `cpu`, or `xla` for what an accelerator gets.
"""

import json
import math
import os
import re
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

if sys.argv[1:2] == ["exchange"]:  # before JAX starts: what is summed stands in the compiled program's text alone
    DUMP = tempfile.TemporaryDirectory()
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_dump_to={DUMP.name} --xla_dump_hlo_as_text"

import jax
import numpy as np

from jaxfer.config import ModelConfig, OptimizerConfig
from jaxfer.devices import OneDevice, Sharded, join_processes, tune_for_cpu
from jaxfer.devices.consensus import Agreement
from jaxfer.models import compiled_for, make_model
from jaxfer.training import Objective, create_state, make_optimizer
from jaxfer.training.step import train_function

CLASSES = 7
STEPS, TURNS = 4, 6
"""Steps in a turn, and turns of each kind, the first of which warms up."""

BYTES = {"f32": 4, "s32": 4, "u32": 4, "bf16": 2, "f16": 2, "pred": 1, "s8": 1, "u8": 1}
COLLECTIVE = re.compile(
    r"= (\(.*?\)|\S+) (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\((.*)", re.ASCII
)
ARRAY = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")


def main() -> None:
    """Do what the command line says, and print what was found."""
    what, network, *numbers = sys.argv[1:]
    side, batch, count = map(int, numbers[:3])
    if what == "exchange":
        print(json.dumps(exchanged(network, side, batch, count, numbers[3])), flush=True)
        return
    index, port = map(int, numbers[3:])
    tune_for_cpu()
    jax.config.update("jax_num_cpu_devices", 1)  # the others are other processes
    if count > 1:
        join_processes(f"127.0.0.1:{port}", count, index)
    rows, together = drawn(batch // count, side), Sharded(tuple(jax.devices()))
    ways = {"together": training(network, rows, together), "alone": training(network, rows, OneDevice())}
    Agreement(together).largest(
        0, wait=True
    )  # devices that first meet wait half a minute, and others may still compile
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(TURNS):
        for way, steps in ways.items():
            found[way].append(timed(steps))
    said = {
        way: {"wall_ms": median(wall for wall, _ in taken[1:]), "processor_ms": median(own for _, own in taken[1:])}
        for way, taken in found.items()
    }
    print(json.dumps(said | {"memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}), flush=True)
    os._exit(0)  # no process waits for the others to end


def drawn(batch: int, side: int) -> dict[str, np.ndarray]:
    """Return noise as a batch."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch, side, side, 3), np.uint8)
    return {"image": images, "label": np.arange(batch, dtype=np.int32) % CLASSES, "mask": np.ones(batch, bool)}


def median(values: Any) -> float:
    """Return the median, rounded."""
    return round(statistics.median(values), 2)


def timed(steps: Callable[[], object]) -> tuple[float, float]:
    """Return the milliseconds that a step of a turn takes, and those of processors in this process."""
    wall, own = time.perf_counter(), time.process_time()
    steps()
    return 1e3 * (time.perf_counter() - wall) / STEPS, 1e3 * (time.process_time() - own) / STEPS


def training(network: str, rows: Any, parallel: Sharded | OneDevice, kernels: str = "cpu") -> Callable[[], object]:
    """Return what takes the steps of a turn."""
    model = make_model(ModelConfig(variant=cast(Any, network)), CLASSES)
    optimizer = make_optimizer(OptimizerConfig(), OptimizerConfig().learning_rate)
    step = train_function(compiled_for(model, kernels), optimizer, Objective())
    state = parallel.place(create_state(model, optimizer, seed=0, image_size=rows["image"].shape[1]))
    compiled = parallel.compile(step, donate=True)

    def steps() -> None:
        nonlocal state
        for _ in range(STEPS):
            state, metrics = compiled(state, rows)
            jax.block_until_ready(metrics)

    return steps


def exchanged(network: str, side: int, batch: int, count: int, kernels: str) -> dict[str, Any]:
    """Return what the compiled step of so many devices sums over them, in bytes, and how many bytes of parameters.

    `statistics_bytes` are the batch's sums in normalisation; the rest are gradients, metrics and counts.
    """
    jax.config.update("jax_num_cpu_devices", count)
    training(network, drawn(batch, side), Sharded(), kernels)()
    texts = [path.read_text() for path in Path(DUMP.name).glob("*.cpu_after_optimizations.txt")]
    (sums,) = [found for found in map(list, map(collectives, texts)) if found]
    model = make_model(ModelConfig(variant=cast(Any, network)), CLASSES)
    params = jax.eval_shape(model.init, jax.random.key(0), drawn(1, side)["image"])["params"]
    return {
        "kernels": kernels,
        "devices": count,
        "sums": len(sums),
        "kinds": sorted({kind for kind, _, _ in sums}),
        "bytes": sum(size for _, size, _ in sums),
        "statistics_bytes": sum(size for _, size, name in sums if "_moments" in name),
        "parameter_bytes": sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(params)),
    }


def collectives(text: str) -> Iterator[tuple[str, int, str]]:
    """Yield what a compiled program exchanges: the kind, the bytes of its arrays, and what it was made from."""
    for shapes, kind, rest in COLLECTIVE.findall(text):
        sizes = [
            BYTES[dtype] * math.prod(map(int, filter(None, dims.split(",")))) for dtype, dims in ARRAY.findall(shapes)
        ]
        yield kind, sum(sizes), rest.partition('op_name="')[2].partition('"')[0]


if __name__ == "__main__":
    main()
