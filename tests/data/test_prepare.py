import contextlib
import errno
import itertools
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter
from formats import COLOURS, FORMATS, class_shown, encoded, face, put
from PIL import Image, ImageEnhance

from jaxfer.config import DataConfig, PrepareConfig
from jaxfer.data import load
from jaxfer.data.checking import check
from jaxfer.data.layouts import Layout, Match, ReadOptions, Record, detect
from jaxfer.data.layouts.prepared import chunks
from jaxfer.data.prepared import builder, run
from jaxfer.data.prepared import prepare as prepare_as
from jaxfer.data.reading import pool
from jaxfer.data.reading.images import decode
from jaxfer.data.reading.progress import unwatched
from jaxfer.emotions import AFFECTNET_7, AFFECTNET_8
from jaxfer.errors import UserError
from jaxfer.reports import images_bar
from jaxfer.reports.terminal import print_prepared

CHILD = Path(__file__).parent / "preparing.py"

each_format = pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.name)


def prepare(data_dir, out, *, watch=unwatched, **options):
    return prepare_as(data_dir, out, PrepareConfig(**options), watch=watch)


def records_in(path, **options):
    layout, match = detect(path)
    return list(layout.read(match.place, ReadOptions(**options)))


def folders(root, per_class=2, splits=("train", "val"), classes=AFFECTNET_7):
    """Write class folders in which no two images are equal."""
    for split in splits:
        for label in classes:
            for number in range(per_class):
                content = encoded(face(label, number + 1000 * len(split)), "PNG")
                put(root / split / label / f"{number}.png", content)
    return root


