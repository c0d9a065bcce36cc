"""FER2013 and FER+: labels by the authors and labels by votes, in csv and npz, whole and damaged."""

import io
import os
import re
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from formats import encoded, face, put
from formats.fer2013 import VOTED, votes_line
from hypothesis import example, given
from hypothesis import strategies as st

from jaxfer.config import DataConfig
from jaxfer.data import check, load
from jaxfer.data.layouts import ReadOptions, detect
from jaxfer.data.releases import FER2013 as PUBLISHED
from jaxfer.emotions import AFFECTNET_7, AFFECTNET_8, FER2013
from jaxfer.errors import UserError
from jaxfer.reports import print_check

ROW = " ".join(["7"] * 2304)
HEADER = "emotion,pixels,Usage"
VOTES_HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"


def read(path):
    layout, match = detect(path)
    return list(layout.read(match.place, ReadOptions()))


def refusal(path):
    with pytest.raises(UserError) as caught:
        read(path)
    return str(caught.value)


class Trap:
    """Creates a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def arrays(count=6, **changes):
    images = np.random.default_rng(0).integers(0, 256, (count, 48, 48), np.uint8)
    return {"images": images, "labels": np.arange(count) % 7, "usage": np.arange(count) % 3} | changes


def write_npz(path, count=6, **changes):
    np.savez(path, **arrays(count, **changes))
    return path


def write_csv(path, *lines, header=HEADER):
    path.write_text("\n".join((*([header] if header else ()), *lines)) + "\n")
    return path


def write_votes(folder, *lines):
    """Write the votes of FER+ beside as many faces in the same splits, all happy by FER2013's label."""
    write_csv(folder / "fer2013new.csv", *lines, header=VOTES_HEADER)
    usages = [line.split(",")[0].strip('"') for line in lines]
    write_csv(folder / "fer2013.csv", *(f"3,{ROW},{usage}" for usage in usages))
    return folder


def test_splits_come_one_after_the_other_and_rows_keep_their_names(tmp_path):
    write_npz(tmp_path / "fer2013.npz")
    records = read(tmp_path)
    rows = [1, 4, 2, 5, 0, 3]
    assert [r.name for r in records] == [f"fer2013.npz row {row}" for row in rows]
    assert [r.split for r in records] == ["val", "val", "test", "test", "train", "train"]
    assert [r.split_name for r in records[::2]] == ["PublicTest", "PrivateTest", "Training"]
    assert [r.label for r in records] == [FER2013[row] for row in rows]
    np.testing.assert_array_equal(np.stack([r.image for r in records]), arrays()["images"][rows])


def test_the_npz_itself_is_read_as_its_folder_is(tmp_path):
    path = write_npz(tmp_path / "fer2013.npz")
    layout, match = detect(path)
    assert (layout.name, layout.release, match.place) == ("FER2013", PUBLISHED, path)
    assert [r.name for r in read(path)] == [r.name for r in read(tmp_path)]


def test_npz_rows_with_unknown_codes_are_left_out(tmp_path):
    write_npz(tmp_path / "fer2013.npz", labels=np.array([0, 7, -1, 0, 0, 0]), usage=np.array([0, 0, 0, 3, -1, 1]))
    reasons = {int(r.name.split()[-1]): r.left_out for r in read(tmp_path)}
    assert reasons == {0: "", 1: "unlabelled", 2: "unlabelled", 3: "unknown split", 4: "unknown split", 5: ""}


@pytest.mark.parametrize(
    "changes",
    [
        {"images": np.zeros((6, 48, 48))},
        {"images": np.zeros((6, 64, 64), np.uint8)},
        {"images": np.uint8(0)},
        {"labels": np.zeros(5, int)},
        {"usage": np.zeros(6)},
    ],
)
def test_an_npz_of_other_shapes_or_types_is_refused_with_both(tmp_path, changes):
    write_npz(tmp_path / "fer2013.npz", **changes)
    message = refusal(tmp_path)
    assert str(tmp_path / "fer2013.npz") in message
    assert "uint8 [n, 48, 48]" in message


