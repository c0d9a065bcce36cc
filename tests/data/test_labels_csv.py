from pathlib import Path

import pytest
from formats import encoded, face, put
from hypothesis import given
from hypothesis import strategies as st

from jaxfer.config import DataConfig, PrepareConfig
from jaxfer.data import check, load, prepare
from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.data.layouts.labels_csv.table import labels_table, rows_of
from jaxfer.emotions import AFFECTNET_7, AFFECTNET_8
from jaxfer.errors import UserError
from jaxfer.reports import print_check, print_data, print_prepared

HEADER = ",pth,label,relFCs"


def data(root, *lines, files=("anger/1.jpg", "sad/1.jpg"), header=HEADER, newline="\n", start=b""):
    """Write a csv, and files that only have a name: readers do not look into images."""
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    text = newline.join([*([header] if header else []), *lines, ""])
    (root / "labels.csv").write_bytes(start + text.encode("utf-8", "surrogateescape"))
    return root


def read(root, **options):
    layout, match = detect(root)
    assert layout.name == "labels.csv"
    return list(layout.read(match.place, ReadOptions(**options)))


def summary(records):
    """Return what each record is used as: its class, or the reason to leave it out."""
    assert len({r.name for r in records}) == len(records)
    return {r.name: r.label if not r.left_out else r.left_out for r in records}


def details(records):
    return {r.name: r.detail for r in records if r.left_out}


def test_the_csv_counts_and_the_folder_is_remarked_on(tmp_path):
    anger, sad = read(data(tmp_path, "0,anger/1.jpg,sad,0.79", "1,sad/1.jpg,Sadness,0.8"))
    assert (anger.label, sad.label) == ("sad", "sad")
    assert anger.remarks == (("label_conflict", "labels.csv says sad, its folder anger"),)
    assert sad.remarks == ()
    assert (anger.image, anger.split, anger.split_name) == (tmp_path / "anger/1.jpg", "train", "train")


@pytest.mark.parametrize("wrap", [lambda root: root, lambda root: root / "labels.csv", lambda root: root.parent])
def test_the_csv_its_folder_and_one_above_are_recognised(tmp_path, wrap):
    root = data(tmp_path / "archive", "0,anger/1.jpg,anger,0.79")
    layout, match = detect(wrap(root))
    assert (layout.name, match.place) == ("labels.csv", root)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    ("header", "lines"),
    [
        (HEADER, ["0,anger/1.jpg,fear,0.79", "1,sad/1.jpg,sad,0.8"]),
        ("label,pth", ["fear,anger/1.jpg", "sad,sad/1.jpg"]),
        ('"PTH" , "Label"', ['"anger/1.jpg","fear"', '"sad/1.jpg" , sad ']),
        ("", ["0,anger/1.jpg,fear,0.79", "1,sad/1.jpg,sad,0.8"]),
        ("", ["anger/1.jpg,fear", "sad/1.jpg,sad"]),
        (HEADER, ["0,./anger//1.jpg,fear,", "", "1,sad\\1.jpg,sad,"]),
    ],
    ids=["true", "other columns", "quotes", "no header", "no header or index", "path spellings"],
)
def test_the_csv_is_read_however_it_was_saved(tmp_path, header, lines, newline, start):
    records = read(data(tmp_path, *lines, header=header, newline=newline, start=start))
    assert summary(records) == {"anger/1.jpg": "fear", "sad/1.jpg": "sad"}


def test_quoted_commas_belong_to_the_path(tmp_path):
    records = read(data(tmp_path, '0,"anger/a, b ""c"".jpg",anger,0.5', files=['anger/a, b "c".jpg']))
    assert summary(records) == {'anger/a, b "c".jpg': "anger"}


def test_names_in_any_script_and_even_without_an_encoding_are_found(tmp_path):
    names = ["anger/größe 표정.jpg", "anger/" + b"\xff\xfe.jpg".decode("utf-8", "surrogateescape")]
    records = read(data(tmp_path, *(f"0,{name},sad," for name in names), files=names))
    assert summary(records) == dict.fromkeys(names, "sad")


def test_rows_and_files_without_each_other_are_left_out(tmp_path):
    root = data(tmp_path, "0,anger/1.jpg,anger,", "1,anger/2.jpg,anger,", files=["anger/1.jpg", "fear/3.jpg"])
    assert summary(read(root)) == {
        "anger/1.jpg": "anger",
        "anger/2.jpg": "row without a file",
        "fear/3.jpg": "file without a row",
    }


def test_words_for_no_expression_and_unknown_words_are_told_apart(tmp_path):
    files = [f"anger/{number}.jpg" for number in range(5)]
    labels = ["anger", "No Face", "sleepy", "", "3"]
    records = read(data(tmp_path, *(f"0,{f},{w}," for f, w in zip(files, labels, strict=True)), files=files))
    assert list(summary(records).values()) == ["anger", "other class", "unlabelled", "unlabelled", "unlabelled"]
    assert "'sleepy'" in details(records)["anger/2.jpg"]


