"""Links: followed as far as they stay in what was passed, beyond it where somebody says so, and never in circles."""

import hashlib
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from formats import FORMATS, encoded, face, put

from jaxfer.config import DataConfig, PrepareConfig
from jaxfer.data import check, load, loading, prepare
from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.emotions import AFFECTNET_7
from jaxfer.errors import UserError

LINK = "link out of the folder"


def read(path, **options):
    """Return the records of the data at a path, by their names."""
    options = ReadOptions(root=path, **options)
    layout, match = detect(path, options)
    return {record.name: record for record in layout.read(match.place, options)}


def usable(records):
    return {name: (record.split, record.label) for name, record in records.items() if not record.left_out}


def into_store(root, store):
    """Move every file below a folder to a store, under a hash of its path, and link to it from where it was."""
    for path in sorted(root.rglob("*")):
        if path.is_file():
            kept = store / hashlib.sha256(str(path).encode()).hexdigest()
            store.mkdir(parents=True, exist_ok=True)
            path.rename(kept)
            path.symlink_to(os.path.relpath(kept, path.parent))


@pytest.mark.one_of(5)
@pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.name)
@pytest.mark.parametrize(
    ("store", "data"), [("blobs", "snapshots/1a2b"), (".git/annex/objects", "faces")], ids=["hub", "annex"]
)
def test_a_store_beside_the_data_is_read_where_it_was_passed_or_somebody_says_so(tmp_path, format_, store, data):
    (tmp_path / data).mkdir(parents=True)
    expected = format_.write(tmp_path / data, 1)
    into_store(tmp_path / data, tmp_path / store)
    options = {"label_order": format_.label_order}
    inner = read(tmp_path / data, follow_links=True, **options)
    assert usable(inner) == expected
    try:
        found = read(tmp_path / data, **options)
    except UserError as error:
        assert re.search("links? out of", str(error))  # noqa: PT017 - or it is in the records
    else:
        assert not usable(found)
        assert LINK in {record.left_out for record in found.values()}
    try:
        whole = usable(read(tmp_path, **options))
    except UserError as error:  # some lie deeper than is searched
        assert "has no data that jaxfer reads" in str(error)  # noqa: PT017 - or it is read
    else:  # where a table may lie in the store, and images have longer names
        assert sorted(whole.values()) == sorted(expected.values())


@pytest.fixture
def linked(tmp_path):
    """Word folders of which one is a link to a store beside them, as one image of each other class is."""
    for number, split in enumerate(("train", "val")):
        for label in AFFECTNET_7:
            put(tmp_path / f"store/{split}/{label}/0.png", encoded(face(label, number), "PNG"))
            put(tmp_path / f"set/{split}/{label}/1.png", encoded(face(label, number + 10), "PNG"))
            (tmp_path / f"set/{split}/{label}/0.png").symlink_to(tmp_path / f"store/{split}/{label}/0.png")
        shutil.rmtree(tmp_path / f"set/{split}/neutral")
        (tmp_path / f"set/{split}/neutral").symlink_to(f"../../store/{split}/neutral")
        (tmp_path / f"set/{split}/anger/broken.png").symlink_to("/nowhere/gone.png")
    return tmp_path


def config(path, **options):
    return DataConfig(data_dir=path, image_size=32, max_unreadable=0.1, **options)


def test_what_links_out_is_named_and_what_to_do_is_said(linked):
    found = {name for name, record in read(linked / "set").items() if record.left_out == LINK}
    assert {"train/neutral", "train/sad/0.png", "val/anger/broken.png"} <= found
    assert len(found) == 2 * (1 + 6 + 1)
    with pytest.raises(UserError, match=r"no image of neutral in 'train' .*16 link out of the folder.*--follow-links"):
        load(config(linked / "set"))


