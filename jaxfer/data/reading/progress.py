"""How far work on many images is, for whoever watches it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

EVERY = 50
"""How many images are counted between two times that it is told."""

Show = Callable[[str, int], object]
"""`show(what, count)` is told what is done, and of how many images."""

Watch = Callable[[str, int | None], AbstractContextManager[Show]]
"""`watch(what, total)` watches work on `total` images, None where their number is not known, as long as it lasts.

`jaxfer.reports.images_bar` draws a bar.
"""


@contextmanager
def unwatched(what: str, total: int | None) -> Iterator[Show]:
    """Watch nothing."""
    yield lambda what, count: None


class Tally:
    """Counts images, and tells of them now and then."""

    def __init__(self, what: str, show: Show) -> None:
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
def counting(what: str, total: int | None = None, *, watch: Watch) -> Iterator[Tally]:
    """Yield a tally of images.

    Args:
        what: What is done with them, in words.
        total: How many there are; None where that is not known.
        watch: Told of the tally now and then.
    """
    with watch(what, total) as show:
        yield Tally(what, show)
