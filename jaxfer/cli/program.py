"""How a program that starts from a command line ends: its exit codes, and errors in one sentence."""

import logging
import signal
import sys
from collections.abc import Callable

from rich.console import Console

from jaxfer.errors import Interrupted, UserError


def run(main: Callable[[], None]) -> None:
    """Call `main` and exit: 0 when it returns, 2 for what the user can fix, 128 + the signal where one stopped it."""
    # Orbax and its background tasks print whole tracebacks for errors that also reach us and end in a sentence below.
    for name in ("absl", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    sys.unraisablehook = lambda _: None
    errors = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    try:
        main()
    except UserError as error:
        errors.print(f"error: {error}")
        sys.exit(2)
    except Interrupted as stopped:
        errors.print(f"{stopped}, all of it saved.")
        sys.exit(128 + stopped.signum)
    except KeyboardInterrupt:
        errors.print("stopped")
        sys.exit(128 + signal.SIGINT)