@pytest.mark.parametrize("key", ["labels", "ferplus_votes"])
def test_an_npz_of_objects_is_never_unpickled(tmp_path, key):
    write_npz(tmp_path / "fer2013.npz", **{key: np.array([Trap(tmp_path / "sprung")] * 6)})
    assert "cannot be read" in refusal(tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_a_half_downloaded_npz_is_named(tmp_path):
    path = write_npz(tmp_path / "fer2013.npz")
    path.write_bytes(path.read_bytes()[:-2000])
    assert "not a whole npz file" in refusal(tmp_path)


def test_an_npz_with_a_damaged_array_is_named(tmp_path):
    path = write_npz(tmp_path / "fer2013.npz")
    content = bytearray(path.read_bytes())
    content[2000] ^= 255
    path.write_bytes(content)
    assert "cannot be read" in refusal(tmp_path)


def test_other_npz_files_are_no_data(tmp_path):
    np.savez(tmp_path / "weights.npz", kernel=np.zeros(3))
    (tmp_path / "broken.npz").write_bytes(b"not an archive")
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    assert "has no data that jaxfer reads" in refusal(tmp_path)
    (tmp_path / "alone").mkdir()
    (tmp_path / "broken.npz").rename(tmp_path / "alone" / "broken.npz")
    for place in (tmp_path / "alone", tmp_path / "alone" / "broken.npz"):
        assert "broken.npz is not a whole npz file (File is not a zip file)" in refusal(place)


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        (["usage"], r"no array usage \(0 Training, 1 PublicTest, 2 PrivateTest\), and is not used"),
        (["labels", "usage"], r"no array labels \(the codes of the csv\), nor usage \(0 Training"),
    ],
)
def test_an_npz_of_images_that_lacks_an_array_is_told_which(tmp_path, gone, words):
    path = tmp_path / "mine.npz"
    np.savez(path, **{name: values for name, values in arrays().items() if name not in gone})
    assert re.search(words, refusal(path))


FORMS = [
    (HEADER, "{label},{pixels},{usage}"),
    ("emotion, Usage, pixels", "{label},{usage},{pixels}"),
    ("emotion, Usage, pixels", "{label}, {usage}, {pixels}"),
    (f"\ufeff{HEADER}", '"{label}","{pixels}","{usage}"\r'),
    ("", "{label},{pixels},{usage}"),
    ("", "\ufeff{label}, {usage}, {pixels}"),
]


@pytest.mark.parametrize(
    ("header", "line"), FORMS, ids=["fer2013", "icml", "spaces", "quotes", "no header", "icml without header"]
)
def test_a_csv_is_read_in_all_its_forms(tmp_path, header, line):
    pixels = np.random.default_rng(0).integers(0, 256, 2304)
    text = line.format(label=3, pixels=" ".join(map(str, pixels)), usage="PublicTest")
    (record,) = read(write_csv(tmp_path / "any.csv", text, header=header))
    assert record.name == f"any.csv line {2 if header else 1}"
    assert (record.label, record.split, record.split_name, record.left_out) == ("happy", "val", "PublicTest", "")
    assert record.image.dtype == np.uint8
    np.testing.assert_array_equal(record.image, pixels.reshape(48, 48))


@pytest.mark.parametrize("line", ["3,Training", "", f"3,{ROW}"])
@pytest.mark.parametrize("name", ["fer2013.csv", "icml_face_data.csv"])
def test_a_file_of_the_right_name_without_columns_is_told_to_add_the_header(tmp_path, name, line):
    message = refusal(write_csv(tmp_path / name, line, header=""))
    assert str(tmp_path / name) in message
    assert "add the header emotion,pixels,Usage" in message
    (tmp_path / name).rename(tmp_path / "other.csv")
    assert "has no data that jaxfer reads" in refusal(tmp_path)