@pytest.mark.parametrize(
    ("second", "result", "detail"),
    [
        ("0,anger/1.jpg,angry,", "anger", "as line 2 does"),
        ("0,./anger/1.jpg,anger,", "anger", "as line 2 does"),
        ("0,anger/1.jpg,fear,", "unlabelled", "line 2 says 'anger', line 4 says 'fear'"),
        ("0,anger/1.jpg,sleepy,", "unlabelled", "line 2 says 'anger', line 4 says 'sleepy'"),
    ],
)
def test_rows_for_one_file_count_once_where_they_agree_and_else_not_at_all(tmp_path, second, result, detail):
    records = read(data(tmp_path, "0,anger/1.jpg,anger,", "1,sad/1.jpg,sad,", second))
    assert summary(records) == {"anger/1.jpg": result, "sad/1.jpg": "sad", "labels.csv line 4": "unlabelled"}
    assert detail in details(records)["labels.csv line 4"]


def test_a_repeated_row_without_a_file_is_missing_twice(tmp_path):
    records = read(
        data(tmp_path, "0,anger/1.jpg,anger,", "1,anger/2.jpg,anger,", "1,anger/2.jpg,anger,", files=["anger/1.jpg"])
    )
    assert summary(records)["labels.csv line 4"] == summary(records)["anger/2.jpg"] == "row without a file"


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret.jpg", "anger/../../secret.jpg", "..", r"..\secret.jpg"])
def test_paths_that_leave_the_data_are_left_out(tmp_path, path):
    (tmp_path / "secret.jpg").touch()
    records = read(data(tmp_path / "data", "0,anger/1.jpg,anger,", f"1,{path},sad,", "2,anger/../sad/1.jpg,sad,"))
    assert summary(records) == {
        "anger/1.jpg": "anger",
        "sad/1.jpg": "sad",
        "labels.csv line 3": "link out of the folder",
    }


def test_links_that_leave_the_data_are_left_out_and_others_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "1.jpg").touch()
    rows = [
        "0,anger/1.jpg,anger,",
        "1,anger/2.jpg,anger,",
        "2,anger/3.jpg,anger,",
        "3,away/1.jpg,sad,",
        "4,anger/4.jpg,sad,",
    ]
    root = data(tmp_path / "data", *rows, files=["anger/1.jpg"])
    (root / "anger/2.jpg").symlink_to(root / "anger/1.jpg")
    (root / "anger/3.jpg").symlink_to(outside / "1.jpg")
    (root / "anger/4.jpg").symlink_to("4.jpg")
    (root / "away").symlink_to(outside)
    away = "link out of the folder"
    assert summary(read(root)) == {
        "anger/1.jpg": "anger",
        "anger/2.jpg": "anger",
        "anger/3.jpg": away,
        "anger/4.jpg": away,
        "away": away,
        "away/1.jpg": away,
    }


def test_a_csv_that_is_a_link_out_of_the_data_is_not_followed(tmp_path):
    root = data(tmp_path / "data", "0,anger/1.jpg,sad,")
    (root / "labels.csv").rename(tmp_path / "labels.csv")
    (root / "labels.csv").symlink_to(tmp_path / "labels.csv")
    assert detect(root)[0].name == "class folders"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,sad/1.jpg", "2 values rather than 4"),
        ("1,sad/1.jpg,sad,0.5,7", "5 values rather than 4"),
        ('1,"sad/1.jpg,sad', "2 values rather than 4"),
        ("1,,sad,0.5", "no file can have"),
        ("1,sad/1\0.jpg,sad,0.5", "no file can have"),
        (f"1,sad/{'1' * 5000}.jpg,sad,0.5", "no file can have"),
        ('1,"' + "a" * 200_000, "more than 10,000 characters"),
    ],
    ids=["short", "long", "open quote", "no path", "NUL", "endless path", "endless value"],
)
def test_a_malformed_row_is_left_out_by_its_line_and_the_others_are_read(tmp_path, line, reason):
    records = read(data(tmp_path, "0,anger/1.jpg,anger,", line, "2,sad/1.jpg,sad,"))
    assert summary(records) == {"anger/1.jpg": "anger", "sad/1.jpg": "sad", "labels.csv line 3": "unreadable"}
    assert reason in details(records)["labels.csv line 3"]


def test_a_name_longer_than_any_file_system_allows_is_a_missing_file(tmp_path):
    name = f"sad/{'1' * 4000}.jpg"
    assert summary(read(data(tmp_path, "0,anger/1.jpg,anger,", f"1,{name},sad,")))[name] == "row without a file"


def test_a_row_that_names_a_folder_is_unreadable(tmp_path):
    assert summary(read(data(tmp_path, "0,anger/1.jpg,anger,", "1,sad,sad,")))["sad"] == "unreadable"


