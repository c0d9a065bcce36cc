"""Train the published grid of learning rates and epochs, and write a sweep folder with a run in it for each rate.

python examples/sweep_affectnet.py --data-dir DIR                      # the published grid on your data: 15 cells
python examples/sweep_affectnet.py --rates 0.003 0.001 --lengths 2 4   # drawn faces, minutes
python examples/sweep_affectnet.py --sweep-dir runs/NAME --resume      # go on after an interruption

`jaxfer sweep` does this from the command line for any field of the config; docs/sweeps.md is about both.
"""

import sys
from dataclasses import dataclass

from jaxfer.cli.flags import Preset, SweepFlags, load_and_print, own_network
from jaxfer.cli.program import run
from jaxfer.cli.start import start_jax


@dataclass(frozen=True, kw_only=True)
class Flags(SweepFlags):
    """The flags of this program."""

    preset: Preset = "published"
    rates: tuple[float, ...] = (0.01, 0.003, 0.001, 0.0003, 0.0001)
    """Learning rates to try."""
    lengths: tuple[int, ...] = (25, 30, 50)
    """Numbers of epochs to try: at a constant rate the shorter runs are parts of the longest."""


def main() -> None:
    """Make the grid, train it, print it."""
    flags = Flags.parse(description=__doc__)
    start_jax(flags.processes)
    # JAX is imported from here on: `--help` and mistaken flags do not wait for it.
    from jaxfer.devices.distributed import is_first
    from jaxfer.reports import print_sweep, write_sweep_report
    from jaxfer.sweeps import continued, grid, sweep

    if flags.resume:
        search = continued(flags.sweep_dir, flags.config)
    else:
        search = grid(flags.config, {"learning_rate": flags.rates, "epochs": flags.lengths})
    with flags.continued_by(f"python {sys.argv[0]}"):
        model = own_network(flags.network, len(flags.config.data.vocabulary))
        options = {"load": load_and_print, "side_by_side": flags.side_by_side, "model": model}
        found = sweep(search, flags.sweep_dir, resume=flags.resume, progress=True, tell=print, **options)
    if is_first():
        print_sweep(found)
        print(f"Report: {write_sweep_report(found)}")


if __name__ == "__main__":
    run(main)
