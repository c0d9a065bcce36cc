"""What a config refuses, told as all other mistakes are: tyro would put a frame and names of its own around it."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

from jaxfer.errors import UserError


@contextmanager
def raised() -> Iterator[None]:
    """Raise what a config refuses while tyro makes it inside; what else tyro has to say, it says.

    Raises:
        UserError: A value of a config, or values that cannot be together, were refused.
        SystemExit: Tyro ended the program for another reason.
    """
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            yield
    except SystemExit as ended:
        if refused := _refused(ended):
            said = io.StringIO()
            raise refused from None
        raise
    finally:
        if sys.stderr is not None:  # as where it was closed
            sys.stderr.write(said.getvalue())


def _refused(error: BaseException) -> UserError | None:
    """Return the refusal on which an error followed, None where it is another's."""
    reason: BaseException | None = error
    while reason is not None and not isinstance(reason, UserError):
        reason = reason.__context__
    return reason
