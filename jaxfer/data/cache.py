"""Splits as they were loaded, kept beside their data: decoded images, mapped into memory, and what goes with them.

Images that need no decoding are left where they are, and only their rows are kept.
"""

import hashlib
import json
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from jaxfer.config import DataConfig
from jaxfer.data.dataset import Images, Split
from jaxfer.data.groups import evidence
from jaxfer.data.reading.decoder import decoder_versions
from jaxfer.data.reading.folder import Reach, leads_on, leaves, readable, refuse_depth
from jaxfer.data.reading.npz import opened_npz
from jaxfer.errors import UserError
from jaxfer.files import opened, own, remove
from jaxfer.json_text import read

FOLDER = ".jaxfer"
"""The hidden folder, beside the data, that holds it; it can be deleted at any time."""

VERSION = 4
"""To be raised whenever the same data and config give other arrays or facts."""

LATER = ("classes", "merge", "class_names", "table", "image_column", "label_column", "follow_links", "decoder")
"""Settings that the first releases did not know."""

UNASKED = ((), None, False, "pillow")
"""Their values where nobody has asked for any."""

GROUPED = 4
"""The version since which groups decide what is held out."""

_ENTRY = re.compile("[0-9a-f]{16}-[0-9a-f]{16}")
_NAMES = re.compile(rf"{_ENTRY.pattern}|building-.+-[0-9]{{1,9}}")
"""All that is ever in the folder, and all that is ever removed from it."""


ReadRows = Callable[[str, np.ndarray], Images]
"""`read(use, rows)`: the images of these rows of what the data uses so, `train` or `val`, that are kept in the data."""


class Cache:
    """What was decoded before from some data.

    An entry is valid as long as the config, what decodes, and the names, sizes and times of change of the data's files
    stay the same. Where the disk does not allow one, or a link is in the way, everything works without it.

    Args:
        place: The data, a folder or a file.
        config: How it is asked for.
        within: How far links in the data are followed; by default as far as they stay there.
        read_only: Whether nothing may be written or removed, as beside data that others have chosen.
    """

    def __init__(
        self, place: Path, config: DataConfig, within: Reach | None = None, *, read_only: bool = False
    ) -> None:
        self._read_only = read_only
        self._home = (place if place.is_dir() else place.parent) / FOLDER
        self._tree = _tree(place, within or Reach(place), *([config.table] if config.table else []))
        if apart := [path for path in (config.val_dir, config.test_dir) if path]:
            self._tree = _joined(self._tree, *(_tree(path, Reach(path, config.follow_links)) for path in apart))
        self._entry = self._home / f"{self._tree}-{_settings(config)}"
        self._outdated = {f"{self._tree}-{_settings(config, version)}" for version in range(1, VERSION)}

    def read(self, read_rows: ReadRows) -> tuple[dict[str, Any], dict[str, Split]] | None:
        """Return an entry's facts, and its splits with their images mapped from the disk; None without a whole one."""
        try:
            if any(path.is_symlink() for path in (self._home, self._entry, *self._entry.iterdir())):
                return None
            facts = read(self._entry / "facts.json", {"bytes": dict[str, int], "splits": dict})
            if any((self._entry / name).stat().st_size != size for name, size in facts["bytes"].items()):
                return None
            return facts, {key: self._read_split(key, facts["splits"][key], read_rows) for key in facts["splits"]}
        except Exception:  # whatever is wrong with what may be of others
            return None

    def _read_split(self, key: str, facts: dict[str, Any], read_rows: ReadRows) -> Split:
        with opened_npz(self._entry / f"{key}.npz") as arrays:
            columns = dict(arrays)
        labels, rows = columns.pop("label"), columns.pop("row", None)
        if rows is None:
            with opened(self._entry / f"{key}.images") as file:
                images = np.memmap(file, np.uint8, "r", shape=tuple(facts["shape"]))
        else:
            images = read_rows(facts["rows_of"], rows)
        names = read(self._entry / f"{key}.names.json", list[str])
        return Split(facts["name"], images, labels, columns, tuple(names), partial(self._read_groups, key))

    def _read_groups(self, key: str) -> dict[str, np.ndarray]:
        groups = read(self._entry / f"{key}.groups.json", {...: list[str]})
        return {name: np.array(values, str) for name, values in groups.items()}

    @contextmanager
    def building(self, *, worthwhile: bool) -> Iterator["Building"]:
        """Yield a place to decode to: plain memory where it is not `worthwhile` to keep the result."""
        # A folder that nobody may write to is left alone by root, too, whom the system would let.
        writable = not self._read_only and self._home.parent.stat().st_mode & 0o222
        building = Building(self._home if worthwhile and writable else None)
        try:
            yield building
            building.move_to(self._entry)
        finally:
            building.discard()
        if writable:
            # Entries of other contents of these files, and those of earlier versions, are of no use any more.
            remove(self._home, self._is_useless)

    def _is_useless(self, name: str) -> bool:
        return name in self._outdated or bool(_ENTRY.fullmatch(name) and not name.startswith(self._tree))


