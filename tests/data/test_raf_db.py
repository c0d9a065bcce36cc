"""RAF-DB: its list in all places and states, aligned images before photographs, links and paths that leave."""

import pytest
from formats import put
from hypothesis import given
from hypothesis import strategies as st

from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.data.reading.record import KINDS
from jaxfer.data.releases import RAF_DB
from jaxfer.emotions import AFFECTNET_7
from jaxfer.errors import UserError

LIST = "list_patition_label.txt"


def read(path):
    layout, match = detect(path)
    assert layout.name == "RAF-DB"
    return list(layout.read(match.place, ReadOptions()))


def write(root, content, *names, at="EmoLabel/" + LIST):
    """Write a list, and images that only have a name: readers do not look into them."""
    put(root / at, content if isinstance(content, bytes) else content.encode())
    for name in names:
        put(root / name, b"")
    return root


def outcome(records):
    return {record.name: record.left_out or record.label for record in records}


def test_labels_count_from_one_in_the_authors_order(tmp_path):
    order = ["surprise", "fear", "disgust", "happy", "sad", "anger", "neutral"]
    lines = "".join(f"train_{code}.jpg {code}\n" for code in range(1, 8))
    write(tmp_path, lines, *(f"Image/aligned/train_{code}_aligned.jpg" for code in range(1, 8)))
    layout, match = detect(tmp_path)
    assert (layout.release, match.place) == (RAF_DB, tmp_path)
    assert [r.label for r in read(tmp_path)] == order
    assert set(order) == set(AFFECTNET_7)


@pytest.mark.parametrize("passed", ["", "basic", "basic/EmoLabel", f"basic/EmoLabel/{LIST}"])
def test_the_data_is_found_from_every_folder_above_the_list(tmp_path, passed):
    write(tmp_path / "RAF/basic", "test_1.jpg 4\n", "Image/aligned/test_1_aligned.jpg")
    (record,) = read(tmp_path / "RAF" / passed)
    assert (record.name, record.split, record.split_name, record.label) == (
        "Image/aligned/test_1_aligned.jpg",
        "test",
        "test",
        "happy",
    )


@pytest.mark.parametrize("at", [LIST, "list_partition_label.txt", "EmoLabel/list_partition_label.txt"])
@pytest.mark.parametrize("image", ["train_1_aligned.jpg", "train_1.jpg", "faces/train_1.png", "a/b/c/train_1.jpg"])
def test_list_and_images_may_lie_in_one_folder_or_several(tmp_path, at, image):
    assert outcome(read(write(tmp_path, "train_1.jpg 4\n", image, at=at))) == {image: "happy"}


def test_aligned_images_come_before_photographs_which_are_not_unlisted(tmp_path):
    write(tmp_path, "train_1.jpg 4\n", "Image/original/train_1.jpg", "Image/aligned/aligned/train_1_aligned.jpg")
    assert outcome(read(tmp_path)) == {"Image/aligned/aligned/train_1_aligned.jpg": "happy"}


def test_photographs_are_read_where_nothing_is_aligned(tmp_path):
    write(tmp_path, "train_1.jpg 4\n", "Image/original/train_1.jpg")
    assert outcome(read(tmp_path)) == {"Image/original/train_1.jpg": "happy"}


def test_photographs_never_stand_in_for_single_aligned_images(tmp_path):
    lines = "train_1.jpg 4\ntrain_2.jpg 5\n"
    write(tmp_path, lines, *(f"Image/original/train_{n}.jpg" for n in (1, 2)), "Image/aligned/train_1_aligned.jpg")
    missing = "row without a file"
    assert outcome(read(tmp_path)) == {"Image/aligned/train_1_aligned.jpg": "happy", f"{LIST} line 2": missing}


def test_rows_without_file_and_files_without_row_are_told_apart(tmp_path):
    write(tmp_path, "train_1.jpg 4\ntest_9.jpg 1\n", "train_1.jpg", "train_2.jpg", at=LIST)
    records = read(tmp_path)
    assert outcome(records) == {
        "train_1.jpg": "happy",
        f"{LIST} line 2": "row without a file",
        "train_2.jpg": "file without a row",
    }
    assert "test_9.jpg" in next(r.detail for r in records if r.name == f"{LIST} line 2")


@pytest.mark.parametrize("label", ["0", "8", "-1", "4.0", "five", "", "44"])
def test_labels_outside_of_one_to_seven_are_left_out_with_their_line(tmp_path, label):
    names = [f"train_{number}.jpg" for number in (1, 2, 3)]
    write(tmp_path, f"train_1.jpg 4\ntrain_2.jpg {label}\ntrain_3.jpg 7\n", *names, at=LIST)
    records = read(tmp_path)
    assert outcome(records) == {"train_1.jpg": "happy", "train_2.jpg": "unlabelled", "train_3.jpg": "neutral"}
    words = f"line 2 has the label {label!r}" if label else "line 2 is no name and one label"
    assert records[1].detail.startswith(words)
    assert records[1].split == "train"


@pytest.mark.parametrize("more", ["5 2", "5 x", "5,2", "5\t7", "5 # 3", "5 train_3.jpg 6"])
def test_a_line_of_more_than_a_name_and_a_label_has_none(tmp_path, more):
    write(tmp_path, f"train_1.jpg 4\ntrain_2.jpg {more}\n", "train_1.jpg", "train_2.jpg", at=LIST)
    found = outcome(read(tmp_path))
    assert found.pop("train_1.jpg") == "happy"
    assert set(found.values()) <= {"unlabelled", "row without a file", "file without a row"}