def test_digits_need_a_declared_order(tmp_path):
    files = [f"{AFFECTNET_8[code]}/{code}.jpg" for code in range(8)]
    root = data(tmp_path, *(f"0,{name},{code}," for code, name in enumerate(files)), files=files)
    with pytest.raises(UserError, match=r"labels\.csv names its classes by digits.*--label-order"):
        read(root)
    records = read(root, label_order="affectnet")
    assert summary(records) == dict(zip(files, AFFECTNET_8, strict=True))
    assert not any(record.remarks for record in records)
    others = read(root, label_order="alphabetical")
    assert summary(others) == dict(zip(files, sorted(AFFECTNET_8), strict=True))
    assert {r.name for r in others if not r.remarks} == {
        name for name, label in summary(others).items() if name.startswith(label)
    }


def test_digits_and_digit_folders_are_compared_in_the_same_order(tmp_path):
    files = [*(f"{code}/1.jpg" for code in range(8)), "2/2.jpg"]
    root = data(tmp_path, *(f"0,{name},{code}," for name, code in zip(files, [*range(8), 0], strict=True)), files=files)
    remarks = {r.name: r.remarks for r in read(root, label_order="affectnet") if r.remarks}
    assert remarks == {"2/2.jpg": (("label_conflict", "labels.csv says neutral, its folder sad"),)}


def test_splits_are_the_first_folder_of_a_path(tmp_path):
    files = ["Train/anger/1.jpg", "Test/anger/1.jpg", "valid/sad/1.jpg", "fear/1.jpg"]
    records = read(data(tmp_path, *(f"0,{name},{name.split('/')[-2]}," for name in files), files=files))
    assert [(r.name, r.split, r.split_name) for r in records] == [
        ("valid/sad/1.jpg", "val", "valid"),
        ("Test/anger/1.jpg", "test", "Test"),
        ("Train/anger/1.jpg", "train", "Train"),
        ("fear/1.jpg", "train", "train"),
    ]


def test_the_order_of_rows_does_not_matter(tmp_path):
    lines = [f"{number},anger/{number}.jpg,sad," for number in (10, 2, 33, 1)]
    files = [f"anger/{number}.jpg" for number in (1, 2, 10, 33)]
    one = read(data(tmp_path / "one", *lines, files=files))
    other = read(data(tmp_path / "other", *reversed(lines), files=files))
    assert [r.name for r in one] == [r.name for r in other] == files


# Where the images are


@pytest.mark.parametrize(
    "written",
    [
        "AffectNet/{}",
        "/home/someone/data/AffectNet/{}",
        "D:\\data\\AffectNet\\{}",
        "../AffectNet/{}",
        "./{}",
    ],
)
def test_folders_that_the_paths_start_with_and_the_data_lacks_are_passed_over(tmp_path, written):
    files = [f"{word}/{number}.jpg" for word in ("anger", "sad") for number in range(3)]
    separate = (lambda name: name.replace("/", "\\")) if "\\" in written else (lambda name: name)
    root = data(tmp_path, *(f"0,{written.format(separate(name))},fear," for name in files), files=files)
    assert summary(read(root)) == dict.fromkeys(files, "fear")


@pytest.mark.parametrize("written", ["anger/1.JPG", "Anger/1.jpg", "All/ANGER/1.jpg", "1.Jpg"])
def test_letters_of_another_case_find_a_file_unless_two_differ_in_that_alone(tmp_path, written):
    root = data(tmp_path, f"0,{written},fear,", files=["anger/1.jpg"])
    assert summary(read(root)) == {"anger/1.jpg": "fear"}
    (root / "ANGER").mkdir(exist_ok=True)
    (root / "ANGER/1.jpG").touch()
    (root / "x.jpg").touch()
    data(root, f"0,{written},fear,", "1,x.jpg,sad,", files=[])
    found = [r for r in read(root) if r.name != "x.jpg"]
    assert [r.label for r in found] == [""] * 3


def test_a_table_without_a_header_may_have_any_name(tmp_path):
    root = data(tmp_path, "anger/1.jpg,fear", "sad/1.jpg,happy", header="")
    (root / "labels.csv").rename(root / "annotations.csv")
    assert summary(read(root)) == {"anger/1.jpg": "fear", "sad/1.jpg": "happy"}


def test_a_file_is_not_taken_for_another_folders_of_the_same_name(tmp_path):
    rows = [*(f"train/{n}.jpg,sad" for n in range(6)), *(f"val/{n}.jpg,happy" for n in range(4, 8))]
    root = data(tmp_path, *rows, files=[f"photos/{n}.jpg" for n in range(8)], header="path,label")
    found = summary(read(root))
    assert {name: label for name, label in found.items() if label == "sad"} == {
        f"photos/{n}.jpg": "sad" for n in range(6)
    }
    assert "happy" not in found.values()


