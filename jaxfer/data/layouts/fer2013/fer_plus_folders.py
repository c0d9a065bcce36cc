"""FER+ in folders, as the script that its authors publish writes it: a folder a split, with its images and their votes.

    FER2013Train/fer0000000.png ...   FER2013Train/label.csv, and so FER2013Valid and FER2013Test

A csv has no header. Its rows are a name, `"(0, 0, 48, 48)"` in copies of some years, and ten counts, in the order of
`jaxfer.data.layouts.fer2013.votes.CHOICES`. The label is what most people chose; faces without a majority are left out.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from jaxfer.data.layouts.fer2013.votes import CHOICES, counted, expression_votes, label_of
from jaxfer.data.reading.affectnet_values import shown
from jaxfer.data.reading.folder import Folder, Reach, leaves, peek, readable
from jaxfer.data.reading.image_tree import ImageTree, inside
from jaxfer.data.reading.names import refuse_misspelled, split_named
from jaxfer.data.reading.record import (
    SPLITS,
    UNLABELLED,
    UNREADABLE,
    Layout,
    Match,
    ReadOptions,
    Record,
    Split,
    astray,
)
from jaxfer.files import lines, opened_text

NAME = "label.csv"
"""The name of the csv."""

LONGEST = 4096
"""Characters that a line may have: a longer one is no row."""

BOX = re.compile(r"\(\d+, \d+, \d+, \d+\)")
"""How a box is written, which is always that of the whole image."""


def _find(folder: Folder) -> list[Match]:
    for _, name in _splits(folder):
        path = folder.path / name / NAME
        with readable(path), opened_text(path, "replace", most=None) as file:
            first = file.readline(LONGEST + 1)
        if _row(first) is not None:
            return [Match(folder.path, f"has images and the votes of FER+ for them, in {name}/{NAME}")]
    return []


def _splits(folder: Folder) -> list[tuple[Split, str]]:
    """Return the folders of the splits that have the csv, in the order of `SPLITS`."""
    named: list[tuple[Split, str]] = [(split, name) for name in folder.folders if (split := split_named(name))]
    csvs = {name: folder.path / name / NAME for _, name in named}
    found = [one for one in named if csvs[one[1]].is_file() and not leaves(csvs[one[1]], folder.within)]
    return sorted(found, key=lambda one: SPLITS.index(one[0]))


def _read(place: Path, options: ReadOptions) -> Iterator[Record]:
    within = options.within(place)
    top = peek(place, None, within)
    refuse_misspelled(top)
    splits = _splits(top)
    for split, name in splits:
        yield from _records(place, split, name, within)
    yield from astray(place, within, (), below=[place / name for _, name in splits])


def _records(place: Path, split: Split, split_name: str, within: Reach) -> Iterator[Record]:
    path = place / split_name / NAME
    tree, seen = ImageTree(place / split_name, place, within), {}
    for number, line in _lines(path):
        where = f"{split_name}/{NAME} line {number}"
        row = _row(line)
        if row is None:
            what = f"{where} is not a name and {len(CHOICES)} counts of votes"
            yield Record(name=where, image=path, split=None, left_out=UNREADABLE, detail=what)
            continue
        name, counts = row
        found, reason, detail = tree.find(name)
        if not found or found in seen:
            again = f"it names {shown(name)} again, as line {seen.get(found)} does"
            yield Record(name=where, image=path, split=None, left_out=reason or UNLABELLED, detail=detail or again)
            continue
        seen[found] = number
        label, reason, detail = ("", reason, detail) if reason else label_of(counts, where)
        yield Record(
            name=found,
            image=place / found,
            split=split,
            split_name=split_name,
            label=label,
            left_out=reason,
            detail=detail,
            votes=expression_votes(counts),
            answers=tuple(counts),
        )
    for name, reason in tree.unlisted(seen, [path]):
        yield Record(name=name, image=place / name, split=split, split_name=split_name, left_out=reason)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with readable(path), opened_text(path, "surrogateescape") as file:
        yield from ((number, line) for number, line in enumerate(lines(file, LONGEST), start=1) if line.strip())


def _row(line: str) -> tuple[str, list[int]] | None:
    """Return the name and the counts of a line, None where it is no row."""
    try:
        (values,) = csv.reader([line], skipinitialspace=True) if len(line) <= LONGEST else ([],)
    except (csv.Error, ValueError):  # ValueError for what the reader takes for several lines, or for none
        return None
    name, *counts = [value.strip() for value in values] or [""]
    if counts and BOX.fullmatch(counts[0]):
        counts = counts[1:]
    votes = counted(counts) if len(counts) == len(CHOICES) else None
    return (name, votes) if votes and inside(name) and "\0" not in name else None


LAYOUT = Layout("FER+ folders", f"folders of splits, each with images and the votes of FER+ in {NAME}", _find, _read)
