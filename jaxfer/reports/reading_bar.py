"""A line on the terminal that says how far reading images is."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WORTH_A_BAR = 2000
"""How many images take long enough that a bar helps."""


@contextmanager
def images_bar(what: str, total: int | None = None, worth: int | None = None) -> Iterator[Callable[[str, int], object]]:
    """Draw a bar on standard error, where that is a terminal and `total`, if it is known, is at least `worth`.

    Pass it to `jaxfer.data.load`, `check` or `prepare` as `watch`.

    Args:
        what: What is done.
        total: How many images there are; None where that is not known.
        worth: How many of them take long enough that a bar helps, by default `WORTH_A_BAR`.
    """
    least = WORTH_A_BAR if worth is None else worth
    if not sys.stderr.isatty() or (total is not None and total < least):
        yield lambda what, count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    open_end = (SpinnerColumn(), TextColumn("{task.completed:,.0f}"))
    count = open_end if total is None else (BarColumn(), MofNCompleteColumn())
    columns = (TextColumn("{task.description}"), *count, TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda what, count: bar.update(task, description=what, completed=count)