def test_malformed_csv_rows_are_left_out_by_line_and_reason_and_the_others_read(tmp_path):
    lines = [
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
    ]
    records = read(write_csv(tmp_path / "fer2013.csv", *lines))
    assert {r.name: (r.left_out, r.label) for r in records} == {
        "fer2013.csv line 2": ("", "anger"),
        "fer2013.csv line 3": ("unreadable", ""),
        "fer2013.csv line 4": ("unreadable", ""),
        "fer2013.csv line 5": ("unreadable", ""),
        "fer2013.csv line 6": ("", "anger"),
        "fer2013.csv line 7": ("unreadable", ""),
        "fer2013.csv line 9": ("unlabelled", ""),
        "fer2013.csv line 10": ("unknown split", ""),
        "fer2013.csv line 11": ("", "disgust"),
    }
    assert "2 values rather than 3" in [r.detail for r in records]


@pytest.mark.parametrize("second", ["test.csv", "val.csv"])
def test_files_without_usage_are_of_the_splits_that_they_are_named_after(tmp_path, second):
    write_csv(tmp_path / "train.csv", f"3,{ROW}", f"0.0,{ROW}", header="emotion,pixels")
    assert [(r.split, r.split_name, r.label) for r in read(tmp_path)] == [
        ("train", "train", w) for w in ("happy", "anger")
    ]
    write_csv(tmp_path / second, f'4,"{ROW}"', header="emotion,pixels")
    (first, *_) = read(tmp_path)
    assert (first.name, first.split, first.label) == (f"{second} line 2", second[:-4], "sad")


def test_pixels_without_labels_are_set_aside_and_named(tmp_path):
    write_csv(tmp_path / "test.csv", f'"{ROW}"', header="pixels")
    assert "only test.csv. test.csv has no column emotion, and is not used." in refusal(tmp_path)
    write_csv(tmp_path / "train.csv", f"3,{ROW}", header="emotion,pixels")
    _, match = detect(tmp_path)
    assert match.notes == ("test.csv has no column emotion, and is not used",)
    write_csv(tmp_path / "icml_face_data.csv", f"3,Training,{ROW}", header="emotion, Usage, pixels")
    _, match = detect(tmp_path)
    assert match.place.name == "icml_face_data.csv"
    assert "train.csv has no column Usage, and is not used beside icml_face_data.csv" in match.notes


