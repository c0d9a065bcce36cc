import importlib.metadata
import io
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jaxfer.config import DataConfig, PrepareConfig
from jaxfer.data import check, load, prepare
from jaxfer.data.cache import Cache
from jaxfer.data.reading.decoder import plain_size
from jaxfer.data.reading.images import UnreadableError, decode
from jaxfer.errors import UserError

ORIENTATION = 274
"""EXIF's number of the tag."""

WAVES = np.sin(np.mgrid[:64, :64] / 9).transpose(1, 2, 0) @ [[1, 0, 1], [0, 1, 1]]
SMOOTH = Image.fromarray((128 + 40 * WAVES).astype(np.uint8))

CLASSES = ("happy", "sad")


def pictured(width, height, mode="RGB"):
    """Return something smooth with some noise, which shows every difference between decoders."""
    smooth = SMOOTH.resize((width, height))
    noise = np.random.default_rng(0).normal(0, 8, (height, width, 3))
    return Image.fromarray((np.asarray(smooth) + noise).clip(0, 255).astype(np.uint8)).convert(mode)


def jpeg(picture, **options):
    file = io.BytesIO()
    picture.save(file, "JPEG", **options)
    return file.getvalue()


def exif(number):
    tags = Image.Exif()
    tags[ORIENTATION] = number
    return tags


PLAIN = {
    "4:2:0": jpeg(pictured(224, 224)),
    "4:4:4": jpeg(pictured(151, 97), subsampling=0, quality=95),
    "4:2:2": jpeg(pictured(301, 500), subsampling=1, quality=85),
    "large": jpeg(pictured(1000, 810), quality=90),
    "progressive": jpeg(pictured(260, 223), progressive=True),
    "gray": jpeg(pictured(233, 209, "L")),
    "rgb": jpeg(pictured(200, 200), keep_rgb=True),
    "small": jpeg(pictured(48, 48)),
    "colour profile": jpeg(pictured(99, 99), icc_profile=bytes(3000), comment="b"),
    "restarts": jpeg(pictured(130, 200), restart_marker_rows=1),
    "metadata without orientation": jpeg(pictured(120, 130), exif=Image.Exif()),
}
UNUSUAL = {
    "turned": jpeg(pictured(224, 200), exif=exif(6)),
    "turned by XMP": jpeg(pictured(224, 200), xmp=b'<rdf:Description xmlns:tiff="x" tiff:Orientation="8"/>'),
    "cmyk": jpeg(pictured(224, 200, "CMYK")),
    "cut off": PLAIN["4:2:0"][:-300],
    "progressive and cut off": PLAIN["progressive"][:-3000],
    "no end": PLAIN["4:2:0"][:-2],
    "two in one file": PLAIN["4:2:0"] + PLAIN["gray"],
    "no picture": b"\xff\xd8\xff\xd9",
    "empty": b"",
    "png": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "tiny": jpeg(pictured(3, 9)),
}
CONTENTS = PLAIN | UNUSUAL


def result(path, decoder, **options):
    """Return the pixels, or why there are none."""
    try:
        return decode(path, 64, decoder=decoder, **options)
    except UnreadableError as error:
        return error.reason


def assert_alike(path, **options):
    """Check that both decoders see the same, to rounding, or refuse a file with the same words."""
    ours, theirs = (result(path, decoder, **options) for decoder in ("simplejpeg", "pillow"))
    if isinstance(theirs, str):
        assert ours == theirs
    else:
        assert np.abs(ours.astype(int) - theirs).max() <= 1


@pytest.mark.parametrize("options", [{}, {"box": (20, 30, 90.5, 61), "margin": 0.4}], ids=["whole", "box"])
@pytest.mark.parametrize("name", CONTENTS)
def test_pixels_and_refusals_are_pillows_to_rounding(tmp_path, name, options):
    path = tmp_path / "face.jpg"
    path.write_bytes(CONTENTS[name])
    assert_alike(path, **options)


@pytest.mark.parametrize("name", PLAIN)
def test_plain_files_need_no_pillow(tmp_path, monkeypatch, name):
    path = tmp_path / "face.jpg"
    path.write_bytes(PLAIN[name])
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("Pillow was asked"))
    assert result(path, "simplejpeg").shape == (64, 64, 3)


