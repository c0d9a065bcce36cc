"""Decode many faces in several processes: in threads, Python's lock would let two processors do little more than one.

The processes are started as programs of their own, which talk to this one through their standard input and output:
they import nothing of the caller's and end when this process does, however it ends.
"""

import hashlib
import itertools
import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, cast

import numpy as np

from jaxfer.data.images import Box, UnreadableError, face_for, quiet_pillow
from jaxfer.data.layouts.record import Record
from jaxfer.errors import UserError

FEW = 256
"""So many faces are decoded sooner than a process is started."""

CHUNK_BYTES = 1 << 19
"""How many bytes of pixels a process decodes at a time, at least one image's."""

AHEAD = 4
"""Chunks for each process that may be under way or done before the first of them is taken: this bounds the memory."""

PROGRAM = "import sys; sys.path[:] = {path!r}; from jaxfer.data.prepared.decoding import serve; serve()"


@dataclass(frozen=True, slots=True)
class Decoded:
    """A face, or why there is none.

    pixels: the bytes of uint8 [size, size, 3], RGB; empty where the image is unreadable.
    digest: a hash of them, equal for equal pixels.
    landmarks: float [68, 2], x and y in pixels of the face; None where the record has none.
    problem: what is wrong with an unreadable image.
    """

    pixels: bytes = b""
    digest: bytes = b""
    landmarks: np.ndarray | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """What has to be known of a record to decode its face."""

    image: Any
    box: Box | None
    landmarks: np.ndarray | None


@dataclass(frozen=True, slots=True)
class Stored:
    """The content of a stored image, read already, or what went wrong then."""

    content: bytes | np.ndarray | Exception

    def read(self) -> bytes | np.ndarray:
        """Return the content, or raise what reading it did."""
        if isinstance(self.content, Exception):
            raise self.content
        return self.content


def decode_in_processes(records: Iterable[Record], size: int, margin: float) -> Iterator[tuple[Record, Decoded]]:
    """Yield each record with its face, in order, decoded by as many processes as there are processors.

    Records are drawn only as fast as faces are taken. The pixels are those of `jaxfer.data.images.decode`.
    """
    records = iter(records)
    first = list(itertools.islice(records, FEW))
    if len(first) < FEW:
        with quiet_pillow():
            yield from ((record, _decode(_job(record), size, margin)) for record in first)
        return
    records = itertools.chain(first, records)
    length = max(1, CHUNK_BYTES // (3 * size * size))
    with Processes(os.cpu_count() or 1, size, margin) as processes:
        yield from processes.map(iter(lambda: list(itertools.islice(records, length)), []))


class Processes:
    """A number of processes that decode. Use it as a context: leaving it ends them."""

    def __init__(self, count: int, size: int, margin: float) -> None:
        self._settings = size, margin
        self._all = [self._start() for _ in range(count)]
        self._free: SimpleQueue[subprocess.Popen] = SimpleQueue()
        for process in self._all:
            self._free.put(process)
        self._threads = ThreadPoolExecutor(count)

    def map(self, chunks: Iterator[list[Record]]) -> Iterator[tuple[Record, Decoded]]:
        """Yield each record of each chunk with its face, in order."""
        pending = deque()
        for chunk in chunks:
            pending.append((chunk, self._threads.submit(self._decode, chunk)))
            if len(pending) == AHEAD * len(self._all):
                done, faces = pending.popleft()
                yield from zip(done, faces.result(), strict=True)
        for done, faces in pending:
            yield from zip(done, faces.result(), strict=True)

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
        _send(self._settings, cast(IO[bytes], process.stdin))
        return process

    def _decode(self, chunk: list[Record]) -> list[Decoded]:
        jobs = [_job(record) for record in chunk]
        process = self._free.get()
        try:
            _send(jobs, cast(IO[bytes], process.stdin))
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
    """Decode what comes in through standard input, until it ends: the program of each process."""
    jobs, results = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not get between the results
    size, margin = pickle.load(jobs)
    with quiet_pillow():
        while True:
            try:
                chunk = pickle.load(jobs)
            except EOFError:
                return
            _send([_decode(job, size, margin) for job in chunk], results)


def _send(message: object, stream: IO[bytes]) -> None:
    pickle.dump(message, stream, protocol=pickle.HIGHEST_PROTOCOL)
    stream.flush()


def _job(record: Record) -> Job:
    image = record.image
    if not isinstance(image, Path | np.ndarray):
        try:
            image = Stored(image.read())
        except Exception as error:  # the same as `open_face` would meet, and tell
            image = Stored(OSError(str(error) or type(error).__name__))
    return Job(image, record.box, record.landmarks)


def _decode(job: Job, size: int, margin: float) -> Decoded:
    try:
        face = face_for(size, job.image, box=job.box, margin=margin)
    except UnreadableError as error:
        return Decoded(problem=error.reason)
    pixels = face.resize(size).tobytes()
    landmarks = None if job.landmarks is None else face.points(job.landmarks, size)
    return Decoded(pixels, hashlib.blake2b(pixels, digest_size=16).digest(), landmarks)
