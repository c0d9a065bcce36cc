"""The faces of a raw data set on their way into a prepared one."""

import importlib.metadata
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, cast

from jaxfer.config import PrepareConfig
from jaxfer.data.layouts import Layout, Match, ReadOptions, Record
from jaxfer.data.layouts.fer2013.votes import Agreement
from jaxfer.data.layouts.prepared import CREATED_BY
from jaxfer.data.layouts.prepared.example import Example
from jaxfer.data.prepared.decoding import Decoded, decode_face
from jaxfer.data.prepared.ledger import Ledger
from jaxfer.data.reading.decoder import decoder_versions
from jaxfer.data.reading.images import UnreadableError
from jaxfer.data.reading.pool import map_records
from jaxfer.data.reading.progress import Tally
from jaxfer.data.reading.record import UNREADABLE, Split
from jaxfer.emotions import AFFECTNET_8
from jaxfer.errors import UserError
from jaxfer.version import __version__


@dataclass
class RawFaces:
    """The faces of a raw data set, decoded, without those that are left out.

    Attributes:
        layout: How they are read.
        match: Where they lie, and what is set aside there.
        passed: The folder or file that was passed, in which that is.
        config: What is left out, and how faces are cut out.
        tally: Counts each image that is decoded.
        ledger: What became of each record so far.
        found: What the ledger of a pipeline says of all of them, which then counts in place of this one.
    """

    layout: Layout
    match: Match
    passed: Path
    config: PrepareConfig
    tally: Tally
    ledger: Ledger = field(init=False)
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> Path:
        """Where they lie."""
        return self.match.place

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.config, self.place)
        self._agreement = Agreement()

    def __iter__(self) -> Iterator[tuple[Split, Example]]:
        """Yield each face that is kept, with its split.

        Raises:
            UserError: The raw data set cannot be read, or has no image to prepare.
        """
        wanted = filter(self.ledger.usable, self.records())
        for record, face in map_records(self.decode, wanted):
            split = cast(Split, record.split)
            self.tally.count()
            if isinstance(face, UnreadableError):
                self.ledger.leave_out(record, UNREADABLE, face.reason)
            elif self.ledger.admit(record, split, face.digest, face.thumbnail):
                yield split, example_of(record, face)
        if not self.ledger.written:
            self.refuse_none(self.ledger.left_out)

    @property
    def decode(self) -> Callable[[Record], Decoded | UnreadableError]:
        """The function that decodes one of them, which any process can call."""
        how = {"size": self.config.image_size, "margin": self.config.margin, "decoder": self.config.decoder}
        return partial(decode_face, **how, small=self.config.leaks == "near")

    def refuse_none(self, left_out: dict[str, int]) -> NoReturn:
        """Say that all of them are left out, and why.

        Args:
            left_out: How many, by reason.

        Raises:
            UserError: Always.
        """
        counts = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise UserError(f"{self.place} has no image to prepare (left out: {counts or 'none'}): check its labels")

    def metadata(self) -> dict[str, Any]:
        """Return what was read and what became of it, without any path but the name of the raw folder."""
        names = ("table", "val_dir", "test_dir")
        files = {name: path and path.name for name in names for path in (getattr(self.config, name),)}
        libraries = ("numpy", "pillow", "tensorflow-datasets", "array-record")
        versions = {"jaxfer": __version__, "python": platform.python_version()} | decoder_versions(self.config.decoder)
        return {
            "created_by": CREATED_BY,
            "versions": versions | {name: importlib.metadata.version(name) for name in libraries},
            "source": {"name": self.place.resolve().name, "layout": self.layout.name},
            "options": asdict(self.config) | {"class_names": list(self.config.class_names), **files},
            "notes": [*self.match.notes, *self._agreement.notes],
            **(self.found or self.ledger.metadata()),
        }

    def records(self) -> Iterator[Record]:
        """Yield each record of the data, not decoded.

        Raises:
            UserError: The data cannot be read.
        """
        options = ReadOptions.of(self.config, self.passed, landmarks=True)
        try:
            yield from self._agreement.counted(self.layout.read(self.place, options))
        except OSError as error:
            raise UserError(f"{self.place} cannot be read ({error}): copy it again") from error


def example_of(record: Record, face: Decoded) -> Example:
    """Return a face as it is kept."""
    return Example(
        image=face.pixels,
        label=AFFECTNET_8.index(record.label),
        name=record.name,
        valence=record.valence,
        arousal=record.arousal,
        landmarks=face.landmarks,
        votes=record.votes,
    )
