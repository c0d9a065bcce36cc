"""Splits to evaluate on: the right images under the right names, and sentences for those that are not there."""

import numpy as np
import pytest
from formats import FORMATS, class_folders, encoded, face, fer2013, put

from jaxfer.config import DataConfig, PrepareConfig
from jaxfer.data import Split, load, loading, prepare
from jaxfer.data.batches import Batches
from jaxfer.data.dataset import content_hash
from jaxfer.data.groups import group_names, groups_of, read_groups
from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.data.reading.record import Record
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
        alone = load(config, only=use)
        found = alone.split(use)
        assert alone.use(use) == data.use(use) == use
        labels = {name: data.class_names[label] for name, label in zip(found.names, found.labels, strict=True)}
        of_use = {name: label for name, (split, label) in expected.items() if split == use}
        # Without a validation split, a part of the training images is held out.
        assert labels == of_use or (use == "train" and "val" not in uses and labels.items() < of_use.items())
        assert found.name == records[found.names[0]].split_name
        if use != "test":
            same = data.train if use == "train" else data.val
            np.testing.assert_array_equal(found.images, same.images)
            assert alone.fingerprint == data.fingerprint
        same = data.split(use)
        assert alone.fingerprint_of(found) == data.fingerprint_of(same)
        assert (found.name, found.names) == (same.name, same.names)
        assert {name: groups.tolist() for name, groups in found.groups.items()} == {
            name: groups.tolist() for name, groups in same.groups.items()
        }


@pytest.fixture
def faces(tmp_path):
    fer2013.npz(tmp_path, 2)
    return DataConfig(data_dir=tmp_path, image_size=32)


def test_a_split_is_named_as_the_data_names_it_or_by_its_use(faces):
    fingerprints = set()
    for name, use in (("PublicTest", "val"), ("PrivateTest", "test"), ("Training", "train")):
        by_name, by_use = load(faces, only=name), load(faces, only=use)
        found, same = by_name.split(name), by_use.split(use)
        assert (by_name.use(name), found.name, same.name) == (use, name, name)
        assert by_name.fingerprint_of(found) == by_use.fingerprint_of(same)
        fingerprints.add(by_name.fingerprint_of(found))
    assert len(fingerprints) == 3
    sentence = f"{faces.data_dir} has no split 'Test': pass one of Training, PublicTest, PrivateTest"
    for ask in (lambda: load(faces, only="Test"), lambda: load(faces).split("Test"), lambda: load(faces).use("Test")):
        with pytest.raises(UserError) as caught:
            ask()
        assert str(caught.value) == sentence


def test_a_held_out_split_is_that_of_training(tmp_path):
    for word in ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger"):
        for number in range(3):
            put(tmp_path / f"train/{word}/{number}.png", encoded(face(word, number), "PNG"))
    config = DataConfig(data_dir=tmp_path, image_size=32)
    found, data = load(config, only="val").split("val"), load(config)
    np.testing.assert_array_equal(found.images, data.val.images)
    assert found.name == data.val.name == "held out 10% of train"
    assert not set(found.names) & set(load(config, only="train").train.names)


def test_drawn_faces_have_two_splits():
    config = DataConfig(drawn_train=14, drawn_val=7, image_size=32)
    found = load(config, only="val").split("val")
    np.testing.assert_array_equal(found.images, load(config).val.images)
    assert found.names[-1] == "drawn face 6"
    with pytest.raises(UserError, match="drawn faces has no split 'test': pass one of train, val"):
        load(config, only="test")


def test_a_split_alone_is_enough(tmp_path):
    for split in ("val", "test"):
        for word in ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger"):
            put(tmp_path / split / f"{split}/{word}/1.png", encoded(face(word, 1), "PNG"))
        data = load(DataConfig(data_dir=tmp_path / split, image_size=32), only=split)
        assert (len(data.split(split)), data.use(split), data.fingerprint) == (7, split, "")


def test_a_test_split_is_decoded_when_it_is_asked_for_and_once(faces, monkeypatch):
    data = load(faces)
    decoded = []
    monkeypatch.setattr(loading, "map_records", counting(loading.map_records, decoded))
    assert list(data.splits) == ["train", "val", "PrivateTest"]
    assert data.splits["train"] is data.train is data.split("Training")
    assert data.use("test") == "test"
    assert data.fingerprint
    assert decoded == []
    test = data.split("test")
    assert data.splits["PrivateTest"] is data.split("PrivateTest") is test
    assert decoded == list(test.names)
    assert len(test) == 14
    with pytest.raises(KeyError):
        data.splits["test"]


