"""Which classes are told apart: some of AffectNet's, in any order, several as one; and what a data set's words mean."""

import dataclasses
import hashlib
import json
import unicodedata
from collections import Counter

import numpy as np
import PIL
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from formats import class_shown, encoded, face, put

from jaxfer.config import DataConfig, PrepareConfig
from jaxfer.data import check, load, prepare
from jaxfer.data.cache import GROUPED, LATER, _settings
from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.data.layouts.fer2013.votes import CHOICES
from jaxfer.data.synthetic import draw_faces
from jaxfer.emotions import AFFECTNET_7, AFFECTNET_8
from jaxfer.errors import UserError

CK_PLUS = ("happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
SPANISH = dict(zip(("neutral", "feliz", "triste", "sorpresa", "miedo", "asco", "enojo"), AFFECTNET_7, strict=True))


def write(root, classes=AFFECTNET_8, splits=("train", "val"), words=None, per_class=2):
    """Write folders of images whose colour says the class, named by the words for the classes."""
    for split in splits:
        for name in classes:
            for number in range(per_class):
                picture = encoded(face(name, number + 100 * len(split), 32), "PNG")
                put(root / split / (words or {}).get(name, name) / f"{number}.png", picture)
    return root


def loaded(root, **options):
    return load(DataConfig(data_dir=root, image_size=32, **options))


def shown(data, split):
    """Return what each class's images show, by its name."""
    part = data.split(split)
    found = [class_shown(image) for image in np.asarray(part.images)]
    return {
        name: Counter(found[row] for row in np.flatnonzero(part.labels == label))
        for label, name in enumerate(data.class_names)
    }


def refusal(call, *arguments, **options):
    with pytest.raises(UserError) as caught:
        call(*arguments, **options)
    return str(caught.value)


def test_classes_are_those_that_are_named_in_their_order_and_others_are_counted(tmp_path):
    data = loaded(write(tmp_path, splits=("train", "val", "test")), classes=("sad", "neutral", "happy"))
    assert data.class_names == ("sad", "neutral", "happy")
    for split in ("train", "val", "test"):
        assert shown(data, split) == {name: {name: 2} for name in data.class_names}
    others = [name for name in AFFECTNET_8 if name not in data.class_names]
    assert data.left_out == dict.fromkeys(sorted(others), 4) | {"test split": 16}


def test_merged_expressions_count_as_one_class(tmp_path):
    write(tmp_path)
    data = loaded(tmp_path, merge=("contempt=disgust",))
    assert data.class_names == AFFECTNET_7, "of the seven, and contempt is no longer left out"
    assert data.left_out == {}
    assert shown(data, "train")["disgust"] == {"disgust": 2, "contempt": 2}
    data = loaded(tmp_path, merge=("sad=low", "fear=low", "anger=low"))
    assert data.class_names == ("neutral", "happy", "low", "surprise", "disgust")
    assert shown(data, "val")["low"] == {"sad": 2, "fear": 2, "anger": 2}
    data = loaded(tmp_path, merge=("sad=low", "fear=low"), classes=("low", "happy"))
    assert shown(data, "train") == {"low": {"sad": 2, "fear": 2}, "happy": {"happy": 2}}
    assert data.left_out == dict.fromkeys(("anger", "contempt", "disgust", "neutral", "surprise"), 4)


def test_data_without_a_class_is_told_how_to_do_without(tmp_path):
    write(tmp_path, CK_PLUS)
    flag = f"--classes {','.join(CK_PLUS)}"
    assert "no image of neutral in 'train' (left out: 4 contempt). Add some" in refusal(loaded, tmp_path)
    assert f"train on the other classes alone, with classes ({flag})" in refusal(loaded, tmp_path)
    data = loaded(tmp_path, classes=CK_PLUS)
    assert (data.class_names, data.left_out) == (CK_PLUS, {})


def test_a_split_to_evaluate_on_without_a_class_is_told_which_can_be_compared(tmp_path):
    write(tmp_path, ("neutral", "sad"), splits=("val",))
    config = DataConfig(data_dir=tmp_path, image_size=32, classes=("sad", "happy", "neutral"))
    words = (
        "no image of happy in 'val', but the network knows 3 classes, .*compare the others alone .--classes sad,neut"
    )
    with pytest.raises(UserError, match=words):
        load(config, only="val")
    assert load(config.of_classes(("sad", "neutral")), only="val").class_names == ("sad", "neutral")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"classes": ("happy", "hapy")},
            "classes has 'hapy', which no image has: pass some of .*did you mean 'happy'?",
        ),
        (
            {"classes": ("happy", "disgust"), "merge": ("disgust=low", "fear=low")},
            "classes has 'disgust', which no image has: it counts as low",
        ),
    ],
)
def test_a_class_that_no_image_can_have_is_refused(tmp_path, options, words):
    with pytest.raises(UserError, match=words):
        loaded(write(tmp_path), **options)
    with pytest.raises(UserError, match=words):
        load(DataConfig(image_size=32, drawn_train=8, drawn_val=8, **options))


