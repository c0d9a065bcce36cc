"""`jaxfer predict`: the expressions of the faces in photographs, videos, and what a camera sees."""

import itertools
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Literal

import tyro

from jaxfer.config import Views
from jaxfer.errors import UserError

if TYPE_CHECKING:
    from jaxfer.inference import Photograph, Predictor, Video, VideoFrame
    from jaxfer.reports.drawn_folder import DrawnFolder

STANDARD = Path("-")
"""What stands for standard output."""


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
        from jaxfer.inference.listing import named

        sources: Sequence[Path | int] = named(self.paths) if self.camera is None else [self.camera]
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
        predictor = self._predictor()
        from jaxfer.reports import predictions

        with ExitStack() as files:
            drawing = None
            if self.draw is not None:
                from jaxfer.reports.drawn_folder import DrawnFolder

                if not self.draw.exists():
                    files.callback(_remove_if_empty, self.draw)
                drawing = DrawnFolder(self.draw, predictor, explain=self.explain)
            outputs: list[tuple[IO[str], Callable[[Photograph], str]]] = []
            for kind, path in (("csv", self.csv), ("json", self.json)):
                if path is None:
                    continue
                file = sys.stdout if path == STANDARD else files.enter_context(begin(path))
                if kind == "csv":
                    has_affect = "affect" in predictor.model.config.heads
                    lines = predictions.Csv(predictor.names, has_affect=has_affect, of_videos=has_videos).lines
                else:
                    lines = predictions.json_line
                outputs.append((file, lines))
            self._predict(predictor, sources, outputs, drawing)

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
        from jaxfer.cli.start import prepare_to_predict
        from jaxfer.inference import Predictor

        prepare_to_predict()
        options = {"detector": self.detector, "margin": self.margin, "answer": self.answer, "views": self.views}
        return Predictor.load(self.model, **options)

    def _predict(
        self,
        predictor: "Predictor",
        sources: Sequence[Path | int],
        outputs: "Sequence[tuple[IO[str], Callable[[Photograph], str]]]",
        drawing: "DrawnFolder | None",
    ) -> None:
        """Predict, write the lines of each output, and say what came of all.

        Raises:
            UserError: There is nothing to predict, or none of it can be read.
            KeyboardInterrupt: Ctrl-C came; what was predicted by then is written.
        """
        from jaxfer.interrupt import stop_on_signals
        from jaxfer.reports.predictions import NOTICE, Counts
        from jaxfer.reports.words import in_a_line

        counts, held, shown = Counts(), [], not outputs
        with stop_on_signals() as request, closing(self._found(predictor, sources, drawing, shown=shown)) as found:
            for one in found:
                counts.add(one)
                held.append(one)
                if counts.unreadable < counts.sources:  # else there may be no result, and no file of one
                    for file, lines in outputs:
                        file.writelines(map(lines, held))
                    held.clear()
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
        self, predictor: "Predictor", sources: Sequence[Path | int], drawing: "DrawnFolder | None", *, shown: bool
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
        self, predictor: "Predictor", video: "Video", drawing: "DrawnFolder | None", *, shown: bool
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


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # of one in which there is something
        folder.rmdir()


def _is_video(source: Path | int) -> bool:
    from jaxfer.inference.video import is_video

    return isinstance(source, int) or is_video(source)
