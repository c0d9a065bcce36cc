"""Videos and cameras: their pictures with the times at which they are shown, and the faces in them, followed.

OpenCV reads them, by the FFmpeg that it brings, for which the extra `jaxfer[video]` has to be installed.
"""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from PIL import Image

from jaxfer.errors import UserError
from jaxfer.files import opened
from jaxfer.inference.predictor import BATCH, Photograph, Predictor
from jaxfer.inference.tracks import Tracks

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mts", ".m2ts"),
    *(".wmv", ".asf", ".flv", ".ogv"),
)
"""Files whose names end so, in any case, count as videos; what they really hold is seen when they are opened."""

INSTALL = "pip install 'jaxfer[faces,video]'"

SMOOTH = 0.5
"""Time constant of the mean of what is said of a face, in seconds, unless another one is asked for."""

PORTION_BYTES = 2**27
"""Bytes of pictures that are decoded before the first of them is handed on, at most: this bounds the memory."""

PATIENCE = 1000
"""Parts of a file that are skipped in a row, where they cannot be decoded, before it counts as ended."""

FASTEST = 1000.0
"""Pictures a second; a file that says more means something else by it."""

_LISTING = (
    *({4: kind} for kind in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),  # MPEG-4 and QuickTime
    {0: b"RIFF", 8: b"AVI "},
)
"""Which bytes of a file tell its format, by where they are: of those formats that list their pictures."""

_LASTING = (
    {0: b"\x1aE\xdf\xa3"},  # Matroska and WebM
    *({0: b"\0\0\1" + kind} for kind in (b"\xba", b"\xb3")),  # MPEG
    *({place: b"G", place + size: b"G"} for place, size in ((0, 188), (4, 192))),  # its transport stream
    *({0: kind} for kind in (b"FLV", b"OggS", b"0&\xb2u\x8ef\xcf\x11")),  # the last is Windows Media
)
"""Those that say how long they last, from which the number of their pictures follows, about: sound may be longer.

FFmpeg knows more formats, among them lists of other files and addresses to open in place of a video.
"""


class UnreadableVideo(UserError):
    """A video or camera that cannot be opened.

    Args:
        name: What it is called.
        reason: Why, which stays as an attribute.
        advice: What to do, as the end of a sentence.
    """

    def __init__(self, name: str, reason: str, advice: str) -> None:
        super().__init__(f"{name} cannot be read ({reason}): {advice}")
        self.reason = reason


class Still(NamedTuple):
    """A picture of a video: its number from 0, its time in seconds, and its pixels, uint8 [h, w, 3], RGB."""

    frame: int
    time: float
    pixels: np.ndarray


