"""How a program that starts from a command line ends: its exit codes, and errors in one sentence."""

import errno
import io
import logging
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from jaxfer.errors import Interrupted, UserError
from jaxfer.reports.words import printable

_LOST = "another process of the run has ended or is not reached: start all of them again with --resume"

_NO_READER = 13
"""The number of SIGPIPE, for which Windows has no name."""

_ADVICE = {
    errno.EACCES: "correct its permissions",
    errno.EPERM: "correct its permissions",
    errno.ENAMETOOLONG: "pass a shorter one",
    errno.ENOSPC: "free some disk space",
    errno.EDQUOT: "free some disk space",
    errno.EROFS: "choose a place on another disk",
    errno.EIO: "see whether its disk is sound",
    errno.ESTALE: "see whether its disk is there",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENFILE: "allow more open files",
}
"""What to do where a path or its disk is at fault. Any use of one can meet that, and no mistake of jaxfer's own."""

PARTING_SECONDS = 5
"""How long a program that fails waits for other processes of its run to do the same."""


def run(main: Callable[[], None]) -> None:
    """Call `main` and exit: 0 when it returns, 2 for what the user can fix, 128 + the signal where one stopped it."""
    for name in ("absl", "asyncio"):
        logging.getLogger(name).addFilter(_is_news)
    sys.unraisablehook = _unraisable
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files may be no text
    errors = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    try:
        main()
        for stream in filter(None, (sys.stdout,)):  # none where it was closed, as by `>&-`
            stream.flush()
    except BrokenPipeError:
        if not _unread():
            raise
        with Path(os.devnull).open("wb") as nowhere:  # for what is flushed at the end
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        _exit(128 + _NO_READER)
    except UserError as error:
        errors.print(printable(f"error: {error}"))
        _exit(2)
    except Interrupted as stopped:
        errors.print(f"{stopped}, all of it saved.")
        _exit(128 + stopped.signum)
    except KeyboardInterrupt:
        errors.print("stopped")
        _exit(128 + signal.SIGINT)
    except Exception as error:
        words = _out_of_memory(error) or (_of_a_path(error) if isinstance(error, OSError) else None)
        if _joined() and _lost(error):
            words = f"{_LOST} ({str(error).splitlines()[0]})"
        if words:
            errors.print(printable(f"error: {words}"))
            _exit(2)
        if not _joined():
            raise
        sys.excepthook(type(error), error, error.__traceback__)
        _exit(1)


def _unread() -> bool:
    """Return whether nobody reads the output any more, as after `| head`; yes where the system cannot tell."""
    if not hasattr(select, "poll"):
        return True
    watched = select.poll()
    watched.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in watched.poll(0))


def _is_news(record: logging.LogRecord) -> bool:
    """Return whether a record says what nothing else does.

    Orbax logs whole tracebacks, as asyncio does of its tasks, for errors that also reach us and end in a sentence.
    """
    error = record.exc_info[1] if record.exc_info else None
    said = record.getMessage() + (type(error).__module__ if error else "")
    while error is not None and error.__traceback__:
        frames = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
        said, error = said + " ".join(frames), error.__cause__
    return "orbax" not in record.pathname + said


def _unraisable(error: "sys.UnraisableHookArgs") -> None:
    """Show what cannot be raised, but for tasks of Orbax that outlive their loop when a program fails."""
    if str(error.exc_value) != "Event loop is closed":
        sys.__unraisablehook__(error)


def _out_of_memory(error: Exception) -> str:
    """Return in a sentence that memory ran out, on the host or a device, "" for other errors."""
    short = str(error).splitlines()[0] if str(error) else ""
    on_device = type(error).__name__ == "JaxRuntimeError" and "RESOURCE_EXHAUSTED" in short
    on_host = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    if not (on_device or on_host):
        return ""
    said = f" ({short.removeprefix('RESOURCE_EXHAUSTED: ').removesuffix('.')})" if short else ""
    return (
        f"memory ran out{said}: to train, lower batch_size (--batch-size) or image_size (--image-size), do each batch "
        "in parts (--accumulate), or take a smaller network (--variant); where it is the images that do not fit, "
        "have them decoded for each batch (--stream); to evaluate, take another device, such as by JAX_PLATFORMS=cpu"
    )


def _joined() -> bool:
    """Return whether this is one of several processes of a run."""
    jax = sys.modules.get("jax")  # a mistake may have ended the program before it needed JAX
    return jax is not None and jax.distributed.is_initialized()


def _of_a_path(error: OSError) -> str | None:
    """Return what an error says of a path or its disk in words, whoever has met it; None of any other."""
    advice = _ADVICE.get(error.errno or 0)
    if advice is None:
        return None
    path = "a file" if error.filename is None else os.fsdecode(error.filename)[-200:]
    return f"{path} cannot be reached ({error.strerror}): {advice}"


def _lost(error: Exception) -> bool:
    """Return whether a sum over several processes failed, which it does where one of them is gone."""
    import jax

    return isinstance(error, jax.errors.JaxRuntimeError) and "Gloo" in str(error)


def _exit(status: int) -> NoReturn:
    """Exit, without waiting for long for other processes of the run, which may never come to their end."""
    if _joined():
        import jax

        parting = threading.Thread(target=jax.distributed.shutdown, daemon=True)
        parting.start()
        parting.join(PARTING_SECONDS)
        if parting.is_alive():
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    sys.exit(status)
