"""From photographs to expressions: faces are found, framed as in training, and shown to the network in full batches."""

from __future__ import annotations

import dataclasses
import io
import itertools
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from jaxfer.config import Views
from jaxfer.data.reading.images import UnreadableError, decode, open_face, quiet_pillow, reaches_into
from jaxfer.devices.cpu import cpu_cores
from jaxfer.errors import UserError
from jaxfer.inference.faces import FARTHEST, Box, Detection, Detector, detect, find_faces
from jaxfer.inference.framing import Frame, measure_framing, of_margin, sample_rows
from jaxfer.inference.model import Answer, FaceModel, is_run, load_model
from jaxfer.models.views import check_views

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

Picture = Path | str | bytes | Image.Image | np.ndarray
"""A file, its bytes, or pixels: of Pillow, or uint8 [h, w, 3] in RGB, [h, w, 4] with opacity, or [h, w] in gray."""

BATCH = 64
"""Faces that the network is shown at once."""

PORTION = 32
"""Pictures for each thread that are read at most before the first of them is handed on: this bounds the memory."""

DETAIL = 2560
"""Pixels of the shorter side that the decoder of a JPEG leaves of larger photographs: of small faces it keeps all."""


@dataclass(frozen=True)
class Face:
    """A face in a picture, and what the network says of it.

    Attributes:
        box: Left, top, width and height in pixels of the upright picture, as the detector or the caller has it.
        landmarks: Right eye, left eye (the person's), nose, right and left corner of the mouth, each x and y in pixels
            of the upright picture; empty where they are not known.
        score: How sure the detector is that it is a face, from 0 to 1; 1 for a box that was given.
        frame: The square that the network was shown.
        label: The most probable class.
        probabilities: The probability of each class, by its name, in the model's order.
        valence: How pleasant the expression is, from -1 to 1; None where the network has not learnt it.
        arousal: How active it is, from -1 to 1; None where the network has not learnt it.
        crop: What the network was shown, uint8 [size, size, 3].
        track: The number of the person in a video, see `jaxfer.inference.watch`; None in a photograph.
    """

    box: Box
    landmarks: tuple[tuple[float, float], ...]
    score: float
    frame: Frame
    label: str
    probabilities: dict[str, float]
    valence: float | None
    arousal: float | None
    crop: np.ndarray = field(repr=False, compare=False)
    track: int | None = None

    @property
    def confidence(self) -> float:
        """The probability of the label."""
        return self.probabilities[self.label]

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        track = {} if self.track is None else {"track": self.track}
        affect = {} if self.valence is None else {"valence": self.valence, "arousal": self.arousal}
        return {
            **track,
            "label": self.label,
            "probabilities": self.probabilities,
            **affect,
            "box": list(self.box),
            "landmarks": [list(point) for point in self.landmarks],
            "score": self.score,
        }