def test_votes_for_classes_that_are_left_out_do_not_count_and_those_for_merged_ones_are_added(tmp_path):
    label_of = {"happiness": 3, "sadness": 4, "neutral": 6}  # FER2013's own codes
    votes = {
        "neutral": {"neutral": 4, "sadness": 2, "fear": 2, "unknown": 2},
        "happiness": {"happiness": 6, "contempt": 4},
        "sadness": {"sadness": 10},
    }
    rows = [(usage, word) for usage in range(2) for word in votes for _ in range(2)]
    counts = [[votes[word].get(choice, 0) for choice in CHOICES] for _, word in rows]
    np.savez(
        tmp_path / "fer2013.npz",
        images=np.zeros((len(rows), 48, 48), np.uint8),
        labels=np.array([label_of[word] for _, word in rows]),
        usage=np.array([usage for usage, _ in rows]),
        ferplus_votes=np.array(counts),
    )
    options = {"soft_labels": True, "merge": ("sad=low", "fear=low"), "classes": ("low", "neutral", "happy")}
    data = loaded(tmp_path, **options)
    expected = {"neutral": [0.5, 0.5, 0], "happy": [0, 0, 1], "low": [1, 0, 0]}
    for label, row in zip(data.train.labels, data.train.columns["soft_label"], strict=True):
        np.testing.assert_array_equal(row, np.float32(expected[data.class_names[label]]))


def test_drawn_faces_show_the_classes_that_are_asked_for():
    options = {"drawn_train": 9, "drawn_val": 9, "image_size": 32}
    data = load(DataConfig(classes=("low", "happy"), merge=("sad=low", "fear=low"), **options))
    assert data.class_names == ("low", "happy")
    assert Counter(data.train.labels.tolist()) == {0: 6, 1: 3}, "each expression as often as any other"
    drawn = {name: draw_faces(0, np.full(9, AFFECTNET_8.index(name)), image_size=32) for name in AFFECTNET_8}
    for row, label in enumerate(data.train.labels):
        of = ("sad", "fear") if label == 0 else ("happy",)
        assert any((drawn[name][row] == data.train.images[row]).all() for name in of)


def test_prepared_data_of_eight_classes_serves_any_of_them(tmp_path):
    raw = write(tmp_path / "raw", CK_PLUS, words={"anger": "enojo"})
    config = PrepareConfig(num_classes=8, image_size=32, class_names=("enojo=anger",))
    prepared = prepare(raw, tmp_path / "prepared", config)
    options = {"classes": ("anger", "low"), "merge": ("sad=low", "contempt=low")}
    found, expected = loaded(prepared.path, **options), loaded(raw, class_names=("enojo=anger",), **options)
    assert found.class_names == expected.class_names == ("anger", "low")
    assert shown(found, "train") == {"anger": {"anger": 2}, "low": {"sad": 2, "contempt": 2}}
    assert found.fingerprint == expected.fingerprint


def test_what_was_decoded_by_releases_before_stays_of_use():
    config = DataConfig(image_size=32)
    new = (*LATER, "group_by", "val_dir", "test_dir")
    fields = {k: v for k, v in dataclasses.asdict(config).items() if k not in ("data_dir", "sampling", *new)}
    before = repr((GROUPED - 1, PIL.__version__, sorted(fields.items()))).encode()
    assert _settings(config, GROUPED - 1) == hashlib.blake2b(before, digest_size=8).hexdigest()
    others = [{"classes": ("happy", "sad")}, {"merge": ("sad=fear",)}, {"class_names": ("a=sad",)}]
    assert len({_settings(config), *(_settings(dataclasses.replace(config, **other)) for other in others)}) == 4


# What the data's own words mean


def test_folders_are_named_by_whatever_one_declares(tmp_path):
    write(tmp_path, AFFECTNET_7, words={name: word.title() for word, name in SPANISH.items()})
    put(tmp_path / "train/Dormido/1.png", encoded(face("sad", 5, 32), "PNG"))
    message = refusal(loaded, tmp_path)
    assert "Asco=CLASS" in message
    assert "(--class-names " in message
    declared = tuple(f"{word}={name}" for word, name in SPANISH.items())
    assert "(--class-names Dormido=CLASS), none leaving faces out" in refusal(loaded, tmp_path, class_names=declared)
    data = loaded(tmp_path, class_names=(*declared, "dormido=none"))
    assert shown(data, "train") == {name: {name: 2} for name in AFFECTNET_7}
    assert data.left_out == {"other class": 1}
    found = check(tmp_path, class_names=(*declared, "dormido=none"))
    assert found.splits["train"].classes == dict.fromkeys(AFFECTNET_7, 2)
    assert found.to_dict()["class_names"] == [*declared, "dormido=none"]


def test_folders_of_which_no_word_is_known_are_recognised_once_their_words_are_declared(tmp_path):
    words = dict(zip(AFFECTNET_7, ("中性", "高兴", "悲伤", "惊讶", "恐惧", "厌恶", "生气"), strict=True))
    write(tmp_path, AFFECTNET_7, words=words)
    message = refusal(loaded, tmp_path)
    assert "has no data that jaxfer reads, only train/, val/. If " in message
    assert "高兴=CLASS" in message
    data = loaded(tmp_path, class_names=tuple(f"{word}={name}" for name, word in words.items()))
    assert shown(data, "val") == {name: {name: 2} for name in AFFECTNET_7}


