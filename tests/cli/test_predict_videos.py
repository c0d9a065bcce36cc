"""`jaxfer predict` of videos and a camera, from arguments to files, and how it ends."""

import csv
import functools
import io
import json
import os
import signal
import sys

import cv2
import numpy as np
import pytest
from commands import jaxfer
from PIL import Image
from videos import moving, write_video

from jaxfer.cli.predict import Predict
from jaxfer.inference import Predictor, Video
from jaxfer.inference.video import SMOOTH


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Two seconds of a happy person who goes to the right, at 6 pictures a second."""
    return write_video(
        tmp_path_factory.mktemp("clip") / "clip.mp4", moving([1], lambda i: [(80 + 10 * i, 120, 100)], 12), 6.0
    )


@pytest.fixture(scope="module")
def loaded():
    """Load each predictor once."""
    return functools.cache(Predictor.load)


@pytest.fixture
def predict(monkeypatch, capfd, loaded):
    """Run the command, and return its exit code, what it printed, and what it said besides."""
    monkeypatch.setattr(Predictor, "load", loaded)

    def run(*arguments, stdin=""):
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        return jaxfer("predict", *arguments), *capfd.readouterr()

    return run


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_video_is_told_by_its_changes_and_in_sum(predict, clip):
    code, out, err = predict(clip)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"{clip}: 320 x 240 pixels"
    assert lines[1].startswith("  0:00.00  1: happy ")
    assert f"{clip}: 1 face in 12 frames, until 0:01.83" in lines
    assert lines[-1].startswith("  1: from 0:00.00 to 0:01.83: happy for ")
    assert len(lines) < 12
    assert err.startswith("12 frames of 1 video\nExpressions as people would name them")


def test_tables_have_time_number_and_track(predict, clip, tmp_path):
    code, out, err = predict(clip, "--csv", tmp_path / "a.csv", "--json", tmp_path / "a.json", "--every", 3)
    assert (code, out) == (0, "")
    assert err.startswith("4 frames of 1 video\n")
    table = rows((tmp_path / "a.csv").read_text())
    assert list(table[0])[:6] == ["image", "time", "frame", "face", "track", "label"]
    assert [(row["time"], row["frame"], row["track"]) for row in table] == [
        ("0.0", "0", "1"),
        ("0.5", "3", "1"),
        ("1.0", "6", "1"),
        ("1.5", "9", "1"),
    ]
    assert {row["image"] for row in table} == {str(clip)}
    records = [json.loads(line) for line in (tmp_path / "a.json").read_text().splitlines()]
    assert [(one["time"], one["frame"], one["faces"][0]["track"]) for one in records] == [
        (float(row["time"]), int(row["frame"]), int(row["track"])) for row in table
    ]
    for row, one in zip(table, records, strict=True):
        assert float(row["happy"]) == one["faces"][0]["probabilities"]["happy"]


def test_smoothing_is_what_is_asked_for(predict, clip):
    assert Predict.smooth == SMOOTH
    _, plain, _ = predict(clip, "--csv", "-", "--smooth", 0)
    _, slow, _ = predict(clip, "--csv", "-", "--smooth", 1000)
    _, usual, _ = predict(clip, "--csv", "-")
    spread = [np.ptp([float(row["happy"]) for row in rows(one)]) for one in (slow, usual, plain)]
    assert spread == sorted(spread)
    assert spread[0] < 0.01
    assert rows(plain)[0] == rows(slow)[0] == rows(usual)[0]


def test_drawn_videos_have_all_frames_and_pictures_lie_beside_them(predict, clip, tmp_path):
    with Video(clip) as video:
        pictures = [one.pixels for one in video.stills()]
    Image.fromarray(pictures[0]).save(tmp_path / "photo.png")
    code, out, _ = predict(tmp_path / "photo.png", clip, clip, "--draw", tmp_path / "drawn")
    assert code == 0
    assert f"{tmp_path / 'photo.png'}: 1 face in 320 x 240 pixels" in out
    names = ["clip-2.mp4", "clip.mp4", "photo.png"]
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == names
    for name in names[:2]:
        with Video(tmp_path / "drawn" / name) as video:
            assert video.rate == pytest.approx(6)
            drawn = [one.pixels for one in video.stills()]
        assert [one.shape for one in drawn] == [one.shape for one in pictures]
        for one, original in zip(drawn, pictures, strict=True):
            assert np.abs(one.astype(int) - original).max() > 100  # there is a plate with bars
            assert np.median(np.abs(one.astype(int) - original)) < 10
    assert predict(clip, "--draw", tmp_path / "drawn")[0] == 2
    assert predict(clip, "--draw", tmp_path / "third", "--every", 4)[0] == 0
    with Video(tmp_path / "third" / "clip.mp4") as video:
        assert (video.rate, video.count) == (pytest.approx(1.5), 3)


def test_videos_lie_in_folders_and_lists_beside_photographs(predict, clip, tmp_path):
    folder = tmp_path / "folder" / "below"
    folder.mkdir(parents=True)
    (folder / "Clip.MP4").write_bytes(clip.read_bytes())
    (folder / ".hidden.mp4").touch()
    Image.new("RGB", (40, 40)).save(folder / "b.png")
    (folder / "empty.avi").touch()
    code, out, err = predict(tmp_path / "folder", "--csv", "-", "--detector", "whole")
    assert code == 0
    table = rows(out)
    assert [row["image"].rpartition("/")[2] for row in table] == ["Clip.MP4"] * 12 + ["b.png", "empty.avi"]
    assert [table[12][name] for name in ("time", "frame", "track", "face")] == ["", "", "", "1"]
    assert table[13]["problem"] == "an empty file"
    first, *problems = err.splitlines()
    assert first == "1 face in 1 photograph; 12 frames of 1 video; 1 cannot be read"
    assert problems[0] == f"{folder / 'empty.avi'} cannot be read (an empty file): pass another one"
    listed = predict("-", "--csv", "-", "--detector", "whole", stdin="".join(f"{row['image']}\n" for row in table[11:]))
    assert rows(listed[1]) == table


def test_photographs_alone_have_no_columns_of_videos(predict, tmp_path):
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    Image.new("RGB", (40, 40)).save(tmp_path / "moves.gif", save_all=True, append_images=[Image.new("RGB", (40, 40))])
    _, out, err = predict(tmp_path, "--csv", "-", "--detector", "whole")
    assert out.startswith("image,face,label,")
    assert err.startswith("2 faces in 2 photographs\n")


def test_of_a_damaged_video_what_is_readable_is_written_and_the_rest_said(predict, clip, tmp_path):
    content = bytearray(clip.read_bytes())
    middle = len(content) // 3
    content[middle : middle + len(content) // 3] = bytes(len(content) // 3)
    (tmp_path / "bad.mp4").write_bytes(content)
    path = tmp_path / "bad.mp4"
    code, out, err = predict(path, "--json", "-", "--draw", tmp_path / "drawn")
    *found, last = map(json.loads, out.splitlines())
    assert code == 0
    assert 0 < len(found) < 12
    assert last["problem"].startswith(f"{len(found)} of its 12 pictures can be read")
    assert f"{path}: {last['problem']}\n" in err
    with Video(tmp_path / "drawn" / "bad.mp4") as video:
        assert video.count == len(found)
    code, out, err = predict(path)
    assert f"{path}: {last['problem']}" in out.splitlines()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["empty.mp4"], "empty.mp4 cannot be read (an empty file): pass another one"),
        (["text.mp4"], "text.mp4 cannot be read (not a video of a known format): pass another one"),
        (["pipe.mp4"], "pipe.mp4 cannot be read (a pipe, not a file): pass another one"),
        (["none.mp4"], "none.mp4 does not exist"),
        (["empty.mp4", "text.mp4"], "none of them can be read: pass others"),
        (["text.mp4", "--every", "0"], "every is 0"),
        (["text.mp4", "--smooth", "-1"], "smooth is -1.0"),
        (["text.mp4", "--smooth", "nan"], "smooth is nan"),
        (["text.mp4", "--smooth", "inf"], "smooth is inf"),
        (["text.mp4", "--camera", "0"], "--camera watches until Ctrl-C: pass it without paths"),
        (["text.mp4", "--draw", "new", "--explain"], "--explain is for photographs"),
        (["text.mp4", "--csv", "mine.csv"], "mine.csv exists, and nothing is overwritten"),
        (["--camera", "7"], "camera 7 cannot be read (it is not there, or another program has it): connect it"),
        (["--camera", "-1"], "camera -1 cannot be read"),
        ([], "nothing was named: pass photographs, videos, folders, or -"),
    ],
)
def test_mistakes_are_told_in_a_sentence(predict, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video\n" * 50)
    (tmp_path / "mine.csv").write_text("mine")
    os.mkfifo(tmp_path / "pipe.mp4")
    code, _, err = predict(*arguments)
    assert code == 2
    assert err.splitlines()[-1].startswith(f"error: {words}")
    assert (tmp_path / "mine.csv").read_text() == "mine"


class Camera:
    """A camera that sees a face, and the keyboard on which somebody ends it at the fifth picture."""

    def __init__(self, picture, signum):
        self.picture = picture
        self.signum = signum
        self.taken = 0
        self.released = False

    def isOpened(self):  # noqa: N802 - OpenCV's
        return True

    def set(self, *_):
        return False

    def get(self, number):
        return {cv2.CAP_PROP_FPS: 30.0}.get(number, 0.0)

    def grab(self):
        self.taken += 1
        if self.taken == 5:
            signal.raise_signal(self.signum)
        return True

    def retrieve(self):
        return True, self.picture

    def release(self):
        self.released = True


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_camera_is_watched_until_it_is_ended_and_all_is_written(predict, tmp_path, monkeypatch, clip, signum, code):
    with Video(clip) as video:
        picture = cv2.cvtColor(next(video.stills()).pixels, cv2.COLOR_RGB2BGR)
    open_video = cv2.VideoCapture
    camera = Camera(picture, signum)
    monkeypatch.setattr(cv2, "VideoCapture", lambda *place: camera if place == (0,) else open_video(*place))
    out = tmp_path / "camera.csv"
    before = signal.getsignal(signal.SIGINT)
    found = predict("--camera", 0, "--csv", out, "--draw", tmp_path / "drawn")
    assert found[0] == code
    assert found[2].startswith("watching camera 0 until Ctrl-C\n5 frames of 1 video\n")
    table = rows(out.read_text())
    assert [(row["image"], row["frame"], row["track"]) for row in table] == [
        ("camera 0", str(i), "1") for i in range(5)
    ]
    assert float(table[0]["time"]) < 1
    assert camera.released
    monkeypatch.undo()
    with Video(tmp_path / "drawn" / "camera-0.mp4") as video:
        assert len(list(video.stills())) == 5
    assert signal.getsignal(signal.SIGINT) is before


def test_a_camera_on_the_terminal_ends_with_its_sum(predict, monkeypatch, clip):
    with Video(clip) as video:
        picture = cv2.cvtColor(next(video.stills()).pixels, cv2.COLOR_RGB2BGR)
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: Camera(picture, signal.SIGINT))
    code, out, err = predict("--camera", 0)
    assert code == 130
    lines = out.splitlines()
    assert lines[0] == "camera 0: 320 x 240 pixels"
    assert lines[2].startswith("camera 0: 1 face in 5 frames, until 0:")
    assert lines[3].startswith("  1: from 0:00.0")
    assert err.splitlines()[-1] == "stopped"
