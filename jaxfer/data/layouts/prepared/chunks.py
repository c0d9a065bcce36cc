"""What a file of ArrayRecord says of its own sizes, compared with what is there before its library believes it.

Such a file is a sequence of chunks, each behind a head that tells how many bytes and records follow, and how many bytes
these are once unpacked. The library reserves what it is told: 128 kB could ask for gigabytes. In a prepared data set
each chunk is one record, not packed; behind them one chunk lists where they begin, and the last one says where that
list is. See https://github.com/google/riegeli/blob/master/doc/riegeli_records_file_format.md
"""

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

LARGEST = 2**26
"""Bytes that a record may have: an image of 4,096 pixels a side, with its name and numbers, has fewer."""

_BLOCK, _BLOCK_HEAD = 2**16, 24
"""A file is cut into blocks, each with a head of its own, wherever in a chunk that is."""

_HEAD = struct.Struct("<8x Q 8x Q Q")
"""The head of a chunk, without checksums: bytes of its data; its type and how many records; their bytes, unpacked."""


class _Chunk(NamedTuple):
    begin: int
    kind: str
    records: int
    size: int


def count_records(file: int) -> int:
    """Return how many records a file of a prepared data set has; 0 for an empty one.

    Args:
        file: Its descriptor.

    Raises:
        OSError: It cannot be read.
        ValueError: It is packed, cut off, or says of itself what is not so.
    """
    size = os.fstat(file).st_size
    if not size:
        return 0
    begin, *chunks = _chunks(file, size)
    *chunks, listed, last = [chunk for chunk in chunks if chunk.kind != "p"]  # which fills a block
    if begin.kind != "s" or any((chunk.kind, chunk.records) != ("r", 1) for chunk in chunks):
        raise ValueError("it was not written by jaxfer")
    about, *places = _records(file, listed)
    about = _fields(_fields(about).get(1))
    said = about.get(2), about.get(3), [_fields(place).get(1) for place in places]
    where = [_fields(record).get(1) for record in _records(file, last)]
    if said != (len(chunks), len(chunks), [chunk.begin for chunk in chunks]) or set(where) != {listed.begin}:
        raise ValueError("its list of records is not that of those in it")
    if last.begin != size - _BLOCK:  # where the library looks for it
        raise ValueError("its end is missing")
    return len(chunks)


def _chunks(file: int, size: int) -> Iterator[_Chunk]:
    begin = 0
    while begin < size:
        head = _content(file, begin, min(_HEAD.size + 1, size - begin))
        if len(head) < _HEAD.size:
            raise ValueError("it is cut off")
        data, about, unpacked = _HEAD.unpack_from(head)
        chunk = _Chunk(begin, chr(about & 0xFF), about >> 8, data)
        end = _end(chunk)
        # Each record takes a byte at least, for its size.
        if end > size or chunk.kind not in "srp" or max(chunk.records, unpacked) > data:
            raise ValueError(f"what it says of itself at byte {begin:,} is not so")
        if chunk.kind == "r" and (head[-1] or (chunk.records == 1 and data > LARGEST)):
            raise ValueError(f"what lies at byte {begin:,} is packed, or larger than any face")
        yield chunk
        begin = end


def _end(chunk: _Chunk) -> int:
    """Return where the next chunk begins. Each record has a position of its own, however short it is."""
    size = _HEAD.size + chunk.size
    heads = (size + (chunk.begin + _BLOCK - _BLOCK_HEAD - 1) % _BLOCK) // (_BLOCK - _BLOCK_HEAD)
    last = chunk.begin + chunk.records
    beyond_head = max(0, -last % _BLOCK - (_BLOCK - _BLOCK_HEAD - 1))
    return max(chunk.begin + size + heads * _BLOCK_HEAD, last + beyond_head)


def _content(file: int, begin: int, size: int) -> bytes:
    """Return bytes of a file, without the heads of blocks among them."""
    if size < _BLOCK - begin % _BLOCK and begin % _BLOCK:  # mostly
        return os.pread(file, size, begin)
    found = b""
    while len(found) < size:
        begin += 0 if begin % _BLOCK else _BLOCK_HEAD
        part = os.pread(file, min(size - len(found), _BLOCK - begin % _BLOCK), begin)
        if not part:
            raise ValueError("it is cut off")
        found, begin = found + part, begin + len(part)
    return found


def _records(file: int, chunk: _Chunk) -> list[bytes]:
    """Return the records of a chunk that is not packed: how many bytes their sizes have, these, and themselves."""
    data = memoryview(_content(file, chunk.begin, _HEAD.size + chunk.size))[_HEAD.size + 1 :]
    length, begin = _number(data, 0)
    place, begin = begin, begin + length
    records = []
    for _ in range(chunk.records):
        size, place = _number(data, place)
        records.append(bytes(data[begin : begin + size]))
        begin += size
    return records


def _number(data: memoryview | bytes, place: int) -> tuple[int, int]:
    """Return a number in Protocol Buffers' form, seven bits a byte, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            break
        value |= (data[place] & 0x7F) << shift
        place += 1
        if data[place - 1] < 0x80:
            return value, place
    raise ValueError("a number in it is cut off")


def _fields(message: object) -> dict[int, int | bytes]:
    """Return the numbers and messages in a message of Protocol Buffers by their own numbers; of none, none."""
    found, place = {}, 0
    while isinstance(message, bytes) and place < len(message):
        key, place = _number(message, place)
        value, place = _number(message, place)
        if key & 7 == 2:
            value, place = message[place : place + value], place + value
        elif key & 7:
            raise ValueError("a number in it is of another kind")
        found[key >> 3] = value
    return found
