"""Work on many small items in threads: Pillow and hashing release Python's lock, so that all processors share it."""

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK = 32
"""Items that a thread takes at a time."""

AHEAD = 4
"""Chunks for each thread that may be under way or done before the first of them is taken: this bounds the memory."""


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield `function(item)` of each item, in order, computed by as many threads as there are processors.

    Items are drawn only as fast as results are taken. The first exception of `function` is raised at its item's turn.

    >>> list(in_threads(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    workers = os.cpu_count() or 1
    iterator = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        pending = deque()
        try:
            while chunk := list(itertools.islice(iterator, CHUNK)):
                pending.append(pool.submit(lambda chunk: [function(item) for item in chunk], chunk))
                if len(pending) == AHEAD * workers:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