def test_rows_that_start_otherwise_than_most_are_left_out(tmp_path):
    starts = {"A/anger": "fear", "A/sad": "fear", "A/fear": "sad", "/etc": "sad", "B": "sad"}
    rows = [f"0,{start}/1.jpg,{label}," for start, label in starts.items()]
    assert summary(read(data(tmp_path, *rows))) == {
        "anger/1.jpg": "fear",
        "sad/1.jpg": "fear",
        "fear/1.jpg": "row without a file",
        "labels.csv line 5": "link out of the folder",
        "B/1.jpg": "row without a file",
    }


@pytest.mark.parametrize("called", ["{}.jpg", "{}", "/home/someone/all/{}.jpg"])
def test_names_alone_find_files_in_any_folder_unless_two_are_called_so(tmp_path, called):
    rows = [f"0,{called.format(name)},fear," for name in ("a", "b", "c", "d")]
    files = ["anger/a.jpg", "sad/b.jpg", "x/y/c.jpg", "anger/d.jpg", "sad/d.jpg"]
    records = read(data(tmp_path, *rows, files=files))
    assert summary(records) == {
        **dict.fromkeys(files[:3], "fear"),
        **dict.fromkeys(files[3:], "file without a row"),
        "labels.csv line 5": "row without a file",
    }
    assert "2 images are called " in details(records)["labels.csv line 5"]


@pytest.mark.parametrize("passed", ["", "data", "data/legend.csv"])
@pytest.mark.parametrize("path", ["{}", "images/{}", "../images/{}", "photos/{}"])
def test_table_and_images_may_lie_in_folders_beside_each_other(tmp_path, passed, path):
    files = [f"images/Person_{number}.jpg" for number in range(4)]
    rows = [f"628,{path.format(name.split('/')[1])},HAPPINESS" for name in files]
    root = data(tmp_path / "root", *rows, files=files, header="user.id,image,emotion")
    (root / "data").mkdir()
    (root / "labels.csv").rename(root / "data/legend.csv")
    layout, match = detect(root / passed)
    assert (layout.name, match.place, match.notes) == ("labels.csv", root, ())
    assert summary(list(layout.read(match.place, ReadOptions()))) == dict.fromkeys(files, "happy")


# How tables are saved


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_separators_and_encodings_are_told(tmp_path, encoding, separator, quote):
    lines = [["", "pth", "label", "relFCs"], ["0", "anger/1.jpg", "FEAR", "0,8"[:: 2 if separator == "," else 1]]]
    text = "".join(separator.join(f"{quote}{value}{quote}" for value in line) + "\n" for line in lines)
    root = data(tmp_path, files=["anger/1.jpg"])
    start = b"\xfe\xff" if encoding == "utf-16-be" else b""
    (root / "labels.csv").write_bytes(start + text.encode(encoding))
    assert summary(read(root)) == {"anger/1.jpg": "fear"}


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("image,emotion", "{},{}"),
        ("path,label", "{},{}"),
        ("Image Path;Emotion", "{};{}"),
        ("filename,Expression", "{},{}"),
        ("class,file", "{1},{0}"),
        ("id,file_name,width,class_name", "7,{},48,{}"),
        ("sep=;\nimage;label", "{};{}"),
        ("image,label", "{},{},,"),
    ],
)
@pytest.mark.parametrize("name", ["labels.csv", "anything.tsv", "train", "data/list.csv"])
def test_columns_have_their_usual_names_in_any_table(tmp_path, header, row, name):
    files = ["anger/1.jpg", "sad/1.jpg"]
    root = data(tmp_path, *(row.format(name, "Happiness") for name in files), header=header)
    (root / name).parent.mkdir(exist_ok=True)
    (root / "labels.csv").rename(root / name)
    assert {summary(read(root))[file] for file in files} == {"happy"}


def test_codes_may_be_written_as_numbers(tmp_path):
    files = [f"{label}/1.jpg" for label in AFFECTNET_8]
    root = data(tmp_path, *(f"0,{name},{code}.0," for code, name in enumerate(files)), files=files)
    assert summary(read(root, label_order="affectnet")) == dict(zip(files, AFFECTNET_8, strict=True))


@pytest.mark.parametrize(("order", "classes"), [("affectnet", 8), ("affectnet", 7), ("fer2013", 7)])
def test_codes_from_minus_one_on_are_asked_about(tmp_path, order, classes):
    files = [f"{code}.jpg" for code in range(-1, classes - 1)]
    root = data(tmp_path, *(f"{name},{name[:-4]}" for name in files), files=files, header="path,label")
    with pytest.raises(
        UserError, match=rf"the code -1 beside 0 to {classes - 2}, which may mark .* \(--class-names=-1=none\)"
    ):
        read(root, label_order=order)
    found = summary(read(root, label_order=order, class_names=("-1=none",)))
    assert found["-1.jpg"] == "other class"


def test_minus_one_beside_all_codes_marks_images_of_no_known_class(tmp_path):
    files = [f"{code}.jpg" for code in range(-1, 7)]
    root = data(tmp_path, *(f"{name},{name[:-4]}.0" for name in files), files=files, header="path,label")
    assert summary(read(root, label_order="fer2013"))["-1.jpg"] == "unlabelled"


