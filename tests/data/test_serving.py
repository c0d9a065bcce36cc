"""The same batches from memory, from the cache and from a stream."""

import errno
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from formats import encoded, face, put

from jaxfer.config import DataConfig, PrepareConfig
from jaxfer.data import cache as cache_module
from jaxfer.data import load, loading, prepare
from jaxfer.data.batches import Batches, Shard, evaluation_batches
from jaxfer.emotions import AFFECTNET_7
from jaxfer.errors import UserError


@pytest.fixture
def faces(tmp_path):
    """A folder of 21 training and 7 validation faces, two of the training files damaged."""
    for split, count in (("train", 3), ("val", 1)):
        for label in AFFECTNET_7:
            for number in range(count):
                put(tmp_path / "faces" / split / label / f"{number}.jpg", encoded(face(label, number + 10 * count)))
    for label in ("happy", "fear"):
        put(tmp_path / "faces/train" / label / "1.jpg", b"no image")
    return tmp_path / "faces"


@pytest.fixture
def kept(monkeypatch):
    """Make few images worth keeping."""
    monkeypatch.setattr(loading, "WORTH_KEEPING", 1)


def config(root, **options):
    return DataConfig(data_dir=root, image_size=32, max_unreadable=0.2, **options)


def entries(root):
    return sorted(path.name for path in (root / ".jaxfer").glob("*-*"))


def assert_same_batches(one, other):
    for first, second in zip(one, other, strict=True):
        assert first.keys() == second.keys()
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])


def assert_same_data(one, other):
    assert one.fingerprint == other.fingerprint
    assert (one.class_names, one.source, one.left_out) == (other.class_names, other.source, other.left_out)
    assert (one.unreadable, one.warnings) == (other.unreadable, other.warnings)
    for split, twin in ((one.train, other.train), (one.val, other.val)):
        assert split.name == twin.name
        assert_same_batches(evaluation_batches(split, 8), evaluation_batches(twin, 8))


@pytest.mark.parametrize("sampling", ["uniform", "balanced", "sqrt"])
def test_a_stream_serves_the_batches_that_memory_serves(faces, sampling):
    memory, stream = load(config(faces)), load(config(faces, stream=True))
    assert not isinstance(stream.train.images, np.ndarray)
    assert_same_data(memory, stream)
    one, other = (Batches(data.train, 8, 5, sampling=sampling) for data in (memory, stream))
    assert_same_batches(one.between(0, 11), other.between(0, 11))


@pytest.mark.parametrize("stream", [False, True])
def test_serving_can_start_at_any_step(faces, stream):
    batches = Batches(load(config(faces, stream=stream)).train, 4, seed=1)
    whole = list(batches.between(0, 12))
    for start in (0, 1, 7, 12):
        assert_same_batches(batches.between(start, 12), whole[start:])
    stops = [1, 4, 5, 9]
    for portion, start, end in zip(batches.portions(stops), stops, stops[1:], strict=False):
        one_by_one = ({name: values[index] for name, values in portion.items()} for index in range(end - start))
        assert_same_batches(one_by_one, whole[start:end])


@pytest.mark.parametrize("stream", [False, True])
def test_processes_share_each_batch(faces, stream):
    data = load(config(faces, stream=stream))
    whole = Batches(data.train, 8, seed=2)
    parts = [Batches(data.train, 8, seed=2, shard=Shard(index, 4)) for index in range(4)]
    for step in range(2 * whole.steps_per_epoch):
        pieces = [part[step] for part in parts]
        joined = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        assert_same_batches([joined], [whole[step]])
    pieces = zip(*(evaluation_batches(data.val, 8, Shard(index, 2)) for index in range(2)), strict=True)
    joined = [{name: np.concatenate([piece[name] for piece in each]) for name in each[0]} for each in pieces]
    assert_same_batches(joined, evaluation_batches(data.val, 8))


def test_processes_that_do_not_divide_the_batch_are_refused(faces):
    with pytest.raises(UserError, match="a multiple of 3"):
        Batches(load(config(faces)).train, 8, seed=0, shard=Shard(0, 3))


def test_an_image_that_vanishes_while_it_is_streamed_is_named(faces):
    data = load(config(faces, stream=True))
    (faces / "val/happy/0.jpg").unlink()
    with pytest.raises(UserError, match=r"val/happy/0\.jpg can no longer be read"):
        list(evaluation_batches(data.val, 4))


def overwrite(path, image, *, time):
    """Put another image in the place of a file, of the same size, and with its time or a later one."""
    before = path.stat()
    content = encoded(image)
    path.write_bytes(content + bytes(max(0, before.st_size - len(content))))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + time))


REPLACED = "is another image than when the data was loaded: put the former one back"


