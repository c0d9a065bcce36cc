"""What a terminal shows of a video: changes, not frames, and in the end how long each face had which label."""

import numpy as np
import pytest

from jaxfer.inference.framing import Frame
from jaxfer.inference.predictor import Face
from jaxfer.inference.video import VideoFrame
from jaxfer.reports import timeline as module
from jaxfer.reports.timeline import Timeline


def face(track: int, label: str) -> Face:
    other = {"happy": "sad", "sad": "happy"}[label]
    frame = Frame((0.0, 0.0), 1.0)
    return Face((10, 20, 30, 40), (), 1.0, frame, label, {label: 0.75, other: 0.25}, None, None, np.zeros(0), track)


def frame(number: int, time: float, *faces: Face, problem: str = "") -> VideoFrame:
    return VideoFrame("pixels", (64, 48), faces, problem, video="a\nclip.mp4", frame=number, time=time)


def test_a_line_tells_each_change_and_none_what_stays():
    timeline = Timeline()
    said = [timeline.lines(frame(i, i / 10, face(1, "happy" if i < 20 else "sad"))) for i in range(40)]
    assert [i for i, lines in enumerate(said) if lines] == [0, 20]
    assert said[0] == [
        "a\\nclip.mp4: 64 x 48 pixels",
        "  0:00.00  1: happy 75.0% (at 10, 20: 30 x 40)",
    ]
    assert said[20] == ["  0:02.00  1: sad 75.0% (at 10, 20: 30 x 40)"]


def test_a_face_that_changes_all_the_time_has_a_line_a_second():
    timeline = Timeline(top=2)
    said = [timeline.lines(frame(i, i / 10, face(1, ("happy", "sad")[i % 2]))) for i in range(100)]
    assert 5 <= sum(map(len, said)) <= 11
    assert "happy 75.0%, sad 25.0%" in said[0][1]


def test_the_summary_has_the_seconds_of_each_label():
    timeline = Timeline()
    timeline.lines(frame(0, 0.0, face(1, "happy")))
    timeline.lines(frame(1, 3.0, face(1, "happy"), face(2, "sad")))
    timeline.lines(frame(2, 4.0, face(1, "sad")))
    assert timeline.lines(frame(3, 4.0, problem="cut")) == ["a\\nclip.mp4: cut"]
    assert timeline.summary() == [
        "a\\nclip.mp4: 2 faces in 3 frames, until 0:04.00",
        "  1: from 0:00.00 to 0:04.00: happy for 75.0%, sad for 25.0% of the time",
        "  2: from 0:03.00 to 0:03.00: sad for 100.0% of the time",
    ]
    assert Timeline().summary() == []


def test_a_street_over_a_day_has_a_summary_of_those_seen_longest(monkeypatch):
    monkeypatch.setattr(module, "MOST", 50)
    timeline = Timeline()
    for i in range(3000):
        timeline.lines(frame(i, i / 2, face(i // 3 + 1, "happy"), *([face(5000, "sad")] if i > 100 else ())))
        assert len(timeline._faces) <= 101
    first, *listed, last = timeline.summary()
    assert first == "a\\nclip.mp4: 1,001 faces in 3,000 frames, until 24:59.50"
    assert len(listed) == module.LISTED
    assert listed[-1] == "  5000: from 0:50.50 to 24:59.50: sad for 100.0% of the time"
    assert last == "  and 981 more, seen for less long"


@pytest.mark.parametrize("count", [0, 1])
def test_no_face_and_one(count):
    timeline = Timeline()
    timeline.lines(frame(0, 0.0, *[face(1, "sad")] * count))
    assert timeline.summary()[0] == f"a\\nclip.mp4: {['no face', '1 face'][count]} in 1 frames, until 0:00.00"
