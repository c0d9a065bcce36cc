"""`jaxfer.data.checking` says what a data set holds and what is wrong with it, as an object, JSON, text and a page."""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from formats import FORMATS, encoded, face, put

from jaxfer.data.checking import KINDS, check
from jaxfer.data.reading.record import LINK, MISSING, OTHER_CLASS, UNLABELLED, UNREADABLE, Layout, Match, Record
from jaxfer.data.releases import AFFECTNET_2017, AFFECTNET_2021, FER2013, RAF_DB, compare
from jaxfer.emotions import AFFECTNET_7
from jaxfer.errors import UserError
from jaxfer.reports import images_bar
from jaxfer.reports.check_page import write_check as write_page
from jaxfer.reports.terminal import print_check


def word_folders(root, per_class=2, splits=("train", "val"), classes=("happy", "sad")):
    for split in splits:
        for word in classes:
            for number in range(per_class):
                picture = face(word, number + 100 * len(split))
                put(root / split / word / f"{number}.png", encoded(picture, "PNG"))
    return root


def shown(path, capsys):
    print_check(check(path))
    return capsys.readouterr().out


@pytest.fixture
def check_records(monkeypatch, tmp_path):
    """Return a function that checks records as they are, whatever layout they come from."""

    def run(*records):
        layout = Layout("made up", "nothing", lambda folder: [], lambda place, options: iter(records))
        match = Match(tmp_path, "is made up")
        monkeypatch.setattr("jaxfer.data.checking.run.detect", lambda path, options: (layout, match))
        return check(tmp_path)

    return run


@pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.name)
def test_every_layout_has_its_counts(format_, tmp_path):
    expected = format_.write(tmp_path, 2)
    result = check(tmp_path, label_order=format_.label_order)
    found = json.loads(json.dumps(result.to_dict()))
    counts = defaultdict(Counter)
    for split, label in expected.values():
        counts[split][label] += 1
    found_counts = defaultdict(Counter)
    for split in found["splits"].values():
        found_counts[split["use"]] += Counter(split["classes"])
    assert found_counts == counts
    assert all(split["images"] == sum(split["classes"].values()) for split in found["splits"].values())
    assert found["images"] == len(expected) == sum(found["sizes"].values()) == sum(found["modes"].values())
    assert found["layout"] == format_.layout
    assert set(found["problems"]) == set(KINDS)
    assert all({"path", "reason"} <= set(entry) for listed in found["problems"].values() for entry in listed)
    write_page(result, tmp_path / "check.html")


def test_layout_splits_sizes_and_versions_are_told(tmp_path):
    word_folders(tmp_path / "archive (3)", splits=("Training", "valid"))
    put(tmp_path / "archive (3)/valid/sad/9.jpg", encoded(face("sad", 9, 64).convert("CMYK")))
    found = check(tmp_path).to_dict()
    assert found["layout"] == "class folders"
    assert found["place"] == str(tmp_path / "archive (3)")
    assert "folders named by class" in found["evidence"]
    assert found["splits"] == {
        "valid": {"use": "val", "images": 5, "classes": {"happy": 2, "sad": 3}},
        "Training": {"use": "train", "images": 4, "classes": {"happy": 2, "sad": 2}},
    }
    assert list(found["sizes"].items()) == [("48x48", 8), ("64x64", 1)]
    assert list(found["modes"].items()) == [("RGB", 8), ("CMYK", 1)]
    assert set(found["versions"]) == {"jaxfer", "Python", "Pillow", "numpy"}


def test_a_class_that_only_one_split_has_counts_zero_in_the_other(tmp_path):
    word_folders(tmp_path)
    put(tmp_path / "train/fear/1.png", encoded(face("fear", 1), "PNG"))
    assert check(tmp_path).splits["val"].classes == {"happy": 2, "sad": 2, "fear": 0}


def test_many_sizes_are_counted_together(tmp_path):
    for number in range(30):
        put(tmp_path / f"happy/{number}.png", encoded(face("happy", number, 20 + number), "PNG"))
    sizes = check(tmp_path).sizes
    assert sizes["other"] == 10
    assert sum(sizes.values()) == 30