@dataclass(frozen=True, kw_only=True)
class VideoFrame(Photograph):
    """A picture of a video and the faces in it, each with its `track`.

    A video of which less can be read than it should have ends with one that has a `problem` and neither pixels nor
    faces.

    Attributes:
        source: Its pixels, uint8 [h, w, 3], RGB, upright. Keep those of a few only: a video has many.
        video: The path of the file, `camera 0`, or empty for pictures of one's own.
        frame: Its number, from 0, among those that can be read.
        time: When it is shown, in seconds; of a camera, since the first one.
    """

    video: str
    frame: int
    time: float

    @property
    def name(self) -> str:
        """The path of the file, or which camera it is."""
        return self.video

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON: time and number, with the problem, or size and faces."""
        found = super().to_dict()
        return {"image": found.pop("image"), "time": round(self.time, 3), "frame": self.frame, **found}


class Video:
    """The pictures of a video file, turned upright by its orientation, or of a camera.

    It is a context manager, which closes it.

    Args:
        source: The path of a file, or the number of a camera, from 0.

    Attributes:
        name: The path, or `camera 0`.
        is_live: Whether it is a camera.
        rate: Pictures a second, on average; None where the file does not say, and for a camera.
        count: How many pictures the file says that it has, or by its length should; None where that is not known.
        problem: Once its pictures have been read, why these are not all; empty where they are.

    Raises:
        UnreadableVideo: It is no video, is damaged from the start, has pictures of too many pixels, or the camera is
            not there.
        UserError: OpenCV is not installed.
    """

    def __init__(self, source: Path | str | int) -> None:
        cv2 = opencv()
        self.is_live = isinstance(source, int)
        self.name = f"camera {source}" if self.is_live else str(source)
        self.problem = ""
        self._exact = False
        if isinstance(source, int):
            self._capture = self._camera(cv2, source)
        else:
            self._capture = self._file(cv2, Path(source))
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate: float | None = None if self.is_live or not 0 < rate <= FASTEST else rate
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.count: int | None = None if self.is_live or not 0 < count < 2**40 else int(count)
        size = [self._capture.get(side) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
        if size[0] * size[1] > (Image.MAX_IMAGE_PIXELS or math.inf):
            self.close()
            reason = f"{size[0]:.0f} x {size[1]:.0f} pixels, more than {Image.MAX_IMAGE_PIXELS:,}"
            raise UnreadableVideo(self.name, reason, "pass a smaller one")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file or the camera."""
        self._capture.release()

    def stills(self, every: int = 1) -> Iterator[Still]:
        """Yield the first picture and each `every`-th after it. What cannot be decoded is left out, see `problem`.

        Time stamps are those of the file. Where it has none, or one that is not after the one before, the next picture
        comes one over the `rate` later.

        Raises:
            UnreadableVideo: There is not one.
        """
        cv2 = opencv()
        step = 1 / self.rate if self.rate else 0.0
        began, number = 0.0, 0
        now = before = -math.inf
        while self._grab(cv2):
            if self.is_live:
                began = began if number else time.monotonic()
                now = time.monotonic() - began
            else:
                stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                now = stamp if before < stamp < math.inf else before + step if number else 0.0
                if number and now <= before:
                    self.problem = f"from {before:.2f} s on, it does not say when its pictures are shown"
                    return
            if number % every == 0:
                there, pixels = self._capture.retrieve()
                if not there:
                    continue
                yield Still(number, now, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
            before = now
            number += 1
        if not number:
            raise self._unreadable()
        if self.is_live:
            self.problem = f"it gives no more pictures after {before:.2f} s"
        elif self.count is not None and self.count - number > (0 if self._exact or not self.rate else self.rate):
            read = f"{number:,} of its {self.count:,} pictures can be read, until {before:.2f} s"
            self.problem = f"{read}: it is damaged, or was cut"

    def _grab(self, cv2: Any) -> bool:
        """Go on to the next picture that can be decoded, and return whether there is one."""
        with quiet_opencv():
            try:
                return any(self._capture.grab() for _ in range(1 if self.is_live else PATIENCE))
            except cv2.error:  # such as memory that a damaged file asks for
                return False

    def _camera(self, cv2: Any, number: int) -> Any:
        # Numbers from 100 on have another meaning for OpenCV.
        with quiet_opencv():
            capture = cv2.VideoCapture(number) if 0 <= number < 100 else None
        if capture is None or not capture.isOpened():
            raise self._unreadable()
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # as far as its driver knows that: what is shown is now
        return capture

    def _file(self, cv2: Any, path: Path) -> Any:
        try:
            with opened(path) as file:
                start = os.pread(file.fileno(), 256, 0)
                if not start:
                    raise UnreadableVideo(self.name, "an empty file", "pass another one")
                self._exact = _begins(start, _LISTING)
                if not self._exact and not _begins(start, _LASTING):
                    raise UnreadableVideo(self.name, "not a video of a known format", "pass another one")
                with quiet_opencv():
                    # What is open already, and never a name, which could be an address or a pattern for FFmpeg.
                    capture = cv2.VideoCapture(f"/dev/fd/{file.fileno()}", cv2.CAP_FFMPEG)
        except OSError as error:
            raise UnreadableVideo(self.name, error.strerror or str(error), "pass another one") from error
        if not capture.isOpened():
            raise self._unreadable()
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        return capture

    def _unreadable(self) -> UnreadableVideo:
        if self.is_live:
            reason = "it is not there, or another program has it"
            return UnreadableVideo(self.name, reason, "connect it, allow its use, or pass another number")
        reason = "no video in it, damaged from the start, or of a kind that OpenCV does not know"
        return UnreadableVideo(self.name, reason, "pass another one, or convert it to H.264 in a .mp4")


Source = Video | Path | str | int | Iterable[tuple[float, np.ndarray]]
"""A video, the path of one, the number of a camera, or pictures with their times in seconds."""


def watch(predictor: Predictor, source: Source, *, every: int = 1, smooth: float = SMOOTH) -> Iterator[VideoFrame]:
    """Return an iterator over the pictures of a video with the faces in them, in order, each face with its track.

    Faces are followed by place, speed and size; one that is out of sight for a second is another one after. Boxes are
    those of each picture, probabilities, valence and arousal are means over time, see `Tracks`. A video takes the
    memory of a few of its pictures, however long it is, and their faces are shown to the network together; of a camera
    each picture is handed on before the next is taken.

    Args:
        predictor: What finds the faces and asks the network.
        source: A video, its path, the number of a camera, or pictures of one's own: their times, in seconds, and
            pixels, uint8 [h, w, 3] in RGB.
        every: Look at the first picture and each `every`-th after it.
        smooth: Time constant of the means, in seconds: what was said so long ago counts 1 / e as much; 0 for none.

    Raises:
        UserError: There are no such options, the video cannot be opened, or `Predictor.batch` refuses.

    >>> from jaxfer.data.synthetic import draw_faces
    >>> predictor = Predictor.load(detector="whole")
    >>> picture = draw_faces(1, np.array([1]), image_size=96)[0]
    >>> timed = ((i / 25, picture) for i in range(3))
    >>> [(one.time, one.faces[0].track, one.faces[0].label) for one in watch(predictor, timed)]
    [(0.0, 1, 'happy'), (0.04, 1, 'happy'), (0.08, 1, 'happy')]
    """
    check_pace(every, smooth)
    return _watched(predictor, source, every, smooth)


def check_pace(every: int, smooth: float) -> None:
    """Check what `watch` is asked for.

    Raises:
        UserError: There is no such option.
    """
    if not isinstance(every, int) or every < 1:
        raise UserError(f"every is {every}: pass 1 for every picture, 2 for every second one, and so on")
    if not 0 <= smooth < math.inf:
        raise UserError(f"smooth is {smooth}: pass seconds, such as {SMOOTH}, or 0")


def _watched(predictor: Predictor, source: Source, every: int, smooth: float) -> Iterator[VideoFrame]:
    if isinstance(source, Path | str | int):
        with Video(source) as video:
            yield from _watched(predictor, video, every, smooth)
        return
    if isinstance(source, Video):
        stills, name, is_live = source.stills(every), source.name, source.is_live
    else:
        stills, name, is_live = itertools.islice(_timed(source), 0, None, every), "", False
    tracks = Tracks(smooth)
    still = Still(0, 0.0, np.empty(0))
    for portion in _portions(stills, alone=is_live):
        for still, seen in zip(portion, predictor.batch([one.pixels for one in portion]), strict=True):
            faces = tracks.follow(seen.faces, still.time)
            yield VideoFrame(
                still.pixels, seen.size, faces, seen.problem, video=name, frame=still.frame, time=still.time
            )
    if isinstance(source, Video) and source.problem:
        nothing = np.empty((0, 0, 3), np.uint8)
        yield VideoFrame(nothing, (0, 0), (), source.problem, video=name, frame=still.frame + 1, time=still.time)


def _timed(source: Iterable[tuple[float, np.ndarray]]) -> Iterator[Still]:
    """Yield pictures of one's own.

    Raises:
        UserError: They come without times, or not in the order of these.
    """
    before = -math.inf
    for i, one in enumerate(source):
        try:
            when, pixels = one
            now, shape = float(when), np.shape(pixels)
        except (TypeError, ValueError) as error:
            raise UserError(f"picture {i} comes without its time: pass pairs of seconds and pixels") from error
        if not before <= now < math.inf:
            raise UserError(f"the time of picture {i} is {now:g} s: pass seconds that do not go back")
        if len(shape) not in (2, 3):
            raise UserError(f"picture {i} has the shape {list(shape)}: pass uint8 [h, w, 3] in RGB")
        before = now
        yield Still(i, now, np.asarray(pixels))


def _portions(stills: Iterable[Still], *, alone: bool) -> Iterator[list[Still]]:
    """Yield pictures together, as many as make a full batch of faces where each has one, if they are not too large."""
    portion: list[Still] = []
    for still in stills:
        portion.append(still)
        if alone or len(portion) == BATCH or len(portion) * still.pixels.nbytes >= PORTION_BYTES:
            yield portion
            portion = []
    if portion:
        yield portion


def _begins(start: bytes, formats: Iterable[dict[int, bytes]]) -> bool:
    return any(all(start.startswith(kind, place) for place, kind in one.items()) for one in formats)


def is_video(path: Path) -> bool:
    """Return whether a file of this name counts as a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def opencv() -> Any:
    """Return the module cv2.

    Raises:
        UserError: It is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise UserError(f"videos are read and written by OpenCV, which is not installed: {INSTALL}") from error
    return cv2


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Silence what OpenCV and FFmpeg print of files and cameras that they cannot read.

    FFmpeg keeps the level that it finds when a process first reads or writes a video.
    """
    log = opencv().utils.logging
    level, name = log.getLogLevel(), "OPENCV_FFMPEG_LOGLEVEL"
    said = os.environ.get(name)
    os.environ.setdefault(name, "-8")  # nothing at all
    log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        log.setLogLevel(level)
        if said is None:
            os.environ.pop(name, None)
