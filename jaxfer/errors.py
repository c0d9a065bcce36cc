"""The exceptions that users of jaxfer are meant to read."""

import signal
from collections.abc import Sequence
from typing import Any


class UserError(ValueError):
    """Something the person at the keyboard can fix.

    Its message is one or a few plain sentences: what is wrong, where, and what to do about it. Programs that
    start from a command line print the message alone and exit with status 2; see `jaxfer.cli.program`.
    """


class Diverged(UserError):
    """The loss of a run is no longer finite: whoever repeats it gets the same again."""


class Interrupted(Exception):
    """A run was asked to stop, in training or while it was evaluated after that, and is saved where it has a folder.

    The arguments are its attributes.

    Args:
        step: Steps taken, all of them saved in the run's folder.
        signum: The signal that asked.
        outcomes: Where that was in training, of each run what `fit` would have returned: the state after `step` steps,
            and a row for each finished epoch.
    """

    def __init__(self, step: int, signum: int, outcomes: Sequence[tuple[Any, list[dict[str, Any]]]] = ()) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name} after step {step}")
        self.step = step
        self.signum = signum
        self.outcomes = tuple(outcomes)