def test_a_csv_that_is_still_an_archive_loses_only_the_lines_that_are_no_rows(tmp_path):
    text = write_csv(tmp_path / "x.csv", f"3,{ROW},Training", f"0,{ROW},PublicTest").read_bytes()
    with tarfile.open(tmp_path / "fer2013.csv", "w") as archive:
        for name, content in (("fer2013/fer2013.csv", text), ("fer2013/README", b"a, b\n")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    (tmp_path / "x.csv").unlink()
    assert [r.label for r in read(tmp_path) if not r.left_out] == ["anger", "happy"]


def test_a_link_to_nothing_is_no_data(tmp_path):
    (tmp_path / "fer2013.csv").symlink_to(tmp_path / "gone.csv")
    (tmp_path / "fer2013.npz").symlink_to(tmp_path / "gone.npz")
    assert "has no data that jaxfer reads" in refusal(tmp_path)


# Votes in the npz


def test_votes_in_the_npz_are_reordered_freed_of_outliers_and_leave_the_label_alone(tmp_path):
    votes = np.zeros((6, 10), np.uint8)
    votes[0, [VOTED.index("anger"), VOTED.index("contempt"), VOTED.index("unknown")]] = 6, 3, 1
    votes[1, [VOTED.index("happy"), VOTED.index("sad"), VOTED.index("NF")]] = 1, 7, 2
    votes[2, VOTED.index("unknown")] = 10
    votes[3] = 1
    write_npz(tmp_path / "fer2013.npz", ferplus_votes=votes)
    records = {int(r.name.split()[-1]): r for r in read(tmp_path)}
    assert [records[row].label for row in range(6)] == list(FER2013[:6])
    assert records[0].votes == tuple({"anger": 6.0, "contempt": 3.0}.get(name, 0.0) for name in AFFECTNET_8)
    assert records[1].votes == tuple({"sad": 7.0}.get(name, 0.0) for name in AFFECTNET_8)
    assert [records[row].votes for row in (2, 3, 4, 5)] == [None] * 4


@pytest.mark.parametrize(
    "votes",
    [np.zeros((6, 8), int), np.zeros((5, 10), int), np.zeros((6, 10)), np.full((6, 10), -1), np.zeros(60, int)],
    ids=["eight columns", "five rows", "float", "negative", "flat"],
)
def test_votes_that_are_no_counts_are_refused_by_key(tmp_path, votes):
    write_npz(tmp_path / "fer2013.npz", ferplus_votes=votes)
    message = refusal(tmp_path)
    assert "ferplus_votes" in message
    assert "[6, 10]" in message


# FER+


@pytest.mark.parametrize("passed", ["", "fer2013.csv", "fer2013new.csv"])
def test_votes_beside_the_faces_make_it_fer_plus_whichever_is_passed(tmp_path, passed):
    write_votes(tmp_path, votes_line("Training", sad=10))
    layout, match = detect(tmp_path / passed)
    assert (layout.name, layout.release, match.place) == ("FER+", None, tmp_path / "fer2013.csv")
    assert "fer2013new.csv" in match.evidence
    assert read(tmp_path / passed)[0].label == "sad"
    (tmp_path / "fer2013new.csv").unlink()
    assert read(tmp_path)[0].label == "happy"


def test_it_is_always_said_how_often_votes_and_labels_agree(tmp_path, capsys):
    lines = [votes_line("Training", happy=10)] * 3 + [votes_line("Training", sad=10), votes_line("Training", NF=10)]
    found = check(write_votes(tmp_path, *lines))
    note = "FER+'s votes agree with FER2013's label in 75% of 4 rows, where 62% are usual"
    assert found.to_dict()["notes"] == [note]
    print_check(found)
    assert f"note: {note}" in capsys.readouterr().out
    faces = [votes_line(usage, **{label: 9}) for usage in ("Training", "PublicTest") for label in AFFECTNET_7]
    write_votes(tmp_path, *faces)
    assert "in 14% of 14 rows" in load(DataConfig(data_dir=tmp_path, image_size=32)).warnings[0]


@pytest.mark.parametrize("name", ["FER2013New.csv", "fer2013new (1).csv", "votes.csv"])
def test_votes_are_known_by_their_columns_whatever_the_file_is_called(tmp_path, name):
    write_votes(tmp_path, votes_line("Training", sad=10), votes_line("Training", NF=10))
    (tmp_path / "fer2013new.csv").rename(tmp_path / name)
    for passed in (tmp_path, tmp_path / "fer2013.csv", tmp_path / name):
        first, second = read(passed)
        assert (first.label, second.detail) == ("sad", f"NF in {name} line 3")
    write_csv(tmp_path / "more.csv", votes_line("Training", sad=10), header=VOTES_HEADER)
    assert re.search("has votes of FER[+], and so has .*csv: move all but one of them away", refusal(tmp_path))


def test_votes_in_another_folder_than_the_faces_are_set_aside_and_named(tmp_path):
    write_votes(tmp_path, votes_line("Training", sad=10))
    (tmp_path / "FERPlus").mkdir()
    (tmp_path / "fer2013new.csv").rename(tmp_path / "FERPlus/fer2013new.csv")
    layout, match = detect(tmp_path)
    note = "FERPlus/fer2013new.csv has votes of FER+, and is not used, since it is not beside fer2013.csv"
    assert (layout.name, match.notes) == ("FER2013", (note,))


def test_votes_are_learnt_from_where_another_folder_without_votes_is_validated_on(tmp_path):
    lines = [votes_line("Training", **{label: 7, "unknown": 3}) for label in AFFECTNET_7]
    (tmp_path / "voted").mkdir()
    write_votes(tmp_path / "voted", *lines)
    for label in AFFECTNET_7:
        put(tmp_path / "words" / label / "1.png", encoded(face(label, 1)))
    config = {"image_size": 32, "soft_labels": True}
    data = load(DataConfig(data_dir=tmp_path / "voted", val_dir=tmp_path / "words", **config))
    for split in (data.train, data.val):
        np.testing.assert_array_equal(split.columns["soft_label"], np.eye(7)[split.labels])
    with pytest.raises(UserError, match=r"soft labels were asked for, but '?train.* has one label a face"):
        load(DataConfig(data_dir=tmp_path / "words", val_dir=tmp_path / "voted", **config))


def test_votes_beside_faces_that_say_no_split_are_told_so(tmp_path):
    write_votes(tmp_path, votes_line("Training", sad=10))
    write_csv(tmp_path / "fer2013.csv", f"3,{ROW}", header="emotion,pixels")
    assert "has votes of FER+, but fer2013.csv beside it has no column Usage" in refusal(tmp_path)


def test_splits_of_faces_and_votes_may_have_names_of_their_own(tmp_path):
    write_votes(tmp_path, votes_line("Training", sad=10), votes_line("PublicTest", fear=10))
    write_csv(tmp_path / "fer2013.csv", f"3,{ROW},train", f"3,{ROW},val", header=HEADER)
    assert [(r.label, r.split, r.split_name) for r in read(tmp_path)] == [
        ("fear", "val", "val"),
        ("sad", "train", "train"),
    ]
    write_csv(tmp_path / "fer2013.csv", f"3,{ROW},train", f"3,{ROW},train", header=HEADER)
    assert "line 3 is of PublicTest, but fer2013.csv line 3 of train" in refusal(tmp_path)


def test_votes_may_be_written_with_a_point(tmp_path):
    line = votes_line("Training", sad=7, happy=3)
    write_votes(tmp_path, re.sub(r",(\d+)", r",\1.0", line))
    assert read(tmp_path)[0].votes == tuple({"sad": 7.0, "happy": 3.0}.get(name, 0.0) for name in AFFECTNET_8)


def test_votes_without_faces_are_no_data(tmp_path):
    write_csv(tmp_path / "fer2013new.csv", header=VOTES_HEADER)
    assert "fer2013new.csv has votes of FER+, but neither fer2013.csv" in refusal(tmp_path)


def test_votes_beside_an_npz_count_more_than_those_in_it(tmp_path):
    write_npz(tmp_path / "fer2013.npz", count=3, ferplus_votes=np.full((3, 10), 5))
    usages = ("Training", "PublicTest", "PrivateTest")
    write_csv(tmp_path / "fer2013new.csv", *(votes_line(u, fear=9) for u in usages), header=VOTES_HEADER)
    records = read(tmp_path)
    assert [(r.name, r.label) for r in records] == [(f"fer2013.npz row {row}", "fear") for row in (1, 2, 0)]
    assert records[0].votes == tuple(9.0 * (name == "fear") for name in AFFECTNET_8)


@pytest.mark.parametrize(
    ("votes", "label", "left_out"),
    [
        ({"contempt": 10}, "contempt", ""),
        ({"happy": 6, "sad": 4}, "happy", ""),
        ({"happy": 5, "sad": 5}, "", "unlabelled"),
        ({"happy": 5, "sad": 3, "fear": 2}, "", "unlabelled"),
        # Single votes are outliers: three of five others are a majority.
        ({"happy": 3, "sad": 2, "fear": 1, "anger": 1, "disgust": 1, "neutral": 1, "surprise": 1}, "happy", ""),
        ({"happy": 1, "sad": 1}, "", "unlabelled"),
        ({}, "", "unlabelled"),
        ({"unknown": 6, "happy": 4}, "", "other class"),
        ({"NF": 10}, "", "other class"),
        # Unknown counts in the sum.
        ({"unknown": 4, "happy": 4, "sad": 2}, "", "unlabelled"),
    ],
)
def test_the_label_is_what_more_than_half_of_the_votes_say(tmp_path, votes, label, left_out):
    (record,) = read(write_votes(tmp_path, votes_line("PublicTest", **votes)))
    assert (record.label, record.left_out, record.split) == (label, left_out, "val")
    assert bool(record.detail) == bool(left_out)
    kept = tuple(float(votes.get(name, 0)) * (votes.get(name, 0) > 1) for name in AFFECTNET_8)
    assert record.votes == (kept if any(kept) else None)


@pytest.mark.parametrize(
    "line",
    [
        "Training,fer.png,5,5",
        "Training",
        "Training,fer.png,-5,5,0,0,0,0,0,0,0,0",
        "Training,fer.png,5.5,5,0,0,0,0,0,0,0,0",
        "Training,fer.png,,10,0,0,0,0,0,0,0,0",
        "Training,fer.png," + "9" * 5000 + ",0,0,0,0,0,0,0,0,0",
        "Training,fer.png,0,10,0,0,0,0,0,0,0,0,0",
    ],
)
def test_a_damaged_line_of_votes_leaves_out_its_face_alone(tmp_path, line):
    write_votes(tmp_path, votes_line("Training", sad=9), line, votes_line("Training", fear=9))
    assert [(r.label, r.left_out, r.votes is None) for r in read(tmp_path)] == [
        ("sad", "", False),
        ("", "unlabelled", True),
        ("fear", "", False),
    ]
    assert "fer2013new.csv line 3 is damaged" in read(tmp_path)[1].detail


def test_fer_plus_labels_rows_whose_own_label_is_damaged_but_not_those_without_pixels(tmp_path):
    write_votes(tmp_path, *[votes_line("Training", sad=9)] * 3)
    write_csv(tmp_path / "fer2013.csv", f"9,{ROW},Training", "0,1 2,Training", f"0,{ROW},Holiday")
    outcome = {r.name[-1]: (r.label, r.left_out) for r in read(tmp_path)}
    assert outcome == {"2": ("sad", ""), "3": ("", "unreadable"), "4": ("", "unknown split")}


def test_files_of_different_rows_are_refused(tmp_path):
    write_votes(tmp_path, votes_line("Training", sad=9), votes_line("Training", sad=9))
    write_csv(tmp_path / "fer2013.csv", f"0,{ROW},Training")
    message = refusal(tmp_path)
    assert "fer2013new.csv has 2 rows, but fer2013.csv has 1" in message
    assert "FER2013's own labels" in message


def test_files_whose_rows_are_in_different_order_are_refused_with_the_first_line(tmp_path):
    write_votes(tmp_path, votes_line("Training", sad=9), votes_line("PublicTest", sad=9))
    write_csv(tmp_path / "fer2013.csv", f"0,{ROW},Training", f"0,{ROW},PrivateTest")
    message = refusal(tmp_path)
    assert "fer2013new.csv line 3 is of PublicTest, but fer2013.csv line 3 of PrivateTest" in message


@pytest.mark.parametrize("in_npz", [False, True])
def test_votes_of_other_faces_are_refused_by_how_seldom_they_agree(tmp_path, in_npz):
    random = np.random.default_rng(0)
    labels = random.integers(0, 7, 120)
    seen = np.where(random.random(120) < 0.62, labels, random.integers(0, 7, 120))  # as often as published

    def write(order):
        if in_npz:
            counts = np.zeros((120, 10), np.uint8)
            counts[np.arange(120), [VOTED.index(FER2013[code]) for code in seen[order]]] = 10
            write_npz(tmp_path / "fer2013.npz", 120, labels=labels, usage=np.zeros(120, int), ferplus_votes=counts)
        else:
            write_votes(tmp_path, *(votes_line("Training", **{FER2013[code]: 10}) for code in seen[order]))
            write_csv(tmp_path / "fer2013.csv", *(f"{code},{ROW},Training" for code in labels))

    write(np.arange(120))
    assert len(read(tmp_path)) == 120
    write(random.permutation(120))
    words = (
        r"fer2013(new\.csv|\.npz) has votes of other faces: .* label in [12]\d% of 120 faces of Training, where 5\d%"
    )
    assert re.search(words, refusal(tmp_path))


def published_votes(labels):
    """Return votes, uint8 [n, 10], that agree with codes as often as FER+'s do with FER2013's labels."""
    random = np.random.default_rng(0)
    usual = np.array([0.47, 0.34, 0.13, 0.92, 0.41, 0.80, 0.87])  # by code, in all that is published
    seen = np.where(random.random(len(labels)) < usual[labels], labels, random.integers(0, 7, len(labels)))
    counts = np.zeros((len(labels), 10), np.uint8)
    counts[np.arange(len(labels)), [VOTED.index(FER2013[code]) for code in seen]] = 10
    return counts


def shifted(rows, first, last):
    """Return rows of which those of a part are one too early."""
    return np.concatenate([rows[:first], rows[first + 1 : last], rows[first : first + 1], rows[last:]])


def test_votes_of_other_faces_are_refused_in_a_part_of_a_split_too(tmp_path):
    shares = np.array([3995, 436, 4097, 7215, 4830, 3171, 4965])
    labels = np.random.default_rng(1).choice(7, 2000, p=shares / shares.sum())
    rows = {"labels": labels, "usage": np.repeat([0, 1], [1500, 500])}
    votes = published_votes(labels)
    write_npz(tmp_path / "fer2013.npz", 2000, **rows, ferplus_votes=votes)
    assert len(read(tmp_path)) == 2000
    write_npz(tmp_path / "fer2013.npz", 2000, **rows, ferplus_votes=shifted(votes, 900, 1300))
    found = re.search(
        r"label in [1-4]\d% of 200 faces of Training around fer2013.npz row (\d+), where", refusal(tmp_path)
    )
    assert found
    assert 850 < int(found[1]) < 1200


@pytest.mark.parametrize("codes", [range(7), [2], [1, 2]])
def test_faces_that_were_sorted_or_chosen_by_their_label_keep_their_votes(tmp_path, codes):
    labels = np.sort(np.resize(codes, 1400))
    write_npz(tmp_path / "fer2013.npz", 1400, labels=labels, usage=labels * 0, ferplus_votes=published_votes(labels))
    assert len(read(tmp_path)) == 1400


@pytest.mark.parametrize("header", ["", "Usage,Image name,neutral,happiness", VOTES_HEADER.replace("NF", "x")])
def test_votes_without_the_names_of_their_columns_are_told_to_add_them(tmp_path, header):
    write_votes(tmp_path, votes_line("Training", sad=9))
    write_csv(tmp_path / "fer2013new.csv", votes_line("Training", sad=9), header=header)
    assert f"add the header {VOTES_HEADER}" in refusal(tmp_path)


def test_votes_may_have_a_mark_quotes_blank_lines_and_another_order_of_columns(tmp_path):
    write_votes(tmp_path, votes_line("Training", sad=9))
    header = "\ufeffNF,unknown,Contempt,fear,disgust,anger,sadness,surprise,happiness,neutral,USAGE"
    write_csv(tmp_path / "fer2013new.csv", "", '"0",0,0,0,0,0,"9",0,0,0,Training\r', "", header=header)
    assert read(tmp_path)[0].label == "sad"


# Arbitrary content

FIELDS = st.one_of(
    st.sampled_from(
        ["0", "-1", "6", ROW, ROW + " ", f" {ROW}", "9" * 40 + ROW, "9" * 5000, "Training", "PublicTest", "", '"']
    ),
    st.text(max_size=20),
)
LINES = st.lists(st.lists(FIELDS, max_size=4).map(",".join), max_size=5)


def check_outcome(path):
    """Read a file; assert that whatever is not used says why, and the rest is sound."""
    try:
        records = read(path)
    except UserError:
        return
    for record in records:
        assert bool(record.left_out) != bool(record.label)
        if not record.left_out:
            assert record.label in AFFECTNET_8
            assert record.image.shape == (48, 48)


@pytest.mark.long
@given(header=st.sampled_from([HEADER, "", "\ufeff" + HEADER]), lines=LINES)
def test_no_csv_crashes_the_reader(tmp_path_factory, header, lines):
    path = tmp_path_factory.getbasetemp() / "arbitrary.csv"
    path.write_bytes("\n".join([header, *lines]).encode(errors="surrogatepass"))
    check_outcome(path)


@pytest.mark.long
@given(votes=st.one_of(LINES.map("\n".join).map(str.encode), st.binary(max_size=200)), headed=st.booleans())
def test_no_votes_crash_the_reader(tmp_path_factory, votes, headed):
    folder = tmp_path_factory.getbasetemp() / "votes"
    folder.mkdir(exist_ok=True)
    content = (VOTES_HEADER + "\n").encode() * headed + votes
    (folder / "fer2013new.csv").write_bytes(content)
    rows = sum(bool(line.strip()) for line in content.split(b"\n")) - 1
    write_csv(folder / "fer2013.csv", *[f"0,{ROW},Training"] * rows)
    check_outcome(folder)


MUTATIONS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), max_size=3)


