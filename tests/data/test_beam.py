"""Preparing in a pipeline of Apache Beam writes what preparing without one does, byte for byte.

All but the first in an environment of its own, `make test-beam`: Beam wants older releases of protobuf, Arrow and
Pillow than everything else is tested with.
"""

import hashlib
import sys

import numpy as np
import pytest
from formats import FORMATS, encoded, face, put
from PIL import Image, ImageEnhance

from jaxfer.config import PrepareConfig
from jaxfer.data.prepared import builder, prepare
from jaxfer.emotions import AFFECTNET_7
from jaxfer.errors import UserError

DIRECT = ["--runner=DirectRunner"]
PROCESSES = [*DIRECT, "--direct_num_workers=2", "--direct_running_mode=multi_processing"]


def test_without_beam_its_options_are_refused_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(UserError, match=r"needs Apache Beam \(.*\): pip install 'jaxfer\[beam\]'"):
        prepare(faces(tmp_path / "raw"), tmp_path / "out", beam_options=DIRECT)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def beam():
    return pytest.importorskip("apache_beam", reason="Apache Beam has an environment of its own: make test-beam")


def faces(root):
    """Write class folders of three splits with copies and look-alikes, a file that is damaged, and contempt."""
    for split in ("train", "val", "test"):
        for label in AFFECTNET_7:
            for number in range(4):
                put(root / split / label / f"{number}.png", encoded(face(label, number + 1000 * len(split)), "PNG"))
    copies = {"train/anger/l": "val/happy/0", "train/sad/d": "train/happy/0", "val/sad/d": "val/sad/1"}
    for copy, original in copies.items():
        put(root / f"{copy}.png", (root / f"{original}.png").read_bytes())
    smooth = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)).resize((96, 96))
    put(root / "val/sad/smooth.png", encoded(smooth, "PNG"))
    put(root / "train/sad/dark.png", encoded(ImageEnhance.Brightness(smooth).enhance(0.7), "PNG"))
    put(root / "train/sad/bad.jpg", b"")
    put(root / "train/contempt/0.png", encoded(face("contempt", 0), "PNG"))
    return root


def everything_below(folder):
    """Return a hash of every file by its path: to say how long contents differ would take pytest minutes."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.mark.usefixtures("beam")
@pytest.mark.parametrize("options", [{}, {"leaks": "near", "duplicates": "drop"}], ids=["usual", "fewest"])
def test_a_pipeline_writes_the_same_bytes(tmp_path, monkeypatch, options):
    monkeypatch.setattr(builder, "SHARD_BYTES", 5 * 3 * 32**2)
    faces(tmp_path / "raw")
    config = PrepareConfig(image_size=32, **options)
    alone = prepare(tmp_path / "raw", tmp_path / "alone", config)
    beamed = prepare(tmp_path / "raw", tmp_path / "beamed", config, beam_options=DIRECT)
    assert beamed.metadata == alone.metadata
    assert beamed.metadata["left_out"].keys() == {"contempt", "unreadable", "leak"} | (
        {"duplicate", "near_leak"} if options else set()
    )
    assert len(list(alone.path.glob("*-train*"))) > 2
    assert everything_below(tmp_path / "beamed") == everything_below(tmp_path / "alone")


@pytest.mark.usefixtures("beam")
@pytest.mark.parametrize("format_", [f for f in FORMATS if f.name == "FER2013 npz"], ids=lambda f: f.name)
def test_images_inside_of_one_file_go_through_a_pipeline_of_processes(tmp_path, format_):
    (tmp_path / "raw").mkdir()
    format_.write(tmp_path / "raw", 2)
    config = PrepareConfig(num_classes=len(format_.classes), image_size=32, label_order=format_.label_order)
    for name, flags in (("alone", None), ("beamed", PROCESSES)):
        prepare(tmp_path / "raw", tmp_path / name, config, beam_options=flags)
    assert everything_below(tmp_path / "beamed") == everything_below(tmp_path / "alone")


@pytest.mark.usefixtures("beam")
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--runner=DirectRunner", "--direct_num_worker=2"], r"Apache Beam has no option '--direct_num_worker=2'"),
        (["--runner=NoRunner"], "the pipeline of Apache Beam failed"),
        (DIRECT, "has no image to prepare"),
    ],
)
def test_what_goes_wrong_is_a_sentence_and_leaves_nothing(tmp_path, flags, words):
    put(tmp_path / "raw/train/sad/bad.jpg", b"")
    with pytest.raises(UserError, match=words):
        prepare(tmp_path / "raw", tmp_path / "out", beam_options=flags)
    assert list(everything_below(tmp_path)) == ["raw/train/sad/bad.jpg"]