def test_unreadable_files_are_listed_with_the_reason_and_not_counted(tmp_path):
    word_folders(tmp_path)
    put(tmp_path / "train/happy/empty.jpg", b"")
    put(tmp_path / "train/happy/text.jpg", b"no image")
    put(tmp_path / "train/sad/cut.png", encoded(face("sad", 5), "PNG")[:-200])
    (tmp_path / "val/happy/folder.png").mkdir()
    result = check(tmp_path)
    listed = {problem.path: problem.reason for problem in result.problems["unreadable"]}
    assert listed["train/happy/empty.jpg"] == "an empty file"
    assert listed["train/happy/text.jpg"] == "not an image of a known format"
    assert set(listed) >= {"train/sad/cut.png"}
    assert result.images == 8


def test_reasons_to_leave_rows_out_and_remarks_become_problems_of_their_kind(check_records):
    def row(name, left_out, detail=""):
        return Record(name=name, image=Path(name), split="train", left_out=left_out, detail=detail)

    pixels = np.asarray(face("happy", 1))
    result = check_records(
        row("a", UNREADABLE, "five values rather than three"),
        row("b", MISSING),
        row("c", UNLABELLED, "its label is 'x'"),
        row("d", OTHER_CLASS),
        row("e", LINK),
        row("f", "a reason that nobody knows"),
        Record(name="g", image=pixels, split="val", label="happy", remarks=(("affect", "valence 7"),)),
        Record(name="h", image=pixels, split=None, label="happy"),
        Record(name="i", image=pixels, split="val", label="sleepy"),
    )
    listed = {kind: [(p.path, p.reason) for p in problems] for kind, problems in result.problems.items() if problems}
    assert listed == {
        "unreadable": [("a", "five values rather than three")],
        "missing": [("b", MISSING)],
        "unlabelled": [("c", "unlabelled: its label is 'x'")],
        "excluded": [
            ("d", OTHER_CLASS),
            ("e", LINK),
            ("f", "a reason that nobody knows"),
            ("h", "unknown split"),
            ("i", OTHER_CLASS),
        ],
        "affect": [("g", "valence 7")],
    }
    assert result.images == 1
    assert result.splits["train"].images == 0


def test_boxes_that_reach_out_of_the_photograph_are_listed_and_used(check_records):
    boxes = {"inside": (4, 4, 40, 40), "rounded": (-1, -1, 50, 50), "left": (-9, 0, 20, 20), "below": (0, 30, 20, 30)}
    records = [
        Record(name=name, image=np.asarray(face("sad", number)), split="train", label="sad", box=box)
        for number, (name, box) in enumerate(boxes.items())
    ]
    outside = Record(name="away", image=np.asarray(face("sad", 9)), split="train", label="sad", box=(90, 90, 9, 9))
    result = check_records(*records, outside)
    assert {problem.path: problem.reason for problem in result.problems["box"]} == {
        "left": "its box, -9 0 20 20, reaches 9 pixels outside of its photograph, 48x48",
        "below": "its box, 0 30 20 30, reaches 12 pixels outside of its photograph, 48x48",
    }
    (unreadable,) = result.problems["unreadable"]
    assert unreadable.path == "away"
    assert "lies outside of the image" in unreadable.reason
    assert result.images == 4


def test_two_faces_of_one_photograph_are_no_copies_but_one_face_in_two_photographs_is(check_records):
    photograph = np.hstack([np.asarray(face("sad", number)) for number in range(3)])
    swapped = photograph[:, ::-1]
    records = [
        Record(name=f"{name} {left}", image=image, split=split, label="sad", box=(left, 0, 48, 48))
        for name, image, split, left in (
            ("one", photograph, "val", 0),
            ("one", photograph, "val", 48),
            ("two", np.hstack([swapped[:, :48], photograph[:, :48]]), "train", 48),
        )
    ]
    result = check_records(*records)
    assert [(problem.path, problem.other) for problem in result.problems["leak"]] == [("one 0", "two 48")]
    assert not result.problems["duplicate"]


