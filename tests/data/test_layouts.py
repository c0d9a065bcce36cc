import contextlib
import os
from collections import Counter
from pathlib import Path

import pytest

from jaxfer.config import DataConfig
from jaxfer.data import check
from jaxfer.data.cache import Cache
from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.data.reading.images import UnreadableError, decode
from jaxfer.data.reading.record import NOT_IMAGE, UNLABELLED
from jaxfer.emotions import AFFECTNET_7, AFFECTNET_8, FER2013
from jaxfer.errors import UserError


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


def labels(records):
    return {record.name: record.label for record in records}


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
    assert sorted(left_out) == [NOT_IMAGE, "unknown split", "unlabelled", "unlabelled", "unlabelled"]


def test_flat_folder_is_read_in_natural_order(tmp_path):
    files(tmp_path, *(flat_name("train", 3, number) for number in (10, 9, 1)))
    assert [r.name for r in read(tmp_path)] == [flat_name("train", 3, number) for number in (1, 9, 10)]


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


def test_all_unknown_words_are_shown_at_once(tmp_path):
    names = ["happy", "mad", *(f"x{number}" for number in range(15))]
    message = refusal(files(tmp_path, *(f"train/{name}/1.jpg" for name in names)))
    assert f"{tmp_path / 'train/mad'} (did you mean 'anger'?), {tmp_path / 'train/x0'}, " in message
    assert f"{tmp_path / 'train/x10'} and 4 more are named after no expression that jaxfer knows. Name them " in message


@pytest.mark.parametrize(
    ("name", "split"),
    {
        **{"TRAIN": "train", "TrainingSet": "train", "train_afew": "train", "FER2013Train": "train"},
        **{"Validation": "val", "dev": "val", "PublicTest": "val", "validate": "val", "afew-val": "val"},
        **{"testing": "test", "eval": "test", "PrivateTest": "test", "test_set (1)": "test"},
    }.items(),
)
def test_splits_are_told_by_a_word_of_their_folder(tmp_path, name, split):
    records = read(files(tmp_path, f"{name}/happy/1.jpg", f"{name}/sad/1.jpg"))
    assert {(r.split, r.split_name, r.left_out) for r in records} == {(split, name, "")}


@pytest.mark.parametrize(
    ("name", "near"), [("vaild", "valid"), ("tset", "test"), ("Trian", "train"), ("tests", "test")]
)
def test_a_misspelled_split_is_asked_about(tmp_path, name, near):
    files(tmp_path, "train/happy/1.jpg", "train/sad/1.jpg", f"{name}/happy/1.jpg")
    assert f"{tmp_path / name} is of no split that jaxfer knows; did you mean {near!r}?" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["train_logs", "test results", "val"])
def test_class_folders_beside_a_folder_without_any_are_all_training(tmp_path, name):
    records = read(files(tmp_path, "happy/1.jpg", "sad/1.jpg", f"{name}/notes.txt"))
    assert labels(records) == {"happy/1.jpg": "happy", "sad/1.jpg": "sad"}


def test_folders_may_be_numbered(tmp_path):
    names = ["0_angry", "01-Happy", "2 sad images"]
    records = read(files(tmp_path, *(f"train/{name}/1.jpg" for name in names)))
    assert labels(records) == {f"train/{n}/1.jpg": w for n, w in zip(names, ["anger", "happy", "sad"], strict=True)}


def test_what_is_hidden_or_left_by_a_system_is_ignored(tmp_path):
    files(tmp_path, "train/happy/1.JPG", "train/happy/Thumbs.db", "train/happy/.hidden.jpg", "train/happy/._1.jpg")
    files(
        tmp_path,
        "train/.ipynb_checkpoints/2.jpg",
        "__MACOSX/train/sleepy/3.jpg",
        "$RECYCLE.BIN/1.jpg",
    )
    files(tmp_path, "train/happy/größe 표정.jpeg", "train/happy/@eaDir/1.jpg", "train/@eaDir/1.jpg", "lost+found/2.jpg")
    assert sorted(labels(read(tmp_path))) == ["train/happy/1.JPG", "train/happy/größe 표정.jpeg"]


def test_class_folders_are_read_in_natural_order_whatever_the_file_system_says(tmp_path, monkeypatch):
    files(tmp_path, *(f"train/{word}/{number}.jpg" for word in ("sad", "happy") for number in (10, 2, 1)))
    records = [r.name for r in read(tmp_path)]
    assert records == [f"train/{word}/{number}.jpg" for word in ("happy", "sad") for number in (1, 2, 10)]
    scandir = os.scandir

    @contextlib.contextmanager
    def turned(path):
        with scandir(path) as entries:
            yield reversed(list(entries))

    monkeypatch.setattr("jaxfer.data.reading.folder.os.scandir", turned)
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