def test_several_columns_of_labels_are_asked_about(tmp_path):
    root = data(tmp_path, "anger/1.jpg,3,fear", "sad/1.jpg,4,sad", header="path,label,emotion")
    with pytest.raises(UserError, match=r"several columns that may have the labels, label and emotion: rename all but"):
        read(root)


# Splits


@pytest.mark.parametrize("column", ["split", "Usage", "set", "Subset"])
def test_a_column_says_the_split(tmp_path, column):
    files = [f"Train/{number}.jpg" for number in range(4)]
    words = ["Training", "PublicTest", "test", "elsewhere"]
    rows = [f"{name},sad,{word}" for name, word in zip(files, words, strict=True)]
    records = read(data(tmp_path, *rows, files=files, header=f"path,label,{column}"))
    assert [(r.name, r.split, r.split_name, r.left_out) for r in records] == [
        (files[1], "val", "PublicTest", ""),
        (files[2], "test", "test", ""),
        (files[0], "train", "Training", ""),
        (files[3], None, "", "unknown split"),
    ]
    assert records[3].detail == "line 5 says 'elsewhere', which is no split"


def test_codes_that_count_from_0_in_one_split_and_from_1_in_another_are_refused(tmp_path):
    rows = [(f"{split}{code}.jpg", code + (split == "val"), split) for split in ("train", "val") for code in range(7)]
    lines = [f"{name},{code},{split}" for name, code, split in rows]
    root = data(tmp_path, *lines, files=[name for name, *_ in rows], header="path,label,split")
    with pytest.raises(UserError, match="by the digits 0 to 6 in train and by 1 to 7 in val"):
        read(root, label_order="affectnet")


def test_a_column_of_splits_that_nobody_knows_is_refused_by_its_name(tmp_path):
    root = data(tmp_path, "anger/1.jpg,sad,0", "sad/1.jpg,sad,1", header="path,label,subset")
    with pytest.raises(UserError, match=r"column subset, in which no row says a split .* but '0': write train, val or"):
        read(root)


@pytest.mark.parametrize(
    ("header", "values", "called"),
    [
        ("path,label,phase", ("train", "test"), "phase"),
        ("path,label,Data split", ("Training", "PublicTest"), "Data split"),
        ("path,label,is_train", ("1", "0"), "is_train"),
        ("path,label,isvalid", ("False", "True"), "isvalid"),
        ("path,label,split,fold", (",train", ",val"), "fold"),
        ("name,label,split", ("train", "val"), "value 3"),  # a header that jaxfer does not know
        ("", ("train", "val"), "value 3"),
    ],
)
def test_a_column_of_another_name_that_says_the_split_is_refused(tmp_path, header, values, called):
    files = [f"{number}.jpg" for number in range(4)]
    rows = [f"{name},sad,{values[number % 2]}" for number, name in enumerate(files)]
    with pytest.raises(
        UserError, match=rf"labels.csv seems to say .* in '{called}', .*: have a column split in its place"
    ):
        read(data(tmp_path, *rows, files=files, header=header))


@pytest.mark.parametrize(
    "values", [("train", "web"), ("train", "train"), ("valid", "valid"), ("test", "web"), ("", "")]
)
def test_a_column_that_says_no_two_splits_is_any(tmp_path, values):
    files = ["1.jpg", "2.jpg"]
    rows = [f"{name},sad,{value}" for name, value in zip(files, values, strict=True)]
    assert summary(read(data(tmp_path, *rows, files=files, header="path,label,source"))) == dict.fromkeys(files, "sad")


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("path,label,label", r"labels, label \(value 2\) and label \(value 3\): rename all but the one that counts$"),
        ("path,Label,label", r"labels, Label \(value 2\) and label \(value 3\): rename all but the one that counts$"),
        ("path,label,split,Split", r"splits, split \(value 3\) and Split \(value 4\): rename"),
    ],
)
def test_columns_of_one_name_are_asked_about(tmp_path, header, found):
    row = ",".join(["1.jpg", "sad", "fear", "val"][: header.count(",") + 1])
    with pytest.raises(UserError, match=found):
        read(data(tmp_path, row, files=["1.jpg"], header=header))


@pytest.mark.parametrize("folders", [("a", "b"), ("train", "test"), ("train", "train")])
def test_tables_that_are_each_of_a_split_are_one_data_set(tmp_path, folders):
    for folder, split in zip(folders, ("train", "test"), strict=True):
        root = data(tmp_path, f"{folder}/{split}1.jpg,sad", files=[f"{folder}/{split}1.jpg"], header="image,label")
        (root / "labels.csv").rename(root / f"{split}_labels.csv")
    assert [(r.name, r.split, r.split_name) for r in read(tmp_path)] == [
        (f"{folders[1]}/test1.jpg", "test", "test_labels"),
        (f"{folders[0]}/train1.jpg", "train", "train_labels"),
    ]