class Stored:
    def __init__(self, content):
        self.content = content

    def read(self):
        if self.content is None:
            raise OSError("the file ends early")
        return self.content


def test_images_stored_inside_of_larger_files_are_read(check_records, tmp_path):
    picture = face("fear", 1)
    contents = {"bytes": encoded(picture, "PNG"), "pixels": np.asarray(picture), "cut": None}
    result = check_records(
        *(Record(name=name, image=Stored(content), split="val", label="fear") for name, content in contents.items())
    )
    assert [problem.path for problem in result.problems["duplicate"]] == ["pixels"]
    assert [(problem.path, problem.reason) for problem in result.problems["unreadable"]] == [
        ("cut", "the file ends early")
    ]
    write_page(result, tmp_path / "check.html")
    assert len(parse(tmp_path / "check.html").images) == 2


@pytest.mark.parametrize("workers", [1, 5])
def test_the_result_depends_neither_on_processors_nor_on_the_place(tmp_path, monkeypatch, workers):
    results = []
    for place in ("here", "there/again"):
        root = word_folders(tmp_path / place, per_class=40)
        for number in range(5):
            put(root / f"val/sad/copy{number}.png", (root / f"train/happy/{number}.png").read_bytes())
            put(root / f"train/sad/{number}.jpg", encoded(face("sad", number + 300)))
        results.append(check(root).to_dict())
        monkeypatch.setattr(os, "cpu_count", lambda: workers)
    places = [result.pop("place") for result in results]
    assert places == [str(tmp_path / "here"), str(tmp_path / "there/again")]
    assert json.dumps(results[0]) == json.dumps(results[1])
    assert len(results[0]["problems"]["leak"]) == 5
    assert len(results[0]["problems"]["near_leak"]) == 5


def test_without_a_usable_image_there_still_is_a_result(tmp_path, capsys):
    put(tmp_path / "train/happy/1.jpg", b"")
    (tmp_path / "train/sad").mkdir()
    result = check(tmp_path)
    assert result.to_dict()["splits"] == {"train": {"use": "train", "images": 0, "classes": {}}}
    assert result.release.name is None
    assert "why no image can be used" in shown(tmp_path, capsys)
    write_page(result, tmp_path / "check.html")


def test_folders_without_data_and_digits_without_order_are_refused(tmp_path):
    with pytest.raises(UserError, match="is empty"):
        check(tmp_path)
    put(tmp_path / "0/1.png", encoded(face("sad", 1), "PNG"))
    put(tmp_path / "1/1.png", encoded(face("fear", 1), "PNG"))
    with pytest.raises(UserError, match="label_order"):
        check(tmp_path)
    assert check(tmp_path, label_order="affectnet").splits["train"].classes == {"neutral": 1, "happy": 1}