@pytest.mark.parametrize("name", ["turned", "turned by XMP", "cmyk", "no picture", "empty", "png"])
def test_what_is_unusual_is_left_to_pillow(name):
    assert plain_size(UNUSUAL[name]) is None


@given(st.sampled_from(["4:2:0", "progressive", "small"]), st.data())
def test_damage_is_what_it_is_to_pillow(tmp_path_factory, name, data):
    content = bytearray(PLAIN[name])
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.jpg"
    path.write_bytes(content)
    assert_alike(path)


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    path = tmp_path / "face.jpg"
    path.write_bytes(PLAIN["4:2:0"])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 224 * 224 - 1)
    assert "decompression bomb" in result(path, "simplejpeg")
    assert_alike(path)


@pytest.fixture
def faces(tmp_path):
    for split, name in (("train", "happy"), ("train", "sad"), ("val", "happy"), ("val", "sad")):
        folder = tmp_path / "faces" / split / name
        folder.mkdir(parents=True)
        (folder / "0.jpg").write_bytes(jpeg(pictured(80 + len(name), 80 + len(split))))
    return tmp_path / "faces"


def test_the_choice_is_kept_with_what_was_decoded(tmp_path, faces):
    made = prepare(faces, tmp_path / "out", PrepareConfig(decoder="simplejpeg"))
    assert made.metadata["options"]["decoder"] == "simplejpeg"
    assert made.metadata["versions"]["simplejpeg"] == importlib.metadata.version("simplejpeg")
    with pytest.raises(UserError, match="exists already"):
        prepare(faces, tmp_path / "out")
    plain = prepare(faces, tmp_path / "other").metadata
    assert plain["options"]["decoder"] == "pillow"
    assert "simplejpeg" not in plain["versions"]
    assert check(faces, decoder="simplejpeg").versions["simplejpeg"]
    entries = {
        Cache(faces, DataConfig(data_dir=faces, classes=CLASSES, decoder=decoder))._entry
        for decoder in ("pillow", "simplejpeg")
    }
    assert len(entries) == 2, "what one has decoded is taken for the other's"


def test_streamed_and_loaded_images_are_the_chosen_decoders(faces, monkeypatch):
    asked = []
    sizes = iter(range(10**6))
    monkeypatch.setattr("jaxfer.data.reading.images.plain_size", lambda content: asked.append(next(sizes)))
    load(DataConfig(data_dir=faces, classes=CLASSES))
    assert not asked
    load(DataConfig(data_dir=faces, classes=CLASSES, decoder="simplejpeg"))
    assert len(asked) == 4
    load(DataConfig(data_dir=faces, classes=CLASSES, decoder="simplejpeg", stream=True)).train.images[np.array([0])]
    assert len(asked) == 9


def test_a_decoder_that_is_not_installed_is_a_sentence(tmp_path, faces, monkeypatch):
    made = prepare(faces, tmp_path / "out", PrepareConfig(decoder="simplejpeg")).path
    version = importlib.metadata.version

    def without(name):
        if name == "simplejpeg":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without)
    for work in (
        lambda: load(DataConfig(data_dir=faces, classes=CLASSES, decoder="simplejpeg")),
        lambda: prepare(faces, tmp_path / "other", PrepareConfig(decoder="simplejpeg")),
        lambda: check(faces, decoder="simplejpeg"),
    ):
        with pytest.raises(UserError, match=r"simplejpeg, .* is not installed: pip install 'jaxfer\[jpeg\]'"):
            work()
    # What is prepared already needs no decoder, whatever was chosen.
    assert len(load(DataConfig(data_dir=made, classes=CLASSES, decoder="simplejpeg")).train) == 2


def test_a_decoder_that_cannot_be_imported_is_a_sentence_and_makes_no_image_unreadable(tmp_path, faces, monkeypatch):
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    with pytest.raises(UserError, match=r"simplejpeg, .* cannot be imported \(.*\): pip install 'jaxfer\[jpeg\]'"):
        prepare(faces, tmp_path / "out", PrepareConfig(decoder="simplejpeg"))
    assert not (tmp_path / "out").exists()


def test_a_process_that_decodes_for_prepare_imports_neither_tfds_nor_jax():
    program = "import sys, jaxfer.data.prepared.decoding; print({'jax', 'tensorflow_datasets'} & set(sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "set()\n"
    )