@pytest.mark.parametrize("known", [False, True], ids=["fingerprint computed", "fingerprint kept"])
def test_an_image_that_was_replaced_before_it_is_streamed_is_named(faces, kept, known):
    if known:
        load(config(faces, stream=True))
    data = load(config(faces, stream=True))
    overwrite(faces / "val/happy/0.jpg", face("anger", 3), time=1)
    with pytest.raises(UserError, match=rf"val/happy/0\.jpg {REPLACED}"):
        list(evaluation_batches(data.val, 4))


def test_an_image_that_was_replaced_between_epochs_is_named_even_with_its_size_and_time(faces):
    data = load(config(faces, stream=True))
    batches = Batches(data.train, 8, seed=0)
    first = list(batches.between(0, batches.steps_per_epoch))
    path = faces / "train/happy/0.jpg"
    former, times = path.read_bytes(), path.stat()
    path.touch()  # which changes no pixel
    assert_same_batches(batches.between(0, batches.steps_per_epoch), first)
    overwrite(path, face("anger", 3), time=0)
    with pytest.raises(UserError, match=rf"train/happy/0\.jpg {REPLACED}"):
        list(batches.between(batches.steps_per_epoch, 2 * batches.steps_per_epoch))
    path.write_bytes(former)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert load(config(faces, stream=True)).fingerprint == data.fingerprint


def test_a_prepared_file_that_was_replaced_while_it_is_served_is_named(prepared, kept):
    load(config(prepared))
    for again in (False, True):
        data = load(config(prepared))
        (path,) = prepared.glob("*-validation.array_record-*")
        before, content = data.val.images[np.arange(7)] if again else None, path.read_bytes()
        later = path.stat().st_mtime_ns + 10**9
        path.unlink()
        path.write_bytes(content)
        os.utime(path, ns=(later, later))
        if again:
            np.testing.assert_array_equal(data.val.images[np.arange(7)], before)
        else:
            with pytest.raises(UserError, match=rf"row \d of {path.name} {REPLACED}"):
                data.val.images[np.arange(7)]


def test_decoded_images_are_kept_and_mapped(faces, kept, monkeypatch):
    first = load(config(faces))
    assert len(entries(faces)) == 1
    monkeypatch.setattr(loading, "map_records", None)  # decoding again would fail
    again = load(config(faces))
    assert isinstance(again.train.images, np.memmap)
    assert_same_data(first, again)
    assert [reason for _, reason in again.unreadable] == ["not an image of a known format"] * 2
    with pytest.raises(ValueError, match="read-only"):
        again.train.images[0] = 0


def test_a_second_stream_does_not_look_at_all_images_again(faces, kept, monkeypatch):
    first = load(config(faces, stream=True))
    monkeypatch.setattr(loading, "map_records", None)
    assert_same_data(first, load(config(faces, stream=True)))


@pytest.fixture
def prepared(faces, tmp_path):
    """The faces, prepared at the size that they are asked for."""
    return prepare(faces, tmp_path / "out", PrepareConfig(image_size=32)).path


def test_prepared_pixels_are_served_from_where_they_lie(faces, prepared, kept, monkeypatch):
    straight = load(config(faces))
    first = load(config(prepared))
    (entry,) = (prepared / ".jaxfer").glob("*-*")
    assert not list(entry.glob("*.images"))
    assert sum(path.stat().st_size for path in entry.iterdir()) < straight.train.images.nbytes / 4
    monkeypatch.setattr(loading._Source, "select", None)  # reading the records again would fail
    again = load(config(prepared))
    for data in (first, again):
        assert data.fingerprint == straight.fingerprint
        for split, twin in ((data.train, straight.train), (data.val, straight.val)):
            assert not isinstance(split.images, np.ndarray)
            assert split.names == twin.names
            assert split.groups.keys() == twin.groups.keys()
            np.testing.assert_array_equal(np.asarray(split.images), twin.images)
            assert_same_batches(evaluation_batches(split, 8), evaluation_batches(twin, 8))
        one, other = (Batches(split, 8, 5, sampling="sqrt") for split in (data.train, straight.train))
        assert_same_batches(one.between(3, 11), other.between(3, 11))
        assert_same_batches(one.portions([3, 5, 6]), other.portions([3, 5, 6]))


def test_prepared_pixels_of_another_size_are_decoded_and_kept(faces, tmp_path, kept):
    path = prepare(faces, tmp_path / "out", PrepareConfig(image_size=48)).path
    first, again = load(config(path)), load(config(path))
    assert isinstance(again.train.images, np.memmap)
    assert again.train.images.shape[1:] == (32, 32, 3)
    assert_same_data(first, again)


def test_a_prepared_file_that_vanishes_while_it_is_served_is_named(prepared):
    data = load(config(prepared))
    for path in prepared.glob("*-train.array_record-*"):
        os.truncate(path, 100)
    with pytest.raises(UserError, match=r"can no longer be read"):
        list(evaluation_batches(data.train, 4))


