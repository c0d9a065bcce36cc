"""From pictures to expressions: every way to pass one, full batches, and accuracy that detection does not cost."""

import dataclasses
import io
import itertools
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from photographs import group_picture, nearest
from PIL import Image

import jaxfer
from jaxfer.config import Config, DataConfig
from jaxfer.devices.cpu import cpu_cores
from jaxfer.emotions import AFFECTNET_8
from jaxfer.errors import UserError
from jaxfer.inference import Detection, FaceModel, Predictor
from jaxfer.inference.predictor import BATCH, PORTION

LABELS = np.array([0, 1, 2, 3, 4, 6], np.int32)


@pytest.fixture(scope="module")
def group():
    return group_picture(3, LABELS)


@pytest.fixture(scope="module")
def shipped():
    return Predictor.load()


def in_rows(picture: np.ndarray) -> list[Detection]:
    """A detector of one's own: a face wherever the first column has a bright pixel."""
    return [Detection((4.0, float(row), 16.0, 16.0)) for row in np.flatnonzero(picture[:, 0, 0] == 255)]


def with_faces(count: int, seed: int = 0) -> np.ndarray:
    picture = np.random.default_rng(seed).integers(0, 250, (16 * max(count, 1), 24, 3)).astype(np.uint8)
    picture[: 16 * count : 16, 0, 0] = 255
    return picture


def same(faces, others):
    assert [face.label for face in faces] == [face.label for face in others]
    assert [face.box for face in faces] == [face.box for face in others]
    for one, other in zip(faces, others, strict=True):
        np.testing.assert_allclose(list(one.probabilities.values()), list(other.probabilities.values()), atol=1e-5)


def test_a_picture_may_be_a_path_bytes_pixels_or_pillows(shipped, group, tmp_path):
    picture, placed = group
    picture.save(tmp_path / "group.png")
    faces = shipped(tmp_path / "group.png")
    assert len(faces) == len(placed)
    as_bytes = (tmp_path / "group.png").read_bytes()
    for way in (str(tmp_path / "group.png"), as_bytes, picture, np.asarray(picture)):
        same(shipped(way), faces)
    assert shipped.names == AFFECTNET_8
    for face in faces:
        assert tuple(face.probabilities) == AFFECTNET_8
        assert sum(face.probabilities.values()) == pytest.approx(1)
        assert face.label == max(face.probabilities, key=face.probabilities.__getitem__)
        assert face.confidence == face.probabilities[face.label]
        assert (face.valence, face.arousal) == (None, None)
        assert (face.crop.shape, face.crop.dtype) == ((48, 48, 3), np.uint8)
        np.testing.assert_allclose(shipped.classify(face.crop[None])[0], list(face.probabilities.values()), atol=1e-5)


def test_exif_turns_the_picture_and_places_are_those_of_the_turned_one(shipped, group, tmp_path):
    picture, _ = group
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side: turn by 90 degrees to look at it
    picture.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    same(shipped(tmp_path / "turned.png"), shipped(picture))
    [found] = shipped.batch([tmp_path / "turned.png"])
    assert found.size == picture.size
    assert shipped.upright(tmp_path / "turned.png").size == picture.size
    opened = Image.open(tmp_path / "turned.png")
    same(shipped(opened), shipped(picture))
    assert opened.size == picture.size[::-1]  # which nobody has turned


def test_no_face_is_an_empty_list(shipped):
    assert shipped(np.full((200, 200, 3), 128, np.uint8)) == []


def test_frames_lie_where_the_faces_do(shipped):
    picture, placed = group_picture(8, LABELS, roll=0)
    faces = shipped(picture)
    assert len(faces) == len(placed)
    for one in placed:
        face = nearest(faces, one)
        assert np.hypot(*np.subtract(face.frame.centre, one.centre)) < 0.2 * one.side


def test_batches_are_in_order_and_give_what_single_pictures_do(model):
    predictor = Predictor(model, detector=in_rows)
    counts = [0, 3, 1, 70, 0, 2, 0]
    pictures = [with_faces(count, seed) for seed, count in enumerate(counts)]
    found = list(predictor.batch(pictures))
    assert [len(one.faces) for one in found] == counts
    for one, picture in zip(found, pictures, strict=True):
        assert one.source is picture
        assert one.size == (24, len(picture))
        same(one.faces, predictor(picture))
    assert all(-1.5 < face.valence < 1.5 for face in found[1].faces)
    assert list(predictor.batch([])) == []


