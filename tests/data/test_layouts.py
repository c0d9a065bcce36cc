import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.emotions import AFFECTNET_7, AFFECTNET_8, FER2013
from jaxfer.errors import UserError

ROW = " ".join(["7"] * 2304)


def files(root, *names):
    """Create files that only have a name: readers do not look into images."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def read(path, **options):
    layout, match = detect(path)
    return list(layout.read(match.place, ReadOptions(**options)))


def fitting(path):
    layout, match = detect(path)
    return layout.name, match.place


def refusal(path, **options):
    with pytest.raises(UserError) as caught:
        read(path, **options)
    return str(caught.value)


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def labels(records):
    return {record.name: record.label for record in records}


# FER2013


def fer_npz(path, count=6, **changes):
    images = np.random.default_rng(0).integers(0, 256, (count, 48, 48), np.uint8)
    arrays = {"images": images, "labels": np.arange(count) % 7, "usage": np.arange(count) % 3} | changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return images


def fer_csv(path, *lines, header="emotion,pixels,Usage"):
    path.write_text("\n".join((header, *lines)) + "\n")
    return path


@pytest.mark.parametrize("as_file", [True, False])
def test_fer2013_npz_is_read_from_the_file_or_its_folder(tmp_path, as_file):
    images = fer_npz(tmp_path / "fer2013.npz")
    records = read(tmp_path / "fer2013.npz" if as_file else tmp_path)
    assert [r.label for r in records] == list(FER2013[:6])
    assert [r.split for r in records] == ["train", "val", "test"] * 2
    assert [r.split_name for r in records] == ["Training", "PublicTest", "PrivateTest"] * 2
    np.testing.assert_array_equal(np.stack([r.image for r in records]), images)


def test_fer2013_npz_with_unknown_codes_leaves_these_rows_out(tmp_path):
    fer_npz(tmp_path / "fer2013.npz", labels=np.array([0, 7, -1, 0, 0, 0]), usage=np.array([0, 0, 0, 3, -1, 1]))
    reasons = [r.left_out for r in read(tmp_path)]
    assert reasons == ["", "unlabelled", "unlabelled", "unknown split", "unknown split", ""]


@pytest.mark.parametrize(
    "changes",
    [
        {"images": np.zeros((6, 48, 48))},
        {"images": np.zeros((6, 64, 64), np.uint8)},
        {"labels": np.zeros(5, int)},
        {"usage": np.zeros(6)},
    ],
)
def test_an_npz_of_other_shapes_or_types_is_refused_with_both(tmp_path, changes):
    fer_npz(tmp_path / "fer2013.npz", **changes)
    message = refusal(tmp_path)
    assert str(tmp_path / "fer2013.npz") in message
    assert "uint8 [n, 48, 48]" in message


def test_an_npz_of_objects_is_never_unpickled(tmp_path):
    fer_npz(tmp_path / "fer2013.npz", labels=np.array([Trap(tmp_path / "sprung")] * 6))
    assert "cannot be read" in refusal(tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_a_half_downloaded_npz_is_named(tmp_path):
    fer_npz(tmp_path / "fer2013.npz")
    content = (tmp_path / "fer2013.npz").read_bytes()
    (tmp_path / "fer2013.npz").write_bytes(content[: len(content) // 2])
    assert "not a whole npz file" in refusal(tmp_path)


def test_an_npz_with_a_damaged_array_is_named(tmp_path):
    fer_npz(tmp_path / "fer2013.npz")
    content = bytearray((tmp_path / "fer2013.npz").read_bytes())
    content[2000] ^= 255
    (tmp_path / "fer2013.npz").write_bytes(content)
    assert "cannot be read" in refusal(tmp_path)


def test_other_npz_files_are_no_data(tmp_path):
    np.savez(tmp_path / "weights.npz", kernel=np.zeros(3))
    (tmp_path / "broken.npz").write_bytes(b"not an archive")
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    assert "has no data that jaxfer reads" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("emotion,pixels,Usage", "{label},{pixels},{usage}"),
        ("emotion, Usage, pixels", "{label},{usage},{pixels}"),
        ("emotion, Usage, pixels", "{label}, {usage}, {pixels}"),
        ("\ufeffemotion,pixels,Usage", '"{label}","{pixels}","{usage}"\r'),
    ],
    ids=["fer2013.csv", "icml_face_data.csv", "spaces", "quotes"],
)
def test_fer2013_csv_is_read_in_all_its_forms(tmp_path, header, line):
    pixels = np.random.default_rng(0).integers(0, 256, 2304)
    text = line.format(label=3, pixels=" ".join(map(str, pixels)), usage="PublicTest")
    (record,) = read(fer_csv(tmp_path / "any.csv", text, header=header))
    assert (record.label, record.split, record.split_name, record.left_out) == ("happy", "val", "PublicTest", "")
    assert record.image.dtype == np.uint8
    np.testing.assert_array_equal(record.image, pixels.reshape(48, 48))


def test_malformed_csv_rows_are_left_out_by_line_and_reason_and_the_others_read(tmp_path):
    fer_csv(
        tmp_path / "fer2013.csv",
        f"0,{ROW},Training",
        "0,1 2 3,Training",
        f"0,{ROW[:-1]}256,Training",
        f"0,{ROW[:-1]}x,Training",
        f'0,"{ROW},Training',
        f"0,{ROW}",
        "",
        f"9,{ROW},Training",
        f"0,{ROW},Holiday",
        f"1,{ROW},PrivateTest",
    )
    outcome = [(r.name, r.left_out, r.label) for r in read(tmp_path)]
    assert outcome == [
        ("fer2013.csv line 2", "", "anger"),
        ("fer2013.csv line 3", "unreadable", ""),
        ("fer2013.csv line 4", "unreadable", ""),
        ("fer2013.csv line 5", "unreadable", ""),
        ("fer2013.csv line 6", "", "anger"),
        ("fer2013.csv line 7", "unreadable", ""),
        ("fer2013.csv line 9", "unlabelled", ""),
        ("fer2013.csv line 10", "unknown split", ""),
        ("fer2013.csv line 11", "", "disgust"),
    ]
    assert "2 values rather than 3" in [r.detail for r in read(tmp_path)]


fields = st.one_of(
    st.sampled_from(
        ["0", "-1", "6", ROW, ROW + " ", f" {ROW}", "9" * 40 + ROW, "9" * 5000, "Training", "PublicTest", "", '"']
    ),
    st.text(max_size=20),
)


@given(lines=st.lists(st.lists(fields, max_size=4).map(",".join), max_size=5))
def test_no_csv_row_crashes_the_reader(tmp_path_factory, lines):
    path = tmp_path_factory.getbasetemp() / "arbitrary.csv"
    path.write_bytes("\n".join(["emotion,pixels,Usage", *lines]).encode(errors="surrogatepass"))
    for record in read(path):
        if record.left_out:
            assert record.label == "" or record.left_out == "unlabelled"
        else:
            assert record.label in FER2013
            assert record.image.shape == (48, 48)


# The flat folder


def flat_name(split, token, number=0):
    return f"{split}-a_1_2_3_4_5_6_7_8_9_10_{token}_{number}.jpg"


def test_flat_folder_takes_split_and_class_from_the_name(tmp_path):
    for code in range(1, 8):
        files(tmp_path, flat_name("train", f"x{code}"), flat_name("val", f"cls{code}"))
    records = read(tmp_path)
    assert len(records) == 14
    for record in records:
        code = int(record.name.split("_")[11][-1])
        assert record.label == AFFECTNET_7[code - 1]
        assert record.split == record.split_name == record.name.split("-")[0]


def test_flat_folder_leaves_out_what_its_names_do_not_say(tmp_path):
    files(tmp_path, *(flat_name("train", 3, number) for number in range(5)))
    files(tmp_path, flat_name("train", 8), flat_name("train", 0), flat_name("other", 1), "train_1.jpg", "notes.txt")
    left_out = [record.left_out for record in read(tmp_path) if record.left_out]
    assert sorted(left_out) == ["unknown split", "unlabelled", "unlabelled", "unlabelled"]


def test_flat_folder_is_read_in_natural_order(tmp_path):
    files(tmp_path, *(flat_name("train", 3, number) for number in (10, 9, 1)))
    assert [r.name for r in read(tmp_path)] == [flat_name("train", 3, number) for number in (1, 9, 10)]


# AffectNet, March 2021


def annotate(root, split, number, **annotations):
    files(root, f"{split}/images/{number}.jpg")
    folder = root / split / "annotations"
    folder.mkdir(exist_ok=True)
    for name, value in annotations.items():
        np.save(folder / f"{number}_{name}.npy", value)


def only_record(root):
    (record,) = read(root)
    return record


@pytest.mark.parametrize(
    "wrap",
    [
        lambda value: np.array([str(value)]),
        lambda value: np.array(str(value)),
        lambda value: np.array([str(value).encode()]),
        lambda value: np.array([float(value)]),
        lambda value: np.array(value),
        lambda value: np.array([[value]]),
    ],
    ids=["string", "0-d string", "bytes", "float", "0-d number", "2-d"],
)
def test_march_2021_annotations_are_read_as_text_and_as_numbers(tmp_path, wrap):
    annotate(tmp_path, "val_set", 12, exp=wrap(3), val=wrap(-0.25), aro=wrap(0.5), lnd=np.zeros(136))
    record = only_record(tmp_path)
    assert (record.name, record.label, record.left_out) == ("val_set/images/12.jpg", "surprise", "")
    assert (record.split, record.split_name) == ("val", "val_set")
    assert (record.valence, record.arousal) == (-0.25, 0.5)
    assert record.image == tmp_path / "val_set/images/12.jpg"


@pytest.mark.parametrize("code", range(11))
def test_march_2021_codes_are_affectnets(tmp_path, code):
    annotate(tmp_path, "train_set", 0, exp=np.array([str(code)]))
    record = only_record(tmp_path)
    assert record.label == (AFFECTNET_8[code] if code < 8 else "")
    assert record.left_out == ("" if code < 8 else "other class")


@pytest.mark.parametrize("invalid", ["-2", "-2.0", "nan", "1.5", "much"])
def test_march_2021_invalid_valence_is_nan_and_the_face_is_kept(tmp_path, invalid):
    annotate(tmp_path, "train_set", 0, exp=np.array(["1"]), val=np.array([invalid]), aro=np.array(["0.1"]))
    record = only_record(tmp_path)
    assert record.label == "happy"
    assert math.isnan(record.valence)
    assert record.arousal == 0.1


def test_march_2021_without_valence_and_arousal_files_has_nan(tmp_path):
    annotate(tmp_path, "train_set", 0, exp=np.array(["1"]))
    assert math.isnan(only_record(tmp_path).valence)
    assert math.isnan(only_record(tmp_path).arousal)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        (np.array(["11"]), "unlabelled"),
        (np.array(["2.5"]), "unlabelled"),
        (np.array(["happy"]), "unlabelled"),
        (np.array(["1", "2"]), "unlabelled"),
        (np.array([np.inf]), "unlabelled"),
        (np.array([], int), "unlabelled"),
    ],
)
def test_march_2021_labels_that_say_nothing_are_left_out(tmp_path, expression, reason):
    annotate(tmp_path, "train_set", 0, exp=expression)
    assert only_record(tmp_path).left_out == reason


def test_march_2021_pickled_labels_are_never_loaded(tmp_path):
    annotate(tmp_path, "train_set", 0, exp=np.array([Trap(tmp_path / "sprung")]))
    assert only_record(tmp_path).left_out == "unlabelled"
    assert not (tmp_path / "sprung").exists()


def test_march_2021_images_without_annotation_and_damaged_annotations_are_told_apart(tmp_path):
    for number in range(3):
        annotate(tmp_path, "train_set", number, exp=np.array(["0"]))
    (tmp_path / "train_set/annotations/0_exp.npy").unlink()
    (tmp_path / "train_set/annotations/1_exp.npy").write_bytes(b"")
    assert [r.left_out for r in read(tmp_path)] == ["no annotation file", "unlabelled", ""]


def test_march_2021_is_found_below_and_read_in_the_order_of_its_numbers(tmp_path):
    for number in (10, 9, 100):
        annotate(tmp_path / "data/AffectNet", "train_set", number, exp=np.array(["0"]))
    assert fitting(tmp_path) == ("AffectNet, March 2021", tmp_path / "data/AffectNet")
    assert [Path(r.name).stem for r in read(tmp_path)] == ["9", "10", "100"]


# Folders named by class


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("train", "train"),
        ("Train", "train"),
        ("Training", "train"),
        ("val", "val"),
        ("valid", "val"),
        ("Validation", "val"),
        ("test", "test"),
        ("Testing", "test"),
    ],
)
def test_split_folders_have_many_names(tmp_path, folder, split):
    (record,) = read(files(tmp_path, f"{folder}/Happiness/1.jpg"))
    assert (record.split, record.split_name, record.label) == (split, folder, "happy")


def test_word_folders_in_any_spelling_and_capitalisation_name_their_class(tmp_path):
    words = ["Neutral", "happiness", "Sad", "surprised", "FEAR", "disgust", "angry", "Contempt"]
    records = read(
        files(tmp_path, *(f"train/{word}/a.jpg" for word in words), "test/contempt/a.jpg", "test/Anger/a.jpg")
    )
    expected = {f"train/{word}/a.jpg": name for word, name in zip(words, AFFECTNET_8, strict=True)}
    assert labels(records) == expected | {"test/contempt/a.jpg": "contempt", "test/Anger/a.jpg": "anger"}


def test_word_folders_without_splits_are_all_training(tmp_path):
    records = read(files(tmp_path, "happy/1.jpg", "sad/1.jpg", "labels.csv"))
    assert {(r.split, r.split_name) for r in records} == {("train", "train")}


@pytest.mark.parametrize("nesting", ["", "archive (3)", "AffectNet", "a/b/c", "データ/größe"])
def test_class_folders_are_found_below(tmp_path, nesting):
    files(tmp_path / nesting, "Train/happy/1.jpg", "Train/sad/1.jpg", "Test/happy/1.jpg")
    assert fitting(tmp_path) == ("class folders", tmp_path / nesting)


def test_folders_for_faces_without_expression_are_left_out_and_counted(tmp_path):
    records = read(files(tmp_path, "train/happy/1.jpg", "train/None/1.jpg", "train/no face/1.jpg"))
    assert sorted(r.left_out for r in records) == ["", "other class", "other class"]


def test_an_unknown_word_is_refused_with_its_path_and_the_nearest_spelling(tmp_path):
    files(tmp_path, "train/happy/1.jpg", "train/sleepy/1.jpg")
    assert str(tmp_path / "train" / "sleepy") in refusal(tmp_path)
    (tmp_path / "train/sleepy").rename(tmp_path / "train/suprise")
    message = refusal(tmp_path)
    assert str(tmp_path / "train" / "suprise") in message
    assert "did you mean 'surprise'" in message


def test_what_is_hidden_or_no_image_is_ignored(tmp_path):
    files(tmp_path, "train/happy/1.JPG", "train/happy/Thumbs.db", "train/happy/.hidden.jpg", "train/happy/._1.jpg")
    files(tmp_path, "train/happy/notes.txt", "train/.ipynb_checkpoints/2.jpg", "__MACOSX/train/sleepy/3.jpg")
    files(tmp_path, "train/happy/größe 표정.jpeg")
    assert sorted(labels(read(tmp_path))) == ["train/happy/1.JPG", "train/happy/größe 표정.jpeg"]


def test_class_folders_are_read_in_natural_order_whatever_the_file_system_says(tmp_path, monkeypatch):
    files(tmp_path, *(f"train/{word}/{number}.jpg" for word in ("sad", "happy") for number in (10, 2, 1)))
    records = [r.name for r in read(tmp_path)]
    assert records == [f"train/{word}/{number}.jpg" for word in ("happy", "sad") for number in (1, 2, 10)]
    listing = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: reversed(list(listing(path))))
    assert [r.name for r in read(tmp_path)] == records


def test_links_that_leave_the_data_are_left_out_and_others_followed(tmp_path):
    outside = files(tmp_path / "outside", "secret.jpg", "sad/1.jpg", "sad/2.jpg")
    root = files(tmp_path / "data", "train/happy/1.jpg")
    (root / "train/happy/2.jpg").symlink_to(root / "train/happy/1.jpg")
    (root / "train/happy/3.jpg").symlink_to(outside / "secret.jpg")
    (root / "train/sad").symlink_to(outside / "sad")
    reasons = {r.name: r.left_out for r in read(root)}
    assert reasons == {
        "train/happy/1.jpg": "",
        "train/happy/2.jpg": "",
        "train/happy/3.jpg": "link out of the folder",
        "train/sad": "link out of the folder",
    }
    (tmp_path / "link").symlink_to(root)
    assert len(read(tmp_path / "link")) == 4, "the folder itself may be a link"


def digit_folders(root, digits, split="train"):
    return files(root, *(f"{split}/{digit}/1.jpg" for digit in digits))


def by_digit(root, order):
    return [r.label for r in read(root, label_order=order)]


ALPHABETICAL_7 = ["anger", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
ALPHABETICAL_8 = ["anger", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise"]


@pytest.mark.parametrize(
    ("count", "order", "expected"),
    [
        (7, "affectnet", list(AFFECTNET_7)),
        (8, "affectnet", list(AFFECTNET_8)),
        (7, "alphabetical", ALPHABETICAL_7),
        (8, "alphabetical", ALPHABETICAL_8),
        (7, "fer2013", list(FER2013)),
    ],
)
@pytest.mark.parametrize("first", [0, 1])
def test_digits_mean_what_the_declared_order_says(tmp_path, first, count, order, expected):
    digit_folders(tmp_path, range(first, first + count))
    assert by_digit(tmp_path, order) == expected


def test_digits_missing_in_one_split_do_not_shift_the_others(tmp_path):
    digit_folders(tmp_path, range(8))
    digit_folders(tmp_path, range(1, 8), split="val")
    assert by_digit(tmp_path, "alphabetical") == ALPHABETICAL_8[1:] + ALPHABETICAL_8


def test_digits_may_have_leading_zeros(tmp_path):
    digit_folders(tmp_path, ["00", "01", "02", "03", "04", "05", "06"])
    assert by_digit(tmp_path, "affectnet") == list(AFFECTNET_7)


def test_affectnets_codes_without_expression_are_left_out_and_fit_no_other_order(tmp_path):
    digit_folders(tmp_path, range(11))
    assert by_digit(tmp_path, "affectnet") == [*AFFECTNET_8, "", "", ""]
    assert "'alphabetical' does not fit" in refusal(tmp_path, label_order="alphabetical")


def test_digits_without_a_declared_order_are_refused_with_the_choices_for_this_folder(tmp_path):
    message = refusal(digit_folders(tmp_path, range(8)))
    assert "--label-order" in message
    assert "affectnet: 0 neutral, 1 happy, 2 sad, 3 surprise" in message
    assert "alphabetical: 0 anger, 1 contempt, 2 disgust" in message
    assert "fer2013" not in message, "eight folders cannot be FER2013's seven classes"


def test_the_choices_count_from_the_first_folder(tmp_path):
    message = refusal(digit_folders(tmp_path, range(1, 8)))
    assert "alphabetical: 1 anger, 2 disgust, 3 fear" in message
    assert "fer2013: 1 anger" in message


# Telling layouts apart


def test_a_missing_path_an_empty_folder_and_a_file_of_another_kind_have_their_own_sentence(tmp_path):
    assert "does not exist" in refusal(tmp_path / "missing")
    assert "is empty" in refusal(tmp_path)
    files(tmp_path, "photo.jpg")
    assert "is no file that jaxfer reads" in refusal(tmp_path / "photo.jpg")


def test_a_folder_of_something_else_is_refused_with_its_names_and_the_known_layouts(tmp_path):
    message = refusal(files(tmp_path, "holiday/1.jpg", "a.txt", "train/cats/1.jpg", "train/dogs/1.jpg"))
    for part in (str(tmp_path), "holiday/", "a.txt", "FER2013", "train_set", "<split>/<class>", "flat folder"):
        assert part in message


def test_an_archive_that_was_not_unpacked_is_pointed_out(tmp_path):
    assert "Unpack archive.zip first" in refusal(files(tmp_path, "archive.zip"))


def test_several_data_sets_in_one_folder_are_refused_with_the_evidence_for_each(tmp_path):
    files(tmp_path, "train/happy/1.jpg")
    fer_csv(tmp_path / "fer2013.csv", f"0,{ROW},Training")
    message = refusal(tmp_path)
    assert f"FER2013: {tmp_path / 'fer2013.csv'} has the columns" in message
    assert f"class folders: {tmp_path} has folders named by class, such as train/happy" in message
    assert fitting(tmp_path / "fer2013.csv")[0] == "FER2013"


def test_two_copies_side_by_side_are_refused_too(tmp_path):
    message = refusal(files(tmp_path, "a/train/happy/1.jpg", "b/train/happy/1.jpg"))
    assert str(tmp_path / "a") in message
    assert str(tmp_path / "b") in message


def test_the_search_does_not_follow_links_in_a_circle(tmp_path):
    files(tmp_path, "a/notes.txt", "b/train/happy/1.jpg")
    (tmp_path / "a/loop").symlink_to(tmp_path)
    assert fitting(tmp_path) == ("class folders", tmp_path / "b")


def test_a_folder_without_permission_is_passed_over_below_and_named_at_the_top(tmp_path, monkeypatch):
    files(tmp_path, "lost+found/x", "data/train/happy/1.jpg")
    scandir = os.scandir

    def guarded(path):
        if Path(path).name == "lost+found":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("jaxfer.data.layouts.folder.os.scandir", guarded)
    assert fitting(tmp_path) == ("class folders", tmp_path / "data")
    assert "you lack the permission" in refusal(tmp_path / "lost+found")
