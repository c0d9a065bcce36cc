"""What people hold and how they hold it: the same labels and counts, or the same sentence, from whatever looks at it.

Each case is a folder as public reports describe it, in its true format and tiny. Others stand in the tests of layouts.
"""

from collections import Counter

import numpy as np
import pytest
from formats import encoded, face, put

from jaxfer.config import DataConfig, PrepareConfig
from jaxfer.data import check, load, prepare
from jaxfer.emotions import AFFECTNET_7, FER2013
from jaxfer.errors import UserError

RAF = ("surprise", "fear", "disgust", "happy", "sad", "anger", "neutral")
SPLITS = (("train", 3), ("val", 2))


def faces(splits=SPLITS):
    """Yield split, class and a running number of each face."""
    for split, count in splits:
        for label in AFFECTNET_7:
            for number in range(count):
                yield split, label, 100 * len(split) + number


def folders(root, names=None, splits=("train", "val"), suffix="jpg", subject=False):
    """Write class folders, named as `names` say."""
    for split, label, number in faces():
        folder = root / (splits[0] if split == "train" else splits[1]) / (names or {}).get(label, label)
        inner = folder / f"S{number % 3:03}" if subject else folder
        put(inner / f"{number}.{suffix}", encoded(face(label, number)))


def pixels(label, number):
    return " ".join(map(str, np.asarray(face(label, number).convert("L")).ravel()))


def numbered(root):
    folders(root, {label: f"{number}_{label}" for number, label in enumerate(AFFECTNET_7)})


def affixed(root):
    folders(root, {label: f"{label}_images" for label in AFFECTNET_7})


def indexed_by_a_nas(root):
    folders(root, splits=("train", "val_afew"))
    for label in AFFECTNET_7:
        put(root / "train" / label / "@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg", encoded(face("contempt", 1)))
        put(root / "train" / label / ".picasa.ini", b"[Picasa]")
    put(root / "train/@eaDir/anger/x.jpg", encoded(face("sad", 1)))
    (root / "lost+found").mkdir()


def saved_from_a_browser(root):
    folders(root, suffix="jfif")


def with_persons(root):
    folders(root, subject=True)


def annotated_by_csv(root):
    """AffectNet of 2021 with its annotations gathered in a csv for each split."""
    for split in ("train", "val"):
        lines = [",number,exp,val,aro"]
        for index, (_, label, number) in enumerate(one for one in faces() if one[0] == split):
            put(root / f"{split}_set/images/{3 * index + 1}.jpg", encoded(face(label, number)))
            lines.append(f"{index},{3 * index + 1},{AFFECTNET_7.index(label)},0.25,0.1")
        put(root / f"{split}_set_annotation_without_lnd.csv", "\n".join([*lines, ""]).encode())


def with_a_column_of_splits(root):
    lines = ["image,emotion,subset"]
    for split, label, number in faces():
        put(root / f"all/{split}{label}{number}.jpg", encoded(face(label, number)))
        lines.append(f"{split}{label}{number}.jpg,{label.upper()},{split}")
    put(root / "legend.csv", "\n".join([*lines, ""]).encode())


@pytest.mark.parametrize(
    "write",
    [
        numbered,
        affixed,
        indexed_by_a_nas,
        saved_from_a_browser,
        with_persons,
        annotated_by_csv,
        with_a_column_of_splits,
    ],
)
def test_every_face_has_its_label_wherever_it_is_looked_at(tmp_path, write):
    (tmp_path / "data").mkdir()
    write(tmp_path / "data")
    expected = {split: dict.fromkeys(AFFECTNET_7, count) for split, count in SPLITS}
    found = check(tmp_path / "data")
    assert {split.use: dict(split.classes) for split in found.splits.values()} == expected
    assert not found.problems["excluded"]
    data = load(DataConfig(data_dir=tmp_path / "data", image_size=32))
    counts = {key: Counter(AFFECTNET_7[label] for label in data.splits[key].labels) for key in ("train", "val")}
    assert counts == expected
    made = prepare(tmp_path / "data", tmp_path / "out", PrepareConfig(image_size=32))
    names = {"train": "train", "val": "validation"}
    assert {key: made.metadata["splits"][name]["classes"] for key, name in names.items()} == expected


def three_columns(root):
    lines = []
    for index, (split, label, number) in enumerate(faces()):
        name = f"{'test' if split == 'val' else split}_{index:05}"
        put(root / f"basic/Image/aligned/{name}_aligned.jpg", encoded(face(label, number)))
        lines.append(f"{name}.jpg {1 + RAF.index(label)} {1 + index % 7}")
    put(root / "basic/EmoLabel/list_patition_label.txt", "\n".join(lines).encode())


def counted_from_one(root):
    lines = ["emotion,pixels,Usage"]
    lines += [f"{1 + FER2013.index(label)},{pixels(label, number)},Training" for _, label, number in faces()]
    put(root / "fer2013.csv", "\n".join([*lines, ""]).encode())


def a_value_too_many(root):
    lines = [",pth,label,relFCs"]
    for index, (_, label, number) in enumerate(faces()):
        folder = AFFECTNET_7[(AFFECTNET_7.index(label) + 1) % 7]
        put(root / f"{folder}/{label}{number}.jpg", encoded(face(label, number)))
        lines.append(f"{index},{folder}/{label}{number}.jpg,{label},0.8,1")
    put(root / "labels.csv", "\n".join([*lines, ""]).encode())


def misspelt(root):
    folders(root, splits=("train", "vaild"))


def in_spanish(root):
    words = ("neutro", "feliz", "triste", "sorpresa", "miedo", "asco", "enojo")
    folders(root, dict(zip(AFFECTNET_7, words, strict=True)))


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (three_columns, r"no line of .*list_patition_label.txt is a name and one label.*--table"),
        (counted_from_one, r"line 2 has the code 7, .* counted from 1: .*take 1 from each"),
        (a_value_too_many, r"no line of .*labels.csv .*line 2: 5 values rather than 4"),
        (misspelt, r"vaild is of no split .*did you mean 'valid'\?.*--val-dir"),
        (in_spanish, r"enojo=CLASS|--class-names"),
    ],
)
def test_what_nobody_can_tell_is_one_sentence_wherever_it_is_looked_at(tmp_path, write, sentence):
    (tmp_path / "data").mkdir()
    write(tmp_path / "data")
    for look in (
        lambda: check(tmp_path / "data"),
        lambda: load(DataConfig(data_dir=tmp_path / "data", image_size=32)),
        lambda: prepare(tmp_path / "data", tmp_path / "out", PrepareConfig(image_size=32)),
    ):
        with pytest.raises(UserError, match=sentence):
            look()
