"""Posed sets whose labels are in the names of the files, and folders that only look like them."""

import pytest
from formats import encoded, face, put

from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.errors import UserError


def write(root, *names):
    for number, name in enumerate(names):
        put(root / name, encoded(face("anger", number)))
    return root


def read(root):
    layout, match = detect(root)
    return layout.name, {one.name: one.label or one.detail for one in layout.read(match.place, ReadOptions())}


def test_files_of_all_persons_may_lie_in_one_folder_in_any_case(tmp_path):
    assert read(write(tmp_path, "AF01ANS.JPG", "bm35afhl.jpg", "notes.jpg")) == (
        "KDEF",
        {"AF01ANS.JPG": "anger", "bm35afhl.jpg": "fear", "notes.jpg": "its name says no expression"},
    )


def test_each_person_may_have_a_folder(tmp_path):
    name, found = read(write(tmp_path, "KA/KA.SU2.37.tiff", "YM/YM.FE1.67.tiff", "YM/more/YM.NE1.49.tiff"))
    assert name == "JAFFE"
    assert found == {"KA/KA.SU2.37.tiff": "surprise", "YM/YM.FE1.67.tiff": "fear", "YM/more/YM.NE1.49.tiff": "neutral"}


def test_folders_of_classes_count_and_not_the_names_of_files_in_them(tmp_path):
    assert read(write(tmp_path, "angry/AF01ANS.JPG", "afraid/AF01AFS.JPG")) == (
        "class folders",
        {"angry/AF01ANS.JPG": "anger", "afraid/AF01AFS.JPG": "fear"},
    )


def test_names_that_are_nearly_such_are_no_labels(tmp_path):
    with pytest.raises(UserError, match="has no data that jaxfer reads"):
        read(write(tmp_path, "AF01ANX.JPG", "CF01ANS.JPG", "KA.AN.39.tiff", "KA.XX1.39.tiff"))


def test_a_folder_that_is_named_after_a_split_is_of_it(tmp_path):
    root = write(tmp_path, "AF01ANS.JPG", "AF02SUS.JPG", "test/AM03ANS.JPG", "val/AM04/AM04ANS.JPG")
    layout, match = detect(root)
    assert [(one.name, one.split) for one in layout.read(match.place, ReadOptions())] == [
        ("val/AM04/AM04ANS.JPG", "val"),
        ("test/AM03ANS.JPG", "test"),
        ("AF01ANS.JPG", "train"),
        ("AF02SUS.JPG", "train"),
    ]
    write(tmp_path, "tset/AM05ANS.JPG")
    with pytest.raises(UserError, match="tset is of no split that jaxfer knows; did you mean 'test'"):
        list(layout.read(match.place, ReadOptions()))