@dataclass(frozen=True)
class Photograph:
    """A picture and the faces in it.

    Attributes:
        source: What was passed.
        size: Width and height of the upright picture in pixels; (0, 0) where it cannot be read.
        faces: Those in it, the largest first, or one for each box that was given, in that order.
        problem: Why it cannot be read; empty where it can.
    """

    source: Picture
    size: tuple[int, int]
    faces: tuple[Face, ...]
    problem: str = ""

    @property
    def name(self) -> str:
        """The path of the file; empty for what is none."""
        return str(self.source) if isinstance(self.source, Path | str) else ""

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON: the problem, or size and faces."""
        if self.problem:
            return {"image": self.name, "problem": self.problem}
        return {"image": self.name, "size": list(self.size), "faces": [face.to_dict() for face in self.faces]}


class Predictor:
    """Says which expressions people would see in the faces of pictures.

    Args:
        model: The network.
        detector: What finds faces in a picture: `yunet` is `jaxfer.inference.find_faces`, for which the extra
            `jaxfer[faces]` has to be installed; `whole` takes each picture for one face, cut out as the training images
            are; or a function of one's own, which several threads may call at once. It is shown large pictures smaller,
            and what is cut out around each face once more, from which the frame follows more exactly: where faces are
            known before, pass their boxes with the picture instead.
        margin: How much is kept around a face's box, on each side and as a share of its longer side, where faces are
            not to be framed as in training (`FaceModel.framing`).
        answer: What to ask the network for, see `FaceModel.probabilities`.
        views: What the network is shown of each face, see `FaceModel.probabilities`.

    Raises:
        UserError: The network has no such answer.

    >>> from jaxfer.data.synthetic import draw_faces
    >>> predictor = Predictor.load(detector="whole")
    >>> [face] = predictor(draw_faces(1, np.array([1]), image_size=96)[0])
    >>> face.label, face.box, round(sum(face.probabilities.values()), 3)
    ('happy', (0.0, 0.0, 96.0, 96.0), 1.0)
    """

    def __init__(
        self,
        model: FaceModel,
        *,
        detector: Detector | Literal["yunet", "whole"] = "yunet",
        margin: float | None = None,
        answer: Answer | None = None,
        views: Views | None = None,
    ) -> None:
        if detector not in ("yunet", "whole") and not callable(detector):
            raise UserError(f"there is no detector {detector!r}: pass yunet, whole, or a function")
        if views is not None:
            check_views(views)
        if margin is not None and not 0 <= margin < 10:
            raise UserError(f"margin is {margin}: pass a share of at least 0, such as 0.1")
        self.model = model
        self.names = model.names(answer)
        """What is told apart, in the order of `classify`."""
        self._detector = find_faces if detector == "yunet" else detector
        self._margin = margin
        self._answer: Answer | None = answer
        self._views: Views | None = views

    def __repr__(self) -> str:
        return f"Predictor({', '.join(self.names)}; faces of {self.model.image_size} pixels)"

    @classmethod
    def load(cls, model: Path | str = "small", **options: Any) -> Predictor:
        """Return one with a network from the disk.

        Args:
            model: A name of one that comes with jaxfer, the folder of a model, or that of a run.
            options: As for `Predictor`.

        Raises:
            UserError: `load_model`, `load_run` or `Predictor` refuses.
        """
        if not is_run(model):
            return cls(load_model(model), **options)
        # Who predicts with a model alone does not wait for what reads runs and data.
        from jaxfer.runs.load import load_run

        trained = load_run(model)
        found = FaceModel.of_run(trained)
        if found.framing is None and options.get("margin") is None and options.get("detector") != "whole":
            from jaxfer.data import load

            # A run of a release before, or one that ended without the detector; of its data nothing is written.
            try:
                split = load(trained.config.data, only="train", keep=False).train
            except UserError as error:
                raise UserError(
                    f"{model} does not say how its training images frame faces, and they cannot be looked at "
                    f"({error}): say how much to keep around a face's box (margin), as a share of its side, such as 0.1"
                ) from error
            found = dataclasses.replace(found, framing=measure_framing(split.images[sample_rows(len(split))]))
        return cls(found, **options)

    def __call__(self, picture: Picture, boxes: Sequence[Sequence[float]] | None = None) -> list[Face]:
        """Return the faces in a picture, the largest first; an empty list where there is none.

        Args:
            picture: The file, its bytes, or its pixels.
            boxes: Where the faces are, in place of a detector: left, top, width and height of each in pixels of the
                upright picture, from the forehead to the chin. There is a face for each, in this order.

        Raises:
            UserError: The picture cannot be read, or a box is none; or there is no detector, or no framing.
        """
        [found] = self.batch([picture], None if boxes is None else [boxes])
        if found.problem:
            raise UserError(f"{found.name or 'the picture'} cannot be read ({found.problem}): pass another one")
        return list(found.faces)

    def batch(
        self, pictures: Iterable[Picture], boxes: Iterable[Sequence[Sequence[float]]] | None = None
    ) -> Iterator[Photograph]:
        """Yield each picture with the faces in it, in order.

        Pictures are read and searched in as many threads as there are processors, few ahead at first and up to
        `PORTION` a thread later, and their faces are shown to the network in full batches: any number of pictures takes
        the memory of some.

        Args:
            pictures: Any number of them. One that cannot be read is yielded with its `problem`.
            boxes: Where the faces of each are, as for a single one; None finds those of a picture.

        Raises:
            UserError: It is one picture, not many; there are other numbers of pictures and of boxes, or a box is none;
                a detector of one's own returns no faces; or there is no detector, or no framing.
        """
        together = _placed(pictures, boxes)
        workers = size = cpu_cores()
        waiting: deque[tuple[_Seen, list[Any]]] = deque()  # each with what the network has said of its faces so far
        crops: deque[tuple[np.ndarray, list[Any]]] = deque()
        with ThreadPoolExecutor(workers) as threads:
            while portion := list(itertools.islice(together, size)):
                size = min(2 * size, PORTION * workers)
                with quiet_pillow():  # whose filters of warnings are the caller's again by the time of each yield
                    alone = len(portion) == 1
                    portion = list(map(self._look, portion) if alone else threads.map(self._look, portion))
                for seen in portion:
                    waiting.append((seen, []))
                    crops += [(crop, waiting[-1][1]) for crop in seen.crops]
                while len(crops) >= BATCH:
                    self._say([crops.popleft() for _ in range(BATCH)])
                if len(waiting) > len(portion):  # few have faces, and those without wait for these
                    self._say(list(crops))
                    crops.clear()
                while waiting and len(waiting[0][1]) == len(waiting[0][0].crops):
                    yield self._photograph(*waiting.popleft())
            self._say(list(crops))
            for seen, said in waiting:
                yield self._photograph(seen, said)

    def classify(self, crops: UInt8[np.ndarray, "n h w c"]) -> Float[np.ndarray, "n classes"]:
        """Return the probability of each of `names` for faces that are cut out already.

        Args:
            crops: uint8, RGB [n, h, w, 3] or gray [n, h, w, 1], cut out as the training images are; of another size
                than theirs they are resized, as training images are.

        Returns:
            float32 [n, classes].

        Raises:
            UserError: They have other shapes or another type.
        """
        try:
            crops = np.asarray(crops)
        except ValueError as error:  # of several sizes
            raise UserError(f"crops are no array ({error}): pass uint8 [n, h, w, 3] or [n, h, w, 1]") from error
        if crops.shape[:1] == (0,):
            return np.zeros((0, len(self.names)), np.float32)
        if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[3] not in (1, 3) or 0 in crops.shape[1:3]:
            raise UserError(
                f"crops are {crops.dtype} of the shape {list(crops.shape)}: pass uint8 [n, h, w, 3] or [n, h, w, 1]"
            )
        size = self.model.image_size
        if crops.shape[1:3] != (size, size):
            crops = np.stack([decode(np.broadcast_to(crop, (*crop.shape[:2], 3)), size) for crop in crops])
        return self._shares(np.broadcast_to(crops, (*crops.shape[:3], 3)))[0]

    def upright(self, picture: Picture) -> Image.Image:
        """Return a picture as its boxes count it: turned by its EXIF orientation, whole, RGB.

        Raises:
            UserError: It cannot be read.
        """
        try:
            with quiet_pillow():
                return open_face(_readable(picture), least=math.inf).picture.convert("RGB")
        except UnreadableError as error:
            raise UserError(f"the picture cannot be read ({error.reason}): pass another one") from error

    def explain(self, faces: Sequence[Face]) -> Float[np.ndarray, "n h w"]:
        """Return how much each place of what the network was shown (`Face.crop`) speaks for the label of a face.

        Args:
            faces: As this predictor returned them, at least one.

        Returns:
            float32 [n, h, w], at least 0: Grad-CAM, see `jaxfer.evaluation.explain.grad_cam`, compiled once.

        Raises:
            UserError: There is no face, or one whose label the network does not know.
            NoFeatureMap: The network has none.
        """
        if not faces or not all(isinstance(face, Face) and face.label in self.names for face in faces):
            raise UserError("nothing to explain, or a face of another network: pass faces that this one has returned")
        _, columns = self.model.head(self._answer)
        classes = np.array([columns[self.names.index(face.label)] for face in faces])
        return self._explainer(np.stack([face.crop for face in faces]), classes)

    @cached_property
    def _explainer(self) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        from jaxfer.evaluation.explain import explainer  # with all that evaluates

        return explainer(self.model.network, dict(self.model.variables), head=self.model.head(self._answer)[0])

    def _look(self, asked: tuple[Picture, Sequence[Sequence[float]] | None]) -> _Seen:
        """Read a picture, find its faces and cut them out; in any thread."""
        source, boxes = asked
        try:
            photograph = open_face(_readable(source), least=DETAIL)
        except UnreadableError as error:
            return _Seen(source, (0, 0), [], [], [], error.reason)
        width, height = photograph.photograph
        shrunk = width / photograph.extent[0]
        if boxes is not None:
            faces = [Detection(_checked(box, i, photograph.photograph)) for i, box in enumerate(_several(boxes))]
        elif self._detector == "whole":
            crop = photograph.resize(self.model.image_size)
            frame = Frame((width / 2, height / 2), float(max(width, height)))
            whole = Detection((0.0, 0.0, float(width), float(height)))
            return _Seen(source, (width, height), [whole], [frame], [crop])
        else:
            pixels = np.array(photograph.picture.convert("RGB"))  # which a detector may draw into
            faces = [_enlarged(face, shrunk) for face in detect(self._detector, pixels)]  # pyright: ignore[reportArgumentType]
        frames = [self._frame(face) for face in faces]
        if boxes is None and self._margin is None and self.model.framing is not None:
            frames = [
                self.model.framing.refined(frame, photograph.picture, self._detector, shrunk)  # pyright: ignore[reportArgumentType]
                for frame in frames
            ]
        crops = [frame.cut(photograph.picture, self.model.image_size, shrunk) for frame in frames]
        return _Seen(source, (width, height), faces, frames, crops)

    def _frame(self, face: Detection) -> Frame:
        if self._margin is not None:
            return of_margin(self._margin)(face)
        if self.model.framing is None:
            raise UserError(
                "the model does not say how its training images frame faces: say how much to keep around a face's box "
                "(margin), as a share of its side, such as 0.1"
            )
        return self.model.framing.frame(face)

    def _say(self, crops: list[tuple[np.ndarray, list[Any]]]) -> None:
        """Add what the network says of each crop, to its list."""
        if crops:
            answers = self._shares(np.stack([crop for crop, _ in crops]))
            for (_, said), *answer in zip(crops, *answers, strict=True):
                said.append(answer)

    def _shares(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities [n, classes] and valence and arousal [n, 2], NaN where there is none."""
        outputs = self.model.outputs(crops, self._views)
        affect = np.asarray(outputs["affect"], np.float32) if "affect" in outputs else np.full((len(crops), 2), np.nan)
        return self.model.shares(outputs, self._answer), affect

    def _photograph(self, seen: _Seen, said: list[Any]) -> Photograph:
        faces = []
        for face, frame, crop, (shares, affect) in zip(seen.faces, seen.frames, seen.crops, said, strict=True):
            valence, arousal = (None if math.isnan(value) else value for value in affect.tolist())
            probabilities = dict(zip(self.names, shares.tolist(), strict=True))
            label = self.names[int(shares.argmax())]
            faces.append(
                Face(face.box, face.landmarks, face.score, frame, label, probabilities, valence, arousal, crop)
            )
        return Photograph(seen.source, seen.size, tuple(faces), seen.problem)


