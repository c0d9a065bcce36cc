"""One split to evaluate on: the right images under the right names, and sentences for those that are not there."""

import numpy as np
import pytest
from formats import FORMATS, class_folders, encoded, face, fer2013, put

from jaxfer.config import DataConfig
from jaxfer.data import load, prepare
from jaxfer.data.columns import columns_of, group_names, read_columns
from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.data.layouts.record import Record
from jaxfer.data.one_split import load_split
from jaxfer.errors import UserError


@pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.name)
def test_every_split_of_every_layout_has_its_own_images_and_names(format_, tmp_path):
    expected = format_.write(tmp_path, 2)
    config = DataConfig(
        data_dir=tmp_path,
        image_size=32,
        num_classes=len(format_.classes),
        label_order=format_.label_order,
        max_unreadable=1.0,
    )
    data = load(config)
    layout, match = detect(tmp_path)
    records = {r.name: r for r in layout.read(match.place, ReadOptions(label_order=format_.label_order))}
    uses = {split for split, _ in expected.values()}
    for use in uses:
        found = load_split(config, use)
        assert found.use == use
        labels = {name: found.class_names[label] for name, label in zip(found.names, found.split.labels, strict=True)}
        of_use = {name: label for name, (split, label) in expected.items() if split == use}
        # Without a validation split, a part of the training images is held out.
        assert labels == of_use or (use == "train" and "val" not in uses and labels.items() < of_use.items())
        assert found.split.name == records[found.names[0]].split_name
        if use != "test":
            same = data.train if use == "train" else data.val
            np.testing.assert_array_equal(found.split.images, same.images)
            assert found.data_fingerprint == data.fingerprint


@pytest.fixture
def faces(tmp_path):
    fer2013.npz(tmp_path, 2)
    return DataConfig(data_dir=tmp_path, image_size=32)


def test_a_split_is_named_as_the_data_names_it_or_by_its_use(faces):
    for name, use in (("PublicTest", "val"), ("PrivateTest", "test"), ("Training", "train")):
        found, same = load_split(faces, name), load_split(faces, use)
        assert (found.use, found.split.name, found.fingerprint) == (use, name, same.fingerprint)
    fingerprints = {load_split(faces, use).fingerprint for use in ("train", "val", "test")}
    assert len(fingerprints) == 3
    with pytest.raises(UserError, match="no split 'Test': pass one of Training, PublicTest, PrivateTest"):
        load_split(faces, "Test")


def test_a_held_out_split_is_that_of_training(tmp_path):
    for word in ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger"):
        for number in range(3):
            put(tmp_path / f"train/{word}/{number}.png", encoded(face(word, number), "PNG"))
    config = DataConfig(data_dir=tmp_path, image_size=32)
    found, data = load_split(config, "val"), load(config)
    np.testing.assert_array_equal(found.split.images, data.val.images)
    assert found.split.name == data.val.name == "held out 10% of train"
    assert not set(found.names) & set(load_split(config, "train").names)


def test_drawn_faces_have_two_splits():
    config = DataConfig(drawn_train=14, drawn_val=7, image_size=32)
    found = load_split(config, "val")
    np.testing.assert_array_equal(found.split.images, load(config).val.images)
    assert found.names[-1] == "drawn face 6"
    with pytest.raises(UserError, match="drawn faces has no split 'test': pass one of train, val"):
        load_split(config, "test")


def test_a_split_alone_is_enough(tmp_path):
    for split in ("val", "test"):
        for word in ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger"):
            put(tmp_path / split / f"{split}/{word}/1.png", encoded(face(word, 1), "PNG"))
        found = load_split(DataConfig(data_dir=tmp_path / split, image_size=32), split)
        assert (len(found.split), found.use, found.data_fingerprint) == (7, split, "")


def test_unreadable_images_are_left_out_with_their_names(tmp_path):
    class_folders.words(tmp_path, 2)
    root = next(path for path in tmp_path.rglob("Test") if path.is_dir())
    for split in ("Test", "Train"):
        put(root.parent / split / "happy/0torn.jpg", b"\xff\xd8\xff\xe0 torn")
    config = DataConfig(data_dir=tmp_path, image_size=32, num_classes=8, max_unreadable=0.5)
    for use in ("train", "val"):
        try:
            found = load_split(config, use)
        except UserError:
            continue
        assert not any("torn" in name for name in found.names)
        assert len(found.names) == len(found.split.labels) == len(found.split.images)
    strict = DataConfig(data_dir=tmp_path, image_size=32, num_classes=8)
    with pytest.raises(UserError, match="cannot be read"):
        load_split(strict, "val")


