"""What programs that train share: their flags, and the table at their end."""

import argparse
import dataclasses
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import tyro

from jaxfer.cli import refusals
from jaxfer.cli.lists import parted
from jaxfer.cli.new_names import with_new_names
from jaxfer.cli.start import ProcessFlags
from jaxfer.config import PRESETS, Config, DataConfig
from jaxfer.errors import Interrupted, UserError

if TYPE_CHECKING:
    from jaxfer.data.dataset import Dataset
    from jaxfer.models import Network


NEW = Path("runs")
"""Where programs make a new folder if none is given."""

_RUNS = "; ".join(f"{name}, {run.epochs} epochs in batches of {run.batch_size}" for name, run in PRESETS.items())

if TYPE_CHECKING:
    Preset = str
    """A name in `PRESETS`."""
else:
    Preset = Annotated[Literal[tuple(PRESETS)], tyro.conf.arg(help=f"Where all other flags start from: {_RUNS}.")]


@dataclass(frozen=True, kw_only=True)
class ConfigFlags:
    """The flags of a program that trains: those of `Config`, where they start from, and how its processes meet.

    A subclass has a field for the folder that it keeps.
    """

    FOLDER: ClassVar[str]
    """Name of the field for the folder."""

    config: tyro.conf.OmitArgPrefixes[Config]
    preset: Preset = "published"
    resume: bool = False
    """Continue what the folder holds, with the configuration that it began with."""
    network: str | None = None
    """Your own network as module:attribute, which is imported; say it again to resume."""
    processes: tyro.conf.OmitArgPrefixes[ProcessFlags] = field(default_factory=ProcessFlags)

    @classmethod
    def parse(cls, arguments: Sequence[str] | None = None, *, description: str | None = None) -> Self:
        """Return the flags that arguments say, with a folder.

        Args:
            arguments: By default the command line's.
            description: What `--help` says of the program.

        Raises:
            UserError: Values that a config refuses, or a folder that `defaults` or `with_folder` does.
            SystemExit: What is no flag, with tyro's words.
        """
        arguments = parted(with_new_names(sys.argv[1:] if arguments is None else arguments))
        defaults = cls.defaults(arguments)
        with refusals.raised():
            flags = tyro.cli(cls, args=arguments, default=defaults, description=description)
        return flags.with_folder()

    @classmethod
    def defaults(cls, arguments: Sequence[str]) -> Self:
        """Return the flags before `arguments` change them, which `--help` shows.

        They are those of the preset that the arguments name, or with --resume of what the folder began with.

        Raises:
            UserError: --resume names no folder, or one that holds nothing to go on with.
        """
        flag = f"--{cls.FOLDER.replace('_', '-')}"
        early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        early.add_argument("--preset", default=cls.preset)
        early.add_argument(flag, f"--{cls.FOLDER}", type=Path, default=NEW, dest="folder")
        early.add_argument("--resume", action="store_true")
        # Only who names a module here has it imported, and never a config.json by itself.
        early.add_argument("--network", "--variant", type=lambda name: name if ":" in name else None)
        known, _ = early.parse_known_args(arguments)
        # A preset that there is none of is refused by what reads all flags, in the way of any other mistake.
        known.preset = known.preset if known.preset in PRESETS else cls.preset
        if known.resume and known.folder == NEW:
            raise UserError(f"--resume needs the folder to go on with: pass {flag}")
        config = cls.begun_with(known.folder) if known.resume else PRESETS[known.preset]
        if known.network is not None:
            model = config.model.naming(known.network)
            # A preset says these of its own network. A run that goes on has to say what it said when it began.
            model = model if known.resume else dataclasses.replace(model, dropout=0.0, dtype="float32")
            config = dataclasses.replace(config, model=model)
        fields: dict[str, Any] = {cls.FOLDER: known.folder}
        return cls(config=config, preset=known.preset, resume=known.resume, network=known.network, **fields)

    @classmethod
    def begun_with(cls, folder: Path) -> Config:
        """Return the configuration that a folder began with.

        Raises:
            UserError: There is none, or it is damaged.
        """
        raise NotImplementedError

    @property
    def folder(self) -> Path:
        """The folder."""
        return getattr(self, self.FOLDER)

    def with_folder(self) -> Self:
        """Return the flags with a folder, a new one under runs/ where none was given.

        Raises:
            UserError: Several processes would each choose their own.
        """
        if self.folder != NEW:
            return self
        if self.processes.several:
            flag = self.FOLDER.replace("_", "-")
            raise UserError(f"several processes need one folder in common: pass the same --{flag} to all of them")
        fields: dict[str, Any] = {self.FOLDER: NEW / f"{self.name}-{time.strftime('%Y%m%d-%H%M%S')}"}
        return dataclasses.replace(self, **fields)

    @property
    def name(self) -> str:
        """What a new folder is named after, besides the time."""
        return self.preset

    def resume_command(self, program: str) -> str:
        """Return how to go on after an interruption of `program`, such as `jaxfer train`."""
        others = ", and the same flags about the processes in each" if self.processes.several else ""
        network = f" --network {self.network}" if self.network else ""
        return f"{program} --{self.FOLDER.replace('_', '-')} {self.folder} --resume{network}{others}"


