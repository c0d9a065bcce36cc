"""What the pages of a parquet file take once they are decoded, from its footer and their headers alone.

Eight kilobytes can unpack into gigabytes: by compression, and since values that are said once may be repeated by their
numbers. What a footer says of that need not be true. The headers of pages are what a decoder goes by, and so they are
read before it starts. The footer is read here, too: where what it says of sizes does not fit the columns, pyarrow ends
the process as soon as it is asked for a column chunk.
https://parquet.apache.org/docs/file-format/data-pages and, for how they are written, the compact protocol of Thrift,
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md.
"""

import itertools
import os
from dataclasses import dataclass
from typing import IO, Any

LARGEST = 2**28
"""Bytes that a page may unpack into: most programs write a megabyte, and DuckDB up to a hundred."""

_HEADER = 2**20
"""Bytes that the header of a page may have, its statistics included."""

_SIZE, _PACKED, _KINDS = 2, 3, (5, 7, 8)
"""The numbers of fields: unpacked and packed size, and what there is of data, of a dictionary, or of data of form 2."""

_GROUPS, _CHUNKS, _ABOUT = 4, 1, 3
"""The numbers of fields: of a footer its row groups, of one its column chunks, of one what is said about it."""


@dataclass(frozen=True)
class Chunk:
    """What a footer says about a column chunk.

    Attributes:
        values: How many it has.
        size: Its bytes in the file.
        data: Where its first page with data begins.
        dictionary: Where its dictionary begins, 0 where it has none.
    """

    values: int
    size: int
    data: int
    dictionary: int


def chunks(file: IO[bytes]) -> list[list[Chunk]]:
    """Return what the footer of a parquet file says about the column chunks of each row group.

    Args:
        file: The open file.

    Raises:
        OSError: The footer is damaged.
    """
    try:
        end = file.seek(-8, os.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
        file.seek(end - length)
        fields, _ = _struct(file.read(length), 0)
        abouts = [[chunk[_ABOUT] for chunk in group[_CHUNKS]] for group in fields[_GROUPS]]
        found = [[[about.get(number, 0) for number in (5, 7, 9, 11)] for about in group] for group in abouts]
    except (IndexError, KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise OSError("its footer is damaged") from error
    if not all(isinstance(number, int) for group in found for chunk in group for number in chunk):
        raise OSError("its footer is damaged")
    return [[Chunk(*chunk) for chunk in group] for group in found]


def largest_page(file: IO[bytes], chunk: Chunk, most: int) -> int:
    """Return how many bytes the largest page of a column chunk has once it is unpacked.

    No value of the chunk is larger than that, in any encoding.

    Args:
        file: The open file.
        chunk: What the footer says about the chunk.
        most: How many values all pages may have.

    Raises:
        OSError: A page has more bytes than `LARGEST`, or all have more values; or a header is damaged.
    """
    place = chunk.dictionary if 0 < chunk.dictionary < chunk.data else chunk.data
    end, values, largest = place + chunk.size, 0, 0
    for pages in itertools.count():
        if place >= end or values >= chunk.values:
            return largest
        header, length = _header(file, place)
        size, packed = header.get(_SIZE, -1), header.get(_PACKED, -1)
        inner = next((header[kind] for kind in _KINDS if kind in header), {})
        count = inner.get(1, 0) if isinstance(inner, dict) else -1
        if not all(isinstance(number, int) and number >= 0 for number in (size, packed, count)):
            raise OSError("the header of a page is damaged")
        if size > LARGEST:
            raise OSError(f"a page unpacks into {size:,} bytes, and {LARGEST:,} are the most that it can need")
        values += 0 if _KINDS[1] in header else count  # values of a dictionary are none of the column's
        if values > most or pages > 2 * most + 2:
            raise OSError(f"a column has more than the {most:,} values that its rows can have")
        largest = max(largest, size)
        place += length + packed
    raise AssertionError("unreachable")


def _header(file: IO[bytes], place: int) -> tuple[dict[int, Any], int]:
    """Return the fields of the header at a place, by number, and how many bytes it has."""
    size = 256
    while True:
        file.seek(place)
        try:
            return _struct(file.read(size), 0)
        except (IndexError, RecursionError) as error:
            if size >= _HEADER or isinstance(error, RecursionError):
                raise OSError("the header of a page is damaged") from error
            size *= 8


def _struct(data: bytes, at: int) -> tuple[dict[int, Any], int]:
    fields, number = {}, 0
    while data[at]:
        step, kind = data[at] >> 4, data[at] & 15
        number, at = (number + step, at + 1) if step else _integer(data, at + 1)
        fields[number], at = (kind == 1, at) if kind in (1, 2) else _value(data, at, kind)
    return fields, at + 1


def _value(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind in (1, 2, 3):  # in a list a truth is a byte of its own
        return data[at], at + 1
    if kind in (4, 5, 6):
        return _integer(data, at)
    if kind == 7:
        return None, at + 8
    if kind == 8:
        size, at = _natural(data, at)
        return None, at + size  # such as the least value of the page
    if kind == 9:
        size, kind, at = data[at] >> 4, data[at] & 15, at + 1
        if size == 15:
            size, at = _natural(data, at)
        if size > len(data) - at:  # a value has a byte at least
            raise IndexError
        values = []
        for _ in range(size):
            value, at = _value(data, at, kind)
            values.append(value)
        return values, at
    if kind == 12:
        return _struct(data, at)
    raise OSError("the header of a page is damaged")


def _integer(data: bytes, at: int) -> tuple[int, int]:
    value, at = _natural(data, at)
    return value >> 1 ^ -(value & 1), at


def _natural(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
    raise OSError("the header of a page is damaged")
