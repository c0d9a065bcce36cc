"""Framing: a face is cut out of any picture as the training images show it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from photographs import group_picture
from PIL import Image

from jaxfer.data.synthetic import draw_faces
from jaxfer.errors import UserError
from jaxfer.inference import Detection, Frame, Framing, find_faces, measure_framing
from jaxfer.inference.framing import SAMPLE, of_margin, sample_rows

EYES = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
FRAMING = Framing((0.1, 0.0, 0.8, 1.0), EYES, 300, 299, {"centre": 0.05, "side": 0.1, "roll": 4.0})


def moved(x: float, y: float, side: float, roll: float) -> Detection:
    """Return the median face of `FRAMING` in a square of a picture."""
    turn = np.exp(1j * math.radians(roll)) * side
    points = [complex(x, y) + (complex(*point) - (0.5 + 0.5j)) * turn for point in EYES]
    box = (x - 0.4 * side, y - 0.5 * side, 0.8 * side, side)
    return Detection(box, tuple((point.real, point.imag) for point in points))


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(5, 1e3), st.floats(-170, 170))
def test_a_median_face_is_framed_where_it_is_whatever_its_place_size_and_roll(x, y, side, roll):
    frame = FRAMING.frame(moved(x, y, side, roll))
    np.testing.assert_allclose((*frame.centre, frame.side, frame.roll), (x, y, side, roll), atol=1e-6 * (1e3 + side))


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(5, 1e3))
def test_without_landmarks_the_boxes_are_matched(x, y, side):
    face = Detection(moved(x, y, side, 0).box)
    frame = FRAMING.frame(face)
    np.testing.assert_allclose((*frame.centre, frame.side, frame.roll), (x, y, side, 0), atol=1e-6 * (1e3 + side))


def test_landmarks_in_one_point_leave_the_box():
    face = Detection((10, 10, 80, 100), ((5.0, 5.0),) * 5)
    assert FRAMING.frame(face).side == pytest.approx(100)


def test_a_margin_is_that_of_boxes_in_data():
    frame = of_margin(0.1)(Detection((10, 20, 40, 50), EYES))
    assert (frame.centre, frame.side, frame.roll) == ((30, 45), pytest.approx(60), 0)


@pytest.mark.parametrize("roll", [0, 30, -90, 180])
@pytest.mark.parametrize("side", [20, 96, 320])
def test_what_is_cut_out_is_what_lies_in_the_frame(side, roll):
    y, x = np.mgrid[:500, :600]
    picture = np.stack([x * 255 / 600, y * 255 / 500, 0 * x], axis=-1)
    frame = Frame((300.0, 250.0), side, roll)
    cut = frame.cut(Image.fromarray(picture.round().astype(np.uint8)), 48)
    assert (cut.shape, cut.dtype) == ((48, 48, 3), np.uint8)
    steps = ((np.arange(48) + 0.5) / 48 - 0.5) * side
    turn = np.exp(1j * math.radians(roll))
    places = complex(300, 250) + turn * (steps[None] + 1j * steps[:, None])
    np.testing.assert_allclose(cut[..., 0], (places.real - 0.5) * 255 / 600, atol=1.5)
    np.testing.assert_allclose(cut[..., 1], (places.imag - 0.5) * 255 / 500, atol=1.5)
    np.testing.assert_allclose([complex(*frame.corners[0])], [complex(300, 250) - turn * (1 + 1j) * side / 2])


def test_outside_of_the_picture_it_is_black():
    white = Image.new("RGB", (100, 100), "white")
    assert Frame((0.0, 50.0), 40).cut(white, 32)[:, :14].max() == 0
    assert Frame((0.0, 50.0), 40).cut(white, 32)[:, 18:].min() == 255
    for far in (Frame((-500.0, 50.0), 40), Frame((50.0, 1e6), 40, 45)):
        assert far.cut(white, 32).max() == 0


def test_a_whole_picture_is_cut_as_training_images_are_resized():
    from jaxfer.data.reading.images import decode

    picture = np.asarray(group_picture(0, np.array([1, 2]))[0])[:320, :320]
    np.testing.assert_allclose(
        Frame((160.0, 160.0), 320).cut(Image.fromarray(picture), 96).astype(int),
        decode(picture, 96).astype(int),
        atol=1,
    )


def test_of_drawn_faces_it_is_measured_and_leads_back_to_their_whole_images():
    images = draw_faces(0, np.arange(60, dtype=np.int32) % 7)
    framing = measure_framing(images)
    assert framing is not None
    assert framing.images == 60
    assert framing.found >= 58
    assert framing.deviation["centre"] < 0.1
    assert framing.deviation["side"] < 0.15
    assert Framing.from_dict(framing.to_dict(), "here") == framing
    picture, placed = group_picture(1, np.array([0, 1, 2, 3, 4, 6]), roll=5)
    frames = [framing.frame(face) for face in find_faces(np.asarray(picture))]
    for one in placed:
        frame = min(frames, key=lambda frame: np.hypot(*np.subtract(frame.centre, one.centre)))
        assert np.hypot(*np.subtract(frame.centre, one.centre)) < 0.2 * one.side
        assert 0.7 < frame.side / one.side < 1.4


def test_of_images_without_faces_there_is_none():
    noise = np.random.default_rng(0).integers(0, 256, (30, 32, 32, 3)).astype(np.uint8)
    assert measure_framing(noise) is None
    assert measure_framing(noise[:0]) is None


def test_a_detector_without_landmarks_gives_a_framing_of_boxes():
    def middle(picture):
        side = len(picture)
        return [Detection((0.2 * side, 0.1 * side, 0.6 * side, 0.8 * side))]

    framing = measure_framing(np.zeros((25, 40, 40, 3), np.uint8), middle)
    assert framing == Framing((0.2, 0.1, 0.6, 0.8), (), 25, 25, {"centre": 0.0, "side": 0.0, "roll": 0.0})


def test_a_second_look_corrects_a_frame_and_keeps_one_that_is_of_nobody_else():
    face = draw_faces(4, np.array([1]), image_size=128)[0]
    images = draw_faces(0, np.arange(40, dtype=np.int32) % 7)
    framing = measure_framing(images)
    picture = Image.new("RGB", (480, 480), "gray")
    picture.paste(Image.fromarray(face), (150, 130))
    [seen] = find_faces(np.asarray(picture))
    right = framing.refined(framing.frame(seen), picture, find_faces)
    for wrong in (Frame((right.centre[0] + 20, right.centre[1] - 15), right.side * 1.2, 12),):
        better = framing.refined(framing.refined(wrong, picture, find_faces), picture, find_faces)
        assert math.dist(better.centre, right.centre) < 0.3 * math.dist(wrong.centre, right.centre)
        assert abs(better.side / right.side - 1) < 0.08
        assert abs(better.roll - right.roll) < 5
    for nobody in (lambda picture: [], lambda picture: [Detection((0, 0, 10, 10))]):
        assert framing.refined(right, picture, nobody) == right


@pytest.mark.parametrize(
    "change",
    [
        {"box": [0, 0, 1]},
        {"box": [0, 0, 0, 1]},
        {"box": [0, 0, 1, None]},
        {"box": [0, 0, 1, 1e9]},
        {"landmarks": [[0, 0]]},
        {"landmarks": [[0, 0, 0]] * 5},
        {"landmarks": "eyes"},
        {"images": 1.5},
        {"deviation": None},
    ],
)
def test_what_is_no_framing_is_refused(change):
    with pytest.raises(UserError, match=r"here(: \w+(\[0\])?)? is damaged"):
        Framing.from_dict(FRAMING.to_dict() | change, "here")


def test_the_sample_is_the_same_each_time():
    assert sample_rows(5).tolist() == [0, 1, 2, 3, 4]
    rows = sample_rows(10_000)
    assert len(set(rows.tolist())) == SAMPLE
    np.testing.assert_array_equal(rows, sample_rows(10_000))