def test_the_network_is_shown_full_batches(model):
    shown = []
    own = dataclasses.replace(model)
    object.__setattr__(own, "outputs", lambda images, views=None: (shown.append(len(images)), model.outputs(images))[1])
    predictor = Predictor(own, detector=in_rows)
    found = list(predictor.batch(with_faces(7, seed) for seed in range(20)))
    assert sum(len(one.faces) for one in found) == 140
    assert max(shown) == BATCH
    assert len(shown) <= 4  # of the first few pictures, and as many as full ones need


def test_pictures_stream_in_bounded_memory(model):
    predictor = Predictor(model, detector=in_rows)
    drawn_so_far = itertools.count()
    asked = 0

    def pictures():
        for i in drawn_so_far:
            if i == 1000:
                return
            yield with_faces(1, i)

    stream = predictor.batch(pictures())
    next(stream)
    asked = next(drawn_so_far)
    assert asked < 500  # not all of them are drawn before the first is taken
    stream.close()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for found in predictor.batch(np.zeros((300, 300, 3), np.uint8) for _ in range(600)):
        assert not found.faces
    assert tracemalloc.get_traced_memory()[1] - before < 300 * 300 * 3 * 300  # half of them
    tracemalloc.stop()


def test_pictures_without_faces_wait_for_one_before_them_no_longer_than_a_portion(model):
    predictor = Predictor(model, detector=in_rows)
    asked = itertools.count()
    stream = predictor.batch((next(asked), with_faces(int(i == 0)))[1] for i in range(2000))
    assert len(next(stream).faces) == 1
    assert next(asked) <= 2 * PORTION * cpu_cores()
    assert not any(one.faces for one in stream)


def test_what_cannot_be_read_is_yielded_with_the_reason_and_alone_is_an_error(model, tmp_path):
    predictor = Predictor(model, detector=in_rows)
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.jpg").touch()
    good = with_faces(2)
    sources = [tmp_path / "text.jpg", good, tmp_path / "empty.jpg", tmp_path / "none.jpg", tmp_path, b"", b"\xff\xd8"]
    sources += [np.zeros((4, 4)), np.zeros((4, 4, 5), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros(3, np.uint8)]
    found = list(predictor.batch(sources))
    assert [bool(one.problem) for one in found] == [True, False] + [True] * 9
    assert found[0].problem == "not an image of a known format"
    assert found[2].problem == "an empty file"
    assert all(one.faces == () and one.size == (0, 0) for one in found if one.problem)
    with pytest.raises(UserError, match=r"text.jpg cannot be read \(not an image of a known format\)"):
        predictor(tmp_path / "text.jpg")
    with pytest.raises(UserError, match="no picture: pass uint8"):
        predictor(np.zeros((4, 4, 3), np.float32))


def test_damaged_files_never_raise(model, group):
    """Bytes of real files changed, cut off and doubled: each is read or has its reason."""
    random = np.random.default_rng(0)
    files = []
    for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"):
        buffer = io.BytesIO()
        group[0].resize((96, 64)).save(buffer, kind)
        for _ in range(12):
            content = bytearray(buffer.getvalue())
            for place in random.integers(0, len(content), random.integers(1, 30)):
                content[place] = random.integers(256)
            files.append(bytes(content[: random.integers(1, len(content) + 1)] if random.random() < 0.3 else content))
    for found in Predictor(model, detector="whole").batch(files):
        assert bool(found.problem) == (not found.faces)
        assert "\n" not in found.problem


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "I;16", "1"])
def test_pictures_of_all_modes(model, mode, tmp_path):
    predictor = Predictor(model, detector="whole")
    if mode == "I;16":
        picture = Image.fromarray((np.arange(64 * 64).reshape(64, 64) * 16).astype(np.uint16))
    else:
        picture = Image.fromarray(with_faces(4)).convert(mode)
    picture.save(tmp_path / "picture.tif")
    [face] = predictor(tmp_path / "picture.tif")
    assert face.box == (0, 0, *map(float, picture.size))
    [seen] = predictor(np.asarray(picture.convert("RGBA"))) if mode in ("RGB", "RGBA") else [face]
    np.testing.assert_array_equal(seen.crop, face.crop)


def test_transparent_parts_of_a_file_and_of_pixels_lie_on_black(model, tmp_path):
    predictor = Predictor(model, detector="whole")
    pixels = np.dstack([with_faces(4), np.full(with_faces(4).shape[:2], 0, np.uint8)])
    Image.fromarray(pixels).save(tmp_path / "clear.png")
    for picture in (pixels, tmp_path / "clear.png"):
        [face] = predictor(picture)
        assert not face.crop.any()