def test_classes_that_the_network_knows_and_the_data_lacks_are_refused(faces, tmp_path):
    eight = DataConfig(data_dir=tmp_path, image_size=32, num_classes=8)
    for use in ("val", "test"):
        with pytest.raises(UserError, match=r"has no image of contempt in .* but the network knows 8 classes"):
            load_split(eight, use)


def test_prepared_images_that_are_too_small_are_refused(faces, tmp_path):
    prepare(tmp_path, tmp_path.with_name("out"), num_classes=7, image_size=32)
    assert len(load_split(DataConfig(data_dir=tmp_path.with_name("out"), image_size=32), "test").split) == 14
    with pytest.raises(UserError, match=r"prepared at 32 pixels, but the network was trained at 64: prepare it again"):
        load_split(DataConfig(data_dir=tmp_path.with_name("out"), image_size=64), "val")


def test_columns_are_what_the_records_say_and_nothing_else():
    here = {"image": np.zeros((2, 2), np.uint8), "split": "val", "label": "happy"}
    records = [
        Record(name="a/b/1.png", valence=-0.5, votes=(8, 2, 0, 0, 0, 0, 0, 0), box=(0, 0, 300, 20), **here),
        Record(name="a/2.png", valence=0.0, votes=(5, 5, 0, 0, 0, 0, 0, 0), box=(0, 0, 63, 20), **here),
        Record(name="a/3.png", valence=0.1, **here),
        Record(name="a/4.png", **here),
    ]
    found = {name: groups.tolist() for name, groups in columns_of(records).items()}
    assert found == {
        "valence": ["negative", "zero", "positive", "unknown"],
        "agreement": ["70 to 90%", "50 to 70%", "unknown", "unknown"],
        "face_size": ["256 pixels or more", "below 64 pixels", "unknown", "unknown"],
        "folder": ["a/b", "a", "a", "a"],
    }
    assert group_names(found["valence"]) == ["negative", "zero", "positive", "unknown"]
    assert group_names(found["face_size"]) == ["below 64 pixels", "256 pixels or more", "unknown"]
    assert columns_of([]) == {}


NAMES = ("val/sad/1.png", "val/sad/2.png", "val/happy/2.png")


def csv_of(tmp_path, *lines, start=""):
    path = tmp_path / "people.csv"
    path.write_text(start + "\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize(
    "images",
    [NAMES, ("1.png", "sad/2.png", "happy/2.png"), ("sad\\1.png", "val\\sad\\2.png", "happy\\2.png")],
    ids=["names", "ends", "backslashes"],
)
def test_a_csv_adds_columns_whatever_its_image_column_is_called(tmp_path, images, start):
    lines = [
        f"{place},{image}, {age}" for place, (image, age) in enumerate(zip(images, ("20s", "", "30s"), strict=True))
    ]
    path = csv_of(tmp_path, "row,file,age", *lines, "3,elsewhere/9.png,40s", "", start=start)
    found = {name: groups.tolist() for name, groups in read_columns(path, NAMES).items()}
    assert found == {"row": ["0", "1", "2"], "age": ["20s", "unknown", "30s"]}


def test_an_end_that_two_images_share_names_neither_and_a_whole_name_comes_first(tmp_path):
    path = csv_of(tmp_path, "file,age", "2.png,20s", "1.png,30s")
    assert read_columns(path, NAMES)["age"].tolist() == ["30s", "unknown", "unknown"]
    assert read_columns(path, ("2.png", "sad/2.png", "a/1.png"))["age"].tolist() == ["20s", "unknown", "30s"]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (["file,age", "9.png,20s"], r"people.csv has no column that names images as the data does, such as 'val/sad/1"),
        (
            ["file,age", "1.png,20s", "sad/1.png,30s"],
            "both '20s' and '30s' of 'val/sad/1.png' in the column 'age': keep",
        ),
        (["file,age", "1.png,20s,x"], "has 3 values in the row that starts '1.png', and names 2 columns"),
        ([], "is no csv with a first line"),
    ],
)
def test_a_csv_that_does_not_say_it_is_refused(tmp_path, lines, complaint):
    with pytest.raises(UserError, match=complaint):
        read_columns(csv_of(tmp_path, *lines), NAMES)


def test_a_csv_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere.csv cannot be read \(No such file or directory\)"):
        read_columns(tmp_path / "nowhere.csv", NAMES)
