"""The faces of a raw data set on their way into a prepared one."""

import importlib.metadata
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

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
    """

    layout: Layout
    match: Match
    passed: Path
    config: PrepareConfig
    tally: Tally
    ledger: Ledger = field(init=False)

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
        wanted = filter(self.ledger.usable, self._records())
        small = self.config.leaks == "near"
        how = {"size": self.config.image_size, "margin": self.config.margin, "decoder": self.config.decoder}
        for record, face in map_records(partial(decode_face, **how, small=small), wanted):
            split = cast(Split, record.split)
            self.tally.count()
            if isinstance(face, UnreadableError):
                self.ledger.leave_out(record, UNREADABLE, face.reason)
            elif self.ledger.admit(record, split, face.digest, face.thumbnail):
                yield split, self._example(record, face)
        if not self.ledger.written:
            counts = ", ".join(f"{count} {reason}" for reason, count in self.ledger.left_out.items())
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
            **self.ledger.metadata(),
        }

    def _records(self) -> Iterator[Record]:
        options = ReadOptions.of(self.config, self.passed, landmarks=True)
        try:
            yield from self._agreement.counted(self.layout.read(self.place, options))
        except OSError as error:
            raise UserError(f"{self.place} cannot be read ({error}): copy it again") from error

    def _example(self, record: Record, face: Decoded) -> Example:
        return Example(
            image=face.pixels,
            label=AFFECTNET_8.index(record.label),
            name=record.name,
            valence=record.valence,
            arousal=record.arousal,
            landmarks=face.landmarks,
            votes=record.votes,
        )