RAF_DB = ["surprise", "fear", "disgust", "happy", "sad", "anger", "neutral"]


@pytest.mark.parametrize(
    ("digits", "order", "expected"),
    [
        (range(7), "affectnet", list(AFFECTNET_7)),
        (range(8), "affectnet", list(AFFECTNET_8)),
        (range(7), "alphabetical", ALPHABETICAL_7),
        (range(8), "alphabetical", ALPHABETICAL_8),
        (range(1, 9), "alphabetical", ALPHABETICAL_8),
        (range(7), "fer2013", list(FER2013)),
        (range(1, 8), "fer2013", list(FER2013)),
        (range(7), "raf-db", RAF_DB),
        (range(1, 8), "raf-db", RAF_DB),
        ([0, 3], "affectnet", ["neutral", "surprise"]),
        ([1, 4, 7], "raf-db", ["surprise", "happy", "neutral"]),
    ],
)
def test_digits_mean_what_the_declared_order_says(tmp_path, digits, order, expected):
    digit_folders(tmp_path, digits)
    assert by_digit(tmp_path, order) == expected


@pytest.mark.parametrize(
    ("digits", "order"),
    [
        (range(1, 8), "affectnet"),  # AffectNet-7 counted from 1, or AffectNet's codes without neutral
        (range(1, 9), "affectnet"),  # AffectNet-8 counted from 1, or those codes with "none"
        (range(1, 8), "alphabetical"),
        ([0, 1, 3], "alphabetical"),  # of seven or of eight classes
        (range(1, 7), "raf-db"),  # without neutral, or counted from 0 and without surprise
    ],
)
def test_digits_with_several_meanings_are_refused_with_all_of_them(tmp_path, digits, order):
    message = refusal(digit_folders(tmp_path, digits), label_order=order)
    assert f"fit the label order {order!r} in " in message
    assert message.count(f"\n  {order}: ") >= 2
    assert "add an empty one for each class that is missing" in message


def test_an_empty_folder_says_that_its_class_is_missing(tmp_path):
    digit_folders(tmp_path, range(1, 8))
    (tmp_path / "train/0").mkdir()
    assert by_digit(tmp_path, "affectnet") == list(AFFECTNET_8[1:])


def test_files_that_are_no_images_by_their_names_are_counted_and_named(tmp_path):
    files(tmp_path, "train/happy/1.jpg", "train/happy/2.heic", "train/happy/3", "val/sad/4.jp2", "val/sad/Thumbs.db")
    files(tmp_path, "README.md", "train/notes.txt", "train/happy/.hidden", "train/happy/deeper/5.jpg")
    left_out = {record.name: record.left_out for record in read(tmp_path) if record.left_out}
    others = {"train/happy/2.heic", "train/happy/3", "val/sad/4.jp2"}
    assert left_out == dict.fromkeys(others, NOT_IMAGE) | {"train/happy/deeper/5.jpg": UNLABELLED}


def test_files_beside_the_images_of_a_flat_folder_are_counted_too(tmp_path):
    files(tmp_path, flat_name("train", "x1"), flat_name("val", "x2"), "faces.heic", "Thumbs.db")
    assert {record.name: record.left_out for record in read(tmp_path) if record.left_out} == {"faces.heic": NOT_IMAGE}


def test_digits_missing_in_one_split_do_not_shift_the_others(tmp_path):
    digit_folders(tmp_path, range(8))
    digit_folders(tmp_path, range(1, 8), split="val")
    assert by_digit(tmp_path, "alphabetical") == ALPHABETICAL_8[1:] + ALPHABETICAL_8


@pytest.mark.parametrize("order", ["affectnet", "alphabetical"])
@pytest.mark.parametrize("first", ["train", "val"])
def test_digits_that_count_from_0_in_one_split_and_from_1_in_another_are_refused(tmp_path, first, order):
    # Together they are 0 to 7, which each of these orders has.
    digit_folders(tmp_path, range(7), split=first)
    digit_folders(tmp_path, range(1, 8), split="val" if first == "train" else "train")
    message = refusal(tmp_path, label_order=order)
    assert "count them alike" in message
    assert f"the digits 0 to 6 in {first} and by 1 to 7 in " in message


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


