"""Splits that lie in folders of their own (`val_dir`, `test_dir`) are read as if they lay with the rest of the data."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from formats import FORMATS, encoded, face, put

from jaxfer.cli.evaluate import Evaluate
from jaxfer.config import PRESETS, DataConfig, PrepareConfig
from jaxfer.data import check, load, loading, prepare
from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.emotions import AFFECTNET_7, FER2013
from jaxfer.errors import UserError
from jaxfer.runs.folder import changed

SIZE = 32


def write(folder, first, count=2, names=AFFECTNET_7):
    """Write `count` images of each class in folders of these names, from number `first` on."""
    for label, name in zip(AFFECTNET_7, names, strict=True):
        for number in range(first, first + count):
            put(folder / name / f"{number}.png", encoded(face(label, number), "PNG"))


@pytest.fixture
def apart(tmp_path):
    """Three folders of class folders, of which the third names its classes by FER2013's digits."""
    write(tmp_path / "train", 0, count=3)
    write(tmp_path / "vaild", 100)
    write(tmp_path / "held", 200, names=[str(FER2013.index(label)) for label in AFFECTNET_7])
    return tmp_path


def config(root, **options):
    found = {"data_dir": root / "train", "val_dir": root / "vaild", "test_dir": root / "held", "label_order": "fer2013"}
    return DataConfig(image_size=SIZE, **found | options)


def counts(split):
    return np.bincount(split.labels, minlength=7).tolist()


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_read_is_what_one_folder_would_hold(apart, stream):
    data = load(config(apart, stream=stream))
    assert [counts(split) for split in (data.train, data.val, data.split("test"))] == [[3] * 7, [2] * 7, [2] * 7]
    assert data.val.names[0] == "vaild/anger/100.png"
    assert data.left_out == {"test split": 14}
    assert str(apart / "vaild") in data.source
    together = apart / "together"
    for name, folder in (("train", "train"), ("val", "vaild")):
        shutil.copytree(apart / folder, together / name)
    assert data.fingerprint == load(DataConfig(data_dir=together, image_size=SIZE)).fingerprint


@pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.name)
def test_a_split_may_have_any_layout_and_be_of_one_split_alone(tmp_path, format_):
    write(tmp_path / "train", 0)
    (tmp_path / "other").mkdir()
    expected = format_.write(tmp_path / "other", 1)
    options = ReadOptions(root=tmp_path / "train", val_dir=tmp_path / "other", label_order=format_.label_order)
    layout, match = detect(tmp_path / "train", options)
    splits = {split for split, _ in expected.values()}
    if len(splits) > 1:
        with pytest.raises(UserError, match=r"other \(--val-dir\) holds the splits"):
            list(layout.read(match.place, options))
        return
    found = {r.name: r.label for r in layout.read(match.place, options) if r.split == "val" and not r.left_out}
    assert found == {f"other/{name}": label for name, (_, label) in expected.items()}


def test_a_test_split_alone_is_read_without_the_rest(apart):
    whole = load(config(apart))
    shutil.rmtree(apart / "train")
    alone = load(config(apart), only="test")
    assert counts(alone.split("test")) == [2] * 7
    assert alone.fingerprint_of(alone.split("test")) == whole.fingerprint_of(whole.split("test"))
    assert alone.split("test").names == whole.split("test").names


def test_leaks_between_the_folders_are_found_and_dropped(apart):
    put(apart / "vaild/sad/copy.png", (apart / "train/sad/1.png").read_bytes())
    put(apart / "held/4/copy.png", (apart / "vaild/sad/100.png").read_bytes())
    options = {"val_dir": apart / "vaild", "test_dir": apart / "held", "label_order": "fer2013"}
    found = check(apart / "train", **options)
    assert {name: split.images for name, split in found.splits.items()} == {"val": 15, "test": 15, "train": 21}
    leaks = {(leak.path, leak.other) for leak in found.problems["leak"]}
    assert leaks == {("vaild/sad/copy.png", "sad/1.png"), ("held/4/copy.png", "vaild/sad/100.png")}
    made = prepare(apart / "train", apart / "out", PrepareConfig(image_size=SIZE, **options))
    assert {name: split["images"] for name, split in made.metadata["splits"].items()} == {
        "validation": 15,
        "test": 15,
        "train": 20,
    }
    assert made.metadata["left_out"]["leak"]["first"][0]["name"] == "sad/1.png"
    assert str(apart) not in str(made.metadata)


def test_an_unreadable_image_is_named_by_its_path(apart):
    put(apart / "vaild/sad/damaged.png", b"damaged")
    assert [path for path, _ in load(config(apart, max_unreadable=0.1)).unreadable] == [apart / "vaild/sad/damaged.png"]


def test_what_is_kept_knows_when_a_split_has_changed(apart, monkeypatch):
    monkeypatch.setattr(loading, "WORTH_KEEPING", 1)
    first = load(config(apart)).fingerprint
    assert load(config(apart)).fingerprint == first
    put(apart / "vaild/sad/100.png", encoded(face("sad", 999), "PNG"))
    assert load(config(apart)).fingerprint != first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"val_dir": "."}, r"train \(--data-dir\) lies in .* \(--val-dir\), of which all is read"),
        ({"val_dir": "train/sad"}, r"sad \(--val-dir\) lies in .*train \(--data-dir\)"),
        ({"val_dir": "train"}, r"\(--data-dir\) lies in .*train \(--val-dir\)"),
        ({"test_dir": "vaild"}, r"\(--val-dir\) lies in .*vaild \(--test-dir\)"),
        ({"val_dir": "gone"}, "gone does not exist"),
        ({"val_dir": "none"}, r"none \(--val-dir\) has no labelled image: .*other class"),
        ({"data_dir": "own"}, r"own has a val split of its own, 'valid', besides .*vaild"),
        ({"val_dir": "deep/vaild", "test_dir": "vaild"}, "have one name: rename one of them"),
    ],
)
def test_folders_of_which_nobody_can_tell_what_they_mean_are_refused(apart, options, message):
    for split in ("train", "valid"):
        write(apart / "own" / split, 0)
    for label in AFFECTNET_7:
        put(apart / "none" / label / "readme.txt", b"")
    put(apart / "none/uncertain/1.png", encoded(face("sad", 1), "PNG"))
    write(apart / "deep/vaild", 100)
    with pytest.raises(UserError, match=message):
        load(config(apart, **{name: apart / path for name, path in options.items()}))


def test_drawn_faces_have_their_own_splits():
    with pytest.raises(UserError, match=r"val_dir is .*: pass None, since drawn faces have their own splits"):
        DataConfig(val_dir=Path("faces"))


def test_a_run_goes_on_where_its_folders_have_moved_to(apart):
    begun = replace(PRESETS["demo"], data=config(apart))
    assert not changed(begun, replace(begun, data=config(Path("/elsewhere"))))


def test_evaluation_takes_the_folders_of_the_run_or_those_that_are_passed():
    trained = SimpleNamespace(config=SimpleNamespace(data=config(Path("run"))))

    def asked(**options):
        found = Evaluate(runs=(Path("run"),), split="test", **options)._data_config(trained)
        return found.data_dir, found.val_dir, found.test_dir

    assert asked() == (Path("run/train"), Path("run/vaild"), Path("run/held"))
    assert asked(test_dir=Path("mine")) == (Path("run/train"), Path("run/vaild"), Path("mine"))
    assert asked(data=Path("mine")) == (Path("mine"), None, None)
    with pytest.raises(UserError, match="pass --split test"):
        Evaluate(runs=(Path("run"),), test_dir=Path("mine")).run()
