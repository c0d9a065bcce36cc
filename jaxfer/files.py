"""Files and folders: how jaxfer opens what it reads, and how it writes and removes what is its own.

Data and runs may be of others. Nothing but files is opened, of which no more is read than is wanted, and nothing is
written or removed through a link.

What is written is on the disk, not in memory alone, before anything that it replaces goes: a power cut loses neither.

Windows opens no folders and has none of the flags that Unix opens with: there a folder is gone about by its path, the
names in it are on the disk when the system likes, and a link is refused when it is looked for, not when it is opened.
"""

import codecs
import errno
import io
import os
import re
import secrets
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, AnyStr

from jaxfer.errors import UserError

TAG = "CACHEDIR.TAG"
"""The file that marks a folder as ours; by convention it also keeps the folder out of backups."""

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
"""Flags that only Unix has."""

_OPENS_FOLDERS = hasattr(os, "O_DIRECTORY") and os.open in os.supports_dir_fd

_MARK = b"Signature: 8a477f597d28d172789f06886806bc55\n# jaxfer made this folder, and removes what it put there.\n"

MOST_LINES = 2**22
"""Most lines of a list: AffectNet has a million images, half of them labelled by people."""

MOST_LIST_BYTES = 2**31
"""Most bytes of a list of lines: those of AffectNet, with landmarks, and the pixels of FER2013 have up to half a GB."""


def opened(path: Path | str, most: int | None = None) -> io.BufferedReader:
    """Open a file to read its bytes; all that jaxfer reads is opened here.

    Whoever writes to a pipe, or answers behind a device, could keep a reader waiting for ever or fill its memory: both
    are refused, and so are sockets and folders. Programs that open files by themselves are given what was opened here.

    Args:
        path: The file; links are followed.
        most: How many bytes it may have; None for any number.

    Raises:
        OSError: It cannot be read, is no file, or is larger; `strerror` says it in words.
    """
    file = open(path, "rb", opener=_opener)  # noqa: SIM115 - whoever asked for it closes it
    if most is not None and os.fstat(file.fileno()).st_size > most:
        file.close()
        raise OSError(errno.EFBIG, f"more than {_amount(most)}", str(path))
    return file


def opened_text(path: Path | str, errors: str = "strict", most: int | None = MOST_LIST_BYTES) -> io.TextIOWrapper:
    """Open a text: UTF-8 with or without its mark, or UTF-16 with it, as spreadsheets and Windows save it.

    Args:
        path: As for `opened`.
        errors: What becomes of other bytes of UTF-8, as for `bytes.decode`; those of UTF-16 are replaced.
        most: As for `opened`.

    Raises:
        OSError: As for `opened`.
    """
    file = opened(path, most)
    if file.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return io.TextIOWrapper(file, "utf-16", "replace")
    return io.TextIOWrapper(file, "utf-8-sig", errors)


def read_bytes(path: Path | str, most: int) -> bytes:
    """Return all bytes of a file.

    Raises:
        OSError: As for `opened`.
    """
    with opened(path, most) as file:
        return file.read(most)


def lines(file: IO[AnyStr], longest: int) -> Iterator[AnyStr]:
    r"""Yield the lines of an open file, so that memory stays bounded whatever it holds.

    Args:
        file: The file.
        longest: Characters or bytes that a line may have. Of a longer one only the start is yielded: `longest + 1` of
            them, by which it is told.

    Raises:
        OSError: It has more than `MOST_LINES`, or cannot be read.

    >>> list(lines(io.StringIO("one\nthirteen\ntwo"), 5))
    ['one\n', 'thirte', 'two']
    """
    for _ in range(MOST_LINES):
        line = rest = file.readline(longest + 1)
        while len(rest) == longest + 1 and ord(rest[-1:]) != ord("\n"):
            rest = file.readline(longest + 1)
        if not line:
            return
        yield line
    if file.readline(1):
        raise OSError(errno.EFBIG, f"more than {MOST_LINES:,} lines", file.name)


def _opener(path: str, flags: int) -> int:
    # Neither to open a pipe nor a terminal waits then, nor does the latter become ours; of files it changes nothing.
    try:
        place = os.open(path, flags | _NO_WAIT)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket, which cannot be opened, or a device that is not there
            raise OSError(errno.EINVAL, "a socket or a device, not a file", path) from error
        raise
    mode = os.fstat(place).st_mode
    if stat.S_ISREG(mode):
        return place
    os.close(place)
    kind = "a folder" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "a socket or a device"
    raise OSError(errno.EINVAL, f"{kind}, not a file", path)


def _amount(size: int) -> str:
    return next(f"{size >> shift} {unit}" for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")) if size >> shift)


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


def write_folder(contents: Mapping[str, str | bytes], folder: Path) -> Path:
    """Write a new folder with files, which appears whole or not at all, and return its path.

    Args:
        contents: What each file is to hold, as for `write`, by its name.
        folder: The folder, which must not exist; those above it are made.

    Raises:
        UserError: There is something already, or it cannot be written.
    """
    if folder.exists() or folder.is_symlink():
        raise UserError(f"{folder} exists: name a folder that does not")
    partial = folder.with_name(f".jaxfer-{secrets.token_hex(8)}.partial")
    try:
        partial.mkdir(parents=True)
        for name, content in contents.items():
            write(content, partial / name)
        partial.rename(folder)  # refuses a folder with something in it that has come meanwhile
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}): choose another place") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


