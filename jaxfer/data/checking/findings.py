"""What a check returns: counts of the images that can be used, and a list of problems of each kind."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from jaxfer.data.reading.record import Layout, ReadOptions, Split
from jaxfer.data.releases import Comparison

KINDS = (
    "leak",
    "near_leak",
    "label_conflict",
    "unreadable",
    "missing",
    "unlabelled",
    "unlisted",
    "box",
    "affect",
    "duplicate",
    "near_duplicate",
    "excluded",
)
"""Every kind of problem, the gravest first; see `jaxfer.reports.problems` for what each means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with one image or row.

    Attributes:
        path: The name of its record: its path inside the data's place, or file and row.
        reason: What is wrong, as a clause.
        split: The data's name of its split; empty where it has none.
        label: Its class; empty where it has none.
        other: The name of the image that it is a copy of, or looks like; empty for problems of one image.
        other_split: That one's split; likewise.
        other_label: That one's class; likewise.
        similarity: Correlation of the two in small, from `jaxfer.data.checking.near.SIMILAR` to 1; None for all else.
    """

    path: str
    reason: str
    split: str = ""
    label: str = ""
    other: str = ""
    other_split: str = ""
    other_label: str = ""
    similarity: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that say something."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value not in ("", None)}


@dataclass(frozen=True)
class SplitCount:
    """What it is used for, and the number of usable images of each class: of those that occur in any split."""

    use: Split
    classes: Mapping[str, int]

    @property
    def images(self) -> int:
        """The number of usable images."""
        return sum(self.classes.values())


@dataclass(frozen=True, kw_only=True)
class Check:
    """What was found in a data set. An image is usable that is labelled with one of eight classes and can be decoded.

    Attributes:
        layout: How the data is laid out.
        place: Where it lies.
        evidence: How one can tell, as a clause.
        notes: What is set aside there, and why, a sentence each without its full stop.
        options: What it was read with.
        splits: By the data's own names, in the order in which they are read.
        release: How the counts compare with those of published data.
        sizes: Usable images by width and height of the photograph, such as `224x224`, most frequent first.
        modes: Usable images by Pillow's name of their pixels, such as `RGB`, `L` (gray) or `CMYK`, most frequent first.
        problems: Those of each of `KINDS`.
        versions: Of the libraries that decoded the images.
    """

    layout: Layout
    place: Path
    evidence: str
    notes: Sequence[str]
    options: ReadOptions
    splits: Mapping[str, SplitCount]
    release: Comparison
    sizes: Mapping[str, int]
    modes: Mapping[str, int]
    problems: Mapping[str, Sequence[Problem]]
    versions: Mapping[str, str]

    @property
    def images(self) -> int:
        """The number of usable images in all splits."""
        return sum(split.images for split in self.splits.values())

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        return {
            "layout": self.layout.name,
            "place": str(self.place),
            "evidence": self.evidence,
            "notes": list(self.notes),
            "label_order": self.options.label_order,
            "class_names": list(self.options.class_names),
            "table": self.options.table and str(self.options.table),
            "images": self.images,
            "splits": {
                name: {"use": split.use, "images": split.images, "classes": dict(split.classes)}
                for name, split in self.splits.items()
            },
            "release": asdict(self.release) | {"absent": list(self.release.absent)},
            "sizes": dict(self.sizes),
            "modes": dict(self.modes),
            "problems": {kind: [problem.to_dict() for problem in self.problems[kind]] for kind in KINDS},
            "versions": dict(self.versions),
        }
