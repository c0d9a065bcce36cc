import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxfer.config import DataConfig
from jaxfer.data import Dataset, Split, load
from jaxfer.data.dataset import LazySplits
from jaxfer.data.reading.images import decode
from jaxfer.emotions import AFFECTNET_7, AFFECTNET_8
from jaxfer.errors import UserError
from jaxfer.reports import images_bar, reading_bar

SIZE = 32


def face(label, number):
    """Return noise whose first pixel says what it is."""
    pixels = np.random.default_rng((label, number)).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    pixels[0, 0] = label, number, 0
    return pixels


def write_faces(root, split, per_class=1, classes=AFFECTNET_7):
    for name in classes:
        folder = root / split / name
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            Image.fromarray(face(AFFECTNET_8.index(name), number)).save(folder / f"{split}{number}.png")
    return root


def identities(split):
    """Return the label and number of each face of a split, after checking that its pixels and label agree."""
    for image, label in zip(split.images, split.labels, strict=True):
        np.testing.assert_array_equal(image, face(label, image[0, 0, 1]))
    return [(int(image[0, 0, 0]), int(image[0, 0, 1])) for image in split.images]


def loaded(root, **options):
    return load(DataConfig(data_dir=root, image_size=SIZE, **options))


def refusal(root, **options):
    with pytest.raises(UserError) as caught:
        loaded(root, **options)
    return str(caught.value)


def assert_equal(first, second):
    for one, other in ((first.train, second.train), (first.val, second.val)):
        assert one.name == other.name
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.labels, other.labels)


def test_images_and_labels_of_both_splits_arrive_in_affectnets_order(tmp_path):
    write_faces(tmp_path, "train", per_class=2)
    write_faces(tmp_path, "valid")
    data = loaded(tmp_path)
    assert isinstance(data, Dataset)
    assert (data.train.name, data.val.name) == ("train", "valid")
    assert data.class_names == AFFECTNET_7
    assert data.source == f"class folders in {tmp_path}"
    assert data.left_out == {}
    assert data.unreadable == ()
    assert data.train.images.dtype == np.uint8
    assert data.train.labels.dtype == np.int32
    assert data.train.columns == {}
    assert sorted(identities(data.train)) == [(label, number) for label in range(7) for number in range(2)]
    assert sorted(identities(data.val)) == [(label, 0) for label in range(7)]


def test_images_are_resized_as_decode_does(tmp_path):
    write_faces(tmp_path, "train")
    write_faces(tmp_path, "val")
    data = load(DataConfig(data_dir=tmp_path, image_size=48))
    for image, label in zip(data.train.images, data.train.labels, strict=True):
        np.testing.assert_array_equal(image, decode(face(label, 0), 48))


def test_valence_and_arousal_are_kept_with_nan_for_invalid(tmp_path):
    for split, valence in (("train_set", "0.5"), ("val_set", "-2")):
        for folder in ("images", "annotations"):
            (tmp_path / split / folder).mkdir(parents=True)
        for code in range(8):
            Image.fromarray(face(code, 0)).save(tmp_path / split / "images" / f"{code}.jpg")
            for name, value in (("exp", str(code)), ("val", valence), ("aro", "-0.25")):
                np.save(tmp_path / split / "annotations" / f"{code}_{name}.npy", np.array([value]))
    data = loaded(tmp_path, num_classes=8)
    np.testing.assert_array_equal(data.train.columns["valence"], np.full(8, 0.5, np.float32))
    assert "valence" not in data.val.columns, "all of them are invalid"
    np.testing.assert_array_equal(data.val.columns["arousal"], np.full(8, -0.25, np.float32))
    assert data.train.labels.tolist() == list(range(8))


def test_contempt_is_left_out_of_seven_classes_and_counted(tmp_path):
    write_faces(tmp_path, "train", per_class=2, classes=AFFECTNET_8)
    write_faces(tmp_path, "val", classes=AFFECTNET_8)
    assert loaded(tmp_path).left_out == {"contempt": 3}
    assert len(loaded(tmp_path).train) == 14
    assert len(loaded(tmp_path, num_classes=8).train) == 16


@pytest.mark.parametrize("with_val", [True, False])
def test_a_test_split_is_never_decoded(tmp_path, with_val):
    write_faces(tmp_path, "train", per_class=2)
    if with_val:
        write_faces(tmp_path, "val")
    write_faces(tmp_path, "test")
    for path in (tmp_path / "test").glob("*/*.png"):
        path.write_bytes(b"")
    data = loaded(tmp_path, max_unreadable=0.0)
    assert data.left_out == {"test split": 7}
    assert data.val.name == ("val" if with_val else "held out 10% of train")