def counting(function, names):
    def counted(decode, records):
        for record, result in function(decode, records):
            names.append(record.name)
            yield record, result

    return counted


def test_a_test_split_whose_images_are_torn_is_refused_when_it_is_asked_for(tmp_path):
    class_folders.words(tmp_path, 2)
    root = next(path for path in tmp_path.rglob("Test") if path.is_dir())
    for path in (path for path in root.rglob("*") if path.is_file()):
        path.write_bytes(b"")
    data = load(DataConfig(data_dir=tmp_path, image_size=32, num_classes=8))
    with pytest.raises(UserError, match=r"16 of 16 images of 'Test' in .* cannot be read, such as .*an empty file"):
        data.split("test")


@pytest.mark.parametrize("kept", [False, True])
def test_the_answers_of_fer_plus_are_a_column_of_every_split_and_batch(tmp_path, monkeypatch, kept):
    monkeypatch.setattr(loading, "WORTH_KEEPING", 0 if kept else 2000)
    fer2013.fer_plus(tmp_path, 2)
    config = DataConfig(data_dir=tmp_path, image_size=32, num_classes=8, max_unreadable=1.0)
    data = load(config)
    data = load(config)
    for split in (data.train, data.val, data.split("test")):
        votes = split.columns["votes"]
        assert (votes.dtype, votes.shape) == (np.float32, (16, 10))
        given = {name: row.tolist() for name, row in zip(split.names, votes, strict=True)}
        for name, label in zip(split.names, split.labels, strict=True):
            expected = [0.0] * 10
            expected[fer2013.VOTED.index(data.class_names[label])] = 6.0
            expected[fer2013.VOTED.index("unknown")] = 4.0
            assert given[name] == expected
    batch = Batches(data.train, 4, seed=0)[0]
    assert batch["votes"].shape == (4, 10)
    voteless = [Split(s.name, s.images, s.labels) for s in (data.train, data.val)]
    parts = [(split, [split.images]) for split in voteless]
    assert data.fingerprint == content_hash(data.class_names, parts), "the same as before there was such a column"


def test_faces_without_answers_have_nan_for_them(tmp_path):
    fer2013.npz(tmp_path, 2)
    with np.load(tmp_path / "fer2013.npz") as arrays:
        known = dict(arrays)
    votes = np.zeros((len(known["usage"]), 10), np.uint8)
    votes[1::2, 8] = 10
    np.savez(tmp_path / "fer2013.npz", **known, ferplus_votes=votes)
    data = load(DataConfig(data_dir=tmp_path, image_size=32))
    rows = [int(name.rpartition(" ")[2]) for name in data.train.names]
    np.testing.assert_array_equal(data.train.columns["votes"], votes[rows].astype(np.float32))


def test_unreadable_images_are_left_out_with_their_names(tmp_path):
    class_folders.words(tmp_path, 2)
    root = next(path for path in tmp_path.rglob("Test") if path.is_dir())
    for split in ("Test", "Train"):
        put(root.parent / split / "happy/0torn.jpg", b"\xff\xd8\xff\xe0 torn")
    config = DataConfig(data_dir=tmp_path, image_size=32, num_classes=8, max_unreadable=0.5)
    for use in ("train", "val"):
        try:
            found = load(config, only=use).split(use)
        except UserError:
            continue
        assert not any("torn" in name for name in found.names)
        assert len(found.names) == len(found.labels) == len(found.images)
    strict = DataConfig(data_dir=tmp_path, image_size=32, num_classes=8)
    with pytest.raises(UserError, match="cannot be read"):
        load(strict, only="val")


def test_classes_that_the_network_knows_and_the_data_lacks_are_refused(faces, tmp_path):
    eight = DataConfig(data_dir=tmp_path, image_size=32, num_classes=8)
    for use in ("val", "test"):
        with pytest.raises(UserError, match=r"has no image of contempt in .* but the network knows 8 classes"):
            load(eight, only=use)


def test_prepared_images_that_are_too_small_are_refused(faces, tmp_path):
    prepare(tmp_path, tmp_path.with_name("out"), PrepareConfig(image_size=32))
    data = load(DataConfig(data_dir=tmp_path.with_name("out"), image_size=32), only="test")
    assert len(data.split("test")) == 14
    with pytest.raises(UserError, match=r"prepared at 32 pixels, but the network was trained at 64: prepare it again"):
        load(DataConfig(data_dir=tmp_path.with_name("out"), image_size=64), only="val")