def test_it_says_what_it_tells_apart(model):
    predictor = Predictor(model, detector="whole")
    assert repr(predictor) == f"Predictor({', '.join(predictor.names)}; faces of {model.image_size} pixels)"


def test_boxes_of_ones_own_are_framed_by_the_box(model):
    predictor = Predictor(model)  # no detector is needed
    picture = with_faces(4)
    faces = predictor(picture, boxes=np.array([[2, 3, 16, 20], [0, 0, 10, 10]], np.int64))
    assert [face.box for face in faces] == [(2, 3, 16, 20), (0, 0, 10, 10)]
    assert faces[0].frame.side == 20
    assert faces[0].score == 1
    assert predictor(picture, boxes=[]) == []
    two = list(predictor.batch([picture, picture], boxes=[[(0, 0, 9, 9)], []]))
    assert [len(one.faces) for one in two] == [1, 0]


@pytest.mark.parametrize("corners", [(13, 3, 23, 30), (3, 20, 20, 31)])
def test_boxes_that_name_two_corners_are_told_so(model, corners):
    left, top, right, low = corners
    with pytest.raises(UserError, match=f"would be {right - left} x {low - top} pixels if it named two corners"):
        Predictor(model)(with_faces(2), boxes=[corners])
    assert len(Predictor(model)(with_faces(2), boxes=[(left, top, right - left, low - top)])) == 1


@pytest.mark.parametrize(
    "box",
    [
        *((0, 0, 0, 5), (0, 0, -4, 5), (100, 0, 5, 5), (0, np.nan, 5, 5), (0, 0, np.inf, 5), (0, 0, 5), "box!", None),
        *((0, 0, 1e300, 1e300), (-5e11, -5e11, 1e12, 1e12), (0, 0, 5, 1e20)),
    ],
)
def test_boxes_that_hold_nothing_are_refused(model, box):
    with pytest.raises(UserError, match=r"box 1(,| is) .*: pass left, top, width and height"):
        Predictor(model)(with_faces(2), boxes=[(0, 0, 9, 9), box])


def test_a_box_that_is_far_larger_than_the_picture_shows_next_to_nothing(model):
    [face] = Predictor(model)(with_faces(2), boxes=[(-4e8, -4e8, 8e8, 8e8)])
    assert not face.crop.any()


def test_pictures_and_boxes_are_as_many(model):
    picture, predictor = with_faces(2), Predictor(model)
    for boxes in ([[(0, 0, 9, 9)]], [[(0, 0, 9, 9)]] * 3, []):
        with pytest.raises(UserError, match="other numbers of pictures and of boxes"):
            list(predictor.batch([picture] * 2, boxes=boxes))
    with pytest.raises(UserError, match="boxes are 5: pass a list"):
        predictor(picture, boxes=5)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "one",
    [
        "photo.jpg",
        Path("photo.jpg"),
        b"photo",
        Image.new("RGB", (9, 9)),
        np.zeros((9, 9, 3), np.uint8),
        np.zeros((9, 9)),
    ],
)
def test_many_pictures_are_not_one(model, one):
    with pytest.raises(UserError, match="one picture: pass many"):
        list(Predictor(model, detector=in_rows).batch(one))
    assert len(list(Predictor(model, detector=in_rows).batch(np.zeros((3, 24, 24, 3), np.uint8)))) == 3


def test_what_is_no_picture_is_said(model):
    for none in (None, 3, ["photo.jpg"]):
        with pytest.raises(UserError, match="is no picture: pass a path, bytes"):
            Predictor(model, detector=in_rows)(none)  # pyright: ignore[reportArgumentType]
    assert Predictor(model, detector="whole")(bytearray(_png())) == Predictor(model, detector="whole")(_png())  # pyright: ignore[reportArgumentType]