def files_in(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def everything_below(path):
    return sorted(file.relative_to(path).as_posix() for file in path.rglob("*")) if path.exists() else []


def test_no_temporary_folder_is_left_behind(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    prepare(folders(tmp_path / "raw"), tmp_path / "out")
    assert everything_below(tmp_path / "temporary") == []


@pytest.mark.one_of(2)
@each_format
def test_every_format_comes_back_with_its_names_splits_labels_and_pixels(format_, tmp_path):
    (tmp_path / "raw").mkdir()
    expected = format_.write(tmp_path / "raw", 1)
    raw = {r.name: r for r in records_in(tmp_path / "raw", label_order=format_.label_order) if not r.left_out}
    prepared = prepare(
        tmp_path / "raw",
        tmp_path / "out",
        num_classes=len(format_.classes),
        image_size=32,
        label_order=format_.label_order,
        leaks="keep",  # some copies show the same faces in all splits
    )
    found = records_in(tmp_path / "out")
    assert {r.name: (r.split, r.label) for r in found} == expected
    assert [r.name for r in found] == list(raw)
    for record in found:
        source = raw[record.name]
        np.testing.assert_array_equal(record.image.read(), decode(source.image, 32, box=source.box))
        assert record.split_name == source.split_name
        assert format_.gray or class_shown(record.image.read()) == record.label
        np.testing.assert_allclose([record.valence, record.arousal], [source.valence, source.arousal], rtol=1e-6)
        assert (record.votes is None) == (source.votes is None)
        assert source.votes is None or record.votes == pytest.approx(source.votes)
    rows = tfds.data_source(prepared.name, data_dir=tmp_path / "out")
    assert sum(map(len, rows.values())) == len(expected)
    for name, split in {"train": "train", "validation": "val", "test": "test"}.items():
        for row in rows.get(name, ()):
            assert expected[row["name"].decode()] == (split, AFFECTNET_8[row["label"]])


PLAIN = """
import json, sys
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter
out, path = sys.argv[1:]
by_name = tfds.data_source("facial_expressions/affectnet7-64px", data_dir=out, split="train")
builder = tfds.builder_from_directory(path)
by_path = builder.as_data_source(split="train")
names = builder.info.features["label"].names
rows = [[row["name"].decode(), names[row["label"]], row["image"].tolist(), str(row["valence"])] for row in by_path]
assert [row["name"].decode() for row in by_name] == [row[0] for row in rows]
assert by_path[0]["landmarks"].shape == (68, 2) and by_path[0]["votes"].shape == (8,)
assert not {"jaxfer", "jax", "tensorflow"} & set(sys.modules)
print(json.dumps([rows, {name: split.num_examples for name, split in builder.info.splits.items()}]))
"""


def test_plain_tfds_code_reads_it_without_jaxfer(tmp_path):
    folders(tmp_path / "raw", per_class=1)
    prepared = prepare(tmp_path / "raw", tmp_path / "out")
    command = [sys.executable, "-W", "error", "-c", PLAIN, str(tmp_path / "out"), str(prepared.path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    rows, splits = json.loads(ended.stdout)
    assert splits == {"validation": 7, "train": 7}
    for name, label, image, valence in rows:
        assert name == f"train/{label}/0.png"
        assert valence == "nan"
        assert class_shown(np.array(image)) == label


def test_training_sees_the_same_data_as_from_the_raw_folder(tmp_path):
    folders(tmp_path / "raw", per_class=12, splits=("train",))
    prepare(tmp_path / "raw", tmp_path / "out", image_size=32)
    raw, prepared = (load(DataConfig(data_dir=tmp_path / name, image_size=32)) for name in ("raw", "out"))
    for name in ("train", "val"):
        np.testing.assert_array_equal(getattr(prepared, name).images, getattr(raw, name).images)
        np.testing.assert_array_equal(getattr(prepared, name).labels, getattr(raw, name).labels)
        assert getattr(prepared, name).name == getattr(raw, name).name


def test_processes_write_what_one_process_writes(tmp_path, monkeypatch):
    folders(tmp_path / "raw", per_class=20)
    (tmp_path / "raw" / "train" / "sad" / "3.png").write_bytes(b"")
    alone = prepare(tmp_path / "raw", tmp_path / "alone")
    monkeypatch.setattr(pool, "FEW", 0)
    together = prepare(tmp_path / "raw", tmp_path / "together")
    assert together.metadata == alone.metadata
    assert files_in(together.path) == files_in(alone.path)


def test_a_split_of_many_files_is_read_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(builder, "SHARD_BYTES", 5 * 3 * 32**2)
    folders(tmp_path / "raw", per_class=3, splits=("train",))
    prepared = prepare(tmp_path / "raw", tmp_path / "out", image_size=32)
    names = [r.name for r in records_in(tmp_path / "raw")]
    assert len(list(prepared.path.glob("*-of-00005"))) == 5
    assert [r.name for r in records_in(tmp_path / "out")] == names
    rows = tfds.data_source(prepared.name, data_dir=tmp_path / "out", split="train")
    assert [row["name"].decode() for row in rows] == names


def read_as(monkeypatch, place, *records):
    """Let `prepare` find these records, whatever it is pointed to."""
    layout = Layout("made up", "", lambda folder: [], lambda place, options: iter(records))
    monkeypatch.setattr(run, "detect", lambda path, options: (layout, Match(place, "")))


def test_faces_are_cropped_by_their_box_with_a_margin_and_black_beyond_the_border(tmp_path, monkeypatch):
    photograph = np.full((100, 80, 3), COLOURS["anger"], np.uint8)
    photograph[:40, :40] = COLOURS["happy"]
    photograph[30, 20] = 255
    points = np.full((68, 2), 20.5)
    points[:, 1] = 30.5
    record = Record(
        name="a", image=photograph, split="train", label="happy", box=(0, 0, 40, 40), landmarks=points, valence=0.5
    )
    read_as(monkeypatch, tmp_path, record)
    prepare(tmp_path / "raw", tmp_path / "out", image_size=60, margin=0.25)
    (found,) = records_in(tmp_path / "out", landmarks=True)
    pixels = found.image.read()
    assert pixels[:10].max() == pixels[:, :10].max() == 0
    assert class_shown(pixels[10:50, 10:50]) == "happy"
    assert class_shown(pixels[50:, 10:]) == "anger"
    x, y = found.landmarks[0].astype(int)
    assert (pixels[y, x] == 255).all()
    assert found.landmarks.shape == (68, 2)
    assert found.valence == 0.5
    assert np.isnan(found.arousal)
    np.testing.assert_array_equal(pixels, decode(photograph, 60, box=record.box, margin=0.25))


def test_landmarks_are_read_only_where_they_are_asked_for(tmp_path, monkeypatch):
    record = Record(name="a", image=np.array(face("sad", 1)), split="val", label="sad", landmarks=np.ones((68, 2)))
    read_as(monkeypatch, tmp_path, record)
    prepare(tmp_path / "raw", tmp_path / "out")
    assert records_in(tmp_path / "out")[0].landmarks is None


def with_copies(root):
    """Write class folders with a leak of each kind, twice a training image, and a test image that is a validation's."""
    folders(root, splits=("train", "val", "test"))
    copies = {
        "train/anger/leak.png": "val/happy/0.png",
        "train/fear/leak.png": "test/fear/1.png",
        "train/sad/again.png": "train/happy/0.png",
        "val/sad/again.png": "val/sad/1.png",
        "test/sad/both.png": "val/sad/0.png",
    }
    for copy, original in copies.items():
        put(root / copy, (root / original).read_bytes())
    return root


@pytest.mark.parametrize(
    ("leaks", "duplicates", "dropped"),
    [
        ("drop", "keep", {"train/anger/leak.png", "train/fear/leak.png"}),
        ("keep", "keep", set()),
        ("keep", "drop", {"train/sad/again.png", "val/sad/again.png"}),
    ],
)
def test_exact_copies_are_dropped_or_kept_as_asked_and_counted(tmp_path, leaks, duplicates, dropped):
    raw = {r.name for r in records_in(with_copies(tmp_path / "raw"))}
    prepared = prepare(tmp_path / "raw", tmp_path / "out", leaks=leaks, duplicates=duplicates)
    assert {r.name for r in records_in(tmp_path / "out")} == raw - dropped
    left_out = prepared.metadata["left_out"]
    assert {item["name"] for found in left_out.values() for item in found["first"]} == dropped
    assert sum(found["images"] for found in left_out.values()) == len(dropped)
    copies = {name: split["copies_of"] for name, split in prepared.metadata["splits"].items()}
    assert copies == {
        "validation": {"validation": 1, "test": 0, "train": 0},
        "test": {"validation": 1, "test": 0, "train": 0},
        "train": {"validation": 1, "test": 1, "train": 1},
    }


def test_the_metadata_say_what_was_done(tmp_path):
    raw = with_copies(tmp_path / "private" / "faces")
    put(raw / "train" / "sad" / "bad.jpg", b"")
    (raw / "train" / "sad" / "folder.jpg").mkdir()
    put(raw / "train" / "contempt" / "0.png", encoded(face("contempt", 0), "PNG"))
    prepared = prepare(raw, tmp_path / "out", image_size=32, margin=0.1)
    assert prepared.path == tmp_path / "out" / "facial_expressions" / "affectnet7-32px-margin10" / "1.0.0"
    assert json.loads((prepared.path / "metadata.json").read_text()) == prepared.metadata
    assert dict(tfds.builder_from_directory(prepared.path).info.metadata) == prepared.metadata
    metadata = prepared.metadata
    assert metadata["source"] == {"name": "faces", "layout": "class folders"}
    assert metadata["options"]["margin"] == 0.1
    assert metadata["class_names"] == list(AFFECTNET_7)
    train = metadata["splits"]["train"]
    assert train["images"] == sum(train["classes"].values()) == 15
    assert (train["read"]["sad"], train["classes"]["sad"]) == (5, 3)
    assert {reason: found["images"] for reason, found in metadata["left_out"].items()} == {
        "unreadable": 2,
        "leak": 2,
        "contempt": 1,
    }
    assert {item["name"] for item in metadata["left_out"]["unreadable"]["first"]} == {
        "train/sad/bad.jpg",
        "train/sad/folder.jpg",
    }
    assert {"jaxfer", "python", "numpy", "pillow", "tensorflow-datasets"} <= set(metadata["versions"])
    for path in prepared.path.glob("*.json"):
        assert str(tmp_path) not in path.read_text()


def test_the_fingerprint_tells_contents_apart_and_nothing_else(tmp_path):
    folders(tmp_path / "raw", per_class=1)
    folders(tmp_path / "elsewhere", per_class=1)
    first, again = (prepare(tmp_path / name, tmp_path / f"out-{name}") for name in ("raw", "elsewhere"))
    assert first.metadata["fingerprint"] == again.metadata["fingerprint"]
    put(tmp_path / "raw" / "train" / "sad" / "0.png", encoded(face("sad", 77), "PNG"))
    other = prepare(tmp_path / "raw", tmp_path / "other")
    assert other.metadata["fingerprint"] != first.metadata["fingerprint"]


def test_the_summary_in_the_terminal_names_counts_reasons_and_the_way_to_read_it(tmp_path, capsys):
    prepared = prepare(with_copies(tmp_path / "raw"), tmp_path / "out")
    print_prepared(prepared)
    printed = capsys.readouterr().out
    assert "left out: 2 training images that are exact copies of validation or test images" in printed
    assert "kept, in test: exact copies of other splits' images, 1 of validation" in printed
    assert f'tfds.data_source("facial_expressions/affectnet7-64px", data_dir="{tmp_path / "out"}")' in printed


def test_nothing_is_printed_where_there_is_no_terminal(tmp_path, capfd, caplog):
    folders(tmp_path / "raw")
    prepare(tmp_path / "raw", tmp_path / "out", image_size=40, watch=images_bar)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_names_of_any_alphabet_and_of_none_come_back(tmp_path):
    odd = ("Grüße 😀.png", os.fsdecode(b"latin-\xe9.png"), "quote\" '[red].png")
    for name in odd:
        put(tmp_path / "raw" / "train" / "sad" / name, encoded(face("sad", len(name)), "PNG"))
    put(tmp_path / "raw" / "train" / "sad" / os.fsdecode(b"bad-\xe9.jpg"), b"")
    prepared = prepare(tmp_path / "raw", tmp_path / "out ü")
    assert {r.name for r in records_in(tmp_path / "out ü")} == {f"train/sad/{name}" for name in odd}
    print_prepared(prepared)


def test_what_is_there_already_is_left_alone(tmp_path):
    folders(tmp_path / "raw")
    put(tmp_path / "out" / "notes.txt", b"mine")
    path = prepare(tmp_path / "raw", tmp_path / "out").path
    before = files_in(path)
    with pytest.raises(UserError, match=r"affectnet7-64px exists already: remove it, or pass another --out"):
        prepare(tmp_path / "raw", tmp_path / "out", duplicates="drop")
    assert files_in(path) == before
    assert everything_below(tmp_path / "out")[-1] == "notes.txt"


def test_two_sizes_in_one_folder_are_two_data_sets(tmp_path):
    folders(tmp_path / "raw")
    paths = [prepare(tmp_path / "raw", tmp_path / "out", image_size=size).path for size in (32, 64)]
    with pytest.raises(UserError, match="holds several data sets"):
        detect(tmp_path / "out")
    assert [detect(path)[1].place for path in paths] == paths


def test_preparing_what_is_prepared_makes_it_smaller(tmp_path):
    folders(tmp_path / "raw")
    prepare(tmp_path / "raw", tmp_path / "large")
    prepare(tmp_path / "large", tmp_path / "small", image_size=32)
    large, small = records_in(tmp_path / "large"), records_in(tmp_path / "small")
    assert [r.name for r in small] == [r.name for r in large]
    assert all(class_shown(r.image.read()) == r.label for r in small)


def test_images_are_not_enlarged_when_they_are_loaded(tmp_path):
    prepared = prepare(folders(tmp_path / "raw"), tmp_path / "out", image_size=32).path
    with pytest.raises(UserError, match=r"prepared at 32 pixels, .* --image-size 40"):
        load(DataConfig(data_dir=prepared, image_size=40))


def test_loading_says_how_the_counts_differ_from_the_release_that_was_prepared(tmp_path):
    (format_,) = (format_ for format_ in FORMATS if format_.name == "AffectNet 2021")
    (tmp_path / "raw").mkdir()
    format_.write(tmp_path / "raw", 2)
    prepare(tmp_path / "raw", tmp_path / "out", image_size=32)
    data = load(DataConfig(data_dir=tmp_path / "out", image_size=32))
    assert "train has 14 images for the 283,901 of AffectNet, March 2021" in data.warnings[0]
    assert "val has 14 images for the 3,500" in data.warnings[1]


@pytest.mark.parametrize("inside", ["", "prepared", "train/../prepared"])
def test_an_out_in_the_data_itself_is_refused(tmp_path, inside):
    folders(tmp_path)
    with pytest.raises(UserError, match="lies in the data itself"):
        prepare(tmp_path, tmp_path / inside)
    assert not list(tmp_path.rglob(".preparing*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 9}, "num_classes is 9"),
        ({"image_size": 8}, "from 32 to 4096"),
        ({"margin": -0.1}, "margin is -0.1"),
        ({"margin": float("nan")}, "margin is nan"),
        ({"label_order": "afectnet"}, "label_order is 'afectnet'"),
        ({"leaks": "maybe"}, "leaks is 'maybe': pass one of drop, near, keep"),
    ],
)
def test_options_out_of_range_are_refused(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        prepare(tmp_path, tmp_path / "out", **options)


def test_data_without_a_usable_image_is_refused_and_leaves_nothing(tmp_path):
    put(tmp_path / "raw" / "train" / "sad" / "0.jpg", b"")
    put(tmp_path / "raw" / "train" / "contempt" / "0.png", encoded(face("contempt", 0), "PNG"))
    with pytest.raises(UserError, match=r"no image to prepare \(left out: 1 \w+, 1 \w+\)"):
        prepare(tmp_path / "raw", tmp_path / "out")
    assert everything_below(tmp_path / "out") == []


def test_an_out_that_cannot_be_written_is_a_sentence(tmp_path):
    folders(tmp_path / "raw")
    put(tmp_path / "file", b"")
    with pytest.raises(UserError, match=r"file/out cannot be written \(Not a directory\)"):
        prepare(tmp_path / "raw", tmp_path / "file" / "out")


def denied(*_, **__):
    raise PermissionError(errno.EACCES, "Permission denied")


def test_a_read_only_out_is_a_sentence(tmp_path, monkeypatch):
    folders(tmp_path / "raw")
    (tmp_path / "out").mkdir(mode=0o500)
    if os.access(tmp_path / "out", os.W_OK):  # nothing is read-only to root
        monkeypatch.setattr(Path, "mkdir", denied)
    with pytest.raises(UserError, match=r"out cannot be written \(Permission denied\)"):
        prepare(tmp_path / "raw", tmp_path / "out")


@pytest.mark.parametrize("link", ["", ".lock", "unfinished"])
def test_the_place_to_work_in_is_never_reached_through_a_link(tmp_path, monkeypatch, link):
    folders(tmp_path / "raw")
    out = tmp_path / "out"
    place = []

    def note(folder):
        place.append(folder)
        raise UserError("enough")

    with monkeypatch.context() as patch:
        patch.setattr(run, "workplace", note)
        with pytest.raises(UserError, match="enough"):
            prepare(tmp_path / "raw", out)
    theirs = put(tmp_path / "theirs/unfinished/a", b"theirs").parent.parent
    lock = put(theirs / "lock", b"theirs")
    (place[0] / link).parent.mkdir(parents=True)
    (place[0] / link).symlink_to(lock if link == ".lock" else theirs)
    with pytest.raises(UserError, match=r"is a link|cannot be written"):
        prepare(tmp_path / "raw", out)
    assert everything_below(theirs) == ["lock", "unfinished", "unfinished/a"]
    assert lock.read_bytes() == b"theirs"


def test_a_folder_in_the_place_to_work_in_that_is_not_ours_stays(tmp_path):
    folders(tmp_path / "raw")
    prepare(tmp_path / "raw", tmp_path / "out")
    (name,) = (path.name for path in (tmp_path / "out/facial_expressions").iterdir())
    mine = put(tmp_path / f"second/.preparing-{name}/unfinished/notes", b"mine")
    put(mine.parent.parent / "more", b"mine")
    with pytest.raises(UserError, match="is not a folder that jaxfer made"):
        prepare(tmp_path / "raw", tmp_path / "second")
    assert mine.read_bytes() == b"mine"


def test_a_data_set_is_not_moved_through_a_link(tmp_path):
    folders(tmp_path / "raw")
    prepare(tmp_path / "raw", tmp_path / "out")
    (name,) = (path.name for path in (tmp_path / "out").iterdir())
    for folder in ("theirs", "second"):
        (tmp_path / folder).mkdir()
    (tmp_path / "second" / name).symlink_to(tmp_path / "theirs")
    with pytest.raises(UserError, match="is a link"):
        prepare(tmp_path / "raw", tmp_path / "second")
    assert everything_below(tmp_path / "theirs") == []
    assert everything_below(tmp_path / "second") == [name]


def test_two_at_once_do_not_disturb_each_other(tmp_path, monkeypatch):
    folders(tmp_path / "raw")
    first = prepare(tmp_path / "raw", tmp_path / "first")
    create = builder.FacialExpressions.create

    def create_while_another_starts(*arguments):
        with monkeypatch.context() as patch:
            patch.setattr(builder.FacialExpressions, "create", create)
            with pytest.raises(UserError, match="is in use by process"):
                prepare(tmp_path / "raw", tmp_path / "out")
        return create(*arguments)

    monkeypatch.setattr(builder.FacialExpressions, "create", create_while_another_starts)
    second = prepare(tmp_path / "raw", tmp_path / "out")
    assert files_in(second.path) == files_in(first.path)


def in_a_process(*arguments):
    command = [sys.executable, str(CHILD), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


def test_a_process_killed_at_any_moment_leaves_nothing_that_loads_and_the_next_one_succeeds(tmp_path):
    folders(tmp_path / "raw", per_class=3)
    put(tmp_path / "out" / ".preparing-notes", b"mine")
    anywhere = random.SystemRandom().randint(1, 42)
    for at in (anywhere, 0):
        killed = in_a_process(tmp_path / "raw", tmp_path / "out", "kill", at)
        assert killed.returncode == -signal.SIGKILL, (anywhere, killed.stderr)
        assert any("unfinished" in name for name in everything_below(tmp_path / "out"))
        with pytest.raises(UserError, match=r"has no data|is empty"):
            detect(tmp_path / "out")
    again = prepare(tmp_path / "raw", tmp_path / "out")
    whole = prepare(tmp_path / "raw", tmp_path / "whole")
    assert files_in(again.path) == files_in(whole.path)
    extra = set(everything_below(tmp_path / "out")) - set(everything_below(tmp_path / "whole"))
    assert extra == {".preparing-notes"}


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("ending", "image"), [("fill", 1), ("fill", 42), ("fill-up", 1), ("fill-up", 42), ("fill-up", -1)]
)
def test_a_full_disk_is_a_sentence_and_leaves_nothing(tmp_path, ending, image):
    folders(tmp_path / "raw", per_class=3)
    full = in_a_process(tmp_path / "raw", tmp_path / "out", ending, image)
    assert full.returncode == 2, full.stderr
    assert full.stderr.startswith(f"error: {tmp_path / 'out'}")
    assert "File too large): free disk space" in full.stderr
    assert full.stderr.count("\n") == 1
    assert "Traceback" not in full.stderr
    assert everything_below(tmp_path / "out") == []


@pytest.mark.parametrize("name", ["jaxfer.files.write", "jaxfer.files._locked"])
def test_a_disk_that_has_no_room_for_the_place_to_work_in_keeps_nothing_of_it(tmp_path, monkeypatch, name):
    folders(tmp_path / "raw", per_class=1)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(name, full)
    with pytest.raises(UserError, match=r"out cannot be written \(No space left on device\)"):
        prepare(tmp_path / "raw", tmp_path / "out")
    assert everything_below(tmp_path / "out") == []


def test_a_file_that_cannot_be_begun_is_a_sentence_without_the_path_to_work_in(tmp_path, monkeypatch):
    folders(tmp_path / "raw", per_class=1)

    class Full(builder.ArrayRecordWriter):
        def write(self, record):
            raise RuntimeError("open() failed: No space left on device; opening /out/unfinished; Failed to create")

    monkeypatch.setattr(builder, "ArrayRecordWriter", Full)
    with pytest.raises(UserError, match=r"out cannot be written \(open\(\) failed: No space left on device\): free"):
        prepare(tmp_path / "raw", tmp_path / "out")
    assert everything_below(tmp_path / "out") == []


@pytest.mark.long
def test_two_processes_write_the_same_bytes(tmp_path):
    folders(tmp_path / "raw", per_class=1)
    for out in ("first", "second", "third"):
        assert in_a_process(tmp_path / "raw", tmp_path / out).returncode == 0
    first, *others = (files_in(detect(tmp_path / out)[1].place) for out in ("first", "second", "third"))
    assert others == [first] * 2


def test_an_interrupt_ends_the_processes_and_leaves_nothing(tmp_path, monkeypatch):
    folders(tmp_path / "raw", per_class=10)
    monkeypatch.setattr(pool, "FEW", 0)
    monkeypatch.setattr(pool, "CHUNK", 1)
    started = []
    start = pool.Processes._start
    monkeypatch.setattr(pool.Processes, "_start", lambda self: started.append(start(self)) or started[-1])

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxfer.data.prepared.ledger.Ledger.admit", interrupt)
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "raw", tmp_path / "out")
    assert everything_below(tmp_path / "out") == []
    assert started
    assert all(process.returncode is not None for process in started)


def test_a_decoding_process_that_ends_is_a_sentence(tmp_path, monkeypatch):
    folders(tmp_path / "raw")
    monkeypatch.setattr(pool, "FEW", 0)
    monkeypatch.setattr(pool, "PROGRAM", "import sys; sys.stdin.buffer.read(1); sys.exit(3)")
    with pytest.raises(UserError, match=r"a process that decodes images ended \(3\)"):
        prepare(tmp_path / "raw", tmp_path / "out")
    assert everything_below(tmp_path / "out") == []


def test_a_stored_image_that_cannot_be_read_is_unreadable_in_any_process(tmp_path, monkeypatch):
    class Broken:
        def read(self):
            raise OSError("the row group is damaged")

    good = Record(name="good", image=np.array(face("sad", 1)), split="train", label="sad")
    read_as(monkeypatch, tmp_path, good, Record(name="bad", image=Broken(), split="train", label="sad"))
    for few in (256, 0):
        monkeypatch.setattr(pool, "FEW", few)
        found = prepare(tmp_path / "raw", tmp_path / f"out-{few}").metadata["left_out"]["unreadable"]
        assert found == {"images": 1, "first": [{"name": "bad", "detail": "the row group is damaged"}]}


@pytest.fixture
def prepared(tmp_path):
    folders(tmp_path / "raw", per_class=4)
    return prepare(tmp_path / "raw", tmp_path / "out", image_size=32).path


def train_file(path):
    return path / "facial_expressions-train.array_record-00000-of-00001"


@pytest.mark.parametrize("share", [0, 0.5, 0.999])
def test_a_file_that_is_cut_off_is_named(prepared, share):
    content = train_file(prepared).read_bytes()
    train_file(prepared).write_bytes(content[: int(share * len(content))])
    reason = "what it says of itself at byte [0-9,]+ is not so" if share else "0 records rather than 28"
    with pytest.raises(UserError, match=rf"-train\S+ is damaged \({reason}\): copy or prepare"):
        records_in(prepared)


@pytest.mark.parametrize(
    "options", ["group_size:1,zstd", "group_size:1,brotli", "group_size:2,uncompressed", "transpose"]
)
def test_what_was_packed_is_not_unpacked(prepared, options):
    writer = ArrayRecordWriter(str(train_file(prepared)), options)
    for _ in range(28):
        writer.write(bytes(1 << 20))
    writer.close()
    with pytest.raises(
        UserError, match=r"-train\S+ is damaged \((what lies|what it says of itself|it was not written)"
    ):
        records_in(prepared)


def test_a_record_larger_than_any_face_is_not_read(prepared, monkeypatch):
    monkeypatch.setattr(chunks, "LARGEST", 1000)
    with pytest.raises(UserError, match="larger than any face"):
        records_in(prepared)
    (prepared / "metadata.json").write_text((prepared / "metadata.json").read_text().replace(": 32", ": 100000"))
    with pytest.raises(UserError, match="image_size is 100000, not from 32 to 4096 pixels"):
        records_in(prepared)


def test_nothing_that_a_file_says_of_its_sizes_is_believed(prepared):
    """Each number of each head of a chunk, and of the list of records, says more than there is."""
    content = train_file(prepared).read_bytes()
    with train_file(prepared).open("rb") as file:
        heads = [
            chunk.begin + (0 if chunk.begin % 2**16 else 24) for chunk in chunks._chunks(file.fileno(), len(content))
        ]
    assert chunks_of(train_file(prepared), content) == 28
    assert len(heads) == 1 + 28 + 4  # and what fills the blocks of the last two
    places = [(head + place, size) for head in (*heads[:3], *heads[-4:]) for place, size in ((8, 8), (25, 7), (32, 8))]
    for (place, size), number in itertools.product(places, (2**20, 2**31, 2**55)):
        changed = content[:place] + number.to_bytes(size, "little") + content[place + size :]
        with pytest.raises(ValueError, match=r"what it says of itself|written by|cut off"):
            chunks_of(train_file(prepared), changed)
    for head in (heads[-4], heads[-2]):  # the list of records, and the place of that list
        for place in range(head + 40, head + 140):
            changed = bytearray(content)
            changed[place] ^= 0x15
            with contextlib.suppress(ValueError):
                assert chunks_of(train_file(prepared), bytes(changed)) == 28


def chunks_of(path, content):
    path.write_bytes(content)
    with path.open("rb") as file:
        return chunks.count_records(file.fileno())


@pytest.mark.parametrize("seed", range(3))
def test_records_of_any_size_are_counted_wherever_blocks_begin(tmp_path, seed):
    chance = random.Random(seed)
    for most in (2, 300, 70_000):
        for count in (0, 1, 60):
            writer = ArrayRecordWriter(str(tmp_path / "file"), builder.FILE_OPTIONS)
            for _ in range(count):
                writer.write(bytes(chance.randrange(most)))
            writer.close()
            assert chunks_of(tmp_path / "file", (tmp_path / "file").read_bytes()) == count


def test_a_missing_file_is_named(prepared):
    train_file(prepared).unlink()
    with pytest.raises(UserError, match=r"-train\S+ is damaged"):
        records_in(prepared)


def test_a_changed_byte_never_becomes_another_image_or_label(prepared):
    records = records_in(prepared)
    content = bytearray(train_file(prepared).read_bytes())
    content[len(content) // 2] ^= 1
    train_file(prepared).write_bytes(content)
    with pytest.raises(UserError, match=r"1\.0\.0 is damaged \(row \d+ of train: .*hash mismatch"):
        records_in(prepared)
    damaged = 0
    for record in records:
        try:
            assert class_shown(record.image.read()) == record.label
        except OSError:
            damaged += 1
    assert damaged == 1


@pytest.mark.parametrize("name", ["metadata.json", "dataset_info.json"])
@pytest.mark.parametrize(
    "content", [b"", b'{"created_by": ', b"[]", b"\xff\xfe", b'{"created_by": "jaxfer data prepare"}']
)
def test_a_damaged_description_is_named(prepared, name, content):
    (prepared / name).write_bytes(content)
    for use in (records_in, lambda path: load(DataConfig(data_dir=path, image_size=32))):
        with pytest.raises(UserError, match=r"1\.0\.0/\w+\.json is damaged"):
            use(prepared)


def test_a_link_that_leaves_the_data_set_is_not_followed(prepared, tmp_path):
    train_file(prepared).rename(tmp_path / "elsewhere")
    train_file(prepared).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a link that leaves the data set"):
        records_in(prepared)


def test_other_data_sets_of_tfds_are_not_taken_for_ours(prepared):
    metadata = json.loads((prepared / "metadata.json").read_text())
    (prepared / "metadata.json").write_text(json.dumps(metadata | {"created_by": "somebody"}))
    with pytest.raises(UserError, match="has no data that jaxfer reads"):
        detect(prepared)


def test_look_alikes_of_validation_and_test_images_are_dropped_where_asked(tmp_path):
    def smooth(number):
        small = np.random.default_rng(number).integers(0, 256, (9, 9, 3), np.uint8)
        return Image.fromarray(small).resize((96, 96), Image.Resampling.BICUBIC)

    raw = tmp_path / "raw"
    for number, label in enumerate(AFFECTNET_7):
        put(raw / f"train/{label}/1.png", encoded(smooth(number), "PNG"))
        put(raw / f"val/{label}/2.png", encoded(smooth(100 + number), "PNG"))
        put(raw / f"test/{label}/3.png", encoded(smooth(200 + number), "PNG"))
    darker = ImageEnhance.Brightness(smooth(100)).enhance(0.7)
    put(raw / "train/happy/darker.png", encoded(darker, "PNG"))
    put(raw / "train/sad/mirrored.png", encoded(smooth(201).transpose(Image.Transpose.FLIP_LEFT_RIGHT), "PNG"))
    put(raw / "train/sad/copy.png", encoded(smooth(203), "PNG"))
    put(raw / "test/sad/smaller.png", encoded(smooth(102).resize((60, 60)), "PNG"))
    gray = encoded(Image.new("RGB", (96, 96), "gray"), "PNG")
    put(raw / "train/fear/flat.png", encoded(Image.new("RGB", (96, 96), "white"), "PNG"))
    put(raw / "val/fear/flat.png", gray)
    seen = {p.path for p in check(raw).problems["near_leak"] if p.other_split == "train"}
    assert seen == {"val/neutral/2.png", "test/happy/3.png"}

    found = prepare(raw, tmp_path / "near", leaks="near").metadata
    left_out = {reason: [one["name"] for one in of["first"]] for reason, of in found["left_out"].items()}
    assert left_out == {
        "near_leak": ["train/happy/darker.png", "train/sad/mirrored.png"],
        "leak": ["train/sad/copy.png"],
    }
    assert found["splits"]["train"]["images"] == 8
    again = check(tmp_path / "near").problems["near_leak"]
    assert {(p.split, p.other_split) for p in again} == {("test", "val")}, "only training images are dropped"
    assert set(prepare(raw, tmp_path / "exact").metadata["left_out"]) == {"leak"}


def test_what_looks_alike_leaves_no_temporary_file(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    prepare(folders(tmp_path / "raw"), tmp_path / "out", leaks="near")
    assert everything_below(tmp_path / "temporary") == []
