"""Whatever lies in the place of a file, and however large it is: nothing is waited for, and memory stays bounded."""

import os
import shutil
import signal
import tracemalloc
from contextlib import contextmanager, nullcontext, suppress
from zipfile import BadZipFile, ZipFile

import numpy as np
import pytest
from formats import FORMATS, encoded, face, put

from jaxfer.config import DataConfig
from jaxfer.data import load
from jaxfer.data.groups import read_groups
from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.data.prepared import prepare
from jaxfer.data.reading.images import UnreadableError, decode
from jaxfer.data.reading.npz import opened_npz
from jaxfer.emotions import AFFECTNET_7
from jaxfer.errors import UserError

PATIENCE = 30
"""Seconds after which whoever waits for a pipe is taken to wait for ever."""


@contextmanager
def no_waiting():
    def give_up(*_):
        raise TimeoutError("it waits for what never comes")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def read_all(root, order):
    """Read all of a data set, landmarks and images too, unless it is refused."""
    layout, match = detect(root)
    for record in layout.read(match.place, ReadOptions(label_order=order, landmarks=True)):
        with suppress(UnreadableError):
            decode(record.image, 32, box=record.box)


@pytest.mark.one_of(3)
@pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.name)
def test_no_layout_waits_for_a_pipe_in_the_place_of_a_file(format_, tmp_path):
    (tmp_path / "data").mkdir()
    format_.write(tmp_path / "data", 1)
    suffixes = {}
    for path in sorted(tmp_path.rglob("*")):
        if path.is_file():
            suffixes.setdefault((path.suffix, path.name[-8:] if path.suffix == ".npy" else ""), path)
    for path in suffixes.values():
        path.rename(tmp_path / "aside")
        os.mkfifo(path)
        with no_waiting(), suppress(UserError):
            read_all(tmp_path / "data", format_.label_order)
        path.unlink()
        (tmp_path / "aside").rename(path)


def test_prepared_data_does_not_wait_for_a_pipe_in_the_place_of_a_file(tmp_path):
    for label in AFFECTNET_7:
        for number, split in enumerate(("train", "val")):
            put(tmp_path / "raw" / split / label / "0.png", encoded(face(label, number), "PNG"))
    prepared = prepare(tmp_path / "raw", tmp_path / "out").path
    for path in sorted(prepared.iterdir()):
        path.rename(tmp_path / "aside")
        os.mkfifo(path)
        is_read = path.name in ("dataset_info.json", "metadata.json") or path.name.startswith("facial")
        with no_waiting(), pytest.raises(UserError, match=path.name) if is_read else nullcontext():
            load(DataConfig(data_dir=tmp_path / "out"))
        path.unlink()
        shutil.rmtree(prepared / ".jaxfer", ignore_errors=True)
        (tmp_path / "aside").rename(path)


ENDLESS = b"7" * 1_000_000
"""A line that no list has."""

LISTS = {
    "FER2013 csv": ("fer2013.csv", b"\n0,%b,Training\n"),
    "AffectNet 2017": ("training.csv", b"\n%b\n"),
    "labels.csv": ("labels.csv", b"\n0,%b.jpg,sad\n"),
    "RAF-DB": ("list_patition_label.txt", b"\n%b.jpg 5\n"),
    "YOLO": ("happy_0.rf.8f2b.txt", b"\n%b 0.5 0.5 0.2 0.2\n"),
}
"""A list in each format, and a row with something endless in it."""


@pytest.mark.parametrize("name", LISTS)
def test_an_endless_line_is_one_row_that_is_left_out(name, tmp_path):
    format_ = next(one for one in FORMATS if one.name == name)
    expected = format_.write(tmp_path, 1)
    file, row = LISTS[name]
    path = next(path for path in sorted(tmp_path.rglob("*")) if path.name == file)
    with path.open("ab") as list_:
        list_.write(row % ENDLESS)
    tracemalloc.start()
    layout, match = detect(tmp_path)
    records = list(layout.read(match.place, ReadOptions(label_order=format_.label_order)))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert {r.name: (r.split, r.label) for r in records if not r.left_out} == expected
    assert any(r.left_out for r in records)
    assert all(len(r.detail) + len(r.name) < 10_000 for r in records)
    assert name == "YOLO" or most < len(ENDLESS)


@pytest.mark.parametrize("name", [name for name in LISTS if name != "YOLO"])
def test_a_list_of_more_lines_than_any_data_has_is_refused(name, tmp_path, monkeypatch):
    format_ = next(one for one in FORMATS if one.name == name)
    format_.write(tmp_path, 2)
    monkeypatch.setattr("jaxfer.files.MOST_LINES", 9)
    with pytest.raises(UserError, match=r"cannot be read \(more than 9 lines\)"):
        read_all(tmp_path, format_.label_order)


def test_an_image_of_more_bytes_than_any_has_is_unreadable(tmp_path):
    with put(tmp_path / "large.jpg", encoded(face("sad", 1))).open("r+b") as file:
        file.truncate(2**29 + 1)  # which takes no room on the disk
    with pytest.raises(UnreadableError, match="more than 512 MiB"):
        decode(tmp_path / "large.jpg", 32)


@pytest.mark.parametrize("lies", [False, True])
def test_an_npz_never_unpacks_into_more_than_it_may(tmp_path, lies):
    path, zeros = tmp_path / "zeros.npz", np.zeros(2**24, np.uint8)
    np.savez_compressed(path, zeros=zeros)
    if lies:  # of the size that it unpacks into, in both places that say it
        size = (zeros.nbytes + 128).to_bytes(4, "little")
        path.write_bytes(path.read_bytes().replace(size, (2**20).to_bytes(4, "little")))
    with (
        pytest.raises((ValueError, BadZipFile), match="Bad CRC" if lies else "the most that it can need"),
        opened_npz(path, 2**21) as arrays,
    ):
        arrays["zeros"]


@pytest.mark.parametrize("entries", [True, False])
def test_the_list_of_arrays_in_an_npz_has_bounds(tmp_path, entries):
    path = tmp_path / "many.npz"
    with ZipFile(path, "w") as members:
        for number in range(20_000 if entries else 1):
            members.writestr(f"{number}.npy", b"")
    if not entries:  # half a GB of zeros, which take no room on the disk, and an end that calls them the list
        end = bytearray(path.read_bytes()[-22:])
        end[12:20] = (2**29).to_bytes(4, "little") + bytes(4)
        with path.open("r+b") as file:
            file.truncate(2**29)
            file.seek(0, 2)
            file.write(end)
    tracemalloc.start()
    with pytest.raises(ValueError, match="list of its arrays, or the head of one, has more"), opened_npz(path):
        pass
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**23


def test_a_csv_of_groups_has_bounds(tmp_path):
    path = put(tmp_path / "groups.csv", b"image,age\n1.jpg," + b"7" * 100_000 + b"\n")
    with pytest.raises(UserError, match=r"line 2 has more than 65,536 characters\): correct it"):
        read_groups(path, ["1.jpg"])
    path.unlink()
    os.mkfifo(path)
    with no_waiting(), pytest.raises(UserError, match=r"cannot be read \(a pipe, not a file\): pass another csv"):
        read_groups(path, ["1.jpg"])


def test_a_pipe_is_no_data(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with no_waiting(), pytest.raises(UserError, match="cannot be read"):
        detect(tmp_path / "pipe.csv")
