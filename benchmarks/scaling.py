"""A training step in 1 to 8 processes on one machine: `python benchmarks/scaling.py results/scaling.json`.

Strong scaling shares one batch among them, weak scaling gives each as many images; they talk over loopback, as machines
do over a network. More processes than cores share these, so that steps a second say nothing of more machines: what is
kept is the processor time of a process and what of it is communication, and what the compiled step exchanges.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from command import keep, parser
from machine import versions

NETWORK, SIDE = "published", 32
STRONG, WEAK = 64, 16
"""Images of all processes together, and of each."""
COUNTS = (1, 2, 4, 8)

PROGRAM = Path(__file__).with_name("scaling_process.py")


def main() -> None:
    """Measure, print and keep."""
    made = parser(__doc__)
    made.add_argument("--processes", nargs="+", type=int, default=list(COUNTS), help="how many, each in its turn")
    asked = made.parse_args()
    run: dict[str, Any] = {
        "network": NETWORK,
        "side": SIDE,
        "versions": versions("jaxfer", "jax", "jaxlib", "flax", "optax", "numpy"),
        "exchange": [],
        "scaling": [],
    }
    if asked.out and asked.out.exists():  # one that was interrupted goes on
        before = json.loads(asked.out.read_text())["runs"][-1]
        if before["versions"] == run["versions"] and len(before["scaling"]) < 2 * len(COUNTS):
            run = before
    done = [(row["way"], row["processes"]) for row in run["scaling"]]
    with tempfile.TemporaryDirectory() as programs:
        for kernels in () if run["exchange"] else ("cpu", "xla"):
            for count in (2, 8):
                run["exchange"].append(ended(start(programs, "exchange", NETWORK, SIDE, STRONG, count, kernels)))
                print(run["exchange"][-1], flush=True)
        for count in asked.processes:
            for way, batch in {"strong": STRONG, "weak": WEAK * count}.items():
                if (way, count) in done:
                    continue
                run["scaling"].append(
                    {"way": way, "processes": count, "batch": batch} | trained(programs, batch, count)
                )
                print(run["scaling"][-1], flush=True)
                keep(asked, run)  # what comes later takes longest


def trained(programs: str, batch: int, count: int) -> dict[str, Any]:
    """Return the medians over the processes that train together."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [start(programs, "train", NETWORK, SIDE, batch, count, index, port) for index in range(count)]
    try:
        said = [ended(process) for process in started]
    finally:
        for process in started:
            process.kill()
    medians: dict[str, Any] = {
        way: {name: round(statistics.median(one[way][name] for one in said), 2) for name in said[0][way]}
        for way in ("together", "alone")
    }
    return medians | {"memory_mib": max(one["memory_mib"] for one in said)}


def start(programs: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a process, which keeps what it compiles in the folder `programs`."""
    # Most of what these processes do is compiling: what they do alone, one does for all.
    environment = {"JAX_COMPILATION_CACHE_DIR": programs, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1"}
    environment |= {"JAX_PLATFORMS": "cpu"}
    command = [sys.executable, str(PROGRAM), *map(str, arguments)]
    return subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return what a process said last."""
    said, _ = process.communicate(timeout=500)
    if process.returncode:
        raise SystemExit(f"{process.args} ended with {process.returncode}")
    return json.loads(said.splitlines()[-1])


if __name__ == "__main__":
    main()
