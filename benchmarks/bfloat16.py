"""A training step of ResNetFERSmall in bfloat16 on a CPU: `python benchmarks/bfloat16.py results/bfloat16.json`.

In turns with float32, as XLA compiles it by itself, and with oneDNN computing convolutions and products, which is what
uses the matrix units of processors that have them (AMX). The two flags that ask for it are XLA's and experimental.
"""

import os
import statistics
from contextlib import ExitStack
from dataclasses import replace

from command import keep, parser
from contenders.case import Case
from machine import versions
from turns import TURN, Process, in_turn

ONEDNN = "--xla_cpu_use_onednn=true --xla_cpu_experimental_onednn_custom_call=true"
CASE = Case("train", "small", 128)
WAYS = {"float32": ("float32", ""), "bfloat16": ("bfloat16", ""), "bfloat16, oneDNN": ("bfloat16", ONEDNN)}
"""Name, dtype and flags."""


def main() -> None:
    """Measure, print and keep."""
    made = parser(__doc__)
    made.add_argument("--rounds", type=int, default=5, help="turns that each way takes")
    asked = made.parse_args()
    with ExitStack() as stack:
        turns, losses = {}, {}
        for name, (dtype, flags) in WAYS.items():
            os.environ["XLA_FLAGS"] = flags
            process = stack.enter_context(Process("jaxfer", replace(CASE, dtype=dtype), ""))
            losses[name] = process.answer()["losses"]
            process.steps = max(1, round(TURN / process.turn()["seconds"]))
            turns[name] = process.turn
        found = in_turn(turns, asked.rounds)
    ms = {name: [round(1e3 * turn["seconds"], 1) for turn in taken] for name, taken in found.items()}
    print({name: statistics.median(values) for name, values in ms.items()})
    case = {"network": CASE.network, "batch": CASE.batch, "flags": ONEDNN, "ms": ms, "losses": losses}
    keep(asked, {"versions": versions("jaxfer", "jax", "jaxlib"), "case": case})


if __name__ == "__main__":
    main()
