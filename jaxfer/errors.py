"""The exceptions that users of jaxfer are meant to read."""

import signal


class UserError(ValueError):
    """Something the person at the keyboard can fix.

    Its message is one or a few plain sentences: what is wrong, where, and what to do about it. Programs that
    start from a command line print the message alone and exit with status 2; see `jaxfer.cli.program`.
    """


class Diverged(UserError):
    """The loss of a run is no longer finite: whoever repeats it gets the same again."""


class Interrupted(Exception):
    """A run was asked to stop, in training or while it was evaluated after that, and has saved itself.

    Attributes:
        step: Steps taken, all of them saved.
        signum: The signal that asked.
    """

    def __init__(self, step: int, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name} after step {step}")
        self.step = step
        self.signum = signum
