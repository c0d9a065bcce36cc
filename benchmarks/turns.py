"""Contenders that take turns: each in a process of its own, all in one run, and ratios taken round by round."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import numpy as np
from contenders.case import Case

from jaxfer import export_model

RESIDENT = "jaxfer, images on the device"
"""What ours is on accelerators, when it trains."""

CONTENDERS = {
    "jaxfer": ("ours", "host"),
    "Flax": ("plain_flax", ""),
    "PyTorch": ("pytorch", "eager"),
    "PyTorch compiled": ("pytorch", "compiled"),
    "PyTorch graphs": ("pytorch", "graphs"),
    "ONNX Runtime": ("onnx_runtime", ""),
    "Keras on TensorFlow": ("keras3", "tensorflow"),
    "Keras on JAX": ("keras3", "jax"),
    "jaxfer, memory": ("ours_batches", "memory"),
    "jaxfer, mapped file": ("ours_batches", "mapped"),
    "PyTorch DataLoader": ("pytorch_loader", ""),
    RESIDENT: ("ours", "resident"),
}
"""Name, module under `contenders`, and which of the module's ways."""

NETWORKS, LOADERS = list(CONTENDERS)[:8], list(CONTENDERS)[8:11]
"""Those that train or apply a network, and those that gather batches; ours is the first of each."""

HERE = {"ours", "plain_flax", "ours_batches"}
"""Modules that run in this Python; the others run in that of the peers."""

ROUNDING = 1e-5
"""How far the probabilities of two contenders with the same weights may lie apart."""

TURN = 0.7
"""Seconds that a turn lasts, about: as many steps as fit, at least one."""

Turn = TypeVar("Turn")
"""What is learnt in one turn."""


def timed(run: Callable[[int], object], steps: int) -> float:
    """Return the seconds that so many steps take."""
    begun = time.perf_counter()
    run(steps)
    return time.perf_counter() - begun


def in_turn(ways: Mapping[str, Callable[[], Turn]], rounds: int, *, rotating: bool = True) -> dict[str, list[Turn]]:
    """Return what each way gives in each round; where they rotate, the next one begins the next round."""
    names, found = list(ways), {name: [] for name in ways}
    for number in range(rounds):
        first = number % len(names) if rotating else 0
        for name in names[first:] + names[:first]:
            found[name].append(ways[name]())
    return found


class Process:
    """A contender's process, with the shipped network as a file of ONNX. Ends with the `with` block."""

    def __init__(self, name: str, case: Case, peers: str, shipped: Path | None = None) -> None:
        self.name = name
        module, way = CONTENDERS[name]
        way = str(shipped) if (module, case.network) == ("onnx_runtime", "shipped") else way
        python = sys.executable if module in HERE else peers
        command = [python, str(Path(__file__).parent / "contender.py"), module, way, json.dumps(asdict(case))]
        # On a GPU they share its memory, so that none may take most of it at its start.
        environment = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "2"}
        environment |= {"ORT_DISABLE_TELEMETRY": "1"}
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, env=environment
        )
        self.steps = 1

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        cast(IO[str], self._process.stdin).close()  # tells it to end
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        cast(IO[str], self._process.stdout).close()
        self._errors.close()

    def answer(self) -> dict[str, Any]:
        """Return what the process says next; `absent` with its last words if it ended instead."""
        line = cast(IO[str], self._process.stdout).readline()
        if line:
            return json.loads(line)
        self._errors.seek(0)
        return {"absent": (self._errors.read().strip().splitlines() or ["it ended without a word"])[-1]}

    def turn(self) -> dict[str, float]:
        """Take one turn and return the `seconds` of a step, and the processor's `idle_seconds` before it."""
        before = self._ask(1) if self.steps > 1 else {"idle_seconds": 0.0}  # wakes its threads and fills the caches
        timed = self._ask(self.steps)
        return timed | {"idle_seconds": before["idle_seconds"] + timed["idle_seconds"]}

    def _ask(self, steps: int) -> dict[str, float]:
        print(steps, file=self._process.stdin, flush=True)
        answer = self.answer()
        if "absent" in answer:
            raise RuntimeError(f"{self.name} ended in its turn: {answer['absent']}")
        return {"seconds": answer["seconds"] / steps, "idle_seconds": answer["idle_seconds"]}


