"""Videos and cameras: the right pictures at the right times, faces followed, any length, and every kind of damage."""

import contextlib
import dataclasses
import itertools
import os
import sys
import threading
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from videos import SIZE, moving, retimed, turned, write_video

from jaxfer.errors import UserError
from jaxfer.inference import Detection, Predictor, UnreadableVideo, Video, watch
from jaxfer.inference import video as video_module


@pytest.fixture(scope="module")
def predictor(model):
    return Predictor(model, detector="whole")


def gray(count: int, size: tuple[int, int] = (64, 48)) -> list[np.ndarray]:
    """Return pictures, each 8 levels brighter than the one before."""
    return [np.full((size[1], size[0], 3), 8 * i % 256, np.uint8) for i in range(count)]


def levels(stills) -> list[int]:
    return [round(one.pixels.mean() / 8) for one in stills]


CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG", ".wmv": "WMV2", ".m2ts": "MPG2"}


@pytest.mark.parametrize("suffix", CODECS)
def test_all_pictures_come_in_order_with_their_times(tmp_path, suffix, capfd):
    path = write_video(tmp_path / f"clip{suffix}", gray(20), 10.0, CODECS[suffix])
    capfd.readouterr()
    with Video(path) as video:
        assert (video.name, video.is_live, video.rate) == (str(path), False, pytest.approx(10))
        stills = list(video.stills())
    assert [one.frame for one in stills] == list(range(20))
    np.testing.assert_allclose([one.time for one in stills], np.arange(20) / 10, atol=0.002)
    assert levels(stills) == list(range(20))
    assert stills[0].pixels.shape == (48, 64, 3)
    assert video.problem == ""
    assert capfd.readouterr() == ("", "")


def test_colours_are_red_green_and_blue(tmp_path):
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, :, 0] = 200
    path = write_video(tmp_path / "clip.mp4", [picture] * 3)
    with Video(path) as video:
        red, green, blue = next(video.stills()).pixels.mean(axis=(0, 1))
    assert red > 150
    assert max(green, blue) < 50


@pytest.mark.parametrize("every", [1, 2, 7, 100])
def test_each_kth_picture_has_the_number_and_time_that_it_has_among_all(tmp_path, predictor, every):
    path = write_video(tmp_path / "clip.mp4", gray(20))
    found = list(watch(predictor, path, every=every))
    assert [one.frame for one in found] == list(range(0, 20, every))
    np.testing.assert_allclose([one.time for one in found], np.arange(0, 20, every) / 10)
    own = list(watch(predictor, ((i / 10, picture) for i, picture in enumerate(gray(20))), every=every))
    assert [(one.frame, one.time) for one in own] == [(one.frame, pytest.approx(one.time)) for one in found]


def test_the_rate_may_vary(tmp_path):
    path = write_video(tmp_path / "clip.mp4", gray(6))
    retimed(path, [1, 3, 1, 5, 1, 1])
    with Video(path) as video:
        np.testing.assert_allclose([one.time for one in video.stills()], [0, 0.1, 0.4, 0.5, 1.0, 1.1])
    assert video.problem == ""


def test_a_video_of_a_turned_camera_is_upright(tmp_path):
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24] = 255  # the upper half, which a turn to the right brings to the right
    path = write_video(tmp_path / "clip.mp4", [picture] * 3)
    turned(path)
    with Video(path) as video:
        pixels = next(video.stills()).pixels
    assert pixels.shape == (64, 48, 3)
    assert pixels[:, 26:].mean() > 240
    assert pixels[:, :22].mean() < 15


