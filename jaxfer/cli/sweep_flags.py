"""What sweeping programs share: their flags, and what they say when they are stopped."""

import dataclasses
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import tyro

from jaxfer.cli.start import ProcessFlags
from jaxfer.cli.training import NEW, again, new_folder, peek
from jaxfer.config import PRESETS, Config
from jaxfer.errors import Interrupted


@dataclass(frozen=True, kw_only=True)
class SweepFlags:
    """The flags of a sweeping program: those of `Config`, and where to keep the sweep."""

    config: tyro.conf.OmitArgPrefixes[Config]
    preset: Literal["published", "demo"] = "demo"
    """Where all fields that do not change start from: the published 50-epoch experiment, or a short run."""
    sweep_dir: Path = NEW
    """Folder of the sweep; by default a new one under runs/, named after the time."""
    resume: bool = False
    """Continue the sweep in --sweep-dir with what it tries."""
    side_by_side: int = 1
    """Runs that differ in numbers alone to train at once, on an accelerator, which a small run does not fill."""
    processes: tyro.conf.OmitArgPrefixes[ProcessFlags] = field(default_factory=ProcessFlags)

    @classmethod
    def defaults(cls, arguments: Sequence[str]) -> Self:
        """Return the flags before `arguments` change them: a preset's, or with --resume those of the sweep."""
        known = peek(arguments, "--sweep-dir", preset=cls.preset)
        config = _begun_with(known.folder) if known.resume else PRESETS[known.preset]
        return cls(config=config, preset=known.preset, sweep_dir=known.folder, resume=known.resume)

    def with_folder(self) -> Self:
        """Return the flags with a `sweep_dir`, where none was given a new one.

        Raises `UserError` for several processes without a `sweep_dir` in common.
        """
        if self.sweep_dir != NEW:
            return self
        return dataclasses.replace(self, sweep_dir=new_folder("sweep", self.processes, "--sweep-dir"))

    @contextmanager
    def continued_by(self, program: str) -> Iterator[None]:
        """Print how to go on with the sweep where a signal ends it inside.

        program: how the person started this, such as `jaxfer sweep`. SIGTERM ends it as Ctrl-C does, where no run is
        there to save itself first.
        """
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            yield
        except (Interrupted, KeyboardInterrupt, SystemExit):
            from jaxfer.devices.distributed import is_first

            if is_first() and (self.sweep_dir / "sweep.json").exists():
                command = f"{program} --sweep-dir {self.sweep_dir} --resume{again(self.processes)}"
                print(f"Continue with: {command}", file=sys.stderr)
            raise
        finally:
            signal.signal(signal.SIGTERM, before)


def _begun_with(sweep_dir: Path) -> Config:
    # The training package imports JAX, which `--help` and mistaken flags need not wait for.
    from jaxfer.sweeps import read_search

    return read_search(sweep_dir).base
