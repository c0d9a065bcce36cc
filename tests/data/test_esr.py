import math

import pytest

from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.emotions import AFFECTNET_8
from jaxfer.errors import UserError


def files(root, *names):
    """Create files that only have a name: readers do not look into images."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def read(root):
    layout, match = detect(root)
    assert layout.name == "ESR or OpenDR"
    return list(layout.read(match.place, ReadOptions()))


def read_one(root, stem, split="Training_Labeled"):
    """Read a file beside another that tells the layout."""
    files(root, "Training_Labeled/0/0000000_1_500_-250.jpg", f"{split}/1/{stem}.jpg")
    (record,) = [r for r in read(root) if r.name == f"{split}/1/{stem}.jpg"]
    return record


@pytest.mark.parametrize(
    "stem",
    [
        "0000012_6_-653_653",
        "0000012s6s-653s653",
        "some_text_0_1_2_6_-653_653",
        "faces_0000012s6s-653s653",
        "größe 표정_6_-653_653",
        "a.b_6_-653_653",
    ],
)
def test_the_last_parts_of_a_name_are_emotion_valence_and_arousal(tmp_path, stem):
    record = read_one(tmp_path, stem)
    assert (record.label, record.valence, record.arousal) == ("anger", -0.653, 0.653)
    assert (record.split, record.split_name, record.remarks) == ("train", "Training_Labeled", ())
    assert record.image == tmp_path / record.name


@pytest.mark.parametrize("code", range(12))
def test_codes_are_affectnets(tmp_path, code):
    record = read_one(tmp_path, f"5_{code}_0_0")
    assert record.label == (AFFECTNET_8[code] if code < 8 else "")
    assert record.left_out == ("" if code < 8 else "other class" if code < 11 else "unlabelled")


@pytest.mark.parametrize(("text", "value"), [("1000", 1), ("-1000", -1), ("0", 0), ("7", 0.007), ("-055", -0.055)])
def test_valence_and_arousal_are_thousandths(tmp_path, text, value):
    record = read_one(tmp_path, f"5_3_{text}_{text}")
    assert (record.valence, record.arousal) == (value, value)


@pytest.mark.parametrize("invalid", ["-2000", "1001", "-1001", "999999"])
def test_invalid_valence_is_nan_and_remarked_on_and_the_face_is_kept(tmp_path, invalid):
    record = read_one(tmp_path, f"5_3_{invalid}_100")
    assert (record.label, record.arousal) == ("surprise", 0.1)
    assert math.isnan(record.valence)
    ((kind, reason),) = record.remarks
    assert kind == "affect"
    assert "valence" in reason


@pytest.mark.parametrize("stem", ["5", "5_3", "5_3_100", "3_100_100", "_3_0_0_x", "5_3_0.5_0", "5_x_0_0", "5_3s0s0"])
def test_a_name_that_says_nothing_leaves_its_face_out(tmp_path, stem):
    record = read_one(tmp_path, stem)
    assert (record.label, record.left_out) == ("", "unlabelled")
    assert "does not end in emotion, valence and arousal" in record.detail


def test_the_automatically_annotated_faces_are_left_out(tmp_path):
    record = read_one(tmp_path, "5_3_0_0", split="Training_Unlabeled")
    assert (record.label, record.left_out, record.split) == ("", "unlabelled", "train")
    assert "used without labels" in record.detail


def test_validation_comes_first_and_files_in_the_order_of_their_numbers(tmp_path):
    names = [
        f"{split}/{k}/{n}_1_0_0.jpg" for split in ("Validation", "Training_Labeled") for k in (2, 10) for n in (3, 20)
    ]
    records = read(files(tmp_path, *reversed(names)))
    assert [r.name for r in records] == names
    assert [r.split for r in records] == ["val"] * 4 + ["train"] * 4


def test_links_that_leave_the_data_are_left_out(tmp_path):
    outside = files(tmp_path / "outside", "1_1_0_0.jpg")
    root = files(tmp_path / "data", "Training_Labeled/0/1_1_0_0.jpg")
    (root / "Training_Labeled/0/2_1_0_0.jpg").symlink_to(outside / "1_1_0_0.jpg")
    (root / "Training_Labeled/1").symlink_to(outside)
    assert {r.name: r.left_out for r in read(root)} == {
        "Training_Labeled/0/1_1_0_0.jpg": "",
        "Training_Labeled/0/2_1_0_0.jpg": "link out of the folder",
        "Training_Labeled/1": "link out of the folder",
    }


# Telling it from folders named by class


@pytest.mark.parametrize("split", ["Training_Labeled", "Training_Unlabeled"])
def test_digit_folders_mean_nothing_beside_the_two_training_folders(tmp_path, split):
    names = [f"{folder}/{k}/{k}_1_0_0.jpg" for folder in (split, "Validation") for k in range(8)]
    _, match = detect(files(tmp_path, *names))
    assert {r.label for r in read(tmp_path) if not r.left_out} == {"happy"}
    assert f"has Validation and {split} with labels in the names of files, such as 0_1_0_0.jpg" in match.evidence


def test_digit_folders_of_other_names_are_class_folders(tmp_path):
    files(tmp_path, *(f"Validation/{k}/{n}_1_0_0.jpg" for k in range(8) for n in range(2)))
    assert detect(tmp_path)[0].name == "class folders"


def test_training_folders_whose_files_have_other_names_are_unknown(tmp_path):
    with pytest.raises(UserError, match="has no data that jaxfer reads"):
        detect(files(tmp_path, "Training_Labeled/0/a.jpg", "Training_Unlabeled/0/b.jpg"))
