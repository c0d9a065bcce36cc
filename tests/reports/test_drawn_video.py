"""Annotated videos: each picture once, at the pace of the original, never over a file, never half."""

import cv2
import numpy as np
import pytest
from PIL import Image

from jaxfer.errors import UserError
from jaxfer.inference import Video
from jaxfer.reports.drawn_video import DrawnVideo


def picture(level: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    return Image.new("RGB", size, (8 * level, 0, 0))


@pytest.mark.parametrize("rate", [25.0, 30000 / 1001, 15.1234567, 0.2, 240.0, 1000 / 7])
def test_each_picture_is_there_once_at_the_rate(tmp_path, rate):
    with DrawnVideo(tmp_path / "drawn.mp4", rate) as drawn:
        for i in range(20):
            drawn.write(picture(i), i / rate)
    with Video(tmp_path / "drawn.mp4") as video:
        stills = list(video.stills())
        assert video.rate == pytest.approx(rate, rel=0.01)
    np.testing.assert_allclose([one.pixels[..., 0].mean() / 8 for one in stills], range(20), atol=0.8)
    assert max(one.pixels[..., 2].mean() for one in stills) < 20
    assert video.problem == ""


@pytest.mark.parametrize("seconds", [0.3, 1.0, 4.0])
def test_without_a_rate_the_first_second_says_it(tmp_path, seconds):
    times = np.arange(0, seconds, 1 / 12.5)
    with DrawnVideo(tmp_path / "drawn.mp4", None) as drawn:
        for i, time in enumerate(times):
            drawn.write(picture(i % 30), 100 + time)
    with Video(tmp_path / "drawn.mp4") as video:
        assert video.rate == pytest.approx(12.5, rel=0.01)
        assert video.count == len(times)


def test_a_single_picture_is_a_video_and_none_is_no_file(tmp_path):
    with DrawnVideo(tmp_path / "one.mp4", None) as drawn:
        drawn.write(picture(3), 0.0)
    with Video(tmp_path / "one.mp4") as video:
        assert len(list(video.stills())) == 1
    with DrawnVideo(tmp_path / "none.mp4", 25.0):
        pass
    assert not (tmp_path / "none.mp4").exists()


def test_pictures_of_another_size_are_resized(tmp_path):
    with DrawnVideo(tmp_path / "drawn.mp4", 10.0) as drawn:
        for i in range(4):
            drawn.write(picture(9, (64 + i, 48 - i)), i / 10)
    with Video(tmp_path / "drawn.mp4") as video:
        assert [one.pixels.shape for one in video.stills()] == [(48, 64, 3)] * 4


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "drawn.mp4").write_text("mine")
    with (
        pytest.raises(UserError, match="exists, and nothing is overwritten"),
        DrawnVideo(tmp_path / "drawn.mp4", 9.0) as v,
    ):
        v.write(picture(0), 0.0)
    (tmp_path / "link.mp4").symlink_to(tmp_path / "elsewhere.mp4")
    with (
        pytest.raises(UserError, match="exists, and nothing is overwritten"),
        DrawnVideo(tmp_path / "link.mp4", 9.0) as v,
    ):
        v.write(picture(0), 0.0)
    assert (tmp_path / "drawn.mp4").read_text() == "mine"
    assert not (tmp_path / "elsewhere.mp4").exists()


def test_it_is_whole_when_something_fails(tmp_path):
    def until_ctrl_c():
        with DrawnVideo(tmp_path / "drawn.mp4", 10.0) as drawn:
            for i in range(5):
                drawn.write(picture(i), i / 10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        until_ctrl_c()
    with Video(tmp_path / "drawn.mp4") as video:
        assert len(list(video.stills())) == 5


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    class Full:
        """A writer that writes nothing, and says nothing of it, as OpenCV's."""

        def __init__(self, *_):
            pass

        fourcc = cv2.VideoWriter.fourcc

        def isOpened(self):  # noqa: N802 - OpenCV's
            return True

        def write(self, _):
            pass

        def release(self):
            pass

    monkeypatch.setattr(cv2, "VideoWriter", Full)
    drawn = DrawnVideo(tmp_path / "drawn.mp4", 10.0)
    drawn.write(picture(0), 0.0)
    with pytest.raises(UserError, match=r"drawn.mp4 cannot be written whole: free disk space"):
        drawn.close()


def test_a_folder_that_is_gone_is_told(tmp_path):
    with (
        pytest.raises(UserError, match="cannot be written"),
        DrawnVideo(tmp_path / "gone" / "drawn.mp4", 10.0) as drawn,
    ):
        drawn.write(picture(0), 0.0)


def test_a_folder_whose_name_is_no_text_is_refused(tmp_path):
    """OpenCV ends the whole process by such a name."""
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    with pytest.raises(UserError, match="names are text"), DrawnVideo(folder / "drawn.mp4", 10.0) as drawn:
        drawn.write(picture(0), 0.0)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (65, 49)])
def test_small_and_odd_pictures(tmp_path, size):
    with DrawnVideo(tmp_path / "drawn.mp4", 10.0) as drawn:
        drawn.write(picture(1, size), 0.0)
        drawn.write(picture(1, size), 0.1)
    with Video(tmp_path / "drawn.mp4") as video:
        assert len(list(video.stills())) == 2
