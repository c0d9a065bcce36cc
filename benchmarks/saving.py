"""What saving a checkpoint takes, and what of it a power cut costs: `python benchmarks/saving.py results/saving.json`.

A train state with Adam's two moments is saved again and again: as jaxfer does it, with every file and folder synced
before an older checkpoint goes, and in turns with that with the syncs left out (TensorStore's own stay).
"""

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
from command import keep, parser
from machine import versions

from jaxfer.models import MODELS
from jaxfer.runs.checkpoints import Checkpoints

ROUNDS, SAVES = 5, 5


def main() -> None:
    """Measure, print and keep."""
    asked = parser(__doc__).parse_args()
    rows = []
    for network in ("published", "small", "resnet18"):
        rows.append({"network": network} | measured(network))
        print(rows[-1])
    keep(asked, {"versions": versions("jaxfer", "jax", "orbax-checkpoint"), "saves": rows})


def measured(network: str) -> dict[str, Any]:
    """Return the megabytes of a state, and the median seconds until a save is whole, with the syncs and without."""
    variables = jax.jit(MODELS[network]().init)(jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
    state = {"variables": variables, "moments": [variables["params"]] * 2}
    seconds: dict[str, list[float]] = {"synced": [], "unsynced": []}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(ROUNDS):
            for way, sync in (("synced", os.fsync), ("unsynced", lambda _: None)):
                with mock.patch("os.fsync", sync):
                    begun = time.perf_counter()
                    with Checkpoints(Path(folder) / way) as checkpoints:
                        for step in range(SAVES):
                            checkpoints.save(turn * SAVES + step + 1, state, {"seconds": 0.0}, val_accuracy=0.5)
                    seconds[way].append((time.perf_counter() - begun) / SAVES)
    megabytes = round(sum(leaf.nbytes for leaf in jax.tree.leaves(state)) / 1e6, 1)
    return {"megabytes": megabytes} | {way: round(statistics.median(found), 4) for way, found in seconds.items()}


if __name__ == "__main__":
    main()
