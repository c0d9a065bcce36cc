"""Where the time of a step goes: `python benchmarks/parts.py results/parts.json`.

XLA's own profile of jaxfer's step on a CPU, part of the network by part, beside what the processor can do: the
operations of direct convolutions at the rate of a large matrix product, and reading all parameters once at the rate of
the memory. Parts run side by side where there are several devices, so that their sum is divided by these.
"""

import os
import re
import statistics
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, cast

DUMP = tempfile.TemporaryDirectory()
# Before JAX starts: which part of the network an instruction belongs to is in the compiled program's text alone.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_dump_to={DUMP.name} --xla_dump_hlo_as_text"

import jax  # noqa: E402
import numpy as np  # noqa: E402
from arithmetic import operations, product_rate  # noqa: E402
from command import keep, parser  # noqa: E402
from contenders import ours  # noqa: E402
from contenders.case import Case  # noqa: E402
from machine import versions  # noqa: E402
from turns import timed  # noqa: E402

from jaxfer.config import ModelConfig  # noqa: E402
from jaxfer.devices import choose_parallel  # noqa: E402
from jaxfer.models import make_model  # noqa: E402

CASES = [
    *(
        Case("train", network, batch)
        for network, batch in (("published", 32), ("published", 256), ("small", 128), ("resnet18", 32))
    ),
    Case("infer", "resnet18", 1),
]

INSTRUCTION = re.compile(r'^\s+(?:ROOT )?%?([\w.\-]+) = .*op_name="([^"]*)"', re.MULTILINE)
PART = re.compile(r"\b(stem|stage\d|head)\w*")
"""The name of an instruction and the call in our code that made it; the part of the network that this call names."""


def main() -> None:
    """Measure, print and keep."""
    asked = parser(__doc__).parse_args()
    # Each in a process of its own, which keeps memory as the size of its steps asks for.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as one:
        rows = list(one.map(profile, CASES))
    print(*rows, sep="\n")
    rates = {"gflop_s": round(product_rate(2048), 1), "gb_s": round(memory_rate(), 1)}
    print(rates)
    keep(asked, {"cases": rows, "rates": rates, "versions": versions("jaxfer", "jax", "flax", "optax")})


def profile(case: Case) -> dict:
    """Return a step's milliseconds by part: in products and convolutions of each direction, and in all else."""
    contender = ours.build(case, "")
    contender.run(8)
    steps = max(4, round(0.5 / timed(contender.run, 1)))
    times = [timed(contender.run, steps) / steps for _ in range(5)]
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            contender.run(steps)
        (file,) = Path(folder).rglob("*.xplane.pb")
        planes = jax.profiler.ProfileData.from_file(str(file)).planes
        spent = Counter()
        for event in (event for plane in planes for line in plane.lines for event in line.events):
            spent[event.name] += event.duration_ns
    model = make_model(ModelConfig(variant=cast(Any, case.network)), 7)
    parallel = choose_parallel(case.batch, model if case.work == "train" else None)
    devices = len(parallel.devices)
    parts: dict[str, Any] = {}
    for name, call in calls().items():
        found = PART.search(call)
        part = found[1] if found else "network" if "ResNetFER" in call else "update"
        matrix = name.startswith(("dot", "convolution")) or "dot_general" in call or "conv_general" in call
        kind = ("backward" if "transpose(" in call else "forward") if matrix else "rest"
        parts.setdefault(part, Counter())[kind] += spent[name] / 1e6 / steps / devices
    return {
        "work": case.work,
        "network": case.network,
        "batch": case.batch,
        "devices": devices,
        "ms": round(1e3 * statistics.median(times), 3),
        "parts": {name: {kind: round(ms, 3) for kind, ms in kinds.items()} for name, kinds in sorted(parts.items())},
        "gflop": {name: round(flop / 1e9, 4) for name, flop in operations(case).items()},
        "parameter_mb": round(4e-6 * contender.parameters, 1),
    }


def calls() -> dict[str, str]:
    """Return what every instruction of the step was made from, by its name: the largest program since the last call."""
    paths = list(Path(DUMP.name).glob("*.cpu_after_optimizations.txt"))
    texts = [path.read_text() for path in paths if "init" not in path.name]
    for path in paths:
        path.unlink()
    return dict(INSTRUCTION.findall(max(texts, key=len)))


def memory_rate() -> float:
    """Return the GB/s at which all cores together read what no cache holds."""
    cores = os.cpu_count() or 1
    arrays = [np.ones(2**26, np.float32) for _ in range(cores)]  # 256 MiB each
    with ThreadPoolExecutor(cores) as threads:
        seconds = [timed(lambda _: list(threads.map(np.max, arrays)), 1) for _ in range(7)][1:]
    return 1e-9 * sum(array.nbytes for array in arrays) / statistics.median(seconds)


if __name__ == "__main__":
    main()