def test_without_validation_split_a_share_of_each_class_is_held_out(tmp_path):
    write_faces(tmp_path, "train", per_class=10)
    write_faces(tmp_path, "train", per_class=40, classes=("happy",))
    data = loaded(tmp_path, val_fraction=0.2)
    assert data.val.name == "held out 20% of train"
    assert Counter(data.val.labels.tolist()) == {label: 8 if label == 1 else 2 for label in range(7)}
    train, val = set(identities(data.train)), set(identities(data.val))
    assert not train & val
    assert len(train | val) == 7 * 10 + 30
    assert len({number for _, number in val}) > 8, "which images are held out must not follow their numbers"


def test_the_held_out_share_depends_on_names_alone(tmp_path):
    first = loaded(write_faces(tmp_path / "here", "train", per_class=10))
    there = write_faces(tmp_path / "there/archive (3)", "train", per_class=10, classes=reversed(AFFECTNET_7))
    second = loaded(there)
    assert_equal(first, second)
    assert first.fingerprint == second.fingerprint


def test_the_fingerprint_covers_all_that_is_known_of_the_images(tmp_path):
    data = loaded(write_faces(tmp_path, "train", per_class=10))
    n = len(data.train)
    known = (
        {"columns": {"valence": np.zeros(n, np.float32)}},
        {"columns": {"valence": np.full(n, 0.5, np.float32)}},
        {"columns": {"soft_label": np.eye(7, dtype=np.float32)[data.train.labels]}},
        {"labels": data.train.labels[::-1].copy()},
        {},
    )
    trains = [replace(data.train, **fields) for fields in known]
    found = {
        replace(data, splits={"train": train, "val": data.val}, known_fingerprint="").fingerprint for train in trains
    }
    assert len(found) == len(known)
    assert data.fingerprint in found


def test_a_new_image_does_not_reshuffle_what_is_held_out(tmp_path):
    before = identities(loaded(write_faces(tmp_path, "train", per_class=20), val_fraction=0.25).val)
    Image.fromarray(face(1, 255)).save(tmp_path / "train/happy/another.png")
    after = identities(loaded(tmp_path, val_fraction=0.25).val)
    assert len(set(before) & set(after)) >= len(before) - 1


@pytest.mark.few(1)
@pytest.mark.parametrize("workers", [5, 1])
def test_the_result_is_independent_of_the_number_of_processors(tmp_path, monkeypatch, workers):
    write_faces(tmp_path, "train", per_class=50)
    expected = loaded(tmp_path)
    monkeypatch.setattr(os, "cpu_count", lambda: workers)
    assert_equal(loaded(tmp_path), expected)


def test_unreadable_images_within_the_limit_are_dropped_listed_and_counted(tmp_path):
    write_faces(tmp_path, "train", per_class=3)
    write_faces(tmp_path, "val")
    bad = tmp_path / "train/happy/train1.png"
    bad.write_bytes(b"")
    data = loaded(tmp_path, max_unreadable=0.1)
    assert data.unreadable == ((bad, "an empty file"),)
    assert data.left_out == {"unreadable": 1}
    assert set(identities(data.train)) == {(label, number) for label in range(7) for number in range(3)} - {(1, 1)}


def test_too_many_unreadable_images_are_refused_with_count_share_examples_and_remedy(tmp_path):
    write_faces(tmp_path, "train", per_class=2)
    write_faces(tmp_path, "val")
    for name in ("happy", "sad", "fear", "anger"):
        (tmp_path / f"train/{name}/train0.png").write_bytes(b"")
    message = refusal(tmp_path)
    assert "4 of 21 images (19.0%)" in message
    assert "--max-unreadable" in message
    assert message.count("an empty file") == 3
    assert "train/anger/train0.png: an empty file" in message


def test_unreadable_csv_rows_count_as_unreadable_images(tmp_path):
    pixels = " ".join(["9"] * 2304)
    rows = [f"{code},{pixels},{usage}" for usage in ("Training", "PublicTest", "PrivateTest") for code in range(7)]
    path = tmp_path / "fer2013.csv"
    path.write_text("\n".join(["emotion,pixels,Usage", *rows, "3,1 2 3,Training"]) + "\n")
    assert "1 of 15 images (6.7%)" in refusal(path)
    data = loaded(path, max_unreadable=0.1)
    assert data.left_out == {"test split": 7, "unreadable": 1}
    assert data.unreadable[0][0] == tmp_path / "fer2013.csv line 23"
    assert (data.train.name, data.val.name) == ("Training", "PublicTest")
    assert (data.train.images == 9).all()


def test_a_class_without_training_images_is_refused_by_name_with_what_was_left_out(tmp_path):
    write_faces(tmp_path, "train", per_class=2, classes=AFFECTNET_7[:6])
    (tmp_path / "train/anger").mkdir()
    write_faces(tmp_path, "test")
    message = refusal(tmp_path)
    assert f"{tmp_path} has no image of anger in 'train' (left out: 7 test split)" in message