def test_a_list_that_seems_to_count_from_zero_is_asked_about(tmp_path):
    write(tmp_path, "".join(f"train_{code}.jpg {code}\n" for code in range(7)), "train_1.jpg", at=LIST)
    with pytest.raises(UserError, match=r"line 1 has the code 0, as 1 have, and 0 have 7.*add 1 to each"):
        read(tmp_path)


def test_lines_may_have_a_mark_blank_lines_carriage_returns_tabs_and_spaces(tmp_path):
    content = b"\xef\xbb\xbftrain_1.jpg 4\r\n\r\n  train_2.jpg\t5  \r\ntest 1.jpg 6"
    write(tmp_path, content, "train_1.jpg", "train_2.jpg", "test 1.jpg", at=LIST)
    assert outcome(read(tmp_path)) == {"test 1.jpg": "anger", "train_1.jpg": "happy", "train_2.jpg": "sad"}


def test_an_image_with_two_labels_is_left_out_and_a_repeated_line_counted(tmp_path):
    lines = "train_1.jpg 4\ntrain_1.jpg 5\ntrain_2.jpg 6\ntrain_2.jpg 6\n"
    records = read(write(tmp_path, lines, "train_1.jpg", "train_2.jpg", at=LIST))
    assert outcome(records) == {
        "train_1.jpg": "unlabelled",
        f"{LIST} line 2": "unlabelled",
        "train_2.jpg": "anger",
        f"{LIST} line 4": "unlabelled",
    }
    assert records[0].detail == "lines 1, 2 give it different labels"


def test_images_of_neither_split_are_left_out(tmp_path):
    write(tmp_path, "face_1.jpg 4\n", "face_1.jpg", at=LIST)
    assert outcome(read(tmp_path)) == {"face_1.jpg": "unknown split"}


@pytest.mark.parametrize("path", ["../outside/train_1.jpg", "/outside/train_1.jpg", "..\\outside\\train_1.jpg"])
def test_paths_that_leave_the_data_are_refused_row_by_row(tmp_path, path):
    put(tmp_path / "outside/train_1.jpg", b"")
    records = read(write(tmp_path / "data", f"{path} 4\ntrain_2.jpg 4\n", "train_2.jpg", at=LIST))
    assert outcome(records) == {f"{LIST} line 1": "link out of the folder", "train_2.jpg": "happy"}
    assert path in records[0].detail


def test_links_that_leave_the_data_are_left_out(tmp_path):
    put(tmp_path / "outside/train_1.jpg", b"")
    put(tmp_path / "outside/aligned/train_2_aligned.jpg", b"")
    root = write(tmp_path / "data", "train_1.jpg 4\ntrain_2.jpg 4\n", "Image/aligned/train_3_aligned.jpg")
    (root / "Image/aligned/train_1_aligned.jpg").symlink_to(tmp_path / "outside/train_1.jpg")
    (root / "Image/more").symlink_to(tmp_path / "outside/aligned")
    reasons = outcome(read(root))
    assert reasons["Image/aligned/train_1_aligned.jpg"] == "link out of the folder"
    assert reasons[f"{LIST} line 2"] == "row without a file"


def test_a_list_that_is_a_link_out_of_the_data_is_not_read(tmp_path):
    put(tmp_path / "secret.txt", b"train_1.jpg 4\n")
    put(tmp_path / "data/train_1.jpg", b"")
    (tmp_path / "data" / LIST).symlink_to(tmp_path / "secret.txt")
    with pytest.raises(UserError, match="has no data that jaxfer reads"):
        detect(tmp_path / "data")


def test_the_list_of_compound_expressions_is_passed_over(tmp_path):
    compound = "".join(f"train_{code}.jpg {code}\n" for code in range(1, 12))
    write(tmp_path / "compound", compound, *(f"Image/aligned/train_{code}_aligned.jpg" for code in range(1, 12)))
    with pytest.raises(UserError, match="of basic expressions"):
        detect(tmp_path)
    write(tmp_path / "basic", "train_1.jpg 4\n", "Image/aligned/train_1_aligned.jpg")
    assert outcome(read(tmp_path)) == {"Image/aligned/train_1_aligned.jpg": "happy"}


def test_other_files_in_its_folder_are_not_taken_for_it(tmp_path):
    write(tmp_path, "train_1.jpg 4\n", "train_1.jpg", "notes.txt")
    with pytest.raises(UserError, match="is no file that jaxfer reads"):
        detect(tmp_path / "notes.txt")


LINES = st.lists(
    st.tuples(
        st.sampled_from(["train_1.jpg", "test_1.jpg", "../train_1.jpg", "/", "..", ".", "\0", "a" * 400, "\\"]),
        st.sampled_from(["1", "7", "8", "11", "", "x", "9" * 5000, " "]),
    ).map(" ".join),
    max_size=6,
)


@given(content=st.one_of(LINES.map("\n".join).map(str.encode), st.binary(max_size=200)))
def test_no_list_crashes_the_reader(tmp_path_factory, content):
    root = write(tmp_path_factory.getbasetemp() / "raf", content, "train_1.jpg", "test_1.jpg", at=LIST)
    try:
        records = read(root)
    except UserError:  # no line is one of such a list, or its codes count from another number
        return
    assert len({record.name for record in records}) == len(records)
    for record in records:
        assert record.left_out in KINDS or record.label in AFFECTNET_7
        assert bool(record.left_out) != bool(record.label)
        assert record.left_out or record.image.is_file()
