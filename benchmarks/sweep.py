"""A sweep beside separate runs of the command: `python benchmarks/sweep.py results/sweep.json`.

Two questions, each on drawn faces with the published network and recipe: eight learning rates as one sweep against
eight runs of `jaxfer train`, and the published grid's five rates by three numbers of epochs, in their proportions of 5
to 6 to 10, against its fifteen runs. Both ways write whole run folders with their summaries and reports. The clock runs
from the start of a command to its end; all find their programs compiled, by commands that are not timed, so that both
ways are as fast as they get. Of the separate runs those of one learning rate are timed, and count for all: a rate does
not change the seconds.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from command import keep, parser
from machine import accelerator, versions
from turns import in_turn, quartiles

RATES = (0.01, 0.005, 0.003, 0.002, 0.001, 0.0005, 0.0003, 0.0001)
TIMED = 0.001
"""The learning rate whose separate runs are timed."""

GRID_RATES, LENGTHS = (0.01, 0.003, 0.001, 0.0003, 0.0001), (5, 6, 10)


def main() -> None:
    """Measure, print and keep."""
    made = parser(__doc__)
    made.add_argument("--question", nargs="+", choices=("rates", "grid"), default=["rates", "grid"])
    made.add_argument("--images", type=int, default=960, help="drawn faces to train on; a fifth of them to validate on")
    made.add_argument("--epochs", type=int, default=2, help="epochs of each of the eight learning rates")
    made.add_argument("--scale", type=int, default=1, help="how many times 5, 6 and 10 epochs the grid's cells take")
    made.add_argument("--rounds", type=int, default=1)
    made.add_argument(
        "--side-by-side", type=int, default=8 if accelerator() else 1, help="runs that a sweep trains at once"
    )
    asked = made.parse_args()
    lengths = [asked.scale * length for length in LENGTHS]
    questions = {"rates": (RATES, [asked.epochs]), "grid": (GRID_RATES, lengths)}
    data = ["--preset", "published", "--drawn-train", str(asked.images), "--drawn-val", str(asked.images // 5)]
    run: dict = {"images": asked.images, "rounds": asked.rounds, "side_by_side": asked.side_by_side}
    with tempfile.TemporaryDirectory() as folder:
        command = Command(Path(folder), data, asked.side_by_side)
        command.train(TIMED, 1)
        for name in asked.question:
            rates, epochs = questions[name]
            if asked.side_by_side > 1:  # the program of one run does not serve several at once
                command.sweep(rates, [1])
            run[name] = compare(command, rates, epochs, rounds=asked.rounds)
            found = run[name]
            print(f"{name}: sweep {found['sweep_s']} s, runs {found['runs_s']} s, {found['ratio']} times", flush=True)
    keep(asked, run | {"versions": versions("jaxfer", "jax", "flax", "optax", "orbax-checkpoint", "numpy")})


class Command:
    """The `jaxfer` command, each time in a process of its own and with a new folder; programs are kept between them."""

    def __init__(self, folder: Path, data: Sequence[str], side_by_side: int) -> None:
        self._folder, self._data, self._count = folder, data, 0
        self._sweeping = ("--side-by-side", str(side_by_side))

    def train(self, rate: float, epochs: int) -> float:
        """Return the seconds of one run."""
        return self._seconds("train", "--run-dir", "--learning-rate", str(rate), "--epochs", str(epochs))

    def sweep(self, rates: Sequence[float], epochs: Sequence[int]) -> float:
        """Return the seconds of one sweep."""
        fields = {"learning_rate": rates, "epochs": epochs}
        over = [("--over", f"{name}={','.join(map(str, values))}") for name, values in fields.items()]
        return self._seconds("sweep", "--sweep-dir", *self._sweeping, *chain(*over))

    def _seconds(self, verb: str, place: str, *flags: str) -> float:
        self._count += 1
        program = [sys.executable, "-c", "from jaxfer.cli.main import main; main()", verb]
        command = [*program, place, str(self._folder / str(self._count)), *self._data, *flags]
        environment = os.environ | {"XDG_CACHE_HOME": str(self._folder / "cache")}
        begun = time.perf_counter()
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - begun


def compare(command: Command, rates: Sequence[float], epochs: Sequence[int], *, rounds: int) -> dict:
    """Return the seconds of a sweep and of its cells' separate runs, in turn, and the median of the rounds' ratios."""
    ways = {
        "together": lambda: command.sweep(rates, epochs),
        "apart": lambda: len(rates) * sum(command.train(TIMED, length) for length in epochs),
    }
    together, apart = in_turn(ways, rounds).values()
    ratio = quartiles(together, apart)["median"]
    seconds = {"sweep_s": [round(s, 2) for s in together], "runs_s": [round(s, 2) for s in apart]}
    cells = {"learning_rates": list(rates), "epochs": list(epochs), "timed_rate": TIMED}
    return cells | seconds | {"ratio": ratio}


if __name__ == "__main__":
    main()
