"""Write a folder as a whole or not at all: in a hidden folder beside its place, and moved there when it is done."""

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jaxfer.errors import UserError
from jaxfer.files import TAG, no_link, own, remove


@contextmanager
def workplace(folder: Path) -> Iterator[Path]:
    """Make `folder` to work in, cleared of what an interrupted process left there, and remove it at the end.

    A lock, which ends with the process that holds it, tells what was left from what is in use.

    Raises `UserError` where another process works in it or it is not ours, `OSError` where it cannot be made.
    """
    own(folder, re.compile("lock|unfinished"))
    with open(folder / "lock", "ab", opener=no_link) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"another process is writing in {folder}: wait for it, or pass another --out") from error
        try:
            room = folder / "unfinished"
            remove(folder, room.name.__eq__)
            room.mkdir()
            yield room
        finally:
            remove(folder, "unfinished".__eq__)
            with suppress(OSError):
                (folder / TAG).unlink()
                (folder / "lock").unlink()
                folder.rmdir()
