"""Write a folder as a whole or not at all: in a hidden folder beside its place, and moved there when it is done."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jaxfer.errors import UserError


@contextmanager
def workplace(folder: Path) -> Iterator[Path]:
    """Make `folder` to work in, cleared of what an interrupted process left there, and remove it at the end.

    A lock, which ends with the process that holds it, tells what was left from what is in use.

    Raises `UserError` where another process works in it, `OSError` where it cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"another process is writing in {folder}: wait for it, or pass another --out") from error
        try:
            room = folder / "unfinished"
            shutil.rmtree(room, ignore_errors=True)
            room.mkdir()
            yield room
        finally:
            shutil.rmtree(folder, ignore_errors=True)
