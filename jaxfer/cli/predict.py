"""`jaxfer predict`: the expressions of the faces in photographs, videos, and what a camera sees."""

import glob
import io
import itertools
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from jaxfer.config import Views
from jaxfer.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

    from jaxfer.inference import Photograph, Predictor, Video, VideoFrame
    from jaxfer.reports.drawn_video import DrawnVideo

STANDARD = Path("-")
"""What stands for standard input, and for standard output."""

LONGEST = 200
"""Bytes of a drawing's name, before what is added to it: disks take 255."""

LONGEST_LINE = 2**13
"""Characters of a path in a list: systems take 4,096 bytes."""


@dataclass(frozen=True, kw_only=True)
class Predict:
    """Say which expressions people would see in the faces of photographs and videos.

    jaxfer predict photo.jpg

    jaxfer predict holidays/ --csv faces.csv --draw drawn/

    find . -name '*.jpg' | jaxfer predict - --json -

    jaxfer predict photo.jpg --model runs/first --top 3 --draw drawn/ --explain

    jaxfer predict clip.mp4 --csv faces.csv --draw drawn/

    jaxfer predict --camera 0

    It says how people would name the expression on a face, and does not tell what a person feels. Do not use it to
    judge anyone. Nothing leaves this machine.
    """

    paths: tyro.conf.Positional[tuple[str, ...]]
    """Photographs, videos, folders of them, patterns such as '*.jpg', or - for a list of paths on standard input."""
    camera: Annotated[int | None, tyro.conf.arg(metavar="NUMBER")] = None
    """The number of a camera, from 0, to watch until Ctrl-C, in place of paths."""
    model: str = "small"
    """The network: one that comes with jaxfer, the folder of a model, or that of a run."""
    detector: Literal["yunet", "whole"] = "yunet"
    """What finds faces; whole takes each picture for one face, cut out as the training images are."""
    margin: float | None = None
    """What to keep around a face's box, as a share of its longer side; by default faces are framed as in training."""
    answer: Literal["expression", "votes"] | None = None
    """What to say: the label that the training data would have, or what people would see; by default as the model."""
    views: Views | None = None
    """What the network is shown of each face, to average its answers; by default as the model."""
    top: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """How many classes to name of each face, the most probable first."""
    csv: Path | None = None
    """File for a table with a row for each face, which must not exist; - for the standard output."""
    json: Path | None = None
    """File for lines of JSON, one for each photograph or frame, which must not exist; - for the standard output."""
    draw: Path | None = None
    """Folder for the photographs and videos with boxes, names and bars; it must be new or empty."""
    explain: bool = False
    """Write into the folder of --draw, too, where in each face of a photograph the network looked (Grad-CAM)."""
    every: Annotated[int, tyro.conf.arg(metavar="K")] = 1
    """Look at each K-th frame of a video alone."""
    smooth: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = 0.5
    """Time over which what is said of a face in a video is averaged; 0 for each frame as it is."""

    def run(self) -> None:
        """Predict, print, and write what was asked for.

        Raises:
            UserError: Nothing is named or can be read, a file is there already, or the model cannot be used.
        """
        if self.explain and self.draw is None:
            raise UserError("--explain needs a folder to write into: pass --draw, too")
        if self.top < 1:
            raise UserError(f"--top is {self.top}: pass how many classes to name, at least 1")
        if self.camera is not None and self.paths:
            raise UserError("--camera watches until Ctrl-C: pass it without paths")
        self._check_outputs()
        sources = _named(self.paths) if self.camera is None else [self.camera]
        if not sources:
            raise UserError("no photograph and no video was found: pass files, or folders with some in them")
        has_videos = any(map(_is_video, sources))
        from jaxfer.files import begin, check_writable
        from jaxfer.inference.video import check_pace, opencv

        check_pace(self.every, self.smooth)
        if has_videos:
            opencv()
            if self.explain:
                raise UserError("--explain is for photographs: leave it out for videos")
        if self.draw is not None:
            check_writable(self.draw, "pass another place")
            if self.draw.exists() and any(self.draw.iterdir()):
                raise UserError(f"{self.draw} is not empty, and nothing is overwritten: pass a new folder")
        # Loaded before any file is begun: one that a mistake left behind would be in the way of the next try.
        predictor = self._predictor()
        if self.draw is not None:
            self.draw.mkdir(parents=True, exist_ok=True)
        with ExitStack() as files:
            writers: list[Callable[[Photograph], object]] = []
            outputs = {}
            for kind, path in (("csv", self.csv), ("json", self.json)):
                if path is not None:
                    outputs[kind] = sys.stdout if path == STANDARD else files.enter_context(begin(path))
            from jaxfer.reports import predictions

            if "csv" in outputs:
                has_affect = "affect" in predictor.model.config.heads
                table = predictions.Csv(predictor.names, has_affect=has_affect, of_videos=has_videos)
                outputs["csv"].write(table.head())
                writers.append(lambda found: outputs["csv"].write(table.rows(found)))
            if "json" in outputs:
                writers.append(lambda found: outputs["json"].write(predictions.json_line(found)))
            drawing = None
            if self.draw is not None:
                drawing = _Drawing(self.draw, predictor, explain=self.explain)
            self._predict(predictor, sources, writers, drawing, shown=not outputs)

    def _check_outputs(self) -> None:
        """Check where results are to go, as far as that can be known before there are any.

        Raises:
            UserError: Two would go to one place, there is something already, or standard output is closed.
        """
        paths = [path for path in (self.csv, self.json) if path is not None]
        if len(set(paths)) < len(paths):
            raise UserError("--csv and --json name one place: pass two, at most one of them -")
        if STANDARD in paths and sys.stdout is None:
            raise UserError("standard output is closed: pass a file")
        for path in paths:
            if path != STANDARD and (path.exists() or path.is_symlink()):
                raise UserError(f"{path} exists, and nothing is overwritten: pass another name")

    def _predictor(self) -> "Predictor":
        from jaxfer.devices.compile_cache import keep_compiled_programs
        from jaxfer.inference import Predictor

        keep_compiled_programs()
        options = {"detector": self.detector, "margin": self.margin, "answer": self.answer, "views": self.views}
        return Predictor.load(self.model, **options)

    def _predict(
        self,
        predictor: "Predictor",
        sources: Sequence[Path | int],
        writers: "list[Callable[[Photograph], object]]",
        drawing: "_Drawing | None",
        *,
        shown: bool,
    ) -> None:
        """Predict, and say what came of all.

        Raises:
            UserError: There is nothing to predict, or none of it can be read.
            KeyboardInterrupt: Ctrl-C came; what was predicted by then is written.
        """
        from jaxfer.reports.predictions import NOTICE
        from jaxfer.reports.words import in_a_line
        from jaxfer.training.interrupt import stop_on_signals

        counts = _Counts()
        with stop_on_signals() as request, closing(self._found(predictor, sources, drawing, shown=shown)) as found:
            for one in found:
                counts.add(one)
                for write in writers:
                    write(one)
                if request.signum:
                    break
        if not request.signum and counts.unreadable == counts.sources == 1:
            raise UserError(counts.problems[0])
        print(counts.in_words(), file=sys.stderr)
        if not shown:
            for line in counts.problems:
                print(in_a_line(line), file=sys.stderr)
        print(NOTICE, file=sys.stderr)
        if request.signum == signal.SIGINT:
            raise KeyboardInterrupt
        if request.signum:
            sys.exit(128 + request.signum)
        if counts.unreadable == counts.sources:
            raise UserError("none of them can be read: pass others")

    def _found(
        self, predictor: "Predictor", sources: Sequence[Path | int], drawing: "_Drawing | None", *, shown: bool
    ) -> "Generator[Photograph, None, None]":
        """Yield the photographs and the pictures of the videos, in order, each drawn and printed as is wanted."""
        from jaxfer.inference import Photograph, UnreadableVideo, Video
        from jaxfer.reports import images_bar
        from jaxfer.reports.predictions import in_words

        for is_video, group in itertools.groupby(sources, _is_video):
            if not is_video:
                with ExitStack() if shown else images_bar("photographs") as bar:
                    for i, found in enumerate(predictor.batch(group), 1):  # pyright: ignore[reportArgumentType]
                        if shown:
                            print(*in_words(found, self.top), sep="\n", flush=True)
                        if drawing:
                            drawing.photograph(found)
                        yield found
                        if callable(bar):
                            bar("photographs", i)
                continue
            for source in group:
                try:
                    with Video(source) as video:
                        yield from self._watched(predictor, video, drawing, shown=shown)
                except UnreadableVideo as error:
                    if isinstance(source, int):
                        raise
                    found = Photograph(source, (0, 0), (), error.reason)
                    if shown:
                        print(*in_words(found), flush=True)
                    yield found

    def _watched(
        self, predictor: "Predictor", video: "Video", drawing: "_Drawing | None", *, shown: bool
    ) -> "Iterator[VideoFrame]":
        """Yield the pictures of a video; what is printed and drawn of it is whole, however that ends."""
        from jaxfer.inference import watch
        from jaxfer.reports import images_bar
        from jaxfer.reports.timeline import Timeline

        if video.is_live:
            print(f"watching {video.name} until Ctrl-C", file=sys.stderr)
        timeline = Timeline(self.top)
        total = None if video.count is None else -(-video.count // self.every)
        with ExitStack() as ending:
            bar = ending.enter_context(images_bar("frames", total, worth=1)) if not shown else None
            if shown:
                ending.callback(lambda: [print(line, flush=True) for line in timeline.summary()])
            drawn = ending.enter_context(drawing.video(video, self.every)) if drawing else None
            for i, found in enumerate(watch(predictor, video, every=self.every, smooth=self.smooth), 1):
                for line in timeline.lines(found) if shown else ():
                    print(line, flush=True)
                if drawing and drawn and not found.problem:
                    drawn.write(drawing.drawn(found), found.time)
                yield found
                if bar:
                    bar("frames", i)


class _Counts:
    """How much was predicted, and what could not be.

    Attributes:
        sources: Photographs and videos.
        unreadable: Those of them that cannot be read at all.
        problems: Why they, or parts of them, cannot, by their names.
    """

    def __init__(self) -> None:
        self.sources = self.unreadable = 0
        self.problems: list[str] = []
        self._photographs = self._faces = self._videos = self._frames = 0

    def add(self, found: "Photograph") -> None:
        """Count a photograph, or a picture of a video."""
        from jaxfer.inference import VideoFrame

        is_first = not isinstance(found, VideoFrame) or found.frame == 0
        self.sources += is_first
        if isinstance(found, VideoFrame):
            self._videos += is_first
            self._frames += not found.problem
            if found.problem:
                self.problems.append(f"{found.name}: {found.problem}")
        elif found.problem:
            self.unreadable += 1
            self.problems.append(f"{found.name} cannot be read ({found.problem}): pass another one")
        else:
            self._photographs += 1
            self._faces += len(found.faces)

    def in_words(self) -> str:
        """Return the numbers in one line."""
        from jaxfer.reports.words import counted

        parts = []
        if self._photographs or not self._videos:
            parts.append(f"{counted(self._faces, 'face')} in {counted(self._photographs, 'photograph')}")
        if self._videos:
            parts.append(f"{counted(self._frames, 'frame')} of {counted(self._videos, 'video')}")
        if self.unreadable:
            parts.append(f"{self.unreadable:,} cannot be read")
        return "; ".join(parts)


class _Drawing:
    """Writes photographs and videos with what was said of their faces into a folder."""

    def __init__(self, folder: Path, predictor: "Predictor", *, explain: bool) -> None:
        self._folder = folder
        self._predictor = predictor
        self._explain = explain
        self._taken: set[str] = set()

    def photograph(self, found: "Photograph") -> None:
        from jaxfer.files import begin
        from jaxfer.reports import drawing

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
            from jaxfer.reports.evaluation_faces import overlay

            maps = self._predictor.explain(found.faces)
            overlays = [overlay(face.crop, strength) for face, strength in zip(found.faces, maps, strict=True)]
            with begin(self._folder / f"{name}-explained.png", binary=True) as file:
                drawing.explained(found.faces, overlays).save(file, "PNG")

    def video(self, video: "Video", every: int) -> "DrawnVideo":
        """Return what takes the pictures of a video."""
        from jaxfer.reports.drawn_video import DrawnVideo
        from jaxfer.reports.words import in_a_line

        # OpenCV takes text for a name, which that of a file need not be.
        name = video.name.replace(" ", "-") if video.is_live else in_a_line(Path(video.name).stem)
        return DrawnVideo(self._folder / f"{self._free(name)}.mp4", video.rate and video.rate / every)

    def drawn(self, found: "VideoFrame") -> "Image":
        """Return a picture of a video with its faces marked."""
        from jaxfer.reports import drawing

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


def _is_video(source: Path | int) -> bool:
    from jaxfer.inference.video import is_video

    return isinstance(source, int) or is_video(source)


def _named(paths: tuple[str, ...]) -> list[Path | int]:
    """Return the photographs and videos that paths name, those in folders in natural order.

    Raises:
        UserError: Nothing is named, or what is named does not exist.
    """
    if not paths:
        raise UserError("nothing was named: pass photographs, videos, folders, or - for a list on standard input")
    if paths == (str(STANDARD),):
        return list(_listed())
    named: list[Path] = []
    for text in paths:
        if not text:
            raise UserError("one of the paths is empty: pass . for the folder that you are in")
        if text == str(STANDARD):
            raise UserError("- is given beside other paths: pass it alone, and the others on standard input")
        path = Path(text)
        if path.exists() or path.is_symlink():
            named.append(path)
        elif matching := sorted(glob.glob(text, recursive=True)):  # noqa: PTH207 - absolute ones, too
            named += map(Path, matching)
        else:
            raise UserError(f"{text} does not exist: pass photographs or videos that do")
    return [one for path in named for one in (_inside(path) if path.is_dir() else (path,))]


def _listed() -> Iterator[Path]:
    """Yield the paths on standard input, one a line.

    Raises:
        UserError: It is closed, cannot be read, or holds something else.
    """
    from jaxfer.files import lines

    if sys.stdin is None:
        raise UserError("standard input is closed: pass a list of paths to it, or paths in place of -")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # names of files may be no text
    try:
        for line in lines(sys.stdin, LONGEST_LINE):
            name = line.rstrip("\r\n")
            if "\0" in name or len(name) > LONGEST_LINE:
                raise UserError("standard input is no list of paths: pass one a line, as find does without -print0")
            if name:
                yield Path(name)
    except OSError as error:
        raise UserError(f"standard input cannot be read ({error.strerror}): pass a list of paths") from error


def _inside(folder: Path) -> Iterator[Path]:
    """Yield the images and videos in a folder and below it; links out of it are not followed."""
    from jaxfer.data.reading.folder import IMAGE_SUFFIXES, Reach, files, tree
    from jaxfer.inference.video import VIDEO_SUFFIXES

    within = Reach(folder)
    for place in tree(folder, within):
        yield from (path for path, reason in files(place, within, IMAGE_SUFFIXES + VIDEO_SUFFIXES) if not reason)