class Building:
    """A cache entry that is being written, or plain memory without a `home` or where the disk does not allow one."""

    def __init__(self, home: Path | None) -> None:
        self._folder = home and home / f"building-{socket.gethostname()}-{os.getpid()}"
        self._complete = False
        if home is None or self._folder is None or not _MOVES:
            self._folder = None
            return
        try:
            own(home, _NAMES)
            remove(home, _is_abandoned)
            self._folder.mkdir()
        except (OSError, UserError):  # data that is read-only, a folder of others, a thread that builds the same
            self._folder = None

    def array(self, key: str, shape: tuple[int, ...]) -> np.ndarray:
        """Return a uint8 array to fill: a file mapped into memory, or memory where the disk has no room for it."""
        size = int(np.prod(shape))
        if self._folder is None or not size:
            return np.empty(shape, np.uint8)
        path = self._folder / f"{key}.images"
        try:
            with path.open("wb") as file:
                _reserve(file.fileno(), size)
            return np.memmap(path, np.uint8, "r+", shape=shape)
        except OSError:
            self.discard()
            return np.empty(shape, np.uint8)

    def keep(
        self, facts: dict[str, Any], splits: dict[str, Split], rows: dict[str, tuple[str, np.ndarray]] | None = None
    ) -> None:
        """Complete the entry.

        Args:
            facts: What `Cache.read` is to return, as JSON has it.
            splits: Their images are the first rows of the arrays that were made for them, or else
            rows: by key, what the data uses them for and which of its rows they are, int64 [n].
        """
        folder = self._folder
        if folder is None:
            return
        try:
            described = {key: self._write(folder, key, split, (rows or {}).get(key)) for key, split in splits.items()}
            sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
            (folder / "facts.json").write_text(json.dumps(facts | {"splits": described, "bytes": sizes}))
            self._complete = True
        except OSError:
            self.discard()

    def _write(self, folder: Path, key: str, split: Split, rows: tuple[str, np.ndarray] | None) -> dict[str, Any]:
        """Write all of a split but its images, and return what `facts.json` says of it."""
        arrays = {"label": split.labels, **split.columns}
        facts: dict[str, Any] = {"name": split.name, "shape": split.images.shape}
        if rows is None:
            os.truncate(folder / f"{key}.images", int(np.prod(split.images.shape)))
        else:
            facts["rows_of"], arrays["row"] = rows
        np.savez(folder / f"{key}.npz", allow_pickle=False, **arrays)
        (folder / f"{key}.names.json").write_text(json.dumps(split.names))
        groups = {name: values.tolist() for name, values in split.groups.items()}
        (folder / f"{key}.groups.json").write_text(json.dumps(groups))
        return facts

    def move_to(self, entry: Path) -> None:
        """Give a complete entry its name; what is there by now was damaged, or another process made the same."""
        if self._folder is not None and self._complete:
            remove(entry.parent, entry.name.__eq__)
            with suppress(OSError):
                self._folder.rename(entry)

    def discard(self) -> None:
        """Remove what lies in the place of building."""
        if self._folder is not None:
            remove(self._folder.parent, self._folder.name.__eq__)
            self._folder = None