def test_of_folders_with_the_same_files_a_table_means_the_one_that_is_named_like_it(tmp_path):
    for split in ("train", "val"):
        root = data(
            tmp_path, "1.jpg,sad", "2.jpg,happy", files=[f"{split}/1.jpg", f"{split}/2.jpg"], header="image,label"
        )
        (root / "labels.csv").rename(root / f"{split}.csv")
    assert [(r.name, r.split, r.label) for r in read(tmp_path)] == [
        (f"{split}/{number}.jpg", split, label)
        for split in ("val", "train")
        for number, label in ((1, "sad"), (2, "happy"))
    ]
    (tmp_path / "train.csv").rename(tmp_path / "labels.csv")
    (tmp_path / "val.csv").unlink()
    with pytest.raises(
        UserError, match=r"labels\.csv is not used: the images that it names may be those of train or of"
    ):
        detect(tmp_path)


def test_tables_in_folders_of_splits_are_one_data_set(tmp_path):
    for split in ("valid", "Train"):
        data(tmp_path / split, "faces/1.jpg,sad", files=["faces/1.jpg"], header="file_name,label")
    assert [(r.name, r.split, r.split_name) for r in read(tmp_path)] == [
        ("valid/faces/1.jpg", "val", "valid"),
        ("Train/faces/1.jpg", "train", "Train"),
    ]


def test_an_image_of_two_splits_is_of_none(tmp_path):
    for split in ("train", "test"):
        root = data(tmp_path, "anger/1.jpg,sad", f"sad/{split}.jpg,sad", files=["anger/1.jpg", f"sad/{split}.jpg"])
        (root / "labels.csv").write_text(f"path,label\nanger/1.jpg,sad\nsad/{split}.jpg,sad\n")
        (root / "labels.csv").rename(root / f"{split}.csv")
    found = {r.name: r.left_out for r in read(tmp_path) if r.left_out}
    assert found == {"anger/1.jpg": "unknown split", "train.csv line 2": "unknown split"}


def test_tables_of_which_one_is_of_no_split_are_several_data_sets(tmp_path):
    root = data(tmp_path / "data", "0,anger/1.jpg,sad,")
    (root / "train.csv").write_bytes((root / "labels.csv").read_bytes())
    with pytest.raises(UserError, match=r"(?s)several data sets.*labels\.csv.*train\.csv"):
        detect(root)
    layout, match = detect(root / "train.csv")
    assert (layout.name, match.place) == ("labels.csv", root / "train.csv")


def test_a_table_of_few_of_the_images_in_class_folders_leaves_the_choice_to_the_user(tmp_path):
    root = data(tmp_path, "anger/1.jpg,sad", files=["anger/1.jpg", "sad/1.jpg", "sad/2.jpg"], header="image,label")
    assert detect(root)[0].name == "labels.csv"
    (root / "labels.csv").rename(root / "notes.csv")
    with pytest.raises(UserError, match=r"(?s)several data sets.*class folders: .*labels.csv: .* in notes.csv"):
        detect(root)


# A table that is named


def test_a_named_table_counts_whatever_else_is_there_and_wherever_it_lies(tmp_path):
    root = data(tmp_path / "data", "0,anger/1.jpg,sad,", "1,sad/1.jpg,sad,")
    table = tmp_path / "mine.txt"
    table.write_text("who;picture;feeling;split\na;2;happy;train\nb;3;fear;test\n")
    options = {"table": table, "image_column": "Picture", "label_column": "feeling"}
    for name in ("anger/2.jpg", "sad/3.jpg"):
        (root / name).touch()
    layout, match = detect(root, ReadOptions(**options))
    assert (layout.name, match.place, match.evidence) == (
        "labels.csv",
        root,
        "has paths and labels of images in mine.txt",
    )
    found = [(r.name, r.split, r.label or r.left_out) for r in layout.read(match.place, ReadOptions(**options))]
    assert found == [
        ("sad/3.jpg", "test", "fear"),
        ("anger/2.jpg", "train", "happy"),
        ("anger/1.jpg", None, "file without a row"),
        ("sad/1.jpg", None, "file without a row"),
    ]
    assert check(root, **options).splits["train"].images == 0
    assert DataConfig(data_dir=root, **options).table == table