def test_the_hint_for_a_near_spelling_is_the_flag_to_pass(tmp_path):
    write(tmp_path, AFFECTNET_7, words={"surprise": "suprise", "anger": "anger (1)"})
    message = refusal(loaded, tmp_path)
    assert "say what each means with class_names (--class-names 'anger (1)=anger,suprise=surprise')" in message
    data = loaded(tmp_path, class_names=("anger (1)=anger", "suprise=surprise"))
    assert shown(data, "train") == {name: {name: 2} for name in AFFECTNET_7}


def test_digits_may_be_declared_one_by_one(tmp_path):
    write(tmp_path, AFFECTNET_7, words={name: str(code) for code, name in enumerate(reversed(AFFECTNET_7))})
    assert "label_order" in refusal(loaded, tmp_path)
    declared = tuple(f"{code}={name}" for code, name in enumerate(reversed(AFFECTNET_7)))
    assert shown(loaded(tmp_path, class_names=declared), "train") == {name: {name: 2} for name in AFFECTNET_7}


def records(path, *class_names):
    layout, match = detect(path, ReadOptions(class_names=class_names))
    return {one.name: one.label for one in layout.read(match.place, ReadOptions(class_names=class_names))}


def test_a_csv_and_yolo_take_declared_words(tmp_path):
    csv, yolo = tmp_path / "csv", tmp_path / "yolo"
    for number in range(2):
        put(csv / f"images/{number}.jpg", encoded(face("happy", number)))
        put(yolo / f"train/images/{number}.jpg", encoded(face("happy", number)))
        put(yolo / f"train/labels/{number}.txt", f"{number} 0.5 0.5 1 1\n".encode())
    put(csv / "labels.csv", b",pth,label,relFCs\n0,images/0.jpg,feliz,0.8\n1,images/1.jpg,happy,0.8\n")
    put(yolo / "data.yaml", b"names: ['feliz', 'happy']\nnc: 2\n")
    assert records(csv, "feliz=happy") == dict.fromkeys(("images/0.jpg", "images/1.jpg"), "happy")
    assert records(yolo, "feliz=happy") == dict.fromkeys(("train/images/0.jpg", "train/images/1.jpg"), "happy")


@pytest.mark.parametrize("named", [False, True], ids=["words", "numbers with names"])
def test_parquet_takes_declared_words(tmp_path, named):
    images = [{"bytes": encoded(face("happy", number)), "path": ""} for number in range(2)]
    names = ["feliz", "triste"]
    metadata = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
    table = pa.table({"image": images, "label": [0, 1] if named else names})
    if named:
        table = table.replace_schema_metadata({"huggingface": json.dumps(metadata)})
    pq.write_table(table, tmp_path / "train.parquet")
    found = records(tmp_path, "feliz=happy", "triste=sad")
    assert list(found.values()) == ["happy", "sad"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"class_names": ("suprise",)}, r"class_names has 'suprise': pass WORD=CLASS \(--class-names suprise=surprise"),
        ({"class_names": ("a=suprise",)}, "CLASS being neutral, .* did you mean 'surprise'"),
        ({"class_names": ("=sad",)}, "class_names has '=sad'"),
        ({"class_names": ("A=sad", "a=fear")}, "class_names says two things of 'a'"),
        ({"merge": ("contempt",)}, r"merge has 'contempt': pass OLD=NEW \(--merge contempt=disgust\)"),
        ({"merge": ("contemt=disgust",)}, "OLD being neutral, .*did you mean 'contempt'"),
        ({"merge": ("contempt=digust",)}, "digust is no expression and has no other part: .*did you mean 'disgust'"),
        ({"merge": ("sad=fear", "sad=anger")}, "merge has sad twice, as fear and as anger"),
        ({"merge": ("sad=fear", "fear=anger")}, "merge has sad=fear and fear=anger: say what sad counts as in the end"),
        ({"merge": tuple(f"{name}=face" for name in AFFECTNET_8)}, "that leaves two classes or more"),
        ({"classes": ("sad",)}, "names of two classes or more"),
        ({"classes": ("sad", "sad")}, "names of two classes or more"),
        ({"classes": ("sad", "fear,anger")}, "names of two classes or more"),
        ({"classes": ("sad", "fear"), "num_classes": 8}, "num_classes is 8: pass it, or classes"),
    ],
)
def test_what_says_nothing_or_two_things_is_refused(options, words):
    with pytest.raises(UserError, match=words):
        DataConfig(**options)


def test_accents_may_be_written_in_either_way(tmp_path):
    for form in ("NFC", "NFD"):
        root = tmp_path / form
        write(root, AFFECTNET_7, words={"disgust": unicodedata.normalize(form, "Dégoût")})
        other = unicodedata.normalize({"NFC": "NFD", "NFD": "NFC"}[form], "dégoût")
        data = loaded(root, class_names=(f"{other}=disgust",))
        assert shown(data, "train") == {name: {name: 2} for name in AFFECTNET_7}
