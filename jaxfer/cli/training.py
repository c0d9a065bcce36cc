"""What training programs share: their flags, and loading the data."""

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import tyro

from jaxfer.cli.start import ProcessFlags
from jaxfer.config import PRESETS, Config, DataConfig
from jaxfer.errors import UserError

if TYPE_CHECKING:
    from jaxfer.data.dataset import Dataset


NEW = Path("runs")
"""Where programs make a new folder if none is given."""


@dataclass(frozen=True, kw_only=True)
class TrainingFlags:
    """The flags of a training program: those of `Config`, and where to keep the run."""

    config: tyro.conf.OmitArgPrefixes[Config]
    preset: Literal["seed", "demo"] = "demo"
    """Where all other flags start from: the published 50-epoch experiment, or a minute or two of drawn faces."""
    run_dir: Path = NEW
    """Folder of the run; by default a new one under runs/, named after the preset and the time."""
    resume: bool = False
    """Continue the run in --run-dir with the configuration it began with."""
    tensorboard: bool = False
    """Write TensorBoard's event files into the run's folder as well; a run that has some resumes with them."""
    processes: tyro.conf.OmitArgPrefixes[ProcessFlags] = field(default_factory=ProcessFlags)

    def with_folder(self) -> Self:
        """Return the flags with a `run_dir`, where none was given a new one.

        Raises `UserError` for several processes without a `run_dir` in common.
        """
        new = self.run_dir == NEW
        return dataclasses.replace(self, run_dir=new_folder(self.preset, self.processes)) if new else self

    def resume_command(self, program: str) -> str:
        """Return how to go on with the run after an interruption of `program`, such as `jaxfer train`."""
        return f"{program} --run-dir {self.run_dir} --resume{again(self.processes)}"


def parse_training(arguments: Sequence[str] | None = None, *, description: str | None = None) -> TrainingFlags:
    """Return the flags of a training program from `arguments`, by default the command line's; `run_dir` is set.

    The preset, or with --resume the run's own configuration, gives the defaults that `--help` shows.

    Raises `UserError` for values that a config refuses and for several processes without a `run_dir` in common, and
    exits as tyro does for what is no flag.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    flags = tyro.cli(TrainingFlags, args=arguments, default=training_defaults(arguments), description=description)
    return flags.with_folder()


def training_defaults(arguments: Sequence[str]) -> TrainingFlags:
    """Return the flags of a run before `arguments` change them: its preset's, or with --resume the run's own."""
    known = peek(arguments, "--run-dir")
    config = _begun_with(known.folder) if known.resume else PRESETS[known.preset]
    return TrainingFlags(config=config, preset=known.preset, run_dir=known.folder, resume=known.resume)


def peek(arguments: Sequence[str], folder: str, *, preset: str = "demo") -> argparse.Namespace:
    """Return the `preset`, `folder` and `resume` among arguments: what all other flags' defaults depend on.

    folder: the name of the flag for the folder. preset: the default one. Raises `UserError` for --resume without it.
    """
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--preset", choices=PRESETS, default=preset)
    early.add_argument(folder, folder.replace("-", "_").replace("__", "--", 1), type=Path, default=NEW, dest="folder")
    early.add_argument("--resume", action="store_true")
    known, _ = early.parse_known_args(arguments)
    if known.resume and known.folder == NEW:
        raise UserError(f"--resume needs the folder to go on with: pass {folder}")
    return known


def new_folder(name: str, processes: ProcessFlags, flag: str = "--run-dir") -> Path:
    """Return a new folder under runs/, named after what it holds and the time.

    Raises `UserError` where several processes would each choose their own.
    """
    if processes.several:
        raise UserError(f"several processes need one folder in common: pass the same {flag} to all of them")
    return NEW / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"


def again(processes: ProcessFlags) -> str:
    """Return what a command to go on with says of several processes."""
    return ", and the same flags about the processes in each" if processes.several else ""


def _begun_with(run_dir: Path) -> Config:
    # The training package imports JAX, which `--help` and mistaken flags need not wait for.
    from jaxfer.runs.folder import read_config

    return read_config(run_dir)


def load_and_print(config: DataConfig) -> "Dataset":
    """Return the data that a config asks for, having printed what is in it, in the first of several processes."""
    from jaxfer.data import load
    from jaxfer.devices.distributed import is_first
    from jaxfer.reports import print_data

    data = load(config)
    if is_first():
        print_data(data)
    return data
