"""Stopping a run on request without losing it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from jaxfer.errors import Interrupted


class StopRequest:
    """Whether the run has been asked to stop.

    Attributes:
        signum: Number of the signal that arrived; 0 for none.
    """

    signum: int = 0


@contextmanager
def stop_on_signals(*, at_once: bool = False) -> Iterator[StopRequest]:
    """Turn the first SIGINT or SIGTERM into a request, which the loop reads after each portion of steps.

    A second signal acts as it would have without this. Only the main thread can receive signals: in another thread the
    request never comes.

    Args:
        at_once: Whether to raise `KeyboardInterrupt` besides, whichever signal it was.

    Yields:
        The request.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {signum: signal.getsignal(signum) for signum in signals}

    def restore() -> None:
        for signum, handler in before.items():
            signal.signal(signum, handler)

    def note(signum: int, _: FrameType | None) -> None:
        request.signum = signum
        restore()
        if at_once:
            raise KeyboardInterrupt

    for signum in signals:
        signal.signal(signum, note)
    try:
        yield request
    finally:
        restore()


@contextmanager
def ending_on_signals(step: int) -> Iterator[None]:
    """Give up what is inside, which can be done again, at the first SIGINT or SIGTERM.

    Args:
        step: How many steps of the run are done, and saved.

    Raises:
        Interrupted: One came.
    """
    request = StopRequest()
    try:
        # As Ctrl-C does it: what libraries catch of other exceptions, they would take for a failure of their own.
        with stop_on_signals(at_once=True) as request:
            yield
    except KeyboardInterrupt as error:
        raise Interrupted(step, request.signum or signal.SIGINT) from error