def test_a_named_table_without_such_columns_or_images_is_refused_with_its_own(tmp_path):
    root = data(tmp_path, "0,anger/1.jpg,sad,")
    with pytest.raises(
        UserError, match=r"no columns picture and of labels, but '', 'pth', 'label', 'relFCs': name them"
    ):
        detect(root, ReadOptions(table=root / "labels.csv", image_column="picture"))
    (root / "other").mkdir()
    (root / "other/1.png").touch()
    with pytest.raises(UserError, match=r"but not those in .*other: of 1 rows looked at, 0 name an image; pass the f"):
        detect(root / "other", ReadOptions(table=root / "labels.csv"))
    with pytest.raises(
        UserError, match=r"the table labels\.csv \(--table\) does not exist: pass .*labels\.csv, which does"
    ):
        detect(root, ReadOptions(table=Path("labels.csv")))
    with pytest.raises(
        UserError, match=r"the table none\.csv .* does not exist: pass the path of the table from where"
    ):
        detect(root, ReadOptions(table=Path("none.csv")))
    with pytest.raises(UserError, match=r"label_column is 'x': pass the table \(--table\) that has this column, too"):
        DataConfig(data_dir=root, label_column="x")
    with pytest.raises(UserError, match=r"image_column is 'x': pass the table \(--table\) that has this column, too"):
        check(root, image_column="x")


RAF = {"surprise": 1, "fear": 2, "disgust": 3, "happy": 4, "sad": 5, "anger": 6, "neutral": 7}


def raf_images(root):
    """Write RAF-DB's images, aligned and as photographs, and return the lines of its list."""
    lines = []
    for split in ("train", "test"):
        for number, (label, code) in enumerate(RAF.items(), start=1):
            put(root / f"Image/aligned/{split}_{number:05}_aligned.jpg", encoded(face(label, number)))
            put(root / f"Image/original/{split}_{number:05}.jpg", encoded(face("contempt", number)))
            lines.append(f"{split}_{number:05}.jpg {code}")
    return lines


@pytest.mark.parametrize("name", ["label2.txt", "list_patition_label.txt"])
@pytest.mark.parametrize(
    ("more", "columns"),
    [
        ("", {}),
        ("", {"image_column": "1", "label_column": "2"}),
        (" 2", {"image_column": "1", "label_column": "2"}),
        ("\tx", {"image_column": "1", "label_column": "2"}),
    ],
)
def test_a_list_alone_without_a_header_says_labels_and_splits(tmp_path, name, more, columns):
    lines = raf_images(tmp_path / "RAF")
    put(tmp_path / name, "\n".join(line + more for line in lines).encode())
    options = ReadOptions(table=tmp_path / name, label_order="raf-db", **columns)
    layout, match = detect(tmp_path / "RAF", options)
    found = {r.name: (r.split, r.label) for r in layout.read(match.place, options) if not r.left_out}
    assert found == {
        f"Image/aligned/{split}_{number:05}_aligned.jpg": (split, label)
        for split in ("train", "test")
        for number, label in enumerate(RAF, start=1)
    }


def test_a_list_without_a_header_is_asked_about_where_it_may_mean_several_things(tmp_path):
    lines = raf_images(tmp_path / "RAF")
    put(tmp_path / "two.txt", "\n".join(lines).encode())
    put(tmp_path / "three.txt", "\n".join(f"{line} 2" for line in lines).encode())
    options = ReadOptions(table=tmp_path / "two.txt")
    layout, match = detect(tmp_path / "RAF", options)
    with pytest.raises(UserError, match=r"carry no order of their own.*\(--label-order\)"):
        list(layout.read(match.place, options))
    with pytest.raises(
        UserError, match=r"three.txt has no columns .*, by their numbers from 1 where no line names them"
    ):
        detect(tmp_path / "RAF", ReadOptions(table=tmp_path / "three.txt"))
    with pytest.raises(UserError, match=r"no line with the path of an image as value 2 and a class as value 1"):
        detect(tmp_path / "RAF", ReadOptions(table=tmp_path / "two.txt", image_column="2", label_column="1"))


def test_names_that_begin_with_splits_say_them_only_where_all_do(tmp_path):
    for name in ("train_1.jpg", "test_1.jpg", "portrait.jpg"):
        put(tmp_path / name, encoded(face("sad", 1)))
    for rows in ("train_1.jpg,sad\ntest_1.jpg,sad", "train_1.jpg,sad\ntest_1.jpg,sad\nportrait.jpg,sad"):
        put(tmp_path / "labels.csv", f"path,label\n{rows}\n".encode())
        splits = {record.name: record.split for record in read(tmp_path) if not record.left_out}
        assert splits["test_1.jpg"] == ("test" if "portrait" not in rows else "train")


# What is set aside


def test_what_a_table_of_other_images_says_is_set_aside_wherever_the_data_is_looked_at(tmp_path, capsys):
    root = tmp_path / "data"
    for split in ("train", "val"):
        for label in AFFECTNET_7:
            put(root / split / label / "1.png", encoded(face(label, len(split)), "PNG"))
    (root / "labels.csv").write_text("path,label\n" + "".join(f"happy/{n}.jpg,sad\n" for n in range(50)))
    note = "labels.csv is not used: of 50 rows looked at, 0 name an image"
    found = load(DataConfig(data_dir=root, image_size=32))
    assert found.warnings == (note,)
    print_data(found)
    assert f"note: {note}" in capsys.readouterr().out
    checked = check(root)
    assert checked.to_dict()["notes"] == [note]
    print_check(checked)
    assert f"note: {note}" in capsys.readouterr().out
    prepared = prepare(root, tmp_path / "out", PrepareConfig(image_size=32))
    assert prepared.metadata["notes"] == [note]
    print_prepared(prepared)
    assert f"note: {note}" in capsys.readouterr().out


