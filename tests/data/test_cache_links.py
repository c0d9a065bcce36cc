"""The cache beside data of others: no link is followed, and nothing is removed but what the cache has made."""

import shutil
import socket
import subprocess

import numpy as np
import pytest
from formats import encoded, face, put

from jaxfer.config import DataConfig
from jaxfer.data import load, loading
from jaxfer.emotions import AFFECTNET_7

ENTRY = "0123456789abcdef-fedcba9876543210"


@pytest.fixture
def faces(tmp_path, monkeypatch):
    """A folder of a training and a validation face of each class, few as they are worth keeping."""
    monkeypatch.setattr(loading, "WORTH_KEEPING", 1)
    for number, split in enumerate(("train", "val")):
        for label in AFFECTNET_7:
            put(tmp_path / "faces" / split / label / "0.png", encoded(face(label, number), "PNG"))
    return tmp_path / "faces"


@pytest.fixture
def theirs(tmp_path):
    """A folder of somebody else, whose names look like those of a cache."""
    for name in ("family-photos", ENTRY, f"building-{socket.gethostname()}-{ended_process()}"):
        put(tmp_path / "theirs" / name / "notes", b"theirs")
    return tmp_path / "theirs"


def ended_process():
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def loaded(faces, **options):
    return load(DataConfig(data_dir=faces, image_size=32), **options)


def below(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def entry_of(faces):
    (entry,) = (path for path in (faces / ".jaxfer").glob("*-*") if path.name != ENTRY)
    return entry


@pytest.mark.parametrize("marked", [False, True])
def test_a_link_in_place_of_the_cache_is_not_followed(faces, theirs, marked):
    if marked:
        loaded(faces)
        shutil.copy(faces / ".jaxfer/CACHEDIR.TAG", theirs)
        shutil.rmtree(faces / ".jaxfer")
    (faces / ".jaxfer").symlink_to(theirs)
    before = below(theirs)
    data = loaded(faces)
    assert not isinstance(data.train.images, np.memmap)
    assert below(theirs) == before
    assert (faces / ".jaxfer").is_symlink()


def test_a_cache_is_not_read_through_a_link(faces, tmp_path):
    fingerprint = loaded(faces).fingerprint
    (faces / ".jaxfer").rename(tmp_path / "elsewhere")
    (faces / ".jaxfer").symlink_to(tmp_path / "elsewhere")
    before = below(tmp_path / "elsewhere")
    data = loaded(faces)
    assert not isinstance(data.train.images, np.memmap)
    assert data.fingerprint == fingerprint
    assert below(tmp_path / "elsewhere") == before


def test_links_inside_the_cache_are_not_followed(faces, theirs, tmp_path, monkeypatch):
    loaded(faces)
    entry = entry_of(faces)
    entry.rename(tmp_path / "moved")
    building = f"building-{socket.gethostname()}-{ended_process()}"
    for name, target in ((entry.name, tmp_path / "moved"), (ENTRY, theirs), (building, theirs)):
        (faces / ".jaxfer" / name).symlink_to(target)
    before = below(theirs) | below(tmp_path / "moved")
    with monkeypatch.context() as patch:
        patch.setattr(loading, "map_records", None)
        with pytest.raises(TypeError):  # it decodes again
            loaded(faces)
    loaded(faces)
    assert below(theirs) | below(tmp_path / "moved") == before


def test_a_file_of_an_entry_that_is_a_link_is_not_read(faces, tmp_path):
    loaded(faces)
    images = entry_of(faces) / "train.images"
    images.rename(tmp_path / "images")
    images.symlink_to(tmp_path / "images")
    before = (tmp_path / "images").read_bytes()
    loaded(faces)
    assert not images.is_symlink(), "the entry was built anew"
    assert (tmp_path / "images").read_bytes() == before


def test_foreign_folders_in_a_genuine_cache_stay_and_old_entries_go(faces):
    loaded(faces)
    old = entry_of(faces)
    for name in ("a-b", "my-notes", "building-site", "0123456789ABCDEF-0123456789ABCDEF"):
        put(faces / ".jaxfer" / name / "notes", b"theirs")
    put(faces / "train/happy/1.png", encoded(face("happy", 7), "PNG"))
    loaded(faces)
    assert not old.exists()
    assert len(list((faces / ".jaxfer").glob("*/notes"))) == 4


def test_a_folder_of_that_name_that_is_not_ours_is_left_alone(faces, theirs):
    theirs.rename(faces / ".jaxfer")
    before = below(faces)
    assert not isinstance(loaded(faces).train.images, np.memmap)
    assert below(faces) == before


def test_a_cache_of_an_earlier_version_goes_on_as_a_marked_one(faces):
    loaded(faces)
    (faces / ".jaxfer/CACHEDIR.TAG").unlink()
    put(faces / "train/happy/1.png", encoded(face("happy", 7), "PNG"))
    loaded(faces)
    assert isinstance(loaded(faces).train.images, np.memmap)
    assert len(list((faces / ".jaxfer").glob("*-*"))) == 1
    tag = (faces / ".jaxfer/CACHEDIR.TAG").read_text()
    assert tag.startswith("Signature: 8a477f597d28d172789f06886806bc55\n")


def test_data_that_is_only_read_is_not_written_to_and_its_cache_serves(faces):
    before = below(faces)
    memory = loaded(faces, keep=False)
    assert below(faces) == before
    assert not (faces / ".jaxfer").exists()
    loaded(faces)
    mapped = loaded(faces, keep=False)
    assert isinstance(mapped.train.images, np.memmap)
    assert mapped.fingerprint == memory.fingerprint
    put(faces / "train/happy/1.png", encoded(face("happy", 7), "PNG"))
    before = below(faces)
    assert len(loaded(faces, keep=False).train) == 8
    assert below(faces) == before
