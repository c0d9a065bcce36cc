"""AffectNet's release of 2017: where its parts are found, and what each row becomes."""

import json
import math
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from formats import put
from formats.affectnet2017 import HEADER, LANDMARKS, line
from hypothesis import example, given
from hypothesis import strategies as st

from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.data.reading.record import KINDS
from jaxfer.emotions import AFFECTNET_8
from jaxfer.errors import UserError

ROW = line("7/a.jpg", 1)


def read(root, **options):
    layout, match = detect(root)
    assert layout.name == "AffectNet, 2017"
    return list(layout.read(match.place, ReadOptions(**options)))


def images(root, *names):
    """Create files that only have a name: the reader does not look into images."""
    for name in names:
        put(root / name, b"")


def dataset(root, *rows, header=HEADER, name="lists/training.csv", newline="\n"):
    """Write a list, with the image `7/a.jpg` that its first row names, so that the folder is recognised."""
    images(root, "images/7/a.jpg")
    put(root / name, newline.join([*([header] if header else []), *rows, ""]).encode(errors="surrogateescape"))
    return root


def reasons(records):
    return {record.name: record.left_out for record in records}


def refusal(root):
    with pytest.raises(UserError) as caught:
        read(root)
    return str(caught.value)


# Where the lists and the images are


@pytest.mark.parametrize(
    ("lists", "folder"),
    [
        ("Manually_Annotated_file_lists", "Manually_Annotated_Images"),
        ("Manually_Annotated_file_lists", "Manually_Annotated/Manually_Annotated_Images"),
        ("Manually_Annotated_file_lists", "Manually_Annotated_compressed"),
        ("Manually_Annotated_file_lists", "Manual_Annot"),
        (".", "Manually_Annotated/Manually_Annotated_Images"),
        ("labels/manual", "a/b/c"),
        (".", "."),
    ],
)
@pytest.mark.parametrize(("train", "val"), [("training.csv", "validation.csv"), ("Train.CSV", "val.csv")])
def test_lists_and_images_are_found_however_they_are_spelt_and_nested(tmp_path, lists, folder, train, val):
    root = tmp_path / "AffectNet"
    names = [f"{number}/{letter}.jpg" for number in (689, 1012, 33) for letter in "ab"]
    for name, split in ((train, names[:4]), (val, names[4:])):
        put(root / lists / name, "\n".join((HEADER, *(line(path, 3) for path in split))).encode())
        images(root / folder, *split)
    layout, match = detect(tmp_path)
    assert (layout.name, match.place) == ("AffectNet, 2017", root)
    for part in (Path(lists, train), Path(lists, val), Path(folder)):
        assert str(part) in match.evidence
    expected = [("val", Path(val).stem, names[4:]), ("train", Path(train).stem, names[:4])]
    assert [(r.split, r.split_name, r.name, r.image, r.left_out) for r in read(tmp_path)] == [
        (split, split_name, Path(folder, path).as_posix(), root / folder / path, "")
        for split, split_name, paths in expected
        for path in paths
    ]


def both_parts(root):
    for part, names in (("Manually", ("training", "validation")), ("Automatically", ("automatically_annotated",))):
        for name in names:
            path = f"7/{name}.jpg"
            images(root, f"{part}/{part}_Annotated_Images/{path}")
            put(root / f"{part}/{part}_annotated_file_list/{name}.csv", f"{HEADER}\n{line(path, 2)}\n".encode())


def test_the_automatic_part_is_left_aside_where_people_labelled_the_other(tmp_path):
    both_parts(tmp_path)
    _, match = detect(tmp_path)
    assert match.place == tmp_path
    aside = "Automatically/Automatically_annotated_file_list/automatically_annotated.csv"
    assert f"; {aside} is labelled by a program and is not read" in match.evidence
    assert [r.split for r in read(tmp_path)] == ["val", "train"]


def test_the_automatic_part_is_training_data_where_its_own_folder_is_passed(tmp_path):
    both_parts(tmp_path)
    (record,) = read(tmp_path / "Automatically")
    assert (record.split, record.split_name, record.label) == ("train", "automatically_annotated", "sad")
    assert len(read(tmp_path / "Manually")) == 2


def test_the_automatic_part_is_read_where_no_image_of_the_other_is_there_and_that_is_said(tmp_path):
    both_parts(tmp_path)
    for path in (tmp_path / "Manually/Manually_Annotated_Images/7").iterdir():
        path.unlink()
    _, match = detect(tmp_path)
    assert "training.csv names images that are not there and is not read" in match.evidence
    assert [r.split_name for r in read(tmp_path)] == ["automatically_annotated"]


