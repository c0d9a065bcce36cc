"""A line on the terminal that says how far work on many images is."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WORTH_A_BAR = 2000
"""How many images take long enough that a bar helps."""

EVERY = 50
"""How many images are counted between two changes of the line."""


class Tally:
    """Counts images, and calls `show(what, count)` now and then."""

    def __init__(self, what: str, show: Callable[[str, int], None]) -> None:
        self._what, self._show, self._count = what, show, 0

    def count(self) -> None:
        """Add an image that is done."""
        self._count += 1
        if self._count % EVERY == 0:
            self._show(self._what, self._count)

    def begin(self, what: str) -> None:
        """Say what is done from now on."""
        self._what = what
        self._show(what, self._count)


@contextmanager
def counting(what: str, total: int | None = None, *, shown: bool = True) -> Iterator[Tally]:
    """Yield a tally, shown on standard error where that is a terminal, and `total`, where it is known, worth a bar."""
    if not shown or not sys.stderr.isatty() or (total is not None and total < WORTH_A_BAR):
        yield Tally(what, lambda what, count: None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    open_end = (SpinnerColumn(), TextColumn("{task.completed:,.0f}"))
    count = open_end if total is None else (BarColumn(), MofNCompleteColumn())
    columns = (TextColumn("{task.description}"), *count, TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield Tally(what, lambda what, count: bar.update(task, description=what, completed=count))
