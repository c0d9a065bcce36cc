"""Several runs at once beside one, for an accelerator: `python benchmarks/side_by_side.py OUT.json`.

The seconds of an epoch of 1, 2, 4 and 8 runs of the published network, 28,420 drawn faces, batch 32, float32 and
bfloat16, with its validation, log and checkpoints, over the epochs after the first, which compiles.
"""

import dataclasses
import sys
import tempfile
from pathlib import Path

from command import keep, parser
from machine import accelerator, versions

from jaxfer.config import PRESETS, Config, DataConfig, ModelConfig
from jaxfer.data.synthetic import drawn_dataset
from jaxfer.errors import Diverged
from jaxfer.training import Program, Run, fit_together

COUNTS, EPOCHS = (1, 2, 4, 8), 4


def main() -> None:
    """Measure, print and keep."""
    asked = parser(__doc__).parse_args()
    if accelerator() is None:
        sys.exit("a CPU is filled by one run: sweep.py measures sweeps on it")
    data = DataConfig(drawn_train=28_420, drawn_val=2991)
    faces, measured = drawn_dataset(data), []
    for dtype in ("float32", "bfloat16"):
        config = dataclasses.replace(PRESETS["published"], data=data, model=ModelConfig(dtype=dtype), epochs=EPOCHS)
        program = Program(config, faces)
        for count in COUNTS:
            seconds = epoch_seconds(config, program, count)
            print(f"{dtype}, {count} at once: {seconds:.2f} s an epoch, {seconds / count:.2f} s each", flush=True)
            measured.append({"dtype": dtype, "runs": count, "epoch_s": round(seconds, 3)})
            keep(asked, {"epochs": measured, "versions": versions("jaxfer", "jax", "flax", "optax", "numpy")})


def epoch_seconds(config: Config, program: Program, count: int) -> float:
    """Return the seconds of an epoch of so many runs that differ in their seed."""
    with tempfile.TemporaryDirectory() as folder:
        configs = [dataclasses.replace(config, seed=seed) for seed in range(count)]
        runs = [Run(config=config, run_dir=Path(folder) / str(config.seed)) for config in configs]
        outcome = fit_together(runs, program)[0]
        if isinstance(outcome, Diverged):
            raise outcome
        _, rows = outcome
        # A run's seconds are its equal share of the time.
        return count * (rows[-1]["seconds"] - rows[0]["seconds"]) / (config.epochs - 1)


if __name__ == "__main__":
    main()
