"""AffectNet's release of March 2021: one image, four small npy files."""

import io
import json
import math
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from formats import put
from formats.affectnet2021 import annotate
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.data.reading.record import KINDS
from jaxfer.emotions import AFFECTNET_8
from jaxfer.errors import UserError

POINTS = np.linspace(0, 223, 136)


class Trap:
    """Creates a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def face(root, number=0, split="train_set", **annotations):
    """Write an image that only has a name, as the reader does not look into it, and its annotations."""
    put(root / split / "images" / f"{number}.jpg", b"")
    annotate(root / split, number, **annotations)
    return root


def read(root, **options):
    layout, match = detect(root)
    assert layout.name == "AffectNet, March 2021"
    return list(layout.read(match.place, ReadOptions(**options)))


def only_record(root, **options):
    (record,) = read(root, **options)
    return record


def npy(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


each_wrap = pytest.mark.parametrize(
    "wrap",
    [
        lambda value: np.array([str(value)]),
        lambda value: np.array(str(value)),
        lambda value: np.array([str(value).encode()]),
        lambda value: np.array([float(value)]),
        lambda value: np.array([value], ">f4"),
        lambda value: np.array(value),
        lambda value: np.array([[value]]),
    ],
    ids=["string", "0-d string", "bytes", "float", "big-endian", "0-d number", "2-d"],
)


@each_wrap
def test_annotations_are_read_as_text_and_as_numbers(tmp_path, wrap):
    face(tmp_path, 12, "val_set", exp=wrap(3), val=wrap(-0.25), aro=wrap(0.5))
    record = only_record(tmp_path)
    assert (record.name, record.label, record.left_out) == ("val_set/images/12.jpg", "surprise", "")
    assert (record.split, record.split_name) == ("val", "val_set")
    assert (record.valence, record.arousal, record.remarks) == (-0.25, 0.5, ())
    assert record.image == tmp_path / "val_set/images/12.jpg"


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_all_versions_of_the_format_are_read(tmp_path, version):
    face(tmp_path, exp=0)
    with (tmp_path / "train_set/annotations/0_exp.npy").open("wb") as file:
        np.lib.format.write_array(file, np.array(["6"]), version=version)
    assert only_record(tmp_path).label == "anger"


@pytest.mark.parametrize("code", range(11))
def test_codes_are_affectnets(tmp_path, code):
    record = only_record(face(tmp_path, exp=[str(code)], val=["-2"]))
    assert record.label == (AFFECTNET_8[code] if code < 8 else "")
    assert record.left_out == ("" if code < 8 else "other class")
    assert bool(record.remarks) == (code < 8), "invalid values are normal where there is no expression"


@pytest.mark.parametrize("invalid", ["-2", "-2.0", "nan", "1.5", "much", ""])
def test_invalid_valence_is_nan_and_remarked_and_the_face_is_kept(tmp_path, invalid):
    record = only_record(face(tmp_path, exp=["1"], val=[invalid], aro=["0.1"]))
    assert record.label == "happy"
    assert math.isnan(record.valence)
    assert record.arousal == 0.1
    assert record.remarks == (("affect", f"valence is {invalid!r}, not a number from -1 to 1"),)


def test_valence_and_arousal_that_are_damaged_are_remarked_by_file(tmp_path):
    face(tmp_path, 4, exp=["1"], val=["0.1", "0.2"])
    put(tmp_path / "train_set/annotations/4_aro.npy", b"\x93NUMPY")
    record = only_record(tmp_path)
    assert record.left_out == ""
    assert record.remarks == (
        ("affect", "valence: 4_val.npy holds 2 values, not 1"),
        ("affect", "arousal: 4_aro.npy is no npy file, or a damaged one"),
    )


def test_without_valence_and_arousal_files_both_are_nan_and_that_is_no_remark(tmp_path):
    record = only_record(face(tmp_path, exp=["1"]))
    assert math.isnan(record.valence)
    assert math.isnan(record.arousal)
    assert record.remarks == ()


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        (["11"], "'11'"),
        (["2.5"], "'2.5'"),
        (["happy"], "'happy'"),
        ([np.inf], "'inf'"),
        (["1_0"], "'1_0'"),
        (["1", "2"], "2 values"),
        (np.array([], int), "0 values"),
        ([True], "rather than numbers or text"),
        (np.array(["2020-01-01"], "M8[D]"), "rather than numbers or text"),
        ([1j], "rather than numbers or text"),
        (np.zeros(1, [("a", int)]), "damaged"),
    ],
)
def test_labels_that_say_nothing_are_unlabelled_with_the_reason(tmp_path, expression, why):
    record = only_record(face(tmp_path, exp=expression))
    assert (record.label, record.left_out) == ("", "unlabelled")
    assert why in record.detail


def test_pickled_labels_are_never_loaded(tmp_path):
    record = only_record(face(tmp_path, 3, exp=[Trap(tmp_path / "sprung")]))
    assert record.left_out == "unlabelled"
    assert "3_exp.npy holds Python objects" in record.detail
    assert not (tmp_path / "sprung").exists()


def test_labels_that_are_missing_or_damaged_are_told_apart(tmp_path):
    whole = npy(np.array(["0"]))
    for number, content in enumerate([whole, b"", whole[:-1], whole[:20], whole[:-1] + b"\xff", whole + b"more"]):
        face(tmp_path, number)
        put(tmp_path / f"train_set/annotations/{number}_exp.npy", content)
    face(tmp_path, 6)
    face(tmp_path, 7)
    (tmp_path / "train_set/annotations/7_exp.npy").mkdir()
    records = read(tmp_path)
    assert [r.left_out for r in records] == ["", *["unlabelled"] * 4, "", "unlabelled", "unlabelled"]
    details = [r.detail for r in records if r.left_out]
    assert details[0] == "1_exp.npy is empty"
    assert details[1].startswith("2_exp.npy is damaged")
    assert details[2] == "3_exp.npy is no npy file, or a damaged one"
    assert details[3] == "4_exp.npy is damaged (what should be text is none)"
    assert details[4:] == ["no annotation file", "7_exp.npy is no file"]


def test_a_label_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    face(tmp_path, 3, exp=["0"])

    def refuse(path, most):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("jaxfer.data.layouts.affectnet2021.read_npy", refuse)
    assert only_record(tmp_path).detail == "3_exp.npy cannot be read (Permission denied)"


@pytest.mark.parametrize(
    "stored",
    [
        POINTS,
        POINTS.astype(np.float32),
        POINTS.reshape(68, 2),
        np.asfortranarray(POINTS.reshape(68, 2)),
        POINTS.astype(str),
        POINTS.astype(str).astype(bytes),
        [";".join(map(str, POINTS))],
    ],
    ids=["136", "float32", "68x2", "fortran order", "136 texts", "136 bytes", "one text"],
)
def test_landmarks_are_read_where_they_are_asked_for(tmp_path, stored):
    face(tmp_path, exp=["0"], lnd=stored)
    assert only_record(tmp_path).landmarks is None
    points = only_record(tmp_path, landmarks=True).landmarks
    assert (points.dtype, points.shape) == (np.float32, (68, 2))
    np.testing.assert_array_equal(points, POINTS.reshape(68, 2).astype(np.float32))


@pytest.mark.parametrize("stored", [POINTS[1:], np.zeros(138), ["1;2"], [1.0], POINTS * np.nan, POINTS * 1e300, None])
def test_landmarks_that_are_damaged_or_missing_are_none_and_the_face_is_kept(tmp_path, stored):
    face(tmp_path, exp=["0"], **({} if stored is None else {"lnd": stored}))
    record = only_record(tmp_path, landmarks=True)
    assert (record.landmarks, record.left_out, record.remarks) == (None, "", ())


def test_annotations_without_an_image_are_rows_without_a_file_in_their_split(tmp_path):
    for number in (10, 9):
        annotate(tmp_path / "val_set", number, exp=["0"], val=["0"])
    face(tmp_path, 1, "val_set", exp=["0"])
    put(tmp_path / "val_set/annotations/._1_exp.npy", b"what macOS leaves behind")
    face(tmp_path, 2, exp=["0"])
    assert [(r.name, r.left_out, r.split) for r in read(tmp_path)] == [
        ("val_set/images/1.jpg", "", "val"),
        ("val_set/images/9.jpg", "row without a file", "val"),
        ("val_set/images/10.jpg", "row without a file", "val"),
        ("train_set/images/2.jpg", "", "train"),
    ]


@pytest.mark.parametrize("folders", [("train", "val"), ("Training", "valid"), ("val_set", "train_set")])
def test_the_folders_of_the_splits_may_be_called_otherwise(tmp_path, folders):
    for folder in folders:
        face(tmp_path, split=folder, exp=["1"])
    assert {r.split_name: r.split for r in read(tmp_path)} == {
        folder: "val" if folder.startswith("v") else "train" for folder in folders
    }


def gathered(root, *lines, header=",number,exp,val,aro", name="train_set_annotation_without_lnd.csv"):
    """Write annotations in a csv, and images 1, 4 and 7."""
    for number in (1, 4, 7):
        put(root / "train_set" / "images" / f"{number}.jpg", b"")
    put(root / name, "\n".join([header, *lines, ""]).encode())
    return root


@pytest.mark.parametrize("name", ["train_set_annotation_without_lnd.csv", "Train.csv", "train_set/annotations.csv"])
def test_annotations_may_be_gathered_in_a_csv(tmp_path, name):
    rows = ["0,1,6,-0.5,0.25", "1,4,1.0,-2,0.5", "2,9,2,0,0", "3,4"]
    first, second, third, missing, damaged = read(gathered(tmp_path, *rows, name=name))
    assert (first.name, first.label, first.valence, first.arousal) == ("train_set/images/1.jpg", "anger", -0.5, 0.25)
    assert (second.label, second.arousal, second.remarks[0][0]) == ("happy", 0.5, "affect")
    assert math.isnan(second.valence)
    assert (third.left_out, third.detail) == ("unlabelled", "no row")
    assert (missing.name, missing.left_out) == ("train_set/images/9.jpg", "row without a file")
    assert (damaged.name, damaged.detail) == (f"{name} line 5", "2 values rather than 5")
    assert (damaged.split, damaged.split_name) == ("train", "train_set")


@pytest.mark.parametrize(
    ("header", "row"),
    [("number;expression", "images\\{}.jpg;6"), ("number,exp", "{}.0,6"), ("number\texp\tlnd", "{}.jpg\t6\t1;2")],
)
def test_a_csv_of_annotations_is_read_however_it_was_saved(tmp_path, header, row):
    records = read(gathered(tmp_path, *map(row.format, (1, 4, 7)), header=header))
    assert [(r.label, r.left_out) for r in records] == [("anger", "")] * 3


def test_an_image_with_two_rows_that_differ_is_unlabelled(tmp_path):
    records = read(gathered(tmp_path, "0,1,6,0,0", "1,1,2,0,0", "2,4,3,0,0", "3,4,3,0,0"))
    assert records[0].detail == "lines 2 and 3 of train_set_annotation_without_lnd.csv differ"
    assert [r.left_out or r.label for r in records] == ["unlabelled", "surprise", "unlabelled"]


def test_images_without_annotations_are_told_what_is_missing(tmp_path):
    root = gathered(tmp_path, "1,6", header="a,b")
    with pytest.raises(
        UserError, match="but neither annotations in train_set/annotations nor a csv of the columns num"
    ):
        detect(root)


@pytest.mark.parametrize("nesting", ["", "data/AffectNet", "archive (3)"])
def test_it_is_found_below_and_read_in_the_order_of_its_numbers(tmp_path, nesting):
    for number in (10, 9, 100):
        face(tmp_path / nesting, number, exp=["0"])
    assert detect(tmp_path)[1].place == tmp_path / nesting
    assert [Path(r.name).stem for r in read(tmp_path)] == ["9", "10", "100"]


def test_many_images_in_one_folder_are_each_a_record(tmp_path):
    images = tmp_path / "train_set/images"
    images.mkdir(parents=True)
    (tmp_path / "train_set/annotations").mkdir()
    for number in range(5000):  # more than the entries that telling the layout looks at
        (images / f"{number}.jpg").touch()
    records = read(tmp_path)
    assert [r.name for r in records] == [f"train_set/images/{number}.jpg" for number in range(5000)]
    assert {r.left_out for r in records} == {"unlabelled"}


def test_links_that_leave_the_data_are_left_out_and_others_followed(tmp_path):
    root = tmp_path / "data"
    outside = put(tmp_path / "secret_exp.npy", npy(np.array(["3"])))
    face(root, 0, exp=["1"])
    face(root, 1)
    face(root, 2)
    annotations = root / "train_set/annotations"
    (annotations / "1_exp.npy").symlink_to("0_exp.npy")
    (annotations / "2_exp.npy").symlink_to(outside)
    (root / "train_set/images/3.jpg").symlink_to(put(tmp_path / "secret.jpg", b""))
    records = read(root)
    assert [(r.label, r.left_out) for r in records] == [
        ("happy", ""),
        ("happy", ""),
        ("", "unlabelled"),
        ("", "link out of the folder"),
    ]
    assert records[2].detail == "2_exp.npy is a link out of the folder"


@pytest.mark.parametrize("part", ["images", "annotations"])
def test_a_folder_that_is_a_link_out_of_the_data_is_not_read(tmp_path, part):
    root = face(tmp_path / "data", 0, exp=["1"])
    (root / "train_set" / part).rename(tmp_path / "elsewhere")
    (root / "train_set" / part).symlink_to(tmp_path / "elsewhere")
    record = only_record(root)
    assert record.left_out == ("link out of the folder" if part == "images" else "unlabelled")


arrays = hnp.arrays(
    st.one_of(hnp.scalar_dtypes(), hnp.unicode_string_dtypes(max_len=4), hnp.byte_string_dtypes(max_len=4)),
    hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3),
)


@st.composite
def npy_files(draw):
    """Bytes that may be an npy file: whole, damaged in one place, or anything."""
    content = npy(draw(st.one_of(arrays, st.sampled_from([np.array(["3"]), POINTS, POINTS.reshape(68, 2)]))))
    position = draw(st.integers(0, len(content)))
    damage = draw(st.binary(max_size=6))
    return draw(st.sampled_from([content, content[:position] + damage + content[position + len(damage) :], damage]))


@pytest.mark.long
@given(contents=st.lists(npy_files(), min_size=4, max_size=4))
def test_no_npy_file_crashes_the_reader_or_makes_up_a_label(contents):
    with tempfile.TemporaryDirectory() as folder:
        put(Path(folder, "val_set/images/5.jpg"), b"")
        for name, content in zip(("exp", "val", "aro", "lnd"), contents, strict=True):
            put(Path(folder, f"val_set/annotations/5_{name}.npy"), content)
        try:
            record = only_record(Path(folder), landmarks=True)
        except UserError:
            return
        assert record.left_out in KINDS or record.label in AFFECTNET_8
        json.dumps([record.name, record.detail, record.remarks])
        assert math.isnan(record.valence) or -1 <= record.valence <= 1
        assert record.landmarks is None or np.isfinite(record.landmarks).all()
