"""Arrays from npz files: neither pickled objects nor more than their size is known to be, whatever the files say."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast
from zipfile import ZipFile

import numpy as np

from jaxfer.files import opened

LARGEST = 2**30
"""Bytes that all arrays of a file may have: ten times those of FER2013."""

_MOST_AT_ONCE = 2**20
"""Bytes that are read of a file at once. The list of its arrays is, whatever length it says of itself."""


@contextmanager
def opened_npz(path: Path, largest: int = LARGEST) -> Iterator[Mapping[str, np.ndarray]]:
    """Open a file, whose arrays are read when they are asked for.

    Args:
        path: The file.
        largest: How many bytes its arrays may have once they are unpacked. A kilobyte can say of itself that it unpacks
            into a megabyte, and no more is unpacked than what it says.

    Raises:
        OSError: It cannot be read.
        ValueError: It has more, or more arrays than any that jaxfer knows.
        Exception: Something else is wrong with it, now or when an array is read: zipfile meets damage with
            `BadZipFile`, `NotImplementedError` and others, NumPy with `SyntaxError`, `MemoryError` and others.
    """
    with opened(path) as file, ZipFile(cast(IO[bytes], _Sparing(file))) as members:
        size = sum(member.file_size for member in members.infolist())
        if size > largest:
            raise ValueError(f"its arrays have {size:,} bytes, and {largest:,} are the most that it can need")
        yield _Arrays(members)


class _Sparing:
    """An open file of which little is read at once: zipfile reads as much as the file says that a list has."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell, self.seekable, self.close = file.seek, file.tell, file.seekable, file.close

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; all that are left with a size below 0."""
        found = self._file.read(_MOST_AT_ONCE + 1 if size < 0 else min(size, _MOST_AT_ONCE + 1))
        if len(found) > _MOST_AT_ONCE:
            raise ValueError(f"the list of its arrays, or the head of one, has more than {_MOST_AT_ONCE:,} bytes")
        return found


class _Arrays(Mapping[str, np.ndarray]):
    """The arrays in a zip file, by name."""

    def __init__(self, members: ZipFile) -> None:
        self._members = members
        self._names = [name.removesuffix(".npy") for name in members.namelist() if name.endswith(".npy")]

    def __getitem__(self, name: str) -> np.ndarray:
        with self._members.open(f"{name}.npy") as member:
            return np.lib.format.read_array(member, allow_pickle=False)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