def mutated(content, mutations, keep=1.0):
    """Return bytes with some of them replaced, each at a share of the length, and cut to a share of it."""
    content = bytearray(content)
    for place, new in mutations:
        start = int(place * len(content))
        content[start : start + len(new)] = new
    return bytes(content[: round(keep * len(content))])


@pytest.mark.long
@given(mutations=MUTATIONS, keep=st.sampled_from([1.0, 0.99, 0.5]), name=st.sampled_from(["fer2013.npz", "any.npz"]))
def test_no_damaged_archive_crashes_the_reader(tmp_path_factory, mutations, keep, name):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays(2, images=np.zeros((2, 48, 48), np.uint8)))
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(mutated(buffer.getvalue(), mutations, keep))
    check_outcome(path)


@pytest.mark.long
@given(key=st.sampled_from(["images", "labels", "usage", "ferplus_votes"]), mutations=MUTATIONS)
@example("labels", [(0.2, b"\xff"), (0.3, b"\x00")])
@example("labels", [(0.05, b"\x02")])
def test_no_damaged_array_in_a_whole_archive_crashes_the_reader(tmp_path_factory, key, mutations):
    path = tmp_path_factory.getbasetemp() / "fer2013.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays(2, ferplus_votes=np.full((2, 10), 3)).items():
            buffer = io.BytesIO()
            np.save(buffer, array)
            content = buffer.getvalue()
            head = mutated(content[:128], mutations) if name == key else content[:128]
            archive.writestr(f"{name}.npy", head + content[128:])
    check_outcome(path)