def test_eight_classes_without_contempt_are_pointed_to_seven(tmp_path):
    write_faces(tmp_path, "train", per_class=2)
    message = refusal(tmp_path, num_classes=8)
    assert "no image of contempt" in message
    assert "--num-classes 7" in message


def test_a_class_without_validation_images_is_refused_by_split(tmp_path):
    write_faces(tmp_path, "train", per_class=2)
    write_faces(tmp_path, "valid", classes=AFFECTNET_7[:5])
    message = refusal(tmp_path)
    assert "no image of disgust, anger in 'valid'" in message
    assert "move 'valid' away" in message


def test_a_class_of_one_image_cannot_be_held_out(tmp_path):
    write_faces(tmp_path, "train", per_class=1)
    assert "in 'held out 10% of train'" in refusal(tmp_path)


def test_a_class_whose_images_are_all_unreadable_is_refused_too(tmp_path):
    write_faces(tmp_path, "train", per_class=2)
    write_faces(tmp_path, "val")
    (tmp_path / "val/sad/val0.png").write_bytes(b"")
    assert "no image of sad in 'val' (left out: 1 unreadable)" in refusal(tmp_path, max_unreadable=0.5)


def test_data_without_images_and_data_without_training_split_are_refused(tmp_path):
    (tmp_path / "train/happy").mkdir(parents=True)
    assert "no labelled image" in refusal(tmp_path)
    write_faces(tmp_path, "val")
    assert "in 'train'" in refusal(tmp_path)


def test_more_images_than_memory_can_hold_are_refused_before_anything_is_decoded(tmp_path, monkeypatch):
    write_faces(tmp_path, "train", per_class=2)

    def full(shape, dtype):
        raise MemoryError

    monkeypatch.setattr(np, "empty", full)
    assert "smaller image_size" in refusal(tmp_path)


def test_a_progress_bar_is_drawn_on_a_terminal_only(tmp_path, monkeypatch, capsys):
    write_faces(tmp_path, "train", per_class=2)
    monkeypatch.setattr(reading_bar, "WORTH_A_BAR", 1)
    config = DataConfig(data_dir=tmp_path, image_size=SIZE)
    load(config, watch=images_bar)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    load(config, watch=images_bar)
    output = capsys.readouterr()
    assert "reading images" in output.err
    assert output.out == ""


def test_without_a_folder_faces_are_drawn(monkeypatch):
    drawn = {}
    monkeypatch.setattr("jaxfer.data.synthetic.drawn_dataset", lambda config: drawn.setdefault("config", config))
    config = DataConfig(image_size=SIZE)
    assert load(config) is config
    assert drawn == {"config": config}


def test_importing_the_data_room_loads_no_library_that_only_reading_takes():
    heavy = ["PIL", "rich", "grain", "tensorflow_datasets", "pyarrow"]
    code = f"import jaxfer.data, json, sys; print(json.dumps([m for m in {heavy} if m in sys.modules]))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    assert json.loads(result.stdout) == []


@pytest.mark.skipif(
    "JAXFER_DATA" not in os.environ, reason="JAXFER_DATA does not name a folder with fer2013/fer2013.npz"
)
def test_the_real_fer2013_has_its_published_counts():
    data = load(DataConfig(data_dir=Path(os.environ["JAXFER_DATA"]) / "fer2013" / "fer2013.npz", image_size=48))
    assert (data.train.name, data.val.name) == ("Training", "PublicTest")
    # neutral, happy, sad, surprise, fear, disgust, anger
    assert np.bincount(data.train.labels).tolist() == [4965, 7215, 4830, 3171, 4097, 436, 3995]
    assert np.bincount(data.val.labels).tolist() == [607, 895, 653, 415, 496, 56, 467]
    assert (len(data.train), len(data.val)) == (28709, 3589)
    assert data.left_out == {}
    with np.load(Path(os.environ["JAXFER_DATA"]) / "fer2013" / "fer2013.npz", allow_pickle=False) as arrays:
        images, usage = arrays["images"], arrays["usage"]
    for split, code in ((data.train, 0), (data.val, 1)):
        expected = images[usage == code]
        for channel in range(3):
            np.testing.assert_array_equal(split.images[..., channel], expected)


def test_data_show_themselves_in_a_line_and_decode_nothing_for_it():
    def decode(key):
        raise AssertionError(f"{key} was decoded")

    images, labels = np.zeros((1400, 32, 32, 3), np.uint8), np.zeros(1400, np.int32)
    val = Split("Validation", images, labels, {"valence": np.zeros(1400, np.float32)})
    splits = LazySplits({"train": Split("Training", images[:7], labels[:7]), "val": val}, ["PrivateTest"], decode)
    data = Dataset(splits, AFFECTNET_7, "arrays", {})
    assert repr(data) == "Dataset(arrays: Training 7, Validation 1,400, PrivateTest; 7 classes)"
    assert repr(val) == "Split(Validation: 1,400 images of 32x32, valence)"
