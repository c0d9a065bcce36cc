"""`jaxfer predict`: the expressions of the faces in photographs."""

import glob
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from jaxfer.config import Views
from jaxfer.errors import UserError

if TYPE_CHECKING:
    from jaxfer.inference import Photograph, Predictor

STANDARD = Path("-")
"""What stands for standard input, and for standard output."""


@dataclass(frozen=True, kw_only=True)
class Predict:
    """Say which expressions people would see in the faces of photographs.

    jaxfer predict photo.jpg

    jaxfer predict holidays/ --csv faces.csv --draw drawn/

    find . -name '*.jpg' | jaxfer predict - --json -

    jaxfer predict photo.jpg --model runs/first --top 3 --draw drawn/ --explain

    It says how people would name the expression on a face, and does not tell what a person feels. Do not use it to
    judge anyone. Nothing leaves this machine.
    """

    paths: tyro.conf.Positional[tuple[str, ...]]
    """Photographs, folders of them, patterns such as '*.jpg', or - for a list of paths on standard input."""
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
    """File for lines of JSON, one for each photograph, which must not exist; - for the standard output."""
    draw: Path | None = None
    """Folder for the photographs with boxes, names and bars; it must be new or empty."""
    explain: bool = False
    """Write into the folder of --draw, too, where in each face the network looked (Grad-CAM)."""

    def run(self) -> None:
        """Predict, print, and write what was asked for.

        Raises:
            UserError: No photograph is named or can be read, a file is there already, or the model cannot be used.
        """
        if self.explain and self.draw is None:
            raise UserError("--explain needs a folder to write into: pass --draw, too")
        if self.top < 1:
            raise UserError(f"--top is {self.top}: pass how many classes to name, at least 1")
        pictures = _named(self.paths)
        from jaxfer.files import begin, check_writable

        if self.draw is not None:
            check_writable(self.draw, "pass another place")
            if self.draw.exists() and any(self.draw.iterdir()):
                raise UserError(f"{self.draw} is not empty, and nothing is overwritten: pass a new folder")
        with ExitStack() as files:
            writers: list[Callable[[Photograph], object]] = []
            outputs = {}
            for kind, path in (("csv", self.csv), ("json", self.json)):
                if path is not None:
                    outputs[kind] = sys.stdout if path == STANDARD else files.enter_context(begin(path))
            predictor = self._predictor()
            from jaxfer.reports import predictions

            if "csv" in outputs:
                table = predictions.Csv(predictor.names, has_affect="affect" in predictor.model.config.heads)
                outputs["csv"].write(table.head())
                writers.append(lambda found: outputs["csv"].write(table.rows(found)))
            if "json" in outputs:
                writers.append(lambda found: outputs["json"].write(predictions.json_line(found)))
            if not outputs:
                writers.append(lambda found: print(*predictions.in_words(found, self.top), sep="\n", flush=True))
            if self.draw is not None:
                self.draw.mkdir(parents=True, exist_ok=True)
                writers.append(_Drawing(self.draw, predictor, explain=self.explain))
            self._predict(predictor, pictures, writers, shown=not outputs)

    def _predictor(self) -> "Predictor":
        from jaxfer.devices.compile_cache import keep_compiled_programs
        from jaxfer.inference import Predictor

        keep_compiled_programs()
        options = {"detector": self.detector, "margin": self.margin, "answer": self.answer, "views": self.views}
        return Predictor.load(self.model, **options)

    def _predict(
        self,
        predictor: "Predictor",
        pictures: Iterator[Path],
        writers: "list[Callable[[Photograph], object]]",
        *,
        shown: bool,
    ) -> None:
        from jaxfer.reports import images_bar
        from jaxfer.reports.predictions import NOTICE, counted
        from jaxfer.reports.words import printable

        photographs = faces = 0
        unreadable: list[str] = []
        with images_bar("photographs") if not shown else ExitStack() as bar:
            for found in predictor.batch(pictures):
                photographs += 1
                faces += len(found.faces)
                if found.problem:
                    unreadable.append(f"{found.name}: {found.problem}")
                for write in writers:
                    write(found)
                if callable(bar):
                    bar("photographs", photographs)
        if not photographs:
            raise UserError("no photograph was found: pass files, or folders with some in them")
        counts = f"{counted(faces, 'face')} in {counted(photographs, 'photograph')}"
        print(f"{counts}; {len(unreadable):,} cannot be read" if unreadable else counts, file=sys.stderr)
        if not shown:
            for line in unreadable:
                print(printable(line).replace("\n", "\\n"), file=sys.stderr)
        print(NOTICE, file=sys.stderr)
        if len(unreadable) == photographs:
            raise UserError("none of the photographs can be read: pass others")


class _Drawing:
    """Writes photographs with what was said of their faces into a folder."""

    def __init__(self, folder: Path, predictor: "Predictor", *, explain: bool) -> None:
        self._folder = folder
        self._predictor = predictor
        self._explain = explain
        self._taken: set[str] = set()

    def __call__(self, found: "Photograph") -> None:
        from jaxfer.files import begin
        from jaxfer.reports import drawing

        if found.problem:
            return
        picture = self._predictor.upright(found.source)
        drawn = drawing.drawn(picture, found.faces, self._predictor.names)
        source = Path(found.name)
        name = self._free(source.stem)
        kind, suffix = ("PNG", ".png") if source.suffix.lower() == ".png" else ("JPEG", ".jpg")
        with begin(self._folder / f"{name}{suffix}", binary=True) as file:
            drawn.save(file, kind, quality=92)
        if self._explain and found.faces:
            from jaxfer.reports.evaluation_faces import overlay

            maps = self._predictor.explain(found.faces)
            overlays = [overlay(face.crop, strength) for face, strength in zip(found.faces, maps, strict=True)]
            with begin(self._folder / f"{name}-explained.png", binary=True) as file:
                drawing.explained(found.faces, overlays).save(file, "PNG")

    def _free(self, stem: str) -> str:
        """Return a name that no photograph before has."""
        name = next(name for i in range(1, 2**31) if (name := f"{stem}-{i}" if i > 1 else stem) not in self._taken)
        self._taken.add(name)
        return name


def _named(paths: tuple[str, ...]) -> Iterator[Path]:
    """Return the photographs that paths name, those in folders in natural order.

    Raises:
        UserError: Nothing is named, or what is named does not exist.
    """
    if not paths:
        raise UserError("no photograph was named: pass files, folders, or - for a list on standard input")
    if paths == (str(STANDARD),):
        return (Path(line) for line in (line.rstrip("\r\n") for line in sys.stdin) if line)
    named: list[Path] = []
    for text in paths:
        path = Path(text)
        if path.exists() or path.is_symlink():
            named.append(path)
        elif matching := sorted(glob.glob(text, recursive=True)):  # noqa: PTH207 - absolute ones, too
            named += map(Path, matching)
        else:
            raise UserError(f"{text} does not exist: pass photographs that do")
    return (picture for path in named for picture in (_inside(path) if path.is_dir() else (path,)))


def _inside(folder: Path) -> Iterator[Path]:
    """Yield the images in a folder and below it; links out of it are not followed."""
    from jaxfer.data.reading.folder import Reach, images, tree

    within = Reach(folder)
    for place in tree(folder, within):
        yield from (path for path, reason in images(place, within) if not reason)