_MOVES = sys.platform != "win32"
"""Whether files that are mapped into memory can get their place afterwards, which Windows refuses."""


def _reserve(file: int, size: int) -> None:
    """Take the room on the disk now: writing to a mapped file ends the process once the disk is full."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.truncate(file, size)


def _is_abandoned(name: str) -> bool:
    """Return whether a folder is what a process of this machine that no longer runs left half built."""
    start, _, process = name.rpartition("-")
    if start != f"building-{socket.gethostname()}" or not _NAMES.fullmatch(name):
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:  # somebody else's
        pass
    return False


def _settings(config: DataConfig, version: int = VERSION) -> str:
    """Return a hash of all that decides the arrays apart from the data itself."""
    apart = ("data_dir", "val_dir", "test_dir", "sampling", "group_by")
    fields = {name: value for name, value in asdict(config).items() if name not in apart}
    # What later releases ask for, and nobody has asked for, says nothing: entries from before stay of use.
    fields = {name: value for name, value in fields.items() if name not in LATER or value not in UNASKED}
    if version >= GROUPED:
        fields["group_by"] = evidence(config.group_by)
    # Any other library than Pillow has its version counted too.
    libraries = " ".join([PIL.__version__, *decoder_versions(config.decoder).values()])
    return hashlib.blake2b(repr((version, libraries, sorted(fields.items()))).encode(), digest_size=8).hexdigest()


def _joined(*trees: str) -> str:
    """Return one hash for the hashes of several folders."""
    return hashlib.blake2b(" ".join(trees).encode(), digest_size=8).hexdigest()


def _tree(place: Path, within: Reach, *others: Path) -> str:
    """Return a hash of names, sizes and times of change of the files in a folder, or of a file and those beside it.

    Of links that are followed out of it, what they lead to counts, too.

    Args:
        place: The folder or file.
        within: How far links are followed.
        others: Further files that count, wherever they lie.

    Raises:
        UserError: A folder may not be read, or lies too deep.
    """
    digest = hashlib.blake2b(digest_size=8)
    folders = [place if place.is_dir() else place.parent]
    entered = [folders[0].resolve()]
    for other in others:
        with readable(other):
            facts = other.stat()
        digest.update(f"{facts.st_size} {facts.st_mtime_ns}\n".encode())
    digest.update(b"" if place.is_dir() else os.fsencode(place.name))
    while folders:
        folder = folders.pop()
        refuse_depth(folder, place)
        with readable(folder), os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.startswith("."):
                    continue
                if not entry.is_dir(follow_symlinks=False):
                    facts = entry.stat(follow_symlinks=False)
                    digest.update(os.fsencode(f"{entry.path[len(str(place)) :]} {facts.st_size} {facts.st_mtime_ns}\n"))
                    if entry.is_symlink() and place.is_dir():
                        led = _led(Path(entry.path), entered, within)
                        digest.update(led)
                        folders += [Path(entry.path)] if led == FOLLOWED else []
                elif place.is_dir():
                    folders.append(Path(entry.path))
    return digest.hexdigest()


FOLLOWED = b"followed\n"
"""What a link counts as that leads to a folder whose files count themselves."""


def _led(link: Path, entered: list[Path], within: Reach) -> bytes:
    """Return what a link counts as besides itself; nothing where what it leads to counts anyway, or not at all."""
    try:
        if leaves(link, within) or any(map(link.resolve().is_relative_to, entered)):
            return b""
        if link.is_dir():
            return FOLLOWED if leads_on(link, entered, within) else b""
        facts = link.stat()
    except OSError:  # it leads nowhere
        return b""
    return f"{facts.st_size} {facts.st_mtime_ns}\n".encode()