def test_people_who_pass_each_other_keep_their_tracks(tmp_path):
    shipped = Predictor.load()
    places = lambda i: [(290 - 13 * i, 120, 80), (30 + 13 * i, 120, 80)]  # noqa: E731
    path = write_video(tmp_path / "clip.mp4", moving([1, 2], places, 20), 5.0)
    found = list(watch(shipped, path))
    assert [len(one.faces) for one in (found[0], found[-1])] == [2, 2]
    # To the left goes a happy one, and to the right a sad one, in front of it.
    for frame in found:
        for face in frame.faces:
            happy, sad = (x for x, _, _ in places(frame.frame))
            expected = happy if face.track == found[0].faces[0].track else sad
            assert face.frame.centre[0] == pytest.approx(expected, abs=12)
    assert {face.track for one in found for face in one.faces} == {1, 2}
    said = [[face.label for one in found for face in one.faces if face.track == track] for track in (1, 2)]
    happy, other = sorted(said, key=lambda labels: -labels.count("happy"))
    assert happy.count("happy") >= 0.8 * len(happy)  # though it is hidden for a while
    assert "happy" not in other
    assert found[3].source.shape == (SIZE[1], SIZE[0], 3)
    assert found[3].name == str(path)


def test_a_frame_is_a_record(tmp_path, predictor):
    path = write_video(tmp_path / "clip.mp4", gray(2))
    found = list(watch(predictor, path))[1]
    record = found.to_dict()
    assert list(record) == ["image", "time", "frame", "size", "faces"]
    assert (record["image"], record["time"], record["frame"], record["size"]) == (str(path), 0.1, 1, [64, 48])
    assert list(record["faces"][0])[:3] == ["track", "label", "probabilities"]
    assert record["faces"][0]["track"] == 1


def test_what_is_said_is_smoothed_and_boxes_are_not(predictor, model):
    pictures = [np.random.default_rng(i).integers(0, 256, (32, 32, 3)).astype(np.uint8) for i in range(5)]
    timed = [(0.2 * i, picture) for i, picture in enumerate(pictures)]
    plain = list(watch(predictor, timed, smooth=0))
    alone = [predictor(picture)[0] for picture in pictures]
    means = list(watch(predictor, timed, smooth=0.3))
    mean = np.array(list(alone[0].probabilities.values()))
    for one, raw, smoothed in zip(alone, plain, means, strict=True):
        assert raw.faces[0].probabilities == pytest.approx(one.probabilities, abs=1e-5)
        assert raw.faces[0].valence == pytest.approx(one.valence, abs=1e-5)
        assert smoothed.faces[0].box == one.box
        mean += (1 - np.exp(-0.2 / 0.3)) * (np.array(list(one.probabilities.values())) - mean)
        np.testing.assert_allclose(list(smoothed.faces[0].probabilities.values()), mean, atol=1e-5)


def first_only(picture: np.ndarray) -> list[Detection]:
    """A detector of one's own: a face where the first pixel is white."""
    return [Detection((4.0, 4.0, 16.0, 16.0))] if picture[0, 0, 0] == 255 else []


def pictures_without_end(count):
    """Pictures of which the first alone has a face, which waits for a full batch in vain."""
    for i in range(count):
        yield i / 25, np.full((300, 300, 3), 255 if i == 0 else 0, np.uint8)


def test_memory_does_not_grow_with_the_length(model):
    predictor = Predictor(model, detector=first_only)
    list(watch(predictor, pictures_without_end(2)))  # compiles
    peaks = []
    for count in (200, 1000):
        tracemalloc.start()
        assert sum(len(one.faces) for one in watch(predictor, pictures_without_end(count))) == 1
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] < 300 * 300 * 3 * 200


def test_large_pictures_are_decoded_in_small_portions(predictor, monkeypatch):
    monkeypatch.setattr(video_module, "PORTION_BYTES", 10 * 32 * 32 * 3)
    taken = itertools.count()
    stream = watch(predictor, ((next(taken), np.zeros((32, 32, 3), np.uint8)) for _ in range(100)))
    next(stream)
    assert next(taken) == 10
    assert len(list(stream)) == 99