@dataclass(frozen=True)
class _Seen:
    """A picture before the network is asked: its faces, their frames, and what these show."""

    source: Picture
    size: tuple[int, int]
    faces: list[Detection]
    frames: list[Frame]
    crops: list[np.ndarray]
    problem: str = ""


def _placed(pictures: Iterable[Picture], boxes: Iterable[Any] | None) -> Iterator[tuple[Picture, Any]]:
    """Yield each picture with its boxes.

    Raises:
        UserError: There is one picture, or the numbers differ.
    """
    # The rows of an array, and the letters of a path, are no pictures.
    rows = isinstance(pictures, np.ndarray) and (pictures.ndim < 3 or (pictures.ndim == 3 and pictures.shape[2] < 5))
    if rows or isinstance(pictures, str | bytes | bytearray | Path | Image.Image):
        raise UserError("batch was given one picture: pass many, such as a list, or call the predictor with it")
    if boxes is None:
        yield from ((picture, None) for picture in pictures)
        return
    missing = object()
    for picture, own in itertools.zip_longest(pictures, boxes, fillvalue=missing):
        if picture is missing or own is missing:
            raise UserError("there are other numbers of pictures and of boxes: pass a list of boxes for each picture")
        yield picture, own  # pyright: ignore[reportReturnType]