@dataclass(frozen=True, kw_only=True)
class TrainingFlags(ConfigFlags):
    """The flags of a program that trains one run."""

    FOLDER = "run_dir"

    run_dir: Path = NEW
    """Folder of the run; by default a new one under runs/, named after the preset and the time."""
    tensorboard: bool = False
    """Write TensorBoard's event files into the run's folder as well; a run that has some resumes with them."""

    @property
    def writes_events(self) -> bool:
        """Whether TensorBoard's files are asked for, or the run that is resumed has some."""
        from jaxfer.reports.tensorboard import FOLDER

        return self.tensorboard or (self.resume and (self.run_dir / FOLDER).is_dir())

    @classmethod
    def begun_with(cls, folder: Path) -> Config:
        """Return the configuration that the run in a folder began with.

        Raises:
            UserError: There is none, or it is damaged.
        """
        # What reads a run imports JAX, which `--help` and mistaken flags need not wait for.
        from jaxfer.runs.folder import RESUMED, read_config

        return read_config(folder, RESUMED)


@dataclass(frozen=True, kw_only=True)
class SweepFlags(ConfigFlags):
    """The flags of a program that trains many runs."""

    FOLDER = "sweep_dir"

    sweep_dir: Path = NEW
    """Folder of the sweep; by default a new one under runs/, named after the time."""
    side_by_side: int = 1
    """Runs that differ in numbers alone to train at once, on an accelerator, which a small run does not fill."""

    @classmethod
    def begun_with(cls, folder: Path) -> Config:
        """Return the configuration around what a folder's sweep changes.

        Raises:
            UserError: There is none, or it is damaged.
        """
        from jaxfer.sweeps import read_search

        return read_search(folder).base

    @property
    def name(self) -> str:
        """What a new folder is named after, besides the time."""
        return "sweep"

    @contextmanager
    def continued_by(self, program: str) -> Iterator[None]:
        """Print how to go on with the sweep where a signal ends it inside.

        SIGTERM ends it as Ctrl-C does, where no run is there to save itself first.

        Args:
            program: How the person started this, such as `jaxfer sweep`.
        """
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            yield
        except (Interrupted, KeyboardInterrupt, SystemExit):
            from jaxfer.devices.distributed import is_first

            if is_first() and (self.sweep_dir / "sweep.json").exists():
                print(f"Continue with: {self.resume_command(program)}", file=sys.stderr)
            raise
        finally:
            signal.signal(signal.SIGTERM, before)


def own_network(name: str | None, num_classes: int) -> "Network | None":
    """Return the network that a person names; its module may lie in the folder they are in.

    Args:
        name: As module:attribute, or None.
        num_classes: How many classes it is to tell apart.

    Returns:
        The network; None without a name.

    Raises:
        UserError: `jaxfer.models.import_network` refuses.
    """
    from jaxfer.models import import_network

    if name is None:
        return None
    if "" not in sys.path:
        sys.path.insert(0, "")  # an installed command looks beside itself, not where the person is
    return import_network(name, num_classes)


def load_and_print(config: DataConfig) -> "Dataset":
    """Return the data that a config asks for, having printed what is in it, in the first of several processes."""
    from jaxfer.data import load
    from jaxfer.devices.distributed import is_first
    from jaxfer.reports import images_bar, print_data

    data = load(config, watch=images_bar)
    if is_first():
        print_data(data)
    return data
