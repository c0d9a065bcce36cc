"""Small pictures of the faces in question, read from the data once more and embedded into a page."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from jaxfer.data.checking.findings import Check, Problem
from jaxfer.data.checking.wording import printable
from jaxfer.data.layouts import ReadOptions
from jaxfer.data.reading.images import UnreadableError, open_face, quiet_pillow
from jaxfer.reports.page.picture import data_uri

SHEET = 24
"""How many problems of a kind have a picture."""

SIDE = 72
"""Width and height of the pictures, at most, in pixels."""

SHOWN = ("leak", "near_leak", "label_conflict", "box", "affect", "duplicate", "near_duplicate")
"""Kinds that are pictured: those of images that are used, and so can be read and lie inside of the data."""


def worst(check: Check, kind: str) -> Sequence[Problem]:
    """Return the problems of a kind that are pictured: the first ones, or of look-alikes those most alike."""
    if kind not in SHOWN:
        return ()
    problems = check.problems[kind]
    if kind == "label_conflict":  # across splits they spoil scores, not only training
        problems = sorted(problems, key=lambda problem: problem.split == problem.other_split)
    return sorted(problems, key=lambda problem: -(problem.similarity or 0))[:SHEET]


def pictures(check: Check) -> dict[str, str]:
    """Return the picture of each face that appears on a sheet, by the name of its record, as a data URI.

    The records are read once more up to the last one that is needed; faces that are gone have no picture.
    """
    problems = [problem for kind in SHOWN for problem in worst(check, kind)]
    wanted = {name for problem in problems for name in (problem.path, problem.other) if name}
    found = {}
    if not wanted:
        return found
    with quiet_pillow():
        for record in check.layout.read(check.place, ReadOptions(label_order=check.label_order)):
            if record.name not in wanted:
                continue
            wanted.remove(record.name)
            if not record.left_out:
                try:
                    found[record.name] = data_uri(open_face(record.image, least=2 * SIDE, box=record.box).picture, SIDE)
                except UnreadableError:
                    continue
            if not wanted:
                break
    return found


def sheet(problems: Iterable[Problem], found: Mapping[str, str]) -> str:
    """Return pictured problems as HTML figures: each face, and beside it the one that it is a copy of."""
    figures = ""
    for problem in problems:
        faces = [(problem.path, problem.split, problem.label)]
        if problem.other:
            faces.append((problem.other, problem.other_split, problem.other_label))
        images = "".join(_image(name, label, found) for name, _, label in faces)
        caption = "<br>".join(escape(f"{split}: {label}") for _, split, label in faces)
        if problem.similarity is not None:
            caption += f"<br>similarity {problem.similarity:.2f}"
        figures += f'<figure><div class="faces">{images}</div><figcaption>{caption}</figcaption></figure>'
    return f'<div class="sheet">{figures}</div>' if figures else ""


def _image(name: str, label: str, found: Mapping[str, str]) -> str:
    text = escape(printable(f"{name}, labelled {label}"))
    return f'<img src="{found[name]}" alt="{text}" title="{text}">' if name in found else ""
