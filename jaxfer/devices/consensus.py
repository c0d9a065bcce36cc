"""How the processes of a run agree, so that all do the same at the same step.

Why not `jax.experimental.multihost_utils`: its `process_allgather`, and with it `assert_equal`, reads its result at
once. At each step every process would wait until its devices, and the slowest process, have finished. Here a vote is
sent off like a step and read one step later, while the devices are busy with the next one. Its
`reached_preemption_sync_point` does not wait either, but it knows SIGTERM alone, through a handler of its own: neither
Ctrl-C nor a checkpoint that is due.
"""

import hashlib
import itertools
from collections.abc import Callable
from typing import TypeVar

import jax
import numpy as np

from jaxfer.devices.placement import Parallel
from jaxfer.errors import UserError

TOGETHER_SECONDS = 86400
"""How long processes wait for the slowest of them to read its data; a dead one is noticed long before."""

Result = TypeVar("Result")


class Agreement:
    """What the processes of a run tell each other between its steps, so that all do the same at the same step.

    Every process must make the same calls in the same order. With one process, each call returns what it was given.

    Args:
        parallel: How the run uses the devices.

    Raises:
        UserError: There are several processes, and `parallel` does not have devices of all of them.
    """

    def __init__(self, parallel: Parallel) -> None:
        self._several = jax.process_count() > 1
        if self._several and parallel.shard.count != jax.process_count():
            raise UserError(
                f"{type(parallel).__name__} runs in one process: pass Sharded() with devices of all processes"
            )
        self._largest = parallel.compile(lambda _, votes: votes["vote"].max(axis=0), donate=False)
        self._pending: jax.Array | None = None
        if self._several:
            _wait_for_all()

    def largest(self, *numbers: int, wait: bool) -> tuple[int, ...]:
        """Return the largest value that any process passed for each number.

        Args:
            *numbers: Integers from 0 to 2**31 - 1, as many in each call that does not wait.
            wait: Whether to return the answer to this call. That waits until the devices have done all that was asked
                of them. Otherwise the answer is to the call before, without waiting.

        Returns:
            The largest values. Without `wait` they are zeros in the first call, and after a call that waited or whose
            answer was not zero: an answer is given once.
        """
        if not self._several:
            return numbers
        late, self._pending = self._pending, None
        if late is not None and not wait and any(answer := _read(late)):
            return answer
        # Votes travel as a batch of one row for each process: `compile` shards that as it does the images.
        votes = {"vote": np.array([numbers], np.int32), "mask": np.ones(1, bool)}
        vote = self._largest((), votes)
        if wait:
            return _read(vote)
        self._pending = vote
        return (0,) * len(numbers)

    def together(self, action: Callable[[], Result]) -> Result:
        """Call `action` in every process, and wait until it has succeeded in all.

        Args:
            action: What to do. It may do something else in each process.

        Returns:
            The result of `action` in this process.

        Raises:
            UserError: `action` raised one in this process, or in another.
        """
        try:
            result, failure = action(), None
        except UserError as error:
            result, failure = None, error
        (failed,) = self.largest(int(failure is not None), wait=True)
        if failure is not None:
            raise failure
        if failed:
            raise UserError("another process cannot go on: its own message says why")
        return result  # pyright: ignore[reportReturnType] - there is one where nothing failed

    def check_same(self, texts: Callable[[], dict[str, str]]) -> None:
        """Check that texts are the same in every process.

        Args:
            texts: Returns the texts by name. It is not called where there is one process alone.

        Raises:
            UserError: A text differs; the message, in every process, names it.
        """
        if not self._several:
            return
        named = texts()
        own = [number for text in named.values() for number in _hash(text)]
        # One vote finds both ends: numbers are the same everywhere where the largest of each is also the smallest.
        found = self.largest(*own, *(_MOST - number for number in own), wait=True)
        same = [largest == _MOST - other for largest, other in zip(found[: len(own)], found[len(own) :], strict=True)]
        different = [name for index, name in enumerate(named) if not all(same[index * _WORDS :][:_WORDS])]
        if different:
            raise UserError(
                f"the processes differ in their {' and '.join(different)}: start each with the same flags on the same "
                "data"
            )


_MOST, _WORDS = 2**31 - 1, 4
"""The largest int32, and the numbers of one hash."""


def _hash(text: str) -> list[int]:
    words = np.frombuffer(hashlib.blake2b(text.encode(), digest_size=4 * _WORDS).digest(), np.uint32)
    return [int(word) >> 1 for word in words]  # 31 bits: votes are int32 from 0


def _read(numbers: jax.Array) -> tuple[int, ...]:
    return tuple(np.asarray(numbers).tolist())


_count = itertools.count()


def _wait_for_all() -> None:
    """Return when every process is here.

    Devices wait for each other half a minute at most when they first meet, and one process may read its data, which
    the others have already, for longer.
    """
    # JAX's barrier between processes is not public. Its public one, `sync_global_devices`, makes the devices meet.
    from orbax.checkpoint import multihost

    everyone = set(range(jax.process_count()))
    name = f"jaxfer:{next(_count)}"
    multihost.sync_global_processes(name, timeout=TOGETHER_SECONDS, processes=everyone)
