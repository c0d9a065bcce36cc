"""Small npy files, read fast and safely: hundreds of thousands of them hold one value each.

It takes a fifth of the time of `np.load(allow_pickle=False)`, 30 of 145 microseconds a file: half a minute rather than
two for the 863,000 annotations of AffectNet's release of 2021.

A header has to be as NumPy writes it: it is matched, not evaluated, and nothing is ever unpickled.
"""

import math
import re
import sys

import numpy as np

from jaxfer.files import read_bytes

LARGEST = 1 << 16
"""Bytes that a file may have: an annotation has a few thousand at most."""

HEADER = re.compile(
    rb"\x93NUMPY(?:\x01\x00..|[\x02\x03]\x00....)"
    rb"\{'descr': '([^']{1,20})', 'fortran_order': (True|False), 'shape': \(([0-9, ]{0,40})\), \} *\n",
    re.DOTALL,
)
"""The start of a file: the type, order and shape of its array."""

TYPE = re.compile(rb"[<>|=]?[iufUS][0-9]{1,5}")
"""The types of numbers and texts."""


def read_npy(path: str, most: int) -> list[str] | list[float]:
    """Return the numbers or texts in an array, row by row; there may be `most` of them.

    Raises:
        ValueError: The file holds anything else; the message is a clause whose subject is the file.
        OSError: It cannot be read, or has more than `LARGEST` bytes.
    """
    stored = read_bytes(path, LARGEST)
    header = HEADER.match(stored)
    if not header:
        raise ValueError("is no npy file, or a damaged one" if stored else "is empty")
    kind, order, shape = header.groups()
    if not TYPE.fullmatch(kind):
        raise ValueError(
            "holds Python objects, which only unpickling could read, and that can run any program"
            if kind.endswith(b"O")
            else f"holds {kind.decode(errors='replace')} rather than numbers or text"
        )
    sizes = [int(size) for size in shape.replace(b",", b" ").split()]
    if not 0 < math.prod(sizes) <= most:
        raise ValueError(f"holds {math.prod(sizes)} values, not {most}")
    try:
        flat = np.frombuffer(stored, kind.decode(), math.prod(sizes), header.end())
        # NumPy fails with a SystemError on characters that do not exist.
        if flat.dtype.kind == "U" and flat.view(f"{flat.dtype.byteorder}u4").max() > sys.maxunicode:
            raise ValueError("what should be text is none")
        values = flat.reshape(sizes, order="F" if order == b"True" else "C").ravel().tolist()
    except (ValueError, TypeError) as error:
        raise ValueError(f"is damaged ({error})") from error
    return [value.decode(errors="replace") for value in values] if isinstance(values[0], bytes) else values
