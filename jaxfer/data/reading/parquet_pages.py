"""What the pages of a parquet file take once they are decoded, from their headers alone.

Eight kilobytes can unpack into gigabytes: by compression, and since values that are said once may be repeated by their
numbers. What a footer says of that need not be true. The headers of pages are what a decoder goes by, and so they are
read before it starts.
https://parquet.apache.org/docs/file-format/data-pages and, for how they are written, the compact protocol of Thrift,
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md.
"""

import itertools
from typing import IO, Any

LARGEST = 2**28
"""Bytes that a page may unpack into: most programs write a megabyte, and DuckDB up to a hundred."""

_HEADER = 2**20
"""Bytes that the header of a page may have, its statistics included."""

_SIZE, _PACKED, _KINDS = 2, 3, (5, 7, 8)
"""The numbers of fields: unpacked and packed size, and what there is of data, of a dictionary, or of data of form 2."""


def largest_page(file: IO[bytes], chunk: Any, most: int) -> int:
    """Return how many bytes the largest page of a column chunk has once it is unpacked.

    No value of the chunk is larger than that, in any encoding.

    Args:
        file: The open file.
        chunk: What the footer says about the chunk, a `pyarrow.parquet.ColumnChunkMetaData`.
        most: How many values all pages may have.

    Raises:
        OSError: A page has more bytes than `LARGEST`, or all have more values; or a header is damaged.
    """
    place = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < (chunk.dictionary_page_offset or 0) < place:
        place = chunk.dictionary_page_offset
    end, values, largest = place + chunk.total_compressed_size, 0, 0
    for pages in itertools.count():
        if place >= end or values >= chunk.num_values:
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
        if kind in (1, 2):
            value = kind == 1
        elif kind == 3:
            value, at = data[at], at + 1
        elif kind in (4, 5, 6):
            value, at = _integer(data, at)
        elif kind == 7:
            value, at = None, at + 8
        elif kind == 8:
            size, at = _natural(data, at)
            value, at = None, at + size  # such as the least value of the page
        elif kind == 12:
            value, at = _struct(data, at)
        else:
            raise OSError("the header of a page is damaged")
        fields[number] = value
    return fields, at + 1


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
