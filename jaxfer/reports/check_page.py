"""A check of data as one self-contained HTML page: counts, problems with contact sheets, and what to do next."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxfer.data.checking.findings import Check, Problem
from jaxfer.data.reading.images import UnreadableError, open_face, quiet_pillow
from jaxfer.files import write
from jaxfer.reports import html
from jaxfer.reports.problems import KINDS, NOTHING_WRONG, UNSEEN, in_short, next_steps
from jaxfer.reports.words import thousands

MOST_LISTED = 100
"""Problems of a kind that the page lists; the JSON has all of them."""

SHEET = 24
"""How many problems of a kind have a picture."""

SIDE = 72
"""Width and height of the pictures, at most, in pixels."""

SHOWN = ("leak", "near_leak", "label_conflict", "box", "affect", "duplicate", "near_duplicate")
"""Kinds that are pictured: those of images that are used, and so can be read and lie inside of the data."""


def write_check(check: Check, path: Path) -> Path:
    """Write what was found as one page, with the faces in question in small, and return its path.

    Reads the records of the data once more, up to the last face that the page shows; faces that are gone have no
    picture.

    Raises:
        UserError: The page cannot be written, or the data is no longer there.
    """
    return write(_render(check), path)


def _render(check: Check) -> str:
    """Return the page as HTML text that needs no other file."""
    columns, rows = _splits(check)
    pictures = _pictures(check)
    return html.render(
        "check.html.jinja",
        check=check,
        links=(),
        steps=next_steps(check),
        nothing_wrong=NOTHING_WRONG,
        unseen=UNSEEN,
        class_columns=columns,
        class_rows=rows,
        problems=[
            {
                "id": kind,
                "title": KINDS[kind].title,
                "meaning": KINDS[kind].meaning,
                "count": len(problems),
                "faces": [_face(problem, pictures) for problem in _worst(check, kind)],
                "listed": [[one.path, in_short(one), one.split, one.label] for one in problems[:MOST_LISTED]],
            }
            for kind, problems in check.problems.items()
            if problems
        ],
        sizes=[[name, thousands(count)] for name, count in check.sizes.items()],
        modes=[[name, thousands(count)] for name, count in check.modes.items()],
    )


def _splits(check: Check) -> tuple[list[str], list[list[str]]]:
    """Return the headings and the rows of the table of classes, with published counts and the difference from them."""
    columns, rows = ["Class"], {}
    for name, split in check.splits.items():
        columns.append(f"{name} ({split.use})")
        published = check.release.published.get(name)
        columns += ["Published", "Difference"] if published else []
        for label, count in {**split.classes, "all": split.images}.items():
            row = rows.setdefault(label, [label])
            row.append(f"{count:,}")
            if published:
                expected = sum(published.values()) if label == "all" else published.get(label, 0)
                row += [f"{expected:,}", f"{count - expected:+,}" if count != expected else "0"]
    return columns, list(rows.values())


def _worst(check: Check, kind: str) -> Sequence[Problem]:
    """Return the problems of a kind that are pictured: the first ones, or of look-alikes those most alike."""
    if kind not in SHOWN:
        return ()
    problems = check.problems[kind]
    if kind == "label_conflict":  # across splits they spoil scores, not only training
        problems = sorted(problems, key=lambda problem: problem.split == problem.other_split)
    return sorted(problems, key=lambda problem: -(problem.similarity or 0))[:SHEET]


def _pictures(check: Check) -> dict[str, str]:
    """Return the picture of each face that appears on a sheet, by the name of its record, as a data URI."""
    problems = [problem for kind in SHOWN for problem in _worst(check, kind)]
    wanted = {name for problem in problems for name in (problem.path, problem.other) if name}
    found = {}
    if not wanted:
        return found
    with quiet_pillow():
        for record in check.layout.read(check.place, check.options):
            if record.name not in wanted:
                continue
            wanted.remove(record.name)
            if not record.left_out:
                try:
                    face = open_face(record.image, least=2 * SIDE, box=record.box).picture
                except UnreadableError:
                    continue
                found[record.name] = html.picture(face, SIDE)
            if not wanted:
                break
    return found


def _face(problem: Problem, pictures: Mapping[str, str]) -> dict[str, Any]:
    """Return a face for a contact sheet, and beside it the one that it is a copy of."""
    faces = [(problem.path, problem.split, problem.label)]
    if problem.other:
        faces.append((problem.other, problem.other_split, problem.other_label))
    lines = [f"{name}, {split}: {label}" for name, split, label in faces]
    if problem.similarity is not None:
        lines.append(f"similarity {problem.similarity:.2f}")
    shown = [(pictures[name], f"{name}, labelled {label}") for name, _, label in faces if name in pictures]
    return {"pictures": shown, "lines": lines}
