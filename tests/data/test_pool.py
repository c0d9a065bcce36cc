"""Work on records in several pool."""

import os
import threading
from functools import partial

import numpy as np
import pytest
from formats import encoded, face, put

from jaxfer.data.layouts import Record
from jaxfer.data.reading import pool
from jaxfer.data.reading.images import UnreadableError, decode, decode_record
from jaxfer.data.reading.pool import map_records

FUNCTION = partial(decode_record, size=32, margin=0.0)


class InArchive:
    """A stored image that only this process can read."""

    def __init__(self, content):
        self.content = content
        self.lock = threading.Lock()  # which cannot be pickled

    def read(self):
        if self.content is None:
            raise OSError("the archive is cut off")
        return self.content


@pytest.fixture
def records(tmp_path):
    """Files, pixels and stored images, some of them unreadable."""
    found = []
    for number in range(90):
        content = encoded(face("happy", number), "PNG")
        images = put(tmp_path / f"{number}.png", content), np.array(face("sad", number)), InArchive(content)
        found.append(Record(name=str(number), image=images[number % 3], split="train"))
    (tmp_path / "60.png").write_bytes(b"")
    found[62] = Record(name="62", image=InArchive(None), split="train")
    return found


def read(records):
    return [(record, result) for record, result in map_records(FUNCTION, iter(records))]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("few", [0, 256])
def test_results_are_those_of_one_call_after_the_other_in_order(records, monkeypatch, workers, few):
    monkeypatch.setattr(os, "cpu_count", lambda: workers)
    monkeypatch.setattr(pool, "FEW", few)
    done = read(records)
    assert [record.name for record, _ in done] == [record.name for record in records]
    problems = {record.name: result.reason for record, result in done if isinstance(result, UnreadableError)}
    assert problems == {"60": "an empty file", "62": "the archive is cut off"}
    for record, result in done:
        if record.name not in problems:
            np.testing.assert_array_equal(result, decode(record.image, 32))


def test_records_are_drawn_only_as_fast_as_results_are_taken(records, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.setattr(pool, "FEW", 0)
    monkeypatch.setattr(pool, "CHUNK", 2)
    drawn = []
    results = map_records(FUNCTION, (drawn.append(record) or record for record in records))
    next(results)
    assert len(drawn) == pool.AHEAD * 2
    results.close()


def test_an_error_of_the_reader_arrives(records, monkeypatch):
    monkeypatch.setattr(pool, "FEW", 0)

    def failing():
        yield from records
        raise KeyError("reader")

    with pytest.raises(KeyError, match="reader"):
        list(map_records(FUNCTION, failing()))