class Camera:
    """A camera, or a file, that gives pictures as long as `grab` says so."""

    def __init__(self, pictures, properties=None):
        self.pictures = iter(pictures)
        self.properties = {cv2.CAP_PROP_FRAME_WIDTH: 64.0, cv2.CAP_PROP_FRAME_HEIGHT: 48.0} | (properties or {})
        self.taken = 0
        self.released = False

    def isOpened(self):  # noqa: N802 - OpenCV's
        return True

    def set(self, *_):
        return False

    def get(self, number):
        value = self.properties.get(number, 0.0)
        return value[self.taken - 1] if isinstance(value, list) else value

    def grab(self):
        self.picture = next(self.pictures, None)
        self.taken += 1
        if isinstance(self.picture, Exception):
            raise self.picture
        return self.picture is not None

    def retrieve(self):
        return True, self.picture

    def release(self):
        self.released = True


@pytest.fixture
def camera(monkeypatch):
    def plugged_in(*args):
        made = Camera(*args)
        monkeypatch.setattr(cv2, "VideoCapture", lambda *_: made)
        return made

    return plugged_in


def test_of_a_camera_each_picture_is_handed_on_before_the_next(predictor, camera):
    plugged_in = camera(gray(5))
    found = []
    for one in watch(predictor, 0):
        found.append(one)
        if not one.problem:
            assert plugged_in.taken == len(found)
    assert [one.name for one in found] == ["camera 0"] * 6
    assert all(one.faces[0].track == 1 for one in found[:5])
    assert [one.time for one in found] == sorted(one.time for one in found)
    assert 0 <= found[0].time < found[4].time < 60
    assert found[5].problem.startswith("it gives no more pictures after")
    assert plugged_in.released


@pytest.mark.parametrize("number", [0, -1, 100, 2**40])
def test_a_camera_that_is_absent(predictor, number, capfd):
    with pytest.raises(
        UserError, match=f"camera {number} cannot be read .*: connect it, allow its use, or pass another"
    ):
        next(watch(predictor, number))
    assert capfd.readouterr() == ("", "")


def test_a_camera_that_gives_nothing(predictor, camera):
    plugged_in = camera([])
    with pytest.raises(UserError, match="camera 3 cannot be read"):
        next(watch(predictor, 3))
    assert plugged_in.taken == 1  # each try may take seconds
    assert plugged_in.released


@pytest.fixture
def file(camera, tmp_path):
    """A file of which OpenCV says what a test wants it to say."""
    (tmp_path / "clip.mp4").write_bytes(b"\0\0\0\x20ftypisom")

    def made(pictures, **properties):
        known = {getattr(cv2, f"CAP_PROP_{name.upper()}"): value for name, value in properties.items()}
        camera(pictures, known)
        return tmp_path / "clip.mp4"

    return made


@pytest.mark.parametrize("rate", [0.0, float("nan"), float("inf"), -25.0, 90000.0])
def test_a_rate_that_is_none_is_not_used(file, rate):
    path = file(gray(3), fps=rate, pos_msec=[0.0, 40.0, 120.0])
    with Video(path) as video:
        assert video.rate is None
        assert [one.time for one in video.stills()] == [0, 0.04, 0.12]
    assert video.problem == ""


def test_without_rate_and_times_nothing_is_guessed(predictor, file):
    found = list(watch(predictor, file(gray(3), fps=float("nan"))))
    assert [bool(one.faces) for one in found] == [True, False]
    assert found[1].problem == "from 0.00 s on, it does not say when its pictures are shown"


def test_times_that_are_none_follow_from_the_rate(file):
    times = [float("nan"), 100.0, 50.0, float("nan"), 400.0]
    with Video(file(gray(5), fps=10.0, pos_msec=times)) as video:
        np.testing.assert_allclose([one.time for one in video.stills()], [0, 0.1, 0.2, 0.3, 0.4])


