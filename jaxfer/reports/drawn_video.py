"""A video of pictures that were drawn into."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image

from jaxfer.errors import UserError
from jaxfer.files import begin
from jaxfer.inference.video import UnreadableVideo, Video, opencv, quiet_opencv

MEASURED = 1.0
"""Seconds over which the pictures of a camera are counted before the first of them is written."""

SLOWEST = 0.01
"""Pictures a second of a video, at least."""


class DrawnVideo:
    """Writes pictures into a new .mp4, MPEG-4 Part 2, one after the other.

    It is a context manager, at whose end the file is whole, however that comes.

    Args:
        path: The file; it must not exist.
        rate: Pictures a second; None takes what the times of the first of them say.
    """

    def __init__(self, path: Path, rate: float | None) -> None:
        self._path = path.absolute()  # FFmpeg takes what comes before a colon for the kind of an address
        self._rate = rate
        self._size = 0, 0
        self._writer: Any = None
        self._waiting: list[tuple[float, np.ndarray]] = []
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, picture: Image.Image, time: float) -> None:
        """Add a picture.

        Args:
            picture: RGB, resized where it is not as large as the first.
            time: When it is shown, in seconds.

        Raises:
            UserError: The file exists, or cannot be written.
        """
        if self._writer is None and not self._waiting:
            self._size = max(picture.width, 2), max(picture.height, 2)  # OpenCV leaves the last of an odd number out
        if picture.size != self._size:
            picture = picture.resize(self._size)
        self._waiting.append((time, np.asarray(picture)))
        if self._writer or self._rate or time - self._waiting[0][0] >= MEASURED:
            self._write()

    def close(self) -> None:
        """End the file.

        Raises:
            UserError: Not all of it could be written.
        """
        self._write()
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        # The writer says nothing of a full disk.
        try:
            with Video(self._path) as video:
                is_whole = video.count == self._count
        except UnreadableVideo:
            is_whole = False
        if not is_whole:
            raise UserError(f"{self._path} cannot be written whole: free disk space")

    def _write(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        cv2 = opencv()
        if self._writer is None:
            self._writer = self._begun(cv2, self._rate or _rate([time for time, _ in waiting]))
        for _, pixels in waiting:
            self._writer.write(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
            self._count += 1

    def _begun(self, cv2: Any, rate: float) -> Any:
        # Two digits: MPEG-4 counts time in 65,535ths of a second, at most.
        rate = max(round(rate, 2), SLOWEST)
        if _is_no_text(str(self._path)):  # OpenCV would crash
            raise UserError(f"{self._path} cannot be written by OpenCV, for which names are text: pass another folder")
        with begin(self._path, binary=True), quiet_opencv():  # refuses what is there, which OpenCV would overwrite
            kind = cv2.VideoWriter.fourcc(*"mp4v")
            writer = cv2.VideoWriter(str(self._path), cv2.CAP_FFMPEG, kind, rate, self._size)
        if not writer.isOpened():
            raise UserError(f"{self._path} cannot be written by OpenCV: pass another folder")
        return writer


def _rate(times: list[float]) -> float:
    """Return how many pictures a second these are; of a single one that does not matter."""
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    return len(gaps) / sum(gaps) if sum(gaps) > 0 else 1.0


def _is_no_text(name: str) -> bool:
    """Return whether a name has bytes that are no UTF-8."""
    return any("\ud800" <= one <= "\udfff" for one in name)