@contextmanager
def begin(path: Path, *, binary: bool = False) -> Iterator[IO[Any]]:
    """Open a new file, to write to it bit by bit: what is written stays, however the work ends.

    Where nothing was written the file goes with the work that failed: it would be in the way of the next try.

    Args:
        path: The file.
        binary: Whether it takes bytes, not text.

    Raises:
        UserError: There is something already, or it cannot be written.
    """
    form: dict[str, Any] = {} if binary else {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""}
    failed_empty = False
    try:
        with path.open("xb" if binary else "x", **form) as file:  # exclusive creation follows no link
            try:
                yield file
            except BaseException:
                failed_empty = not file.tell()
                raise
    except FileExistsError as error:
        raise UserError(f"{path} exists, and nothing is overwritten: pass another name") from error
    except OSError as error:
        if error.filename not in (None, str(path)):  # of something else, met while the file was open
            raise
        raise _unwritable(path, error) from error
    finally:
        if failed_empty:
            path.unlink()


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
    if not _OPENS_FOLDERS and path.is_dir():
        return
    # Windows keeps only what may be written to.
    place = os.open(path, (os.O_RDONLY if _OPENS_FOLDERS else os.O_RDWR) | _NO_LINK)
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
        UserError: Another process holds it, `LOCK` in it is a link or cannot be written, or its disk or the system
            knows no locks.
    """
    path = folder / LOCK
    refuse_links(path)
    place = _locked(folder, path)
    try:
        with suppress(OSError):  # on a full disk: who holds it is only said to others
            os.ftruncate(place, 0)
            os.lseek(place, 0, os.SEEK_SET)
            os.write(place, f"process {os.getpid()} on {socket.gethostname()}, since {time.ctime()}".encode())
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # before the lock ends: whoever comes next makes another one
        os.close(place)


def _locked(folder: Path, path: Path) -> int:
    """Return the open lock file of a folder, locked."""
    lock = _locks()
    if lock is None:
        raise UserError(
            f"{folder} cannot be kept from other processes, since this system knows no locks: train on Linux, macOS or "
            "Windows"
        )
    while True:
        try:
            place = os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o666)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            lock(place)
            if path.exists() and os.path.samestat(path.stat(), os.fstat(place)):
                return place
            os.close(place)  # who held it has removed it meanwhile
        except (BlockingIOError, PermissionError) as error:  # the latter on Windows
            os.lseek(place, 0, os.SEEK_SET)
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


def _locks() -> Callable[[int], object] | None:
    """Return what locks an open file of this process, without waiting; None where the system has nothing for it."""
    try:
        import fcntl

        return lambda place: fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        pass
    try:
        import msvcrt  # of Windows, which locks bytes
    except ImportError:
        return None

    def lock(place: int) -> None:
        os.lseek(place, _BEYOND, os.SEEK_SET)  # nobody can read what is locked, and who holds it is to be read
        msvcrt.locking(place, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]

    return lock


_BEYOND = 2**20
"""A byte that the lock file does not have."""


def no_link(path: str, flags: int) -> int:
    """Open a file for `open(..., opener=no_link)`.

    Raises:
        OSError: It is a link.
    """
    return os.open(path, flags | _NO_LINK, 0o666)


def refuse_links(*paths: Path) -> None:
    """Check that none of these files and folders of ours is a link, wherever it leads.

    Raises:
        UserError: One is.
    """
    for path in paths:
        if path.is_symlink():
            raise UserError(f"{path} is a link, and jaxfer writes through none: move it away")


def check_writable(folder: Path, advice: str) -> None:
    """Check that a folder can be written, or made, before the work whose results are to lie there.

    Nothing is left behind.

    Args:
        folder: The folder.
        advice: What to do where that cannot be, as the end of a sentence.

    Raises:
        UserError: It is a link or no folder, or cannot be written or made.
    """
    refuse_links(folder)
    try:
        there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
        # Asked of the disk: permissions do not say whether it is read-only.
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}): {advice}") from error


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
    with _open_folder(folder) as place:
        if _is_marked(place):
            return
        found = os.listdir(place)  # noqa: PTH208 - of an open folder
        if not all(name.startswith(".") or name == TAG or names.fullmatch(name) for name in found):
            raise UserError(f"{folder} is not a folder that jaxfer made: move it away")
    write(_MARK, folder / TAG)


def remove(folder: Path, unwanted: Callable[[str], object]) -> None:
    """Remove the folders, as far as they can be, whose names are `unwanted`, from one that `own` has marked."""
    with suppress(OSError), _open_folder(folder) as place:
        for name in os.listdir(place) if _is_marked(place) else ():  # noqa: PTH208 - of an open folder
            if unwanted(name):
                # Which follows no link, here nor inside.
                if isinstance(place, int):
                    shutil.rmtree(name, ignore_errors=True, dir_fd=place)
                else:
                    shutil.rmtree(place / name, ignore_errors=True)


@contextmanager
def _open_folder(folder: Path) -> Iterator[int | Path]:
    """Yield a folder, open where the system opens folders: it stays the same whatever is put in its place meanwhile.

    Raises:
        OSError: It is a link or no folder.
    """
    if not _OPENS_FOLDERS:
        if folder.is_symlink() or not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "a link or no folder", str(folder))
        yield folder
        return
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _NO_LINK)
    try:
        yield place
    finally:
        os.close(place)


def _is_marked(place: int | Path) -> bool:
    """Return whether an open folder is marked as ours."""

    def inside(name: str, flags: int) -> int:
        if isinstance(place, int):
            return os.open(name, flags | _NO_LINK | _NO_WAIT, dir_fd=place)
        refuse_links(place / name)
        return os.open(place / name, flags)

    try:
        with open(TAG, "rb", opener=inside) as file:
            return file.read(len(_MARK)) == _MARK
    except (OSError, UserError):
        return False


def _unwritable(path: Path, error: OSError) -> UserError:
    advice = "make its folder first" if error.errno == errno.ENOENT else "free disk space or correct the permissions"
    return UserError(f"{path} cannot be written ({error.strerror}): {advice}")