def test_what_cannot_be_decoded_is_skipped_and_counted(predictor, file):
    pictures = gray(10)
    pictures[3:6] = [None] * 3
    times = [100.0 * i for i in range(2000)]
    found = list(watch(predictor, file(pictures, fps=10.0, frame_count=10.0, pos_msec=times)))
    np.testing.assert_allclose([one.time for one in found], [0, 0.1, 0.2, 0.6, 0.7, 0.8, 0.9, 0.9])
    assert found[-1].problem == "7 of its 10 pictures can be read, until 0.90 s: it is damaged, or was cut"
    assert [one.frame for one in found] == list(range(8))


def test_memory_that_a_damaged_file_asks_for_ends_it(file):
    with Video(file([*gray(3), cv2.error("Insufficient memory")], fps=10.0, frame_count=5.0)) as video:
        assert len(list(video.stills())) == 3
    assert video.problem.startswith("3 of its 5 pictures can be read")


def test_huge_pictures_are_refused_before_one_is_read(tmp_path, monkeypatch, predictor):
    path = write_video(tmp_path / "clip.mp4", gray(2))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 48 - 1)
    with pytest.raises(UnreadableVideo, match=r"64 x 48 pixels, more than 3,071\): pass a smaller one"):
        next(watch(predictor, path))


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [(".mp4", "zeros"), (".mkv", "zeros"), (".avi", "zeros"), (".mkv", "cut"), (".avi", "cut")],
)
def test_of_a_damaged_video_what_is_readable_is_used(tmp_path, predictor, suffix, damage, capfd):
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 255, (24, 32, 3)).astype(np.uint8).repeat(4, 0).repeat(4, 1)
    path = write_video(tmp_path / f"clip{suffix}", (np.roll(ground, i, 1) for i in range(60)), 10.0, CODECS[suffix])
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    if damage == "zeros":
        content[middle : middle + len(content) // 6] = bytes(len(content) // 6)
    else:
        del content[middle:]
    path.write_bytes(content)
    capfd.readouterr()
    *found, last = watch(predictor, path)
    assert 10 < len(found) < 60
    assert all(one.faces and not one.problem for one in found)
    assert last.problem.startswith(f"{len(found)} of its 60 pictures can be read")
    assert (last.faces, last.size, last.name) == ((), (0, 0), str(path))
    assert last.frame == found[-1].frame + 1
    if (suffix, damage) == (".mp4", "zeros"):
        assert found[-1].time > 5.5  # what comes after the damage, too
    assert capfd.readouterr() == ("", "")


def broken(kind: str, path):
    """Write what is no video."""
    if kind == "cut":
        whole = write_video(path, gray(10)).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "codec":
        whole = write_video(path.with_suffix(".avi"), gray(10), codec="MJPG").read_bytes()
        path.write_bytes(whole.replace(b"MJPG", b"ZZZZ"))
    elif kind == "sound":
        # A WebM header, a segment, and one track, of sound.
        path.write_bytes(bytes.fromhex("1a45dfa3874282847765626d18538067911654ae6b8cae8ad7810173c5810183810286"))
    elif kind == "header":
        path.write_bytes(b"\0\0\0\x20ftypisom\0\0\2\0isomiso2")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "gif":
        Image.fromarray(gray(2)[0]).save(path, "GIF")
    elif kind != "absent":
        path.write_bytes(
            {"empty": b"", "text": b"no video\n" * 90, "list": b"#EXTM3U\nhttp://127.0.0.1:9/a.ts\n"}[kind]
        )


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("empty", "an empty file"),
        ("text", "not a video of a known format"),
        ("list", "not a video of a known format"),
        ("gif", "not a video of a known format"),
        ("header", "damaged from the start"),
        ("cut", "damaged from the start"),
        ("sound", "no video in it"),
        ("codec", "of a kind that OpenCV does not know"),
        ("folder", "a folder, not a file"),
        ("pipe", "a pipe, not a file"),
        ("absent", "No such file or directory"),
    ],
)
def test_what_is_no_video_is_refused_in_a_sentence(tmp_path, predictor, kind, reason, capfd):
    path = tmp_path / "clip.mp4"
    broken(kind, path)
    capfd.readouterr()
    with pytest.raises(UnreadableVideo, match=rf"clip.mp4 cannot be read \(.*{reason}.*\): pass another one"):
        next(watch(predictor, path))
    assert capfd.readouterr() == ("", "")