def _readable(source: Picture) -> Any:
    """Return a picture as `open_face` takes it."""
    if isinstance(source, str):
        return Path(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source)
    if isinstance(source, np.ndarray):
        known = source.dtype == np.uint8 and source.ndim in (2, 3) and source.shape[2:] in ((), (1,), (3,), (4,))
        if not known or not source.size:
            found = f"{source.dtype} {list(source.shape)}"
            raise UnreadableError(None, f"{found} is no picture: pass uint8 [h, w, 3] in RGB, or [h, w] in gray")
        if source.shape[2:] == (4,):
            return Image.fromarray(source)  # transparent parts are laid on black as those of files are
        return source[..., 0] if source.shape[2:] == (1,) else source
    if not isinstance(source, Path | Image.Image) and hasattr(source, "__array__"):
        return _readable(np.asarray(source))
    if not (isinstance(source, Path | Image.Image) or hasattr(source, "read")):
        found = type(source).__name__
        raise UnreadableError(None, f"{found} is no picture: pass a path, bytes, a Pillow image, or an array")
    return source


def _enlarged(face: Detection, factor: float) -> Detection:
    """Return a face of a shrunk picture in pixels of the whole one."""
    if factor == 1:
        return face
    left, top, width, height = (value * factor for value in face.box)
    points = tuple((x * factor, y * factor) for x, y in face.landmarks)
    return Detection((left, top, width, height), points, face.score)


