"""Files and folders that jaxfer writes and removes: never through a link, which data and runs of others may hold.

What is written is on the disk, not in memory alone, before anything that it replaces goes: a power cut loses neither.
"""

import errno
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jaxfer.errors import UserError

TAG = "CACHEDIR.TAG"
"""The file that marks a folder as ours; by convention it also keeps the folder out of backups."""

_MARK = b"Signature: 8a477f597d28d172789f06886806bc55\n# jaxfer made this folder, and removes what it put there.\n"


def write(content: str | bytes, path: Path) -> Path:
    r"""Write a file, whole or not at all, and return its path; a link in its place is replaced and not followed.

    Text is UTF-8; bytes of a file's name that are no Unicode become `\udce9` and such.

    Raises:
        UserError: That cannot be done.
    """
    partial = path.with_name(f".jaxfer-{secrets.token_hex(8)}.partial")
    try:
        with partial.open("xb") as file:  # exclusive creation follows no link
            file.write(content.encode(errors="backslashreplace") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync(path.parent)
        return path
    except BaseException as error:
        with suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError):
            raise _unwritable(path, error) from error
        raise


def append(text: str, path: Path) -> None:
    """Add text to a file, where readers see it at once.

    Raises:
        UserError: It is a link, or cannot be written.
    """
    refuse_links(path)
    is_new = not path.exists()
    try:
        with open(path, "ab", opener=no_link) as file:
            file.write(text.encode(errors="backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error


def make(folder: Path) -> None:
    """Make a folder, with those above it, unless it is there.

    Raises:
        OSError: That cannot be done.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        sync(made.parent)


def sync(path: Path) -> None:
    """Have the disk keep a file, or the names in a folder, through a power cut.

    Raises:
        OSError: The disk cannot.
    """
    place = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(place)
    except OSError as error:
        # Some file systems keep folders without being asked, and refuse to be.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(place)


def sync_all(folder: Path) -> None:
    """Have the disk keep a folder with all that is in it.

    Raises:
        OSError: The disk cannot.
    """
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync(Path(place, name))
        sync(Path(place))


LOCK = ".lock"
"""The file that tells who is using a folder."""


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep a folder to this process, until the context or the process ends, however it does.

    Raises:
        UserError: Another process holds it, `LOCK` in it is a link or cannot be written, or its disk knows no locks.
    """
    path = folder / LOCK
    refuse_links(path)
    place = _locked(folder, path)
    try:
        with suppress(OSError):  # on a full disk: who holds it is only said to others
            os.ftruncate(place, 0)
            os.write(place, f"process {os.getpid()} on {socket.gethostname()}, since {time.ctime()}".encode())
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # before the lock ends: whoever comes next makes another one
        os.close(place)


def _locked(folder: Path, path: Path) -> int:
    """Return the open lock file of a folder, locked."""
    import fcntl  # which only Unix has

    while True:
        try:
            place = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(path.stat(), os.fstat(place)):
                return place
            os.close(place)  # who held it has removed it meanwhile
        except BlockingIOError as error:
            holder = os.read(place, 200).decode(errors="replace") or "another process"
            os.close(place)
            raise UserError(
                f"{folder} is in use by {holder}: wait until that ends, or choose another folder"
            ) from error
        except OSError as error:
            os.close(place)
            raise UserError(
                f"{folder} cannot be kept from other processes, since its disk knows no locks ({error.strerror}): "
                "choose a folder on another disk"
            ) from error


def no_link(path: str, flags: int) -> int:
    """Open a file for `open(..., opener=no_link)`.

    Raises:
        OSError: It is a link.
    """
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def refuse_links(*paths: Path) -> None:
    """Check that none of these files and folders of ours is a link, wherever it leads.

    Raises:
        UserError: One is.
    """
    for path in paths:
        if path.is_symlink():
            raise UserError(f"{path} is a link, and jaxfer writes through none: move it away")


def own(folder: Path, names: re.Pattern[str]) -> None:
    """Make a folder from which `remove` may remove what it is told to.

    Args:
        folder: Made if need be. One that is not marked becomes ours unless it holds something else than `names` and
            hidden files.
        names: Matches the names of what jaxfer puts there.

    Raises:
        UserError: It is a link or somebody else's, or its mark cannot be written.
        OSError: It cannot be made.
    """
    refuse_links(folder)
    make(folder)
    place = _open_folder(folder)
    try:
        if _is_marked(place):
            return
        found = os.listdir(place)  # noqa: PTH208 - of an open folder
        if not all(name.startswith(".") or name == TAG or names.fullmatch(name) for name in found):
            raise UserError(f"{folder} is not a folder that jaxfer made: move it away")
    finally:
        os.close(place)
    write(_MARK, folder / TAG)


def remove(folder: Path, unwanted: Callable[[str], object]) -> None:
    """Remove the folders, as far as they can be, whose names are `unwanted`, from one that `own` has marked."""
    try:
        place = _open_folder(folder)
    except OSError:
        return
    try:
        for name in os.listdir(place) if _is_marked(place) else ():  # noqa: PTH208 - of an open folder
            if unwanted(name):
                shutil.rmtree(name, ignore_errors=True, dir_fd=place)  # which follows no link, here nor inside
    finally:
        os.close(place)


def _open_folder(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _is_marked(place: int) -> bool:
    """Return whether an open folder is marked as ours."""

    def inside(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place)

    try:
        with open(TAG, "rb", opener=inside) as file:
            return file.read(len(_MARK)) == _MARK
    except OSError:
        return False


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path} cannot be written ({error.strerror}): free disk space or correct the permissions")