def test_columns_are_what_the_records_say_and_nothing_else():
    here = {"image": np.zeros((2, 2), np.uint8), "split": "val", "label": "happy"}
    records = [
        Record(name="a/b/1.png", valence=-0.5, votes=(8, 2, 0, 0, 0, 0, 0, 0), box=(0, 0, 300, 20), **here),
        Record(name="a/2.png", valence=0.0, votes=(5, 5, 0, 0, 0, 0, 0, 0), box=(0, 0, 63, 20), **here),
        Record(name="a/3.png", valence=0.1, **here),
        Record(name="a/4.png", **here),
    ]
    found = {name: groups.tolist() for name, groups in groups_of(records).items()}
    assert found == {
        "valence": ["negative", "zero", "positive", "unknown"],
        "agreement": ["70 to 90%", "50 to 70%", "unknown", "unknown"],
        "face_size": ["256 pixels or more", "below 64 pixels", "unknown", "unknown"],
        "folder": ["a/b", "a", "a", "a"],
    }
    assert group_names(found["valence"]) == ["negative", "zero", "positive", "unknown"]
    assert group_names(found["face_size"]) == ["below 64 pixels", "256 pixels or more", "unknown"]
    assert groups_of([]) == {}


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
    found = {name: groups.tolist() for name, groups in read_groups(path, NAMES).items()}
    assert found == {"row": ["0", "1", "2"], "age": ["20s", "unknown", "30s"]}


def test_an_end_that_two_images_share_names_neither_and_a_whole_name_comes_first(tmp_path):
    path = csv_of(tmp_path, "file,age", "2.png,20s", "1.png,30s")
    assert read_groups(path, NAMES)["age"].tolist() == ["30s", "unknown", "unknown"]
    assert read_groups(path, ("2.png", "sad/2.png", "a/1.png"))["age"].tolist() == ["20s", "unknown", "30s"]


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
        read_groups(csv_of(tmp_path, *lines), NAMES)


def test_a_csv_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere.csv cannot be read \(No such file or directory\)"):
        read_groups(tmp_path / "nowhere.csv", NAMES)


@pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.name)
@pytest.mark.parametrize("folder", ["more/inner", "test/more"])
def test_no_image_in_a_folder_that_a_layout_says_nothing_of_is_passed_over(format_, folder, tmp_path):
    format_.write(tmp_path, 1)
    place = detect(tmp_path)[1].place
    if place.is_file() or not any(place.rglob("*.[jp][pn]g")):
        pytest.skip("its images are in a larger file")
    if format_.name == "RAF-DB":
        pytest.skip("aligned images are read, and all others passed over")
    put(place / folder / "12_4_100_100.jpg", encoded(face("sad", 99)))
    extra = place / folder / "12_4_100_100.jpg"
    try:
        layout, match = detect(tmp_path)
        records = [*layout.read(match.place, ReadOptions(label_order=format_.label_order))]
    except UserError as error:
        said = str(error)
    else:
        said = " ".join(record.left_out and record.name for record in records if record.image == extra)
    assert "more" in said


@pytest.mark.parametrize("name", ["Holdout", "unseen", "dev_test", "valset", "0"])
def test_a_folder_beside_splits_with_their_classes_is_refused_by_its_name(tmp_path, name):
    for split in ("train", "val", name):
        for label in ("happy", "sad"):
            put(tmp_path / split / label / "1.jpg", encoded(face(label, 1)))
    layout, match = detect(tmp_path)
    with pytest.raises(UserError, match=f"{name} has classes as .*val has, but its name says no split"):
        list(layout.read(match.place, ReadOptions()))


def test_classes_beside_a_test_split_are_training_data(tmp_path):
    for label in ("happy", "sad"):
        put(tmp_path / label / "1.jpg", encoded(face(label, 1)))
        put(tmp_path / "test" / label / "1.jpg", encoded(face(label, 2)))
    layout, match = detect(tmp_path)
    assert [(one.name, one.split, one.label) for one in layout.read(match.place, ReadOptions())] == [
        ("test/happy/1.jpg", "test", "happy"),
        ("test/sad/1.jpg", "test", "sad"),
        ("happy/1.jpg", "train", "happy"),
        ("sad/1.jpg", "train", "sad"),
    ]
