"""`jaxfer sweep`: many runs, and one table of what came of them."""

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from jaxfer.cli.start import ProcessFlags, start_jax
from jaxfer.cli.training import again, new_folder, peek
from jaxfer.config import PRESETS, Config
from jaxfer.errors import Interrupted, UserError

if TYPE_CHECKING:
    from jaxfer.training.sweep import Search


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Train with many values of some fields, and print one table; killed at any moment, it goes on with --resume.

    jaxfer sweep --data-dir DIR --preset seed --over learning_rate=0.01,0.003,0.001 --over epochs=25,30,50

    jaxfer sweep --over learning_rate=log:0.0001..0.1 --over variant=seed,resnet18 --draws 20

    jaxfer sweep --sweep-dir runs/NAME --resume
    """

    over: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A field and its values: FIELD=A,B,C or, to draw from, FIELD=LOW..HIGH or FIELD=log:LOW..HIGH. Repeat it for
    each field."""
    draws: int | None = None
    """Draw so many cells at random, in place of every combination."""
    draw_seed: int = 0
    """Decides what is drawn."""
    config: tyro.conf.OmitArgPrefixes[Config]
    preset: Literal["seed", "demo"] = "demo"
    """Where all fields that do not change start from: the published 50-epoch experiment, or a short run."""
    sweep_dir: Path | None = None
    """Folder of the sweep; by default a new one under runs/, named after the time."""
    resume: bool = False
    """Continue the sweep in --sweep-dir with what it tries."""
    processes: tyro.conf.OmitArgPrefixes[ProcessFlags] = field(default_factory=ProcessFlags)
    json: bool = False
    """Print the table as JSON, and nothing else, to the standard output."""

    @classmethod
    def defaults(cls, arguments: Sequence[str]) -> "Sweep":
        """Return the flags before `arguments` change them: a preset's, or with --resume those of the sweep."""
        known = peek(arguments, "--sweep-dir")
        config = _begun_with(known.folder) if known.resume else PRESETS[known.preset]
        return cls(config=config, preset=known.preset, sweep_dir=known.folder, resume=known.resume)

    def run(self) -> None:
        """Train all cells, and print the table."""
        search = self._search()
        sweep_dir = self.sweep_dir or new_folder("sweep", self.processes, "--sweep-dir")
        start_jax(self.processes)
        # The rest of JAX is imported from here on, as in `jaxfer train`.
        from jaxfer.evaluation.finish import finish_run
        from jaxfer.training.processes import is_first
        from jaxfer.training.sweep import sweep

        try:
            with _sigterm_exits():
                found = sweep(search, sweep_dir, finish=finish_run, resume=self.resume, progress=not self.json)
        except (Interrupted, KeyboardInterrupt, SystemExit):
            if is_first():
                command = f"jaxfer sweep --sweep-dir {sweep_dir} --resume{again(self.processes)}"
                print(f"Continue with: {command}", file=sys.stderr)
            raise
        if is_first():
            from jaxfer.cli.sweep_table import print_table
            from jaxfer.evaluation.sweep_report import write_sweep_report
            from jaxfer.training.sweep import to_records

            page = write_sweep_report(sweep_dir)
            if self.json:
                print(json.dumps(to_records(found), indent=2))
            else:
                print_table(found)
                print(f"Report: {page}")

    def _search(self) -> "Search":
        from jaxfer.training.sweep import continued, grid, random_search

        if self.resume and not self.over:
            assert self.sweep_dir is not None
            return continued(self.sweep_dir, self.config)
        fields = dict(map(_field, self.over))
        if len(fields) < len(self.over):
            raise UserError("--over names a field twice: pass all of its values at once, as FIELD=A,B,C")
        if self.draws is not None:
            return random_search(self.config, fields, count=self.draws, seed=self.draw_seed)
        ranges = [name for name, values in fields.items() if not isinstance(values, list)]
        if ranges:
            raise UserError(f"--over {ranges[0]} is a range: say with --draws how many cells to draw")
        return grid(self.config, fields)


def _field(text: str) -> tuple[str, Any]:
    """Return the name and the values, or the range, that an argument of --over says."""
    name, equals, values = text.partition("=")
    if not (equals and name):
        raise UserError(f"--over {text!r} says no values: pass FIELD=A,B,C, such as learning_rate=0.01,0.001")
    return name, _range(name, values) if ".." in values else _values(values)


def _range(name: str, text: str) -> Any:
    from jaxfer.training.sweep import LogUniform, Uniform

    low, _, high = text.removeprefix("log:").partition("..")
    try:
        bounds = float(low), float(high)
    except ValueError as error:
        raise UserError(f"--over {name}={text} is no range: pass LOW..HIGH or log:LOW..HIGH, in numbers") from error
    return LogUniform(*bounds) if text.startswith("log:") else Uniform(*bounds)


def _values(text: str) -> list[Any]:
    """Return values that commas part, as JSON or as they are."""
    try:
        return json.loads(f"[{text}]")
    except json.JSONDecodeError:
        return [_value(part.strip()) for part in text.split(",") if part.strip()]


def _value(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


_WORDS = {"None": None, "True": True, "False": False}
"""As `--help` shows them."""


def _begun_with(sweep_dir: Path) -> Config:
    from jaxfer.training.sweep import read_search

    return read_search(sweep_dir).base


@contextmanager
def _sigterm_exits() -> Iterator[None]:
    """Have SIGTERM end the program as Ctrl-C does, where no run is there to save itself first."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