@pytest.mark.skipif(
    "JAXFER_DATA" not in os.environ, reason="JAXFER_DATA does not name a folder with fer2013/fer2013.npz"
)
def test_the_votes_of_the_real_fer2013_agree_with_its_labels_as_often_as_is_known():
    path = Path(os.environ["JAXFER_DATA"]) / "fer2013" / "fer2013.npz"
    records = {int(r.name.split()[-1]): r for r in read(path)}
    with np.load(path, allow_pickle=False) as content:
        counts = content["ferplus_votes"][:, :8]
    for row, record in records.items():
        assert (record.votes is not None) == (counts[row].max() > 1)
    voted = [record for record in records.values() if record.votes]
    agreeing = [r for r in voted if AFFECTNET_8.index(r.label) == np.argmax(r.votes)]
    assert 0.60 < len(agreeing) / len(voted) < 0.68


@pytest.mark.parametrize("column", ["split", "Set", "partition"])
def test_the_column_of_splits_may_have_another_usual_name(tmp_path, column):
    write_csv(tmp_path / "fer2013.csv", f"3,{ROW},test", f"3,{ROW},train", header=f"emotion,pixels,{column}")
    assert [(one.split, one.split_name) for one in read(tmp_path)] == [("test", "test"), ("train", "train")]


@pytest.mark.parametrize(
    ("header", "last", "message"),
    [
        ("emotion,pixels,phase", "PrivateTest", "seems to say of which split each row is in 'phase'"),
        ("emotion,pixels,is_train", "0", "seems to say of which split each row is in 'is_train'"),
        ("emotion,pixels,Emotion", "4", "several columns that may be emotion: keep the one that counts"),
        ("emotion,pixels,pixels", ROW, "several columns that may be pixels"),
    ],
)
def test_columns_that_may_say_something_else_are_refused(tmp_path, header, last, message):
    write_csv(tmp_path / "fer2013.csv", f"3,{ROW},{last}", f"3,{ROW},{last}", header=header)
    assert message in refusal(tmp_path)