def _several(boxes: Any) -> Iterable[Any]:
    if not isinstance(boxes, Iterable):
        raise UserError(f"boxes are {boxes!r}: pass a list of left, top, width and height in pixels, one for each face")
    return boxes


def _checked(box: Sequence[float], index: int, size: tuple[int, int]) -> Box:
    """Return a box that the caller gives, of a picture of this width and height."""
    try:
        left, top, width, height = map(float, box)
    except (TypeError, ValueError) as error:
        raise UserError(f"box {index} is {box!r}: pass left, top, width and height in pixels") from error
    known = all(abs(value) < FARTHEST for value in (left, top, width, height))  # and no NaN
    if known and (left + width / 2 > size[0] or top + height / 2 > size[1]) and left < width and top < height:
        raise UserError(
            f"box {index}, {left:g} {top:g} {width:g} {height:g}, has its middle outside of the picture of "
            f"{size[0]} x {size[1]} pixels, and would be {width - left:g} x {height - top:g} pixels if it named two "
            "corners: pass left, top, width and height"
        )
    if not known or width <= 0 or height <= 0 or not reaches_into((left, top, width, height), size):
        raise UserError(
            f"box {index}, {left:g} {top:g} {width:g} {height:g}, holds nothing of the picture of "
            f"{size[0]} x {size[1]} pixels: pass left, top, width and height of a face in it"
        )
    return left, top, width, height