def _png():
    buffer = io.BytesIO()
    Image.fromarray(with_faces(2)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_detector_may_draw_into_what_it_is_given(model):
    picture = with_faces(2)
    before = picture.copy()

    def drawing(pixels):
        pixels[:] = 0
        return []

    assert Predictor(model, detector=drawing)(picture) == []
    assert (picture == before).all()


def test_two_batches_at_once_and_one_within_another(model):
    predictor = Predictor(model, detector=in_rows)
    pictures = [with_faces(count) for count in (1, 2, 3)]
    counts = [
        (len(one.faces), len(other.faces)) for one, other in zip(*map(predictor.batch, [pictures] * 2), strict=True)
    ]
    assert counts == [(1, 1), (2, 2), (3, 3)]
    inner = (with_faces(len(one.faces) + 1) for one in predictor.batch(pictures))
    assert [len(one.faces) for one in predictor.batch(inner)] == [2, 3, 4]


def test_without_a_framing_a_margin_is_needed(model):
    unknown = dataclasses.replace(model, framing=None)
    with pytest.raises(UserError, match="does not say how its training images frame faces"):
        Predictor(unknown, detector=in_rows)(with_faces(1))
    [face] = Predictor(unknown, detector=in_rows, margin=0.25)(with_faces(1))
    assert face.frame.side == 24
    assert len(Predictor(unknown, detector="whole")(with_faces(1))) == 1


def test_a_run_whose_data_is_gone_needs_a_margin_where_it_has_no_framing(model, monkeypatch, tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    trained = SimpleNamespace(config=Config(data=DataConfig(data_dir=tmp_path / "gone")))
    monkeypatch.setattr("jaxfer.runs.load.load_run", lambda run: trained)
    monkeypatch.setattr(FaceModel, "of_run", lambda run: dataclasses.replace(model, framing=None))
    with pytest.raises(UserError, match=r"run does not say how .* \(.*gone does not exist.*\): say how much .*margin"):
        Predictor.load(tmp_path / "run")
    assert Predictor.load(tmp_path / "run", margin=0.1).model.framing is None
    assert Predictor.load(tmp_path / "run", detector="whole").model.framing is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"detector": "haar"}, "no detector 'haar'"),
        ({"detector": None}, "no detector None"),
        ({"views": "nine"}, "no views 'nine': pass one, flip"),
        ({"margin": -1.0}, "margin is -1.0"),
        ({"margin": float("nan")}, "margin is nan"),
        ({"answer": "votes"}, "no answer 'votes'"),
    ],
)
def test_options_that_cannot_be_are_refused(model, options, words):
    with pytest.raises(UserError, match=words):
        Predictor(model, **options)


def test_crops_of_any_size_and_number_are_classified(model):
    predictor = Predictor(model, answer="expression", views="flip")
    crops = np.random.default_rng(0).integers(0, 256, (70, 32, 32, 3)).astype(np.uint8)
    shares = predictor.classify(crops)
    assert (shares.shape, shares.dtype) == ((70, 7), np.float32)
    np.testing.assert_allclose(shares, model.probabilities(crops, "expression", "flip"), atol=1e-5)
    gray = predictor.classify(crops[:3, :, :, :1])
    np.testing.assert_allclose(gray, model.probabilities(np.repeat(crops[:3, :, :, :1], 3, 3), views="flip"), atol=1e-5)
    assert predictor.classify(np.zeros((2, 50, 40, 3), np.uint8)).shape == (2, 7)
    assert predictor.classify(crops[:0]).shape == (0, 7)
    for wrong in ([crops[0], crops[0][:9]], crops[0], crops / 255, crops[..., :2], np.zeros((1, 0, 4, 3), np.uint8)):
        with pytest.raises(UserError, match=r"pass uint8 \[n, h, w, 3\]"):
            predictor.classify(wrong)


def test_it_explains_the_head_that_answers(shipped, group):
    faces = shipped(group[0])
    maps = shipped.explain(faces)
    assert len(maps) == len(faces)
    assert (maps >= 0).all()
    assert (maps.max(axis=(1, 2)) > 0).all()
    for none in ([], [dataclasses.replace(faces[0], label="bored")]):
        with pytest.raises(UserError, match="pass faces that this one has returned"):
            shipped.explain(none)
    other = Predictor(shipped.model, answer="expression")
    assert not np.allclose(other.explain(other(group[0]))[0], maps[0])


def test_it_is_at_the_front_door():
    assert jaxfer.Predictor is Predictor
    assert jax.tree.leaves(jaxfer.Predictor.load().model.variables)


def test_no_crops_have_no_rows_and_pixels_may_be_jaxs(shipped, group):
    assert shipped.classify(np.zeros((0, 48, 48, 3), np.uint8)).shape == (0, len(shipped.names))
    same(shipped(jax.numpy.asarray(np.asarray(group[0]))), shipped(group[0]))


def test_the_first_pictures_are_answered_before_many_are_read(model):
    read = 0

    def pictures():
        nonlocal read
        for read in range(1, 1000):  # noqa: B007 - counted outside
            yield with_faces(1)

    next(Predictor(model, detector=in_rows).batch(pictures()))
    assert read <= 3 * cpu_cores()