def test_a_share_of_prepared_training_images_can_be_held_out(tmp_path, kept):
    for label in AFFECTNET_7:
        for number in range(4):
            put(tmp_path / "raw/train" / label / f"{number}.png", encoded(face(label, number), "PNG"))
    path = prepare(tmp_path / "raw", tmp_path / "out", PrepareConfig(image_size=32)).path
    straight = load(config(tmp_path / "raw"))
    for data in (load(config(path)), load(config(path))):
        assert (len(data.train), len(data.val), data.val.name) == (21, 7, "held out 10% of train")
        assert data.fingerprint == straight.fingerprint
        np.testing.assert_array_equal(np.asarray(data.val.images), straight.val.images)


@pytest.mark.parametrize("change", ["content", "added", "removed", "renamed"])
def test_a_change_to_the_files_makes_a_new_entry_and_removes_the_old(faces, kept, change):
    load(config(faces))
    before = entries(faces)
    picture = faces / "train/sad/0.jpg"
    if change == "content":
        put(picture, encoded(face("sad", 99)))
    elif change == "added":
        put(faces / "train/sad/9.jpg", encoded(face("sad", 99)))
    elif change == "removed":
        picture.unlink()
    else:
        picture.rename(faces / "train/sad/9.jpg")
    data = load(config(faces))
    assert len(entries(faces)) == 1
    assert entries(faces) != before
    shutil.rmtree(faces / ".jaxfer")
    assert_same_data(data, load(config(faces)))


def test_each_way_to_decode_has_its_own_entry(faces, kept):
    for size in (32, 40, 32):
        data = load(DataConfig(data_dir=faces, image_size=size, max_unreadable=0.2))
        assert data.train.images.shape[1:] == (size, size, 3)
    assert len(entries(faces)) == 2
    load(config(faces, sampling="balanced"))
    assert len(entries(faces)) == 2, "sampling changes no array"


@pytest.mark.parametrize("damage", ["facts.json", "train.images", "val.npz", "val.names.json", "train.groups.json"])
@pytest.mark.parametrize("how", ["truncated", "removed"])
def test_a_damaged_entry_is_built_anew(faces, kept, damage, how):
    expected = load(config(faces)).fingerprint
    (entry,) = (faces / ".jaxfer").glob("*-*")
    if how == "removed":
        (entry / damage).unlink()
    else:
        os.truncate(entry / damage, 10)
    for _ in range(2):
        data = load(config(faces))
        assert replace(data, known_fingerprint="").fingerprint == data.fingerprint == expected
    assert isinstance(data.train.images, np.memmap)
    assert len(entries(faces)) == 1


@pytest.mark.parametrize("failing", ["mkdir", "reserve"])
def test_data_that_cannot_be_written_to_is_served_from_memory(faces, kept, monkeypatch, failing):
    expected = load(config(faces))
    shutil.rmtree(faces / ".jaxfer")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    if failing == "mkdir":
        monkeypatch.setattr(Path, "mkdir", full)
    else:
        monkeypatch.setattr(cache_module, "_reserve", full)
    data = load(config(faces))
    assert not isinstance(data.train.images, np.memmap)
    assert_same_data(expected, data)
    assert entries(faces) == []


def test_a_folder_that_nobody_may_write_to_is_left_alone(faces, kept):
    faces.chmod(0o555)
    try:
        data = load(config(faces))
        assert not isinstance(data.train.images, np.memmap)
        assert entries(faces) == []
    finally:
        faces.chmod(0o755)


def test_few_images_are_not_kept(faces):
    load(config(faces))
    assert entries(faces) == []


def test_a_process_killed_while_it_decodes_leaves_nothing_that_loads(faces, kept):
    code = f"""
import os, signal
from pathlib import Path
from jaxfer.config import DataConfig, PrepareConfig
from jaxfer.data import load, loading, prepare
from jaxfer.data.cache import Building
loading.WORTH_KEEPING = 1
Building.keep = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
load(DataConfig(data_dir=Path({str(faces)!r}), image_size=32, max_unreadable=0.2))
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=600, check=False).returncode == -9
    assert [name.startswith("building-") for name in entries(faces)] == [True]
    data = load(config(faces))
    assert len(entries(faces)) == 1
    assert isinstance(load(config(faces)).train.images, np.memmap)
    assert_same_data(data, load(config(faces)))


def test_only_what_the_stream_must_know_is_kept_of_it(faces, kept):
    load(config(faces, stream=True))
    (entry,) = (faces / ".jaxfer").glob("*-*")
    assert [path.name for path in entry.iterdir()] == ["facts.json"]
    facts = json.loads((entry / "facts.json").read_text())
    assert sorted(facts["unreadable"]) == ["train/fear/1.jpg", "train/happy/1.jpg"]
