"""Arrays from npz files: neither pickled objects nor more than their size is known to be, whatever the files say."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile

import numpy as np

from jaxfer.files import opened

LARGEST = 2**30
"""Bytes that all arrays of a file may have: ten times those of FER2013."""


@contextmanager
def opened_npz(path: Path, largest: int = LARGEST) -> Iterator[Mapping[str, np.ndarray]]:
    """Open a file, whose arrays are read when they are asked for.

    Args:
        path: The file.
        largest: How many bytes its arrays may have once they are unpacked. A kilobyte can say of itself that it unpacks
            into a megabyte, and no more is unpacked than what it says.

    Raises:
        OSError: It cannot be read.
        ValueError: It has more.
        Exception: Something else is wrong with it, now or when an array is read: zipfile meets damage with
            `BadZipFile`, `NotImplementedError` and others, NumPy with `SyntaxError`, `MemoryError` and others.
    """
    with opened(path) as file, ZipFile(file) as members:
        size = sum(member.file_size for member in members.infolist())
        if size > largest:
            raise ValueError(f"its arrays have {size:,} bytes, and {largest:,} are the most that it can need")
        yield _Arrays(members)


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