def measure(case: Case, names: Sequence[str], *, rounds: int, peers: str) -> dict[str, Any]:
    """Let the contenders take turns at a case and return every round's milliseconds, and what was learnt of each.

    Those that cannot take part here are left out and named under `absent`. Raises `ValueError` where the others do
    not do the same work: other numbers of parameters, or a loss that does not fall.
    """
    with ExitStack() as stack:
        ready, absent, present = {}, {}, []
        shipped = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "shipped.onnx"
        if case.network == "shipped" and "ONNX Runtime" in names:
            export_model("small", shipped, "onnx")
        # All start at once: most of what a start takes, compiling, keeps no more than one core busy.
        for process in [stack.enter_context(Process(name, case, peers, shipped)) for name in names]:
            words = process.answer()
            if "absent" in words:
                absent[process.name] = words["absent"]
            else:
                ready[process.name] = words
                present.append(process)
        check_same_work(case, ready)
        for process in present:
            process.steps = max(1, round(TURN / process.turn()["seconds"]))
        begun = time.perf_counter()
        turns = in_turn({process.name: process.turn for process in present}, rounds)
        idle = sum(turn["idle_seconds"] for taken in turns.values() for turn in taken)
        idle_share = idle / (time.perf_counter() - begun)
    times = {name: [1e3 * turn["seconds"] for turn in taken] for name, taken in turns.items()}
    return asdict(case) | {
        "ms": {name: [round(ms, 4) for ms in values] for name, values in times.items()},
        "ratio_to": ratios(times),
        "contenders": ready,
        "absent": absent,
        "steps_per_turn": {process.name: process.steps for process in present},
        "idle_share": round(idle_share, 4),
    }


def check_same_work(case: Case, ready: dict[str, dict[str, Any]]) -> None:
    """Raise `ValueError` unless all have as many parameters, give the same answers, and, in training, learn."""
    counts = {name: words["parameters"] for name, words in ready.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"{case}: these are not the same network: {counts}")
    said = {name: words["answers"] for name, words in ready.items() if "answers" in words}
    for name, answers in said.items():
        apart = np.abs(np.subtract(answers, next(iter(said.values())))).max()
        if not apart < ROUNDING:
            raise ValueError(f"{case}: {name} gives other answers than {next(iter(said))}, by up to {apart:g}")
    for name, words in ready.items():
        if case.work == "train" and not words["losses"][-1] < words["losses"][0]:
            raise ValueError(f"{case}: {name} does not learn, its losses were {words['losses']}")


def ratios(times: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Return how many times as long as the first, which is ours, each other took: median and quartiles of rounds."""
    (_, ours), *others = times.items()
    return {name: quartiles(values, ours) for name, values in others}


def quartiles(values: Sequence[float], ours: Sequence[float]) -> dict[str, float]:
    """Return the median and the quartiles of the rounds' own ratios."""
    each = [theirs / own for theirs, own in zip(values, ours, strict=True)]
    low, median, high = statistics.quantiles(each, n=4, method="inclusive") if len(each) > 1 else each * 3
    return {"median": round(median, 3), "low": round(low, 3), "high": round(high, 3)}


def line(result: dict[str, Any]) -> str:
    """Return a case's medians in a line or two to read while it goes on."""
    medians = {name: statistics.median(values) for name, values in result["ms"].items()}
    parts = [
        f"{name} {ms:.2f} ms" + (f" ({result['ratio_to'][name]['median']:.2f}x)" if name in result["ratio_to"] else "")
        for name, ms in medians.items()
    ]
    left_out = "".join(f"\n  without {name}: {why}" for name, why in result["absent"].items())
    head = f"{result['work']} {result['network']} {result['dtype']} batch {result['batch']}"
    return f"{head}: {', '.join(parts)}; idle {result['idle_share']:.1%}{left_out}"
