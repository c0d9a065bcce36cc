"""Faces are followed, and what is said of them is the mean over time that the formula says."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxfer.inference.framing import Frame
from jaxfer.inference.predictor import Face
from jaxfer.inference.tracks import GAP, Tracks

NAMES = "happy", "sad", "anger"


def face(x: float, y: float = 100.0, side: float = 40.0, shares=(0.5, 0.3, 0.2), affect=(None, None)) -> Face:
    """Return a face whose middle is at x and y."""
    label = NAMES[int(np.argmax(shares))]
    box = (x - side / 2, y - side / 2, side, side)
    frame = Frame((x, y), side)
    probabilities = dict(zip(NAMES, shares, strict=True))
    return Face(box, (), 1.0, frame, label, probabilities, *affect, crop=np.zeros((4, 4, 3), np.uint8))


def numbers(tracks: Tracks, time: float, *faces: Face) -> list[int | None]:
    return [one.track for one in tracks.follow(faces, time)]


def test_faces_keep_their_numbers_in_any_order():
    tracks = Tracks(0.5)
    assert numbers(tracks, 0.0, face(100), face(200), face(300)) == [1, 2, 3]
    assert numbers(tracks, 0.1, face(303), face(104), face(198)) == [3, 1, 2]
    assert numbers(tracks, 0.2, face(500), face(195), face(306)) == [4, 2, 3]
    assert numbers(tracks, 0.3) == []
    assert numbers(tracks, 0.4, face(108), face(193)) == [1, 2]


def test_all_faces_are_told_apart_at_once():
    """Each alone would be nearest to the first."""
    tracks = Tracks(0.5)
    assert numbers(tracks, 0.0, face(100), face(130)) == [1, 2]
    assert numbers(tracks, 1.0, face(85), face(112)) == [1, 2]


@pytest.mark.parametrize("hidden", [0.0, 30.0])
def test_tracks_stay_with_people_who_pass_each_other(hidden):
    """One of them is not seen while they are nearer to each other than `hidden` pixels."""
    tracks = Tracks(0.0)
    for i in range(60):
        left, right = face(20 + 5 * i, 100), face(320 - 5 * i, 104)
        is_hidden = abs(300 - 10 * i) < hidden
        assert numbers(tracks, i / 25, *((left,) if is_hidden else (left, right))) == ([1] if is_hidden else [1, 2])


def test_a_gap_is_bridged_and_a_longer_one_is_not():
    for gap, number in ((0.9 * GAP, 1), (1.1 * GAP, 2)):
        tracks = Tracks(0.5)
        assert numbers(tracks, 0.0, face(100)) == [1]
        assert numbers(tracks, 0.1) == []
        assert numbers(tracks, gap, face(101)) == [number]


def test_pictures_far_apart_have_tracks_too():
    tracks = Tracks(0.5)
    for i in range(5):
        assert numbers(tracks, 60.0 * i, face(100 + 3 * (-1) ** i)) == [1]


def test_a_face_elsewhere_or_of_another_size_is_another_one():
    tracks = Tracks(0.5)
    assert numbers(tracks, 0.0, face(100)) == [1]
    assert numbers(tracks, 0.1, face(150)) == [2]
    assert numbers(tracks, 0.2, face(150, side=100.0)) == [3]


def test_tracks_that_have_ended_are_forgotten():
    tracks = Tracks(0.5)
    for i in range(1000):
        tracks.follow([face(1000.0 * i)], i / 10)
    assert len(tracks._tracks) <= 10 * GAP + 2


SIGHTS = st.lists(
    st.tuples(st.floats(0.001, 0.9), st.floats(0, 1), st.floats(0, 1), st.floats(-1, 1)), min_size=1, max_size=20
)


@given(SIGHTS, st.floats(0.01, 100))
def test_the_mean_is_what_the_formula_says(sights, smooth):
    """In its other form: each is worth what has not been forgotten of it, by the time that has passed."""
    times = np.cumsum([passed for passed, *_ in sights])
    said = np.array([[a, (1 - a) * b, (1 - a) * (1 - b), v] for _, a, b, v in sights])
    tracks = Tracks(smooth)
    for time, (*shares, valence) in zip(times, said, strict=True):
        [found] = tracks.follow([face(100, shares=shares, affect=(valence, -valence))], float(time))
    left = np.exp(-(times[-1] - times) / smooth)
    worth = np.diff(left, prepend=0.0)
    np.testing.assert_allclose(worth.sum(), 1)
    mean = worth @ said
    np.testing.assert_allclose([*found.probabilities.values(), found.valence], mean, atol=1e-9)
    assert found.arousal == pytest.approx(-mean[3], abs=1e-9)
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert found.label == max(found.probabilities, key=found.probabilities.__getitem__)


@given(SIGHTS)
def test_without_smoothing_and_where_a_face_is_new_all_is_as_it_was_said(sights):
    tracks = Tracks(0.0)
    time = 0.0
    for passed, a, b, _ in sights:
        time += passed
        given = face(100, shares=(a, (1 - a) * b, (1 - a) * (1 - b)))
        [found] = tracks.follow([given], time)
        assert found.probabilities == pytest.approx(given.probabilities)
        assert dataclasses.replace(found, track=None, label="", probabilities={}) == dataclasses.replace(
            given, label="", probabilities={}
        )
    [new] = Tracks(math.e).follow([given], time)
    assert new == dataclasses.replace(given, track=1)


def test_the_mean_depends_on_times_and_not_on_how_many_pictures_there_are():
    """What was said for a second weighs the same at 10 and at 100 pictures a second, but for the first of them."""
    for rate in (10, 100):
        tracks = Tracks(0.5)
        tracks.follow([face(100, shares=(1, 0, 0))], 0.0)
        for i in range(1, rate + 1):
            [found] = tracks.follow([face(100, shares=(0, 1, 0))], i / rate)
        assert found.probabilities["happy"] == pytest.approx(math.exp(-2))