def test_what_is_kept_decoded_is_of_the_images_and_the_table(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxfer.data.loading.WORTH_KEEPING", 1)
    names = {f"{label}/{n}.png": label for label in AFFECTNET_7 for n in range(3)}
    for n, (name, label) in enumerate(names.items()):
        put(tmp_path / "data" / name, encoded(face(label, n), "PNG"))
    table = tmp_path / "data/labels.csv"
    table.write_text("path,label\n" + "".join(f"{name},{label}\n" for name, label in names.items()))
    first = load(DataConfig(data_dir=table, image_size=32)).fingerprint
    assert load(DataConfig(data_dir=table, image_size=32)).fingerprint == first
    put(tmp_path / "data/anger/0.png", encoded(face("anger", 99), "PNG"))
    assert load(DataConfig(data_dir=table, image_size=32)).fingerprint != first
    outside = table.rename(tmp_path / "labels.csv")
    config = DataConfig(data_dir=tmp_path / "data", image_size=32, table=outside)
    second = load(config).fingerprint
    text = outside.read_text()
    outside.write_text(text.replace("anger/1.png,anger", "anger/1.png,happy"))
    assert load(config).fingerprint != second


# Telling it from other layouts


def other_copy(root, present=0):
    lines = [f"{number},anger/{number}.jpg,sad," for number in range(400)]
    files = [f"anger/{number}.jpg" for number in range(0, present)]
    return data(root, *lines, files=[*files, "Train/anger/0.jpg", "Test/sad/7.jpg"])


def test_a_csv_whose_files_are_not_there_leaves_the_word_to_the_folders_and_is_mentioned(tmp_path):
    layout, match = detect(other_copy(tmp_path))
    assert layout.name == "class folders"
    assert match.notes == ("labels.csv is not used: of 134 rows looked at, 1 name an image",)
    assert summary(list(layout.read(match.place, ReadOptions()))) == {
        "Test/sad/7.jpg": "sad",
        "Train/anger/0.jpg": "anger",
    }


@pytest.mark.parametrize(("present", "name"), [(20, "class folders"), (60, "labels.csv")])
def test_a_csv_of_which_a_part_is_there_counts(tmp_path, present, name):
    assert detect(other_copy(tmp_path, present))[0].name == name


def test_an_empty_csv_says_nothing_and_one_with_other_columns_is_refused_beside_class_folders(tmp_path):
    root = data(tmp_path, header="")
    (root / "labels.csv").write_bytes(b"")
    layout, match = detect(root)
    assert layout.name == "class folders"
    assert len(list(layout.read(match.place, ReadOptions()))) == 2
    data(root, "1.jpg,0.5", header="image,age")
    with pytest.raises(UserError, match=r"labels\.csv has no columns pth and label.*name its columns.*or move it out"):
        list(layout.read(match.place, ReadOptions()))


@pytest.mark.parametrize(
    "first",
    [
        "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal",
        "1/a.jpg,134,134,899,899,181.64;530.91,1,0.785714,-0.055556",
        "emotion,pixels,Usage",
        "anger/1.jpg,0,0.5",
        "image,age",
        "pth",
        "",
        "\0\0",
    ],
)
def test_other_lists_are_none(tmp_path, first):
    data(tmp_path, header=first)
    assert labels_table(tmp_path / "labels.csv") is None


@given(content=st.binary(max_size=300), start=st.sampled_from([b"pth,label\n", b",pth,label,relFCs\r\n"]))
def test_each_line_of_arbitrary_bytes_is_one_row_or_none(tmp_path_factory, content, start):
    path = tmp_path_factory.getbasetemp() / "arbitrary.csv"
    path.write_bytes(start + content)
    table = labels_table(path)
    assert table
    assert table.form.header
    rows = [*rows_of(table)]
    lines = [row.line for row in rows]
    assert lines == sorted(set(lines))
    assert all(bool(row.problem) != bool(row.path) for row in rows)


@pytest.mark.parametrize(
    ("name", "header"), [("labels.csv", "image|label"), ("labels.csv", "image,happy,sad"), ("list.txt", "image,label")]
)
def test_a_table_that_nobody_understands_is_asked_about_and_not_every_layout_listed(tmp_path, name, header):
    root = data(tmp_path, "faces/1.jpg,1,0", header=header, files=["faces/1.jpg", "faces/2.jpg"])
    (root / "labels.csv").rename(root / name)
    with pytest.raises(
        UserError, match=rf"{name} begins with .*, and say which they are \(--table .*{name} --image"
    ) as caught:
        detect(root)
    assert "It looked for" not in str(caught.value)