def test_images_outside_of_class_folders_and_deeper_in_them_are_left_out(tmp_path):
    files(tmp_path, "train/happy/1.jpg", "train/happy/more/2.jpg", "train/3.jpg", "4.jpg", "notes/5.jpg")
    assert {r.name: r.left_out for r in read(tmp_path)} == {
        "train/happy/1.jpg": "",
        "4.jpg": "unlabelled",
        "notes/5.jpg": "unlabelled",
        "train/3.jpg": "unlabelled",
        "train/happy/more/2.jpg": "unlabelled",
    }


def test_a_folder_in_place_of_an_image_is_listed_and_fails_when_it_is_decoded(tmp_path):
    (tmp_path / "train/happy/1.jpg").mkdir(parents=True)
    (record,) = read(tmp_path)
    with pytest.raises(UnreadableError, match="a folder, not a file"):
        decode(record.image, 32)


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


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("RAF/basic/Image/aligned/train_1_aligned.jpg", "its labels, EmoLabel/list_patition_label.txt, are not there"),
        ("train/images/1.jpg", "but no data.yaml names the classes"),
        (
            "AffectNet/train_set/images/1.jpg",
            "but neither annotations in train_set/annotations nor a csv of the columns",
        ),
    ],
)
def test_of_the_nearest_layout_it_is_said_what_is_missing_and_nothing_of_the_others(tmp_path, name, missing):
    message = refusal(files(tmp_path, name, "train/labels/1.txt"))
    assert missing in message
    assert "It looked for" not in message


def test_an_archive_that_was_not_unpacked_is_pointed_out(tmp_path):
    assert "Unpack archive.zip first" in refusal(files(tmp_path, "archive.zip"))


def test_several_data_sets_in_one_folder_are_refused_with_the_evidence_for_each(tmp_path):
    files(tmp_path, "train/happy/1.jpg")
    (tmp_path / "fer2013.csv").write_text("emotion,pixels,Usage\n")
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

    monkeypatch.setattr("jaxfer.data.reading.folder.os.scandir", guarded)
    assert fitting(tmp_path) == ("class folders", tmp_path / "data")
    assert "you lack the permission" in refusal(tmp_path / "lost+found")


@pytest.mark.parametrize("depth", [62, 65, 300])
def test_folders_may_lie_in_each_other_but_not_for_ever(tmp_path, depth):
    files(tmp_path, "train/happy/1.jpg")
    (tmp_path / "train/happy" / "/".join("a" * depth)).mkdir(parents=True)
    if depth + 2 <= 64:
        assert [r.name for r in read(tmp_path)] == ["train/happy/1.jpg"]
    else:
        with pytest.raises(
            UserError, match=r"train/happy/a has folders in each other, more than 64 deep: move them away"
        ):
            read(tmp_path)
        with pytest.raises(UserError, match="more than 64 deep"):
            Cache(tmp_path, DataConfig(data_dir=tmp_path))


def test_the_work_for_folders_grows_as_their_number(tmp_path, monkeypatch):
    counts, scandir, lstat = Counter(), os.scandir, os.lstat

    def counted(function):
        def counting(*arguments, **options):
            counts[function.__name__] += 1
            return function(*arguments, **options)

        return counting

    monkeypatch.setattr(os, "scandir", counted(scandir))
    monkeypatch.setattr(os, "lstat", counted(lstat))
    found = []
    for number in (100, 200):
        files(tmp_path / str(number), *(f"train/happy/{one}/{one}.jpg" for one in range(number)), "train/sad/1.jpg")
        counts.clear()
        read(tmp_path / str(number))
        found.append(counts.copy())
    assert found[1]["scandir"] < 2.2 * found[0]["scandir"]
    assert found[1]["lstat"] < 2.2 * found[0]["lstat"]


def test_a_pipe_in_place_of_an_image_is_listed_and_not_waited_for(tmp_path):
    files(tmp_path, "train/happy/1.jpg")
    os.mkfifo(tmp_path / "train/happy/2.jpg")
    with pytest.raises(UnreadableError, match="a pipe, not a file"):
        decode(read(tmp_path)[1].image, 32)


@pytest.mark.slow
def test_a_folder_of_a_hundred_thousand_files_is_read_in_order(tmp_path):
    folder = tmp_path / "train/happy"
    folder.mkdir(parents=True)
    for number in range(100_000):
        (folder / f"{number}.jpg").touch()
    assert [r.name for r in read(tmp_path)] == [f"train/happy/{number}.jpg" for number in range(100_000)]
    found = check(tmp_path).to_dict()
    assert len(found["problems"]["unreadable"]) == 100_000
    assert found["problems"]["unreadable"][-1] == {"path": "train/happy/99999.jpg", "reason": "an empty file"} | {
        "split": "train",
        "label": "happy",
    }