def test_a_folder_of_images_that_both_parts_share_with_the_list_does_not_make_the_other_part_unlisted(tmp_path):
    for name, path in (("training.csv", "7/a.jpg"), ("automatic.csv", "7/b.jpg")):
        put(tmp_path / name, f"{HEADER}\n{line(path, 2)}\n".encode())
    images(tmp_path, "7/a.jpg", "Automatic/7/b.jpg")
    assert reasons(read(tmp_path)) == {"7/a.jpg": ""}


def test_a_copy_that_is_unpacked_in_part_is_found_and_the_rest_missing(tmp_path):
    dataset(tmp_path, *(line(f"{number}/x.jpg", 1) for number in range(20, 120)), ROW)
    dataset(tmp_path, line("3/x.jpg", 1), name="lists/validation.csv")
    records = read(tmp_path)
    assert [r.left_out for r in records] == ["row without a file"] * 101 + [""]
    assert records[0].split == "val"


def test_of_two_folders_the_one_with_more_of_the_images_is_taken(tmp_path):
    dataset(tmp_path, ROW, line("8/b.jpg", 1))
    images(tmp_path, "whole/7/a.jpg", "whole/8/b.jpg")
    other = {"images/7/a.jpg": "file without a row"}
    assert reasons(read(tmp_path)) == {"whole/7/a.jpg": "", "whole/8/b.jpg": "", **other}


def test_lists_without_any_image_and_other_csv_files_are_no_data(tmp_path):
    dataset(tmp_path, ROW, name="lists/training.csv")
    put(tmp_path / "images/other.csv", b"width,height\n224,224\n")
    with pytest.raises(UserError, match="subDirectory_filePath"):
        detect(tmp_path / "lists")
    with pytest.raises(UserError, match="no data that jaxfer reads"):
        detect(tmp_path / "images")
    with pytest.raises(UserError, match="no file that jaxfer reads"):
        detect(tmp_path / "lists/training.csv")


def test_two_lists_of_one_split_are_refused_with_both(tmp_path):
    dataset(tmp_path, ROW)
    dataset(tmp_path, ROW, name="lists/training_old.csv")
    message = refusal(tmp_path)
    assert str(tmp_path / "lists/training.csv") in message
    assert str(tmp_path / "lists/training_old.csv") in message


@pytest.mark.parametrize("name", ["mine.csv", "train_val.csv"])
def test_a_list_whose_name_does_not_say_its_split_is_left_out(tmp_path, name):
    assert [r.left_out for r in read(dataset(tmp_path, ROW, name=f"lists/{name}"))] == ["unknown split"]


def test_a_relative_root_is_found_too(tmp_path, monkeypatch):
    dataset(tmp_path, ROW)
    monkeypatch.chdir(tmp_path)
    assert detect(Path())[1].place == Path()
    assert reasons(read(Path())) == {"images/7/a.jpg": ""}