def test_no_room_for_the_temporary_file_is_a_user_error(tmp_path, monkeypatch):
    word_folders(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(UserError, match="TMPDIR"):
        check(tmp_path)


# Counts against the published ones


def counts_of(release, **names):
    return {name: (use, dict(release.counts[use])) for use, name in names.items()}


def test_the_published_counts_are_recognised_without_a_hint():
    for release in (AFFECTNET_2017, AFFECTNET_2021, FER2013, RAF_DB):
        found = compare({use: (use, counts) for use, counts in release.counts.items()}, None)
        assert (found.name, found.fits, found.differences, found.absent) == (release.name, True, {}, ())


def test_a_missing_split_is_told_and_one_under_another_name_is_compared():
    found = compare(counts_of(FER2013, train="Training", val="PublicTest"), None)
    assert (found.name, found.fits, found.absent) == ("FER2013", True, ("test",))
    assert "test split is not here" in found.summary
    train, val = (dict(AFFECTNET_2021.counts[use]) for use in ("train", "val"))
    found = compare({"Train": ("train", train), "Test": ("test", val)}, None)
    assert (found.name, found.fits, found.published["Test"]) == ("AffectNet, March 2021", True, val)


def test_differences_are_listed_by_split_and_class():
    splits = counts_of(FER2013, train="Training", val="PublicTest")
    splits["Training"][1]["happy"] -= 3
    splits["Training"][1]["sad"] += 1
    found = compare(splits, FER2013)
    assert not found.fits
    assert found.differences == {"Training": {"happy": -3, "sad": 1}}
    assert "1 images more and 3 fewer" in found.summary


def test_data_without_contempt_is_compared_with_the_other_seven_classes():
    train = {name: AFFECTNET_2017.counts["train"][name] for name in AFFECTNET_7}
    found = compare({"train": ("train", train), "val": ("val", dict.fromkeys(AFFECTNET_7, 500))}, None)
    assert found.fits
    assert found.name == "AffectNet, 2017, without contempt"


def test_a_small_copy_is_not_taken_for_the_release():
    small = {name: count // 10 for name, count in AFFECTNET_2021.counts["train"].items()}
    known = compare({"train_set": ("train", small)}, AFFECTNET_2021)
    assert "9.9% of the 291,650" in known.summary
    unknown = compare({"train": ("train", small)}, None)
    assert unknown.name is None
    for found in (known, unknown):
        assert "another" in found.summary
        assert "selection" in found.summary
        assert "cannot be set beside published ones" in found.summary


def test_splits_of_one_use_are_compared_as_one():
    counts = FER2013.counts["train"]
    half = {name: count // 2 for name, count in counts.items()}
    rest = {name: counts[name] - half[name] for name in counts}
    found = compare({"a": ("train", half), "b": ("train", rest)}, None)
    assert (found.name, found.fits, set(found.published)) == ("FER2013", True, {"a and b"})


# The terminal


def test_the_summary_shows_layout_counts_examples_and_next_steps(tmp_path, capsys):
    word_folders(tmp_path, per_class=6)
    for number in range(5):
        put(tmp_path / f"val/sad/leak{number}.png", (tmp_path / f"train/happy/{number}.png").read_bytes())
    output = shown(tmp_path, capsys)
    assert f"class folders: {tmp_path} has folders named by class" in output
    assert "29 usable images" in output
    assert "Leaks: 5" in output
    leaks = output.split("Leaks: 5")[1].split("Conflicting labels")[0]
    assert leaks.count("same pixels as an image of train") == 3
    assert "val/sad/leak0.png" in leaks
    assert "(sad here, happy there)" in leaks
    assert "and 2 more" in leaks
    assert "1. Leaks: " in output


def test_without_problems_the_summary_says_so(tmp_path, capsys):
    assert "No problem was found." in shown(word_folders(tmp_path), capsys)


def test_differences_from_the_published_counts_stand_beside_the_counts(tmp_path, capsys):
    pixels = " ".join(["9"] * 2304)
    rows = [f"{code},{pixels},{usage}" for usage in ("Training", "PublicTest") for code in range(7)]
    path = tmp_path / "fer2013.csv"
    path.write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    output = shown(path, capsys)
    assert "1 (-7,214)" in output
    assert "smaller selection" in output


def test_names_that_are_markup_or_no_unicode_are_printed_and_shown(tmp_path, capsys):
    word_folders(tmp_path)
    name = os.fsdecode(b"[bold]<b>\xe9.png")
    try:
        put(tmp_path / "train/sad" / name, b"")
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system takes only names in Unicode")
    assert r"[bold]<b>\udce9.png" in shown(tmp_path, capsys)
    write_page(check(tmp_path), tmp_path / "check.html")
    page = (tmp_path / "check.html").read_text(encoding="utf-8")
    assert r"[bold]&lt;b&gt;\udce9.png" in page
    json.dumps(check(tmp_path).to_dict())


# The page


class Page(HTMLParser):
    """What a page refers to, its images and its texts."""

    def __init__(self):
        super().__init__()
        self.references, self.images, self.ids, self.texts, self.open = [], [], set(), [], []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.references += [values[name] for name in ("src", "href", "srcset", "action", "data") if name in values]
        if tag == "img":
            self.images.append(values)
        if "id" in values:
            self.ids.add(values["id"])
        assert tag not in ("script", "link", "iframe", "object")
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def parse(path):
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    assert page.open == []
    return page


@pytest.fixture(scope="module")
def leaking(tmp_path_factory):
    """Return a folder with forty leaks and the page of its check."""
    root = word_folders(tmp_path_factory.mktemp("leaking") / "data", per_class=60)
    for number in range(40):
        put(root / f"val/sad/leak{number}.png", (root / f"train/happy/{number}.png").read_bytes())
        put(root / f"val/happy/near{number}.jpg", encoded(face("happy", number + 500, 96), quality=80))
    put(root / "train/sad/empty.png", b"")
    write_page(check(root), root.parent / "check.html")
    return root.parent / "check.html"


def test_the_page_needs_no_other_file_and_describes_each_image(leaking):
    page = parse(leaking)
    assert page.images
    for image in page.images:
        assert image["src"].startswith("data:image/jpeg;base64,")
        assert ", labelled " in image["alt"]
    assert all(reference.startswith(("data:", "#")) for reference in page.references)
    assert {reference[1:] for reference in page.references if reference.startswith("#")} <= page.ids
    text = leaking.read_text(encoding="utf-8")
    assert "url(" not in text
    assert "@import" not in text
    assert len(text) < 1_000_000


def test_the_page_shows_pairs_of_the_worst_and_lists_the_rest(leaking):
    page = parse(leaking)
    assert {"leak", "near_leak", "label_conflict", "unreadable"} <= page.ids
    alts = Counter(image["alt"] for image in page.images)
    assert alts["val/sad/leak0.png, labelled sad"] >= 1
    assert alts["train/happy/0.png, labelled happy"] >= 1
    assert sum("/near" in alt for alt in alts.elements()) == 24 + 24, "as near leaks, and beside copies in val"
    texts = " ".join(page.texts)
    assert "Leaks: 40" in texts
    assert "val/sad/leak39.png" in texts
    assert "train/sad/empty.png" in texts
    assert "none has these classes" in texts


def test_the_page_of_digit_folders_remembers_their_order(tmp_path):
    for code in range(2):
        for split in ("train", "val"):
            put(tmp_path / f"{split}/{code}/1.png", encoded(face("sad", code), "PNG"))
    result = check(tmp_path, label_order="affectnet")
    write_page(result, tmp_path / "check.html")
    assert {image["alt"] for image in parse(tmp_path / "check.html").images} == {
        f"{split}/{code}/1.png, labelled {label}"
        for split in ("train", "val")
        for code, label in enumerate(("neutral", "happy"))
    }


def test_images_that_have_gone_since_are_left_out_of_the_page(tmp_path):
    root = word_folders(tmp_path / "data")
    put(root / "val/sad/copy.png", (root / "train/sad/0.png").read_bytes())
    result = check(root)
    (root / "val/sad/copy.png").unlink()
    write_page(result, tmp_path / "check.html")
    assert {image["alt"] for image in parse(tmp_path / "check.html").images} == {"train/sad/0.png, labelled sad"}


def test_a_page_that_cannot_be_written_is_a_user_error(tmp_path):
    result = check(word_folders(tmp_path))
    with pytest.raises(UserError, match="cannot be written"):
        write_page(result, tmp_path / "gone" / "check.html")


# Progress and imports


def test_progress_is_drawn_on_a_terminal_only(tmp_path, monkeypatch, capsys):
    word_folders(tmp_path)
    check(tmp_path, watch=images_bar)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    check(tmp_path, watch=images_bar)
    output = capsys.readouterr()
    assert "images" in output.err
    assert output.out == ""


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import jaxfer.data.checking", ("jax", "PIL", "rich")),
        (
            "from pathlib import Path; from jaxfer.data.checking import check; check(Path(sys.argv[1]))",
            ("jax", "imagehash"),
        ),
    ],
)
def test_checking_loads_no_jax_and_importing_it_no_pillow(tmp_path, code, absent):
    word_folders(tmp_path)
    script = f"import pathlib, sys; {code}; print([name for name in {absent!r} if name in sys.modules])"
    command = [sys.executable, "-c", script, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, timeout=600, check=True).stdout == "[]\n"
