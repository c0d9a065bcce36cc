"""What was predicted of photographs: lines for a terminal, for a csv, and for JSON, and how much there was."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from jaxfer.inference.predictor import Face, Photograph
from jaxfer.inference.video import VideoFrame
from jaxfer.reports.words import cell, counted, in_a_line, percent, printable

NOTICE = "Expressions as people would name them; they do not tell what a person feels."
"""What stands under every table."""


def in_words(found: Photograph, top: int = 1) -> list[str]:
    """Return the lines that a terminal shows of a photograph, the file first and then a line for each face.

    Args:
        found: The photograph.
        top: How many classes are named of each face, the most probable first.
    """
    name = shown_name(found)
    if found.problem:
        return [f"{name}: cannot be read ({printable(found.problem)})"]
    faces = counted(len(found.faces), "face") if found.faces else "no face"
    lines = [f"{name}: {faces} in {found.size[0]} x {found.size[1]} pixels"]
    return lines + [f"  {number}: {face_in_words(face, top)}" for number, face in enumerate(found.faces, 1)]


def shown_name(found: Photograph) -> str:
    """Return how a terminal calls a photograph or a video, in one line."""
    return in_a_line(found.name or "picture")


def face_in_words(face: Face, top: int) -> str:
    """Return the `top` most probable classes of a face, and where it is."""
    left, upper, width, height = (round(value) for value in face.box)
    said = ", ".join(f"{in_a_line(label)} {percent(share)}" for label, share in most_probable(face, top))
    affect = "" if face.valence is None else f", valence {face.valence:+.2f}, arousal {face.arousal:+.2f}"
    return f"{said}{affect} (at {left}, {upper}: {width} x {height})"


def most_probable(face: Face, count: int) -> list[tuple[str, float]]:
    """Return the most probable classes of a face with their probabilities, the surest first."""
    return sorted(face.probabilities.items(), key=lambda item: -item[1])[:count]


AFFECT = ("valence", "arousal")


class Csv:
    """The lines of a csv: one for each face, and one for each picture without one.

    No spreadsheet takes a cell for a formula.

    Args:
        classes: What the probabilities are of, in order.
        has_affect: Whether the network says valence and arousal.
        of_videos: Whether there are columns for time, number and tracks of pictures in videos, which stay empty for
            photographs.
    """

    def __init__(self, classes: Sequence[str], *, has_affect: bool = False, of_videos: bool = False) -> None:
        self._classes = classes
        self._affect = AFFECT if has_affect else ()
        self._of_videos = of_videos
        self._begun = False

    def lines(self, found: Photograph) -> str:
        """Return the lines of a photograph, or of a picture of a video, the first time after the names of columns."""
        head, self._begun = "" if self._begun else self._head(), True
        return head + self._rows(found)

    def _head(self) -> str:
        """Return the first line: the names of the columns."""
        place = ("left", "top", "width", "height", "score")
        when, track = (("time", "frame"), ("track",)) if self._of_videos else ((), ())
        return _line(["image", *when, "face", *track, "label", *self._classes, *self._affect, *place, "problem"])

    def _rows(self, found: Photograph) -> str:
        first: list[Any] = [found.name]
        if self._of_videos:
            first += [round(found.time, 3), found.frame] if isinstance(found, VideoFrame) else ["", ""]
        if not found.faces:
            empty = [""] * (2 + self._of_videos + len(self._classes) + len(self._affect) + 5)
            return _line([*first, *empty, found.problem or "no face"])
        lines = []
        for number, face in enumerate(found.faces, 1):
            shares = [face.probabilities[name] for name in self._classes]
            affect = [getattr(face, name) for name in self._affect]
            place = [*(round(value, 2) for value in face.box), round(face.score, 4)]
            track = ["" if face.track is None else face.track] if self._of_videos else []
            lines.append(_line([*first, number, *track, face.label, *shares, *affect, *place, ""]))
        return "".join(lines)


def json_line(found: Photograph) -> str:
    """Return a photograph, or a picture of a video, as one line of JSON."""
    return json.dumps(found.to_dict()) + "\n"


class Counts:
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

    def add(self, found: Photograph) -> None:
        """Count a photograph, or a picture of a video."""
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
        parts = []
        if self._photographs or not self._videos:
            parts.append(f"{counted(self._faces, 'face')} in {counted(self._photographs, 'photograph')}")
        if self._videos:
            parts.append(f"{counted(self._frames, 'frame')} of {counted(self._videos, 'video')}")
        if self.unreadable:
            parts.append(f"{self.unreadable:,} cannot be read")
        return "; ".join(parts)


def _line(values: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cell(value) if isinstance(value, str) else value for value in values)
    return text.getvalue()
