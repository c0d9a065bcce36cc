"""What the public loop adds to its steps, on a CPU: `python benchmarks/epoch.py results/epoch.json`.

`fit` trains the published network on drawn faces, batch 32, and keeps its log and its checkpoints. Before each of its
epochs the clock stops for it, and as many bare steps run on batches that lie ready. An epoch of `fit` counts gathering
batches, metrics, the log, the checkpoint, and the validation of one batch.
"""

import dataclasses
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from command import keep, parser
from machine import versions
from turns import quartiles

from jaxfer.config import PRESETS, DataConfig
from jaxfer.data.batches import Batches
from jaxfer.data.synthetic import drawn_dataset
from jaxfer.devices import choose_parallel, tune_for_cpu
from jaxfer.training import fit

STEPS, ROUNDS = 256, 3
"""Steps in an epoch, a third of the published run's, so that a checkpoint weighs three times as much; and epochs."""


class TakingTurns:
    """Runs steps as `parallel` does, and has an epoch of bare steps take its turn before each epoch of the loop."""

    def __init__(self, parallel, batches: list) -> None:
        self._parallel, self._batches = parallel, batches
        self._calls, self._resumed = 0, 0.0
        self.axis_name: str | None = parallel.axis_name
        self.loop: list[float] = []
        self.bare: list[float] = []

    def place(self, state):
        """Put `state` where the steps take it."""
        return self._parallel.place(state)

    def __getattr__(self, name: str):
        return getattr(self._parallel, name)

    def compile(self, step, *, donate: bool, **options):
        """Return the compiled step; the training step is the one that donates."""
        compiled = self._parallel.compile(step, donate=donate, **options)
        if not donate:
            return compiled

        def run(state, batch, *more):
            if self._calls % len(self._batches) == 0:
                self._take_bare_steps(compiled, state, *more)
            self._calls += 1
            return compiled(state, batch, *more)

        return run

    def _take_bare_steps(self, compiled, state, *more) -> None:
        begun = time.perf_counter()
        self.loop.append(begun - self._resumed)
        state = jax.block_until_ready(jax.tree.map(jnp.copy, state))
        begun = time.perf_counter()
        for batch in self._batches:
            state, *_ = compiled(state, batch, *more)
        jax.block_until_ready(state)
        self.bare.append(time.perf_counter() - begun)
        self._resumed = time.perf_counter()


def main() -> None:
    """Measure, print and keep."""
    asked = parser(__doc__).parse_args()
    tune_for_cpu()
    if jax.devices()[0].platform != "cpu":
        sys.exit("on an accelerator the loop dispatches many steps at once: fifty_epochs.py measures it")
    data = DataConfig(drawn_train=32 * STEPS, drawn_val=32)
    # The first epoch compiles, and the last one's end is not seen.
    config = dataclasses.replace(PRESETS["published"], data=data, epochs=ROUNDS + 2)
    faces = drawn_dataset(data)
    batches = Batches(faces.train, config.batch_size, seed=1)
    turns: Any = TakingTurns(choose_parallel(config.batch_size), [batches[step] for step in range(STEPS)])
    with tempfile.TemporaryDirectory() as folder:
        fit(config, faces, run_dir=Path(folder) / "run", parallel=turns)
    loop, bare = turns.loop[2:], turns.bare[1:-1]
    ratio = quartiles(loop, bare)
    print(f"an epoch of {STEPS} steps: {ratio['median']:.3f} times its bare steps ({ratio['low']} to {ratio['high']})")
    numbers = {"steps": STEPS, "loop_s": [round(s, 3) for s in loop], "bare_s": [round(s, 3) for s in bare]}
    keep(asked, numbers | {"ratio": ratio, "versions": versions("jaxfer", "jax", "flax", "optax", "numpy")})


if __name__ == "__main__":
    main()