@pytest.mark.parametrize(("passed", "follow"), [("", False), ("", True), ("set", True)])
def test_a_linked_class_folder_counts_as_what_it_is(linked, passed, follow):
    data = load(config(linked / passed, follow_links=follow))
    for split in (data.train, data.val):
        assert np.bincount(split.labels).tolist() == [1, 2, 2, 2, 2, 2, 2]
    found = check(linked / passed, follow_links=follow)
    assert found.images == 26
    out = linked.parent / f"{linked.name}-prepared"
    prepared = prepare(linked / passed, out, PrepareConfig(image_size=32, follow_links=follow))
    assert prepared.metadata["splits"]["train"]["classes"]["neutral"] == 1
    for notes in (data.warnings, found.notes, prepared.metadata["notes"]):
        assert any("store is read as far as" in note for note in notes) == (passed == "")


def test_a_table_behind_a_link_is_not_passed_over_in_silence(tmp_path):
    put(tmp_path / "data/anger/1.jpg", encoded(face("sad", 1)))
    put(tmp_path / "labels.csv", b",pth,label\n0,anger/1.jpg,sad\n")
    (tmp_path / "data/labels.csv").symlink_to("../labels.csv")
    _, match = detect(tmp_path / "data", ReadOptions(root=tmp_path / "data"))
    assert any(f"labels.csv is a {LINK}" in note for note in match.notes)
    assert usable(read(tmp_path / "data", follow_links=True)) == {"anger/1.jpg": ("train", "sad")}


@pytest.mark.parametrize("name", ["fer2013.csv", "train.parquet", "faces"])
def test_data_that_is_a_link_is_refused_by_name(tmp_path, name):
    (tmp_path / "data").mkdir()
    (tmp_path / "faces/anger").mkdir(parents=True)
    (tmp_path / "data" / name).symlink_to(tmp_path / name)
    with pytest.raises(UserError, match=rf"{name} is a {LINK}, and not followed \(--follow-links\)"):
        detect(tmp_path / "data")


def test_a_file_that_was_passed_may_be_a_link(tmp_path):
    put(tmp_path / "data/anger/1.jpg", encoded(face("sad", 1)))
    put(tmp_path / "elsewhere.csv", b",pth,label\n0,anger/1.jpg,sad\n")
    (tmp_path / "data/labels.csv").symlink_to("../elsewhere.csv")
    assert usable(read(tmp_path / "data/labels.csv")) == {"anger/1.jpg": ("train", "sad")}


@pytest.mark.one_of(3)
@pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.name)
def test_links_in_circles_end_and_bring_nothing(tmp_path, format_):
    (tmp_path / "data").mkdir()
    expected = format_.write(tmp_path / "data", 1)
    (tmp_path / "data/to-itself").symlink_to("to-itself")
    for number, folder in enumerate(sorted(path for path in (tmp_path / "data").rglob("*") if path.is_dir())):
        (folder / f"circle{number}").symlink_to(tmp_path)
    for follow in (False, True):
        try:
            found = usable(read(tmp_path / "data", label_order=format_.label_order, follow_links=follow))
        except UserError as error:
            assert "circle" in str(error)  # noqa: PT017 - a link beside classes might be one
        else:
            assert found == expected


def test_what_is_kept_of_data_knows_when_what_links_lead_to_has_changed(linked, monkeypatch):
    monkeypatch.setattr(loading, "WORTH_KEEPING", 1)
    first = load(config(linked / "set", follow_links=True))
    assert load(config(linked / "set", follow_links=True)).fingerprint == first.fingerprint
    put(linked / "store/train/neutral/0.png", encoded(face("neutral", 99), "PNG"))
    assert load(config(linked / "set", follow_links=True)).fingerprint != first.fingerprint
    second = load(config(linked / "set", follow_links=True))
    put(linked / "store/train/sad/0.png", encoded(face("sad", 99), "PNG"))
    assert load(config(linked / "set", follow_links=True)).fingerprint != second.fingerprint


def test_following_is_nothing_that_a_folder_of_others_decides(tmp_path):
    from jaxfer.config import PRESETS, to_json
    from jaxfer.runs.folder import changed, read_config

    begun = replace(PRESETS["demo"], data=config(Path("faces"), follow_links=True))
    put(tmp_path / "config.json", to_json(begun).encode())
    found = read_config(tmp_path)
    assert not found.data.follow_links
    assert not changed(found, begun), "whoever goes on may say it again"
