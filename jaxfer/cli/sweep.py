"""`jaxfer sweep`: many runs, and one table of what came of them."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tyro

from jaxfer.cli.flags import SweepFlags, load_and_print, own_network
from jaxfer.cli.start import start_jax
from jaxfer.errors import UserError

if TYPE_CHECKING:
    from jaxfer.sweeps import Search


@dataclass(frozen=True, kw_only=True)
class Sweep(SweepFlags):
    """Train with many values of some fields, and print one table; killed at any moment, it goes on with --resume.

    jaxfer sweep --data-dir DIR --preset published --over learning_rate=0.01,0.003,0.001 --over epochs=25,30,50

    jaxfer sweep --over learning_rate=log:0.0001..0.1 --over variant=published,resnet18 --draws 20

    jaxfer sweep --sweep-dir runs/NAME --resume
    """

    over: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A field and its values: FIELD=A,B,C or, to draw from, FIELD=LOW..HIGH or FIELD=log:LOW..HIGH. Repeat it for
    each field."""
    draws: int | None = None
    """Draw so many cells at random, in place of every combination."""
    draw_seed: int = 0
    """Decides what is drawn."""
    json: bool = False
    """Print the table as JSON, and nothing else, to the standard output."""

    def run(self) -> None:
        """Train all cells, and print the table."""
        search, flags = self._search(), self.with_folder()
        start_jax(flags.processes)
        # The rest of JAX is imported from here on, as in `jaxfer train`.
        from jaxfer.data import load
        from jaxfer.devices.distributed import is_first
        from jaxfer.sweeps import sweep, to_records

        loading: dict[str, Any] = (
            {"load": load} if flags.json else {"load": load_and_print, "progress": True, "tell": print}
        )
        with flags.continued_by("jaxfer sweep"):
            options = {"resume": flags.resume, "side_by_side": flags.side_by_side}
            model = own_network(flags.network, len(flags.config.data.vocabulary))
            found = sweep(search, flags.sweep_dir, model=model, **options, **loading)
        if is_first():
            from jaxfer.reports import print_sweep, write_sweep_report

            page = write_sweep_report(found)
            if flags.json:
                print(json.dumps(to_records(found), indent=2))
            else:
                print_sweep(found)
                print(f"Report: {page}")

    def _search(self) -> "Search":
        from jaxfer.sweeps import continued, grid, random_search

        if self.resume and not self.over:
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
    return name, _range(values) or _values(values)


def _range(text: str) -> Any:
    """Return the range that `LOW..HIGH` or `log:LOW..HIGH` is, in numbers; None for other texts, such as ../data."""
    from jaxfer.sweeps import LogUniform, Uniform

    low, _, high = text.removeprefix("log:").partition("..")
    try:
        bounds = float(low), float(high)
    except ValueError:
        return None
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
