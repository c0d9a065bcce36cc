"""A check in the terminal: the layout, the splits, the problems with examples, and what to do next."""

from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jaxfer.data.checking.findings import Check
from jaxfer.data.checking.wording import KINDS, NOTHING_WRONG, in_short, next_steps, printable

EXAMPLES = 3
"""How many problems of each kind are shown."""


def print_summary(check: Check) -> None:
    """See `jaxfer.data.checking.print_check`."""
    console = Console(highlight=False, soft_wrap=True)
    say = lambda text, style=None: console.print(printable(text), style=style, markup=False)  # noqa: E731
    say(f"{check.layout.name}: {check.place} {check.evidence}.")
    console.print(_splits(check), soft_wrap=False)
    say(check.release.summary)
    say(f"sizes: {_in_line(check.sizes)}; modes: {_in_line(check.modes)}")
    for kind, problems in check.problems.items():
        if not problems:
            continue
        say(f"\n{KINDS[kind].title}: {len(problems):,}", style="bold")
        say(KINDS[kind].meaning)
        for problem in problems[:EXAMPLES]:
            say(f"  {problem.path}: {in_short(problem)}")
        if len(problems) > EXAMPLES:
            say(f"  and {len(problems) - EXAMPLES:,} more")
    steps = next_steps(check)
    say("\nWhat to do next" if steps else f"\n{NOTHING_WRONG}", style="bold")
    for number, step in enumerate(steps, start=1):
        say(f"  {number}. {step}")


def _splits(check: Check) -> Table:
    """Return the number of images of each class and split, with the difference from the published number."""
    table = Table(title=f"{check.images:,} usable images", title_justify="left")
    table.add_column("class")
    for name, split in check.splits.items():
        table.add_column(escape(printable(name)) + f"\n({split.use})", justify="right")
    apart = {name: check.release.differences.get(name, {}) for name in check.splits}
    classes = next(iter(check.splits.values())).classes if check.splits else ()
    for label in classes:
        cells = (_cell(split.classes[label], apart[name].get(label, 0)) for name, split in check.splits.items())
        table.add_row(label, *cells)
    totals = (_cell(split.images, sum(apart[name].values())) for name, split in check.splits.items())
    table.add_row("all", *totals, style="bold")
    return table


def _cell(count: int, apart: int) -> str:
    return f"{count:,} ({apart:+,})" if apart else f"{count:,}"


def _in_line(counts: Mapping[str, int]) -> str:
    shown = [f"{name} {count:,}" for name, count in list(counts.items())[:5]]
    return ", ".join(shown) + (", ..." if len(counts) > 5 else "") or "none"
