"""Arrays in a file of the safetensors format, read by ourselves: no code of the file's is ever run.

The format is the length of a header, uint64 little-endian; the header, a JSON object with a dtype, a shape and the
place of its bytes for each name; and the bytes, https://github.com/huggingface/safetensors#format.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

DTYPES: dict[str, Any] = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": jnp.bfloat16},
    **{"I64": "<i8", "I32": "<i4", "U8": "|u1"},
}
"""The dtypes that are read and written, by their names in the format."""

_MOST = 2**24
"""Most bytes of a header: some hundred thousand arrays have names and shapes in it."""


def encode(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return the content of a file.

    Args:
        arrays: Arrays by name, of `DTYPES`. The same arrays give the same bytes, in whatever order.

    Raises:
        ValueError: An array has another dtype.
    """
    names = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
    header, parts, end = {}, [], 0
    for name, array in sorted(arrays.items()):
        if array.dtype not in names:
            raise ValueError(f"{name} is {array.dtype}: pass one of {', '.join(map(str, names))}")
        parts.append(np.ascontiguousarray(array).tobytes())
        begin, end = end, end + len(parts[-1])
        header[name] = {"dtype": names[array.dtype], "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the arrays begin at a multiple of eight bytes
    return len(text).to_bytes(8, "little") + text + b"".join(parts)


def decode(content: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of a file's content, by name.

    Raises:
        ValueError: It is no such file, or not a whole one; arrays overlap, leave gaps or have sizes that do not fit.
    """
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(_MOST, len(content) - 8):
        raise ValueError("its header is longer than the file may be")
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise ValueError("its header is not JSON") from error
    if not isinstance(header, dict):
        raise ValueError("its header is no object")
    header.pop("__metadata__", None)
    data, arrays, end = memoryview(content)[8 + length :], {}, 0
    for name, entry in sorted(header.items(), key=lambda item: _place(*item)):
        dtype, shape, (begin, stop) = np.dtype(DTYPES[entry["dtype"]]), entry["shape"], entry["data_offsets"]
        if begin != end or stop - begin != math.prod(shape) * dtype.itemsize or stop > len(data):
            raise ValueError(f"the bytes of {name} are not where they have to be")
        arrays[name] = np.frombuffer(data[begin:stop], dtype).reshape(shape)
        end = stop
    if end != len(data):
        raise ValueError("it has bytes that belong to no array")
    return arrays


def _place(name: str, entry: Any) -> tuple[int, int]:
    """Return where the bytes of an entry of a header begin and end, once all in it is of the kinds that it must be."""
    match entry:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [begin, end]}:
            if dtype in DTYPES and all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
                return begin, end
    raise ValueError(f"what it says of {name} is not understood")
