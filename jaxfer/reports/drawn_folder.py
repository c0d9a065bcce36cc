"""A folder of photographs and videos with what was predicted drawn into them."""

import itertools
import os
from pathlib import Path

from PIL.Image import Image

from jaxfer.files import begin
from jaxfer.inference.predictor import Photograph, Predictor
from jaxfer.inference.video import Video, VideoFrame
from jaxfer.reports import drawing
from jaxfer.reports.drawn_video import DrawnVideo
from jaxfer.reports.words import in_a_line

LONGEST = 200
"""Bytes of a drawing's name, before what is added to it: disks take 255."""


class DrawnFolder:
    """Writes photographs and videos with what was said of their faces into a folder.

    Args:
        folder: The folder, which is made unless it is there.
        predictor: What found the faces.
        explain: Whether to write where in each face of a photograph the network looked, too.
    """

    def __init__(self, folder: Path, predictor: Predictor, *, explain: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._predictor = predictor
        self._explain = explain
        self._taken: set[str] = set()

    def photograph(self, found: Photograph) -> None:
        """Write a photograph, unless it cannot be read."""
        if found.problem:
            return
        picture = self._predictor.upright(found.source)
        drawn = drawing.drawn(picture, found.faces, self._predictor.names)
        source = Path(found.name)
        name = self._free(source.stem, *(("", "-explained") if self._explain else ()))
        kind, suffix = ("PNG", ".png") if source.suffix.lower() == ".png" else ("JPEG", ".jpg")
        with begin(self._folder / f"{name}{suffix}", binary=True) as file:
            drawn.save(file, kind, quality=92)
        if self._explain and found.faces:
            from jaxfer.reports.evaluation_faces import overlay  # with Matplotlib, which nothing else here needs

            maps = self._predictor.explain(found.faces)
            overlays = [overlay(face.crop, strength) for face, strength in zip(found.faces, maps, strict=True)]
            with begin(self._folder / f"{name}-explained.png", binary=True) as file:
                drawing.explained(found.faces, overlays).save(file, "PNG")

    def video(self, video: Video, every: int) -> DrawnVideo:
        """Return what takes the pictures of a video."""
        # OpenCV takes text for a name, which that of a file need not be.
        name = video.name.replace(" ", "-") if video.is_live else in_a_line(Path(video.name).stem)
        return DrawnVideo(self._folder / f"{self._free(name)}.mp4", video.rate and video.rate / every)

    def drawn(self, found: VideoFrame) -> Image:
        """Return a picture of a video with its faces marked."""
        return drawing.drawn(self._predictor.upright(found.source), found.faces, self._predictor.names)

    def _free(self, stem: str, *endings: str) -> str:
        """Return a name that nothing before has, whatever follows it, on disks that tell no case apart, too."""
        while len(os.fsencode(stem)) > LONGEST:
            stem = stem[:-1]
        for i in itertools.count(1):
            name = f"{stem}-{i}" if i > 1 else stem
            wanted = {f"{name}{ending}".casefold() for ending in endings or ("",)}
            if not wanted & self._taken:
                self._taken |= wanted
                return name
        raise AssertionError