def test_a_list_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    dataset(tmp_path, ROW)
    os_open = os.open

    def guarded(path, *args, **kwargs):
        if str(path).endswith("training.csv"):
            raise PermissionError(13, "Permission denied", str(path))
        return os_open(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", guarded)
    assert f"{tmp_path / 'lists/training.csv'} cannot be read: you lack the permission" in refusal(tmp_path)


# Rows


@pytest.mark.parametrize("code", range(11))
def test_codes_are_affectnets(tmp_path, code):
    (record,) = read(dataset(tmp_path, line("7/a.jpg", code, valence=-2, arousal=-2)))
    assert record.label == (AFFECTNET_8[code] if code < 8 else "")
    assert record.left_out == ("" if code < 8 else "other class")
    assert bool(record.remarks) == (code < 8), "invalid values are normal where there is no expression"


@pytest.mark.parametrize("code", ["11", "-1", "2.5", "happy", "", "nan", "inf", "1_0", "9" * 5000])
def test_codes_that_mean_nothing_are_unlabelled_with_the_code(tmp_path, code):
    _, record = read(dataset(tmp_path, ROW, line("7/a.jpg", code)))
    assert (record.label, record.left_out) == ("", "unlabelled")
    assert repr(code[:40])[:-1] in record.detail
    assert len(record.detail) < 200


@pytest.mark.parametrize("code", ["3", "3.0", " 3 ", '"3"', "03"])
def test_codes_may_be_written_in_several_ways(tmp_path, code):
    (record,) = read(dataset(tmp_path, line("7/a.jpg", code)))
    assert record.label == "surprise"


def test_boxes_may_be_floats_and_reach_out_of_the_photograph(tmp_path):
    (record,) = read(dataset(tmp_path, line("7/a.jpg", 1, box=("134.0", " -3", "89.5", "1e2"))))
    assert (record.box, record.remarks) == ((134, -3, 89.5, 100), ())


@pytest.mark.parametrize(
    "box",
    [
        (-1, -1, -1, -1),
        (0, 0, 0, 10),
        (0, 0, 10, 0),
        ("", "", "", ""),
        (1, "x", 2, 3),
        ("nan", 0, 9, 9),
        (0, 0, "inf", 9),
    ],
)
def test_rows_with_a_class_but_no_usable_box_are_used_whole_and_remarked(tmp_path, box):
    (record,) = read(dataset(tmp_path, line("7/a.jpg", 1, box=box)))
    assert (record.left_out, record.box) == ("", None)
    ((kind, reason),) = record.remarks
    assert kind == "box"
    assert " ".join(map(str, box)) in reason


@pytest.mark.parametrize("invalid", ["-2", "-2.0", "1.5", "nan", "", "much", "inf"])
def test_invalid_valence_and_arousal_are_nan_and_remarked_by_value(tmp_path, invalid):
    (record,) = read(dataset(tmp_path, line("7/a.jpg", 1, valence=invalid, arousal=0.5)))
    assert math.isnan(record.valence)
    assert record.arousal == 0.5
    ((kind, reason),) = record.remarks
    assert kind == "affect"
    assert reason == f"valence is {invalid!r}, not a number from -1 to 1"


def test_landmarks_are_read_where_they_are_asked_for(tmp_path):
    dataset(tmp_path, ROW)
    assert read(tmp_path)[0].landmarks is None
    points = read(tmp_path, landmarks=True)[0].landmarks
    assert (points.dtype, points.shape) == (np.float32, (68, 2))
    np.testing.assert_array_equal(points.ravel(), np.array(LANDMARKS.split(";"), np.float32))


@pytest.mark.parametrize(
    "damaged", ["", "1;2", LANDMARKS + ";1", LANDMARKS[:-4] + "x", LANDMARKS[:-4] + "nan", "9e99;" * 135 + "1"]
)
def test_damaged_landmarks_are_none_and_the_face_is_kept(tmp_path, damaged):
    dataset(tmp_path, ROW.replace(LANDMARKS, damaged))
    (record,) = read(tmp_path, landmarks=True)
    assert (record.landmarks, record.left_out, record.remarks) == (None, "", ())


def test_malformed_rows_are_left_out_by_line_and_reason_and_the_others_read(tmp_path):
    dataset(tmp_path, ROW, "8/b.jpg,1,2", "", '"9/c.jpg,1,2,3', f"{ROW},9", line("7/a.jpg", 2))
    records = read(tmp_path)
    assert [(r.name, r.left_out, r.detail) for r in records] == [
        ("images/7/a.jpg", "", ""),
        ("lists/training.csv line 3", "unreadable", "line 3 has 3 values rather than 9"),
        ("lists/training.csv line 5", "unreadable", "line 5 has 1 values rather than 9"),
        ("lists/training.csv line 6", "unreadable", "line 6 has 10 values rather than 9"),
        ("images/7/a.jpg line 7 of training.csv", "", ""),
    ]
    assert {(r.split, r.split_name) for r in records} == {("train", "training")}


def test_several_faces_in_a_photograph_are_records_with_names_of_their_own(tmp_path):
    dataset(tmp_path, ROW, line("7/a.jpg", 2, box=(0, 0, 9, 9)), line("./7//a.jpg", 3))
    dataset(tmp_path, line("7/a.jpg", 4), ROW, name="lists/validation.csv")
    assert [(r.name, r.label) for r in read(tmp_path)] == [
        ("images/7/a.jpg", "fear"),
        ("images/7/a.jpg line 3 of validation.csv", "happy"),
        ("images/7/a.jpg line 2 of training.csv", "happy"),
        ("images/7/a.jpg line 3 of training.csv", "sad"),
        ("images/7/a.jpg line 4 of training.csv", "surprise"),
    ]


def test_names_are_unique_even_where_a_file_is_called_like_a_line(tmp_path):
    odd = "7/a.jpg line 3 of training.csv"
    images(tmp_path, f"images/{odd}")
    records = read(dataset(tmp_path, ROW, ROW, line(odd, 1)))
    assert len({r.name for r in records}) == 3


# How csv files are written


@pytest.mark.parametrize(
    ("header", "row", "newline"),
    [
        (HEADER, ROW, "\n"),
        ("", ROW, "\n"),
        ("\ufeff" + HEADER, ROW, "\r\n"),
        ("", "\ufeff" + ROW, "\r\n"),
        (HEADER.upper().replace(",", " , "), ROW.replace(",", " , "), "\n"),
        (",".join(f'"{name}"' for name in HEADER.split(",")), ",".join(f'"{value}"' for value in ROW.split(",")), "\n"),
        (f"\n{HEADER}", ROW, "\n"),
        (HEADER, ROW, "\r"),
    ],
    ids=["plain", "no header", "BOM, CRLF", "BOM without header", "case and spaces", "quotes", "blank line", "CR"],
)
def test_lists_are_read_in_all_their_forms(tmp_path, header, row, newline):
    (record,) = read(dataset(tmp_path, row, header=header, newline=newline), landmarks=True)
    assert (record.name, record.label, record.left_out) == ("images/7/a.jpg", "happy", "")
    assert (record.box, record.valence, record.arousal) == ((70, 20, 48, 48), 0.25, -0.5)
    assert record.landmarks is not None


def test_quoted_commas_and_backslashes_are_part_of_a_path(tmp_path):
    images(tmp_path, "images/7/b, c.jpg", "images/9/größe 표정.jpg")
    rows = [ROW, line('"7/b, c.jpg"', 1), line("9\\größe 표정.jpg", 1)]
    assert reasons(read(dataset(tmp_path, *rows))) == {
        "images/7/a.jpg": "",
        "images/7/b, c.jpg": "",
        "images/9/größe 표정.jpg": "",
    }


def test_columns_are_known_by_their_names_and_only_path_and_expression_are_needed(tmp_path):
    (record,) = read(dataset(tmp_path, "0,4,7/a.jpg", header=",expression,subDirectory_filePath"), landmarks=True)
    assert (record.label, record.box, record.landmarks, record.remarks) == ("fear", None, None, ())
    assert math.isnan(record.valence)


def test_a_list_without_header_may_start_with_a_damaged_row(tmp_path):
    records = read(dataset(tmp_path, "7/a.jpg,1", ROW, header=""))
    assert [r.left_out for r in records] == ["unreadable", ""]


def test_bytes_that_are_no_text_name_the_file_that_has_them(tmp_path):
    name = b"7/\xff\xe9.jpg"
    dataset(tmp_path, ROW, line(os.fsdecode(name), 1), line(f"7/a{chr(0)}.jpg", 1), line("7/" + "x" * 300, 1))
    try:
        Path(tmp_path / os.fsdecode(b"images/" + name)).touch()
    except OSError:
        pytest.skip("this file system has Unicode names only")
    assert [r.left_out for r in read(tmp_path)] == ["", "", "row without a file", "row without a file"]


def test_a_line_without_end_is_one_malformed_row(tmp_path):
    dataset(tmp_path, ROW, "9," * 500_000, ROW)
    records = read(tmp_path)
    assert [r.left_out for r in records] == ["", "unreadable", ""]
    assert records[2].name == "images/7/a.jpg line 4 of training.csv"


# Rows and files


def test_rows_without_files_and_files_without_rows_are_told_apart(tmp_path):
    images(tmp_path, "images/7/new.png", "images/8/x.JPG", "images/.git/y.jpg", "images/7/._a.jpg", "images/readme.txt")
    (tmp_path / "images/7/folder.jpg").mkdir()
    dataset(tmp_path, ROW, line("7/gone.jpg", 1), line("7/folder.jpg", 1), line("", 1))
    records = read(tmp_path)
    assert [(r.name, r.left_out, r.split) for r in records] == [
        ("images/7/a.jpg", "", "train"),
        ("images/7/gone.jpg", "row without a file", "train"),
        ("images/7/folder.jpg", "unreadable", "train"),
        ("lists/training.csv line 5", "unreadable", "train"),
        ("images/7/new.png", "file without a row", None),
        ("images/8/x.JPG", "file without a row", None),
    ]
    assert [r.detail for r in records[2:4]] == ["not a file", "line 5 names no file"]


def test_paths_and_links_that_leave_the_folder_are_left_out_and_others_followed(tmp_path):
    root = tmp_path / "data"
    images(tmp_path, "secret.jpg", "away/b.jpg")
    images(root, "beside.jpg")
    rows = [ROW, line("../../secret.jpg", 1), line(str(tmp_path / "secret.jpg"), 1), line("../beside.jpg", 1)]
    dataset(root, *rows, *(line(path, 1) for path in ("7/out.jpg", "7/in.jpg", "8/b.jpg", "9/a.jpg", "7/../7/a.jpg")))
    (root / "images/7/out.jpg").symlink_to(tmp_path / "secret.jpg")
    (root / "images/7/in.jpg").symlink_to("a.jpg")
    (root / "images/7/circle.jpg").symlink_to("circle.jpg")
    (root / "images/8").symlink_to(tmp_path / "away")
    (root / "images/9").symlink_to("7")
    link = "link out of the folder"
    assert reasons(read(root)) == {
        "images/7/a.jpg": "",
        "lists/training.csv line 3": link,
        "lists/training.csv line 4": link,
        "lists/training.csv line 5": link,
        "images/7/out.jpg": link,
        "images/7/in.jpg": "",
        "images/8/b.jpg": link,
        "images/9/a.jpg": "",
        "images/7/a.jpg line 10 of training.csv": "",
        "images/7/circle.jpg": link,
        "images/8": link,
        "beside.jpg": "file without a row",
    }
    assert all(r.image.is_relative_to(root) for r in read(root))


def test_a_folder_of_images_that_is_a_link_out_of_the_data_leaves_out_its_rows(tmp_path):
    dataset(tmp_path / "data", ROW)
    (tmp_path / "data/images").rename(tmp_path / "elsewhere")
    (tmp_path / "data/images").symlink_to(tmp_path / "elsewhere")
    assert reasons(read(tmp_path / "data")) == {"images/7/a.jpg": "link out of the folder"}


def test_links_in_a_circle_make_no_second_copy(tmp_path):
    dataset(tmp_path, ROW)
    (tmp_path / "images/top").symlink_to(tmp_path)
    (tmp_path / "lists/self").symlink_to("self")
    assert reasons(read(tmp_path)) == {"images/7/a.jpg": ""}


def test_a_list_that_is_a_link_out_of_the_data_is_not_read(tmp_path):
    root = dataset(tmp_path / "data", ROW, name="lists/validation.csv")
    put(tmp_path / "secret.csv", f"{HEADER}\n{ROW}\n".encode())
    (root / "lists/training.csv").symlink_to(tmp_path / "secret.csv")
    assert [r.split_name for r in read(root)] == ["validation"]


# Whatever is in the list


cell = st.one_of(
    st.sampled_from(["7/a.jpg", "8/b.jpg", "../x.jpg", "/", "", "-2", "0.5", "3", "8", "nan", "1e999", '"', LANDMARKS]),
    st.text(max_size=12),
)
row = st.one_of(
    st.lists(cell, min_size=9, max_size=9).map(",".join),
    st.lists(cell, max_size=11).map(",".join),
    st.just(ROW),
)
content = st.one_of(
    st.binary(max_size=300),
    st.lists(row, max_size=6).map(lambda rows: "\n".join([HEADER, ROW, *rows]).encode(errors="surrogatepass")),
    st.tuples(st.binary(max_size=40), st.integers(0, len(HEADER) + len(ROW))).map(
        lambda cut: f"{HEADER}\n{ROW}\n".encode()[: cut[1]] + cut[0] + f"{HEADER}\n{ROW}\n".encode()[cut[1] :]
    ),
)


@pytest.mark.long
@given(content=content, landmarks=st.booleans())
@example(content=f"{HEADER}\n{ROW}\n{ROW}".encode().replace(b"7/a", b"7/a\0", 1), landmarks=True)
def test_no_list_crashes_the_reader_or_makes_up_a_label(content, landmarks):
    with tempfile.TemporaryDirectory() as folder:
        images(Path(folder), "images/7/a.jpg")
        put(Path(folder, "lists/training.csv"), content)
        try:
            records = read(Path(folder), landmarks=landmarks)
        except UserError:
            return
        assert len({r.name for r in records}) == len(records)
        for record in records:
            assert record.left_out in KINDS or record.label in AFFECTNET_8
            assert record.image.is_relative_to(folder)
            json.dumps([record.name, record.detail, record.remarks])
            if not record.left_out:
                assert record.image.is_file()
                assert record.box is None or (record.box[2] > 0 and np.isfinite(record.box).all())
                assert math.isnan(record.valence) or -1 <= record.valence <= 1