def test_names_are_never_addresses_or_patterns(tmp_path, predictor, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("http:clip.mp4", "concat:a|b.mp4", "clip%02d.mp4", "caf\udce9.mp4", "-.mp4"):
        content = write_video(tmp_path / "made.mp4", gray(2)).read_bytes()
        (tmp_path / name).write_bytes(content)
        assert len(list(watch(predictor, name))) == 2
    with pytest.raises(UnreadableVideo, match="No such file"):
        next(watch(predictor, "http://127.0.0.1:9/clip.mp4"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"every": 0}, "every is 0"),
        ({"smooth": -1.0}, "smooth is -1.0"),
        ({"smooth": float("nan")}, "smooth is nan"),
        ({"smooth": float("inf")}, "smooth is inf"),
    ],
)
def test_options_that_cannot_be_are_refused_at_once(predictor, options, words):
    with pytest.raises(UserError, match=words):
        watch(predictor, 0, **options)


def test_without_opencv_a_sentence_says_how_to_install_it(predictor, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "cv2", None)
    for source in (0, tmp_path / "clip.mp4"):
        with pytest.raises(UserError, match=r"OpenCV, which is not installed: pip install 'jaxfer\[faces,video\]'"):
            next(watch(predictor, source))
    assert len(list(watch(predictor, [(0.0, gray(1)[0])]))) == 1  # which needs none


def test_files_and_cameras_are_let_go(tmp_path, predictor):
    path = write_video(tmp_path / "clip.mp4", gray(10))
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(3):
        stream = watch(predictor, path)
        next(stream)
        stream.close()
        with contextlib.suppress(UserError):
            next(watch(predictor, tmp_path / "none.mp4"))
    assert len(list(Path("/dev/fd").iterdir())) <= before


def test_watching_leaves_the_process_as_it_was(tmp_path, predictor):
    path = write_video(tmp_path / "clip.mp4", gray(3))
    log = cv2.utils.logging
    level, environment = log.getLogLevel(), dict(os.environ)
    log.setLogLevel(log.LOG_LEVEL_ERROR)
    for one in watch(predictor, path):
        assert not one.problem
        assert log.getLogLevel() == log.LOG_LEVEL_ERROR
        assert dict(os.environ) == environment
    log.setLogLevel(level)
    assert threading.active_count() < 50


def test_a_picture_of_ones_own_that_is_none_has_its_problem(predictor):
    found = list(watch(predictor, [(0.0, np.zeros((4, 4))), (0.1, gray(1)[0])]))
    assert "is no picture" in found[0].problem
    assert len(found[1].faces) == 1
    assert dataclasses.asdict(found[1])["video"] == ""


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        ([np.zeros((9, 9, 3), np.uint8)], "picture 0 comes without its time"),
        ([("now", np.zeros((9, 9, 3), np.uint8))], "picture 0 comes without its time"),
        ([(0, "photo.jpg")], "picture 0 has the shape"),
        ([(float("nan"), np.zeros((9, 9, 3), np.uint8))], "the time of picture 0 is nan s"),
        ([(2, np.zeros((9, 9, 3), np.uint8)), (1, np.zeros((9, 9, 3), np.uint8))], "the time of picture 1 is 1 s"),
    ],
)
def test_pictures_of_ones_own_come_with_times_that_go_on(predictor, pictures, words):
    with pytest.raises(UserError, match=words):
        list(watch(predictor, pictures))
