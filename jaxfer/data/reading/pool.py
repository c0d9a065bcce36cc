"""Work on many images in several processes: in threads, Python's lock would let two processors do little more than one.

The processes are started as programs of their own, which talk to this one through their standard input and output:
they import nothing of the caller's and end when this process does, however it ends.

joblib's `Parallel(return_as="generator")`, tried with 1.6, draws its whole input and holds all results however slowly
they are taken, warns where the rest of them is not taken, and answers Ctrl-C with the traceback of a thread of its own.
`multiprocessing` imports the caller's program anew, which then needs a main guard.
"""

import itertools
import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, TypeVar, cast

import numpy as np

from jaxfer.data.reading.images import quiet_pillow
from jaxfer.data.reading.record import Record
from jaxfer.errors import UserError

FEW = 256
"""So many images are decoded sooner than a process is started."""

CHUNK = 32
"""How many records a process takes at a time."""

AHEAD = 4
"""Chunks for each process that may be under way or done before the first of them is taken: this bounds the memory."""

PROGRAM = "import sys; sys.path[:] = {path!r}; from jaxfer.data.reading.pool import serve; serve()"

Result = TypeVar("Result")


def map_records(function: Callable[[Record], Result], records: Iterable[Record]) -> Iterator[tuple[Record, Result]]:
    """Yield each record with `function(record)`, in order, computed by as many processes as there are processors.

    Records are drawn only as fast as results are taken.

    Args:
        function: One of a module, or a `functools.partial` of one, that raises nothing and whose results can be
            pickled.
        records: Any number of them.

    Raises:
        UserError: A process ended, which it does where memory runs out.
    """
    records = iter(records)
    first = list(itertools.islice(records, FEW))
    if len(first) < FEW:
        with quiet_pillow():
            results = [function(record) for record in first]
        yield from zip(first, results, strict=True)
        return
    records = itertools.chain(first, records)
    with Processes(os.cpu_count() or 1, function) as processes:
        yield from processes.map(iter(lambda: list(itertools.islice(records, CHUNK)), []))


class Processes:
    """A number of processes that call a function. Use it as a context: leaving it ends them."""

    def __init__(self, count: int, function: Callable[[Record], Any]) -> None:
        self._function = function
        self._all = [self._start() for _ in range(count)]
        self._free: SimpleQueue[subprocess.Popen] = SimpleQueue()
        for process in self._all:
            self._free.put(process)
        self._threads = ThreadPoolExecutor(count)

    def map(self, chunks: Iterator[list[Record]]) -> Iterator[tuple[Record, Any]]:
        """Yield each record of each chunk with its result, in order."""
        pending = deque()
        for chunk in chunks:
            pending.append((chunk, self._threads.submit(self._work, chunk)))
            if len(pending) == AHEAD * len(self._all):
                done, results = pending.popleft()
                yield from zip(done, results.result(), strict=True)
        for done, results in pending:
            yield from zip(done, results.result(), strict=True)

    def _start(self) -> subprocess.Popen:
        # Otherwise glibc hands memory back to the system after each image, which costs up to a fifth of the time.
        environment = {"MALLOC_TRIM_THRESHOLD_": str(64 << 20), "MALLOC_MMAP_THRESHOLD_": str(64 << 20)}
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment | os.environ,
            start_new_session=True,  # Ctrl-C is for this process, which then ends the others
        )
        _send(self._function, cast(IO[bytes], process.stdin))
        return process

    def _work(self, chunk: list[Record]) -> list[Any]:
        content = list(map(portable, chunk))
        process = self._free.get()
        try:
            _send(content, cast(IO[bytes], process.stdin))
            return pickle.load(cast(IO[bytes], process.stdout))
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            status = process.returncode
            raise UserError(f"a process that decodes images ended ({status}): if memory ran out, free some") from error
        finally:
            self._free.put(process)

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self._all:
            process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in self._all:
            process.communicate()


def serve() -> None:
    """Answer what comes in through standard input, until it ends: the program of each process."""
    chunks, results = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not get between the results
    function = pickle.load(chunks)
    with quiet_pillow():
        while True:
            try:
                chunk = pickle.load(chunks)
            except EOFError:
                return
            _send([function(record) for record in chunk], results)


def _send(message: object, stream: IO[bytes]) -> None:
    pickle.dump(message, stream, protocol=pickle.HIGHEST_PROTOCOL)
    stream.flush()


@dataclass(frozen=True, slots=True)
class _Stored:
    """The content of a stored image, read already, or what went wrong then."""

    content: bytes | np.ndarray | Exception

    def read(self) -> bytes | np.ndarray:
        """Return the content, or raise what reading it did."""
        if isinstance(self.content, Exception):
            raise self.content
        return self.content


def portable(record: Record) -> Record:
    """Return the record in a form that another process can use: files stay open in this one."""
    if isinstance(record.image, Path | np.ndarray):
        return record
    try:
        image = _Stored(record.image.read())
    except Exception as error:  # the same as `open_face` would meet, and tell
        image = _Stored(OSError(str(error) or type(error).__name__))
    return replace(record, image=image)
