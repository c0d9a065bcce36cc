"""What was predicted of photographs: lines for a terminal, for a csv, and for JSON."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from jaxfer.inference.predictor import Face, Photograph
from jaxfer.reports.words import cell, percent, printable

NOTICE = "Expressions as people would name them; they do not tell what a person feels."
"""What stands under every table."""


def in_words(found: Photograph, top: int = 1) -> list[str]:
    """Return the lines that a terminal shows of a photograph, the file first and then a line for each face.

    Args:
        found: The photograph.
        top: How many classes are named of each face, the most probable first.
    """
    name = printable(found.name or "picture").replace("\n", "\\n")
    if found.problem:
        return [f"{name}: cannot be read ({printable(found.problem)})"]
    faces = counted(len(found.faces), "face") if found.faces else "no face"
    lines = [f"{name}: {faces} in {found.size[0]} x {found.size[1]} pixels"]
    for number, face in enumerate(found.faces, 1):
        left, top_edge, width, height = (round(value) for value in face.box)
        said = ", ".join(f"{label} {percent(share)}" for label, share in most_probable(face, top))
        affect = "" if face.valence is None else f", valence {face.valence:+.2f}, arousal {face.arousal:+.2f}"
        lines.append(f"  {number}: {said}{affect} (at {left}, {top_edge}: {width} x {height})")
    return lines


def counted(number: int, noun: str) -> str:
    """Return how many there are of something, in words.

    >>> counted(1, "face"), counted(1200, "face")
    ('1 face', '1,200 faces')
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"


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
        more: Columns that all rows have besides, such as the time in a video.
    """

    def __init__(self, classes: Sequence[str], *, has_affect: bool = False, more: Sequence[str] = ()) -> None:
        self._classes = classes
        self._affect = AFFECT if has_affect else ()
        self._more = more

    def head(self) -> str:
        """Return the first line: the names of the columns."""
        place = ("left", "top", "width", "height", "score")
        return _line(["image", *self._more, "face", "label", *self._classes, *self._affect, *place, "problem"])

    def rows(self, found: Photograph, more: Mapping[str, Any] | None = None) -> str:
        """Return the lines of a photograph.

        Args:
            found: The photograph.
            more: The values of the further columns.
        """
        first = [found.name, *((more or {}).get(name, "") for name in self._more)]
        if not found.faces:
            empty = [""] * (2 + len(self._classes) + len(self._affect) + 5)
            return _line([*first, *empty, found.problem or "no face"])
        lines = []
        for number, face in enumerate(found.faces, 1):
            shares = [face.probabilities[name] for name in self._classes]
            affect = [getattr(face, name) for name in self._affect]
            place = [*(round(value, 2) for value in face.box), round(face.score, 4)]
            lines.append(_line([*first, number, face.label, *shares, *affect, *place, ""]))
        return "".join(lines)


def json_line(found: Photograph, more: Mapping[str, Any] | None = None) -> str:
    """Return a photograph as one line of JSON, with further fields where there are some."""
    return json.dumps(dict(more or {}) | found.to_dict()) + "\n"


def _line(values: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cell(value) if isinstance(value, str) else value for value in values)
    return text.getvalue()
