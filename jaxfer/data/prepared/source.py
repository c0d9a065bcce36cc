"""The faces of a raw data set on their way into a prepared one."""

import importlib.metadata
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import jaxfer
from jaxfer.data.images import UnreadableError
from jaxfer.data.layouts import Layout, ReadOptions, Record
from jaxfer.data.layouts.prepared import CREATED_BY
from jaxfer.data.layouts.record import UNREADABLE, Split
from jaxfer.data.prepared.decoding import Decoded, decode
from jaxfer.data.prepared.example import Example
from jaxfer.data.prepared.ledger import Ledger
from jaxfer.data.prepared.options import Options
from jaxfer.data.processes import map_records
from jaxfer.data.progress import Tally
from jaxfer.errors import UserError


@dataclass
class RawFaces:
    """The faces in `place`, as `layout` reads them, decoded, without those that `options` leaves out.

    tally: counts each image that is decoded.
    ledger: what became of each record so far.
    """

    layout: Layout
    place: Path
    options: Options
    tally: Tally
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.options, self.place)

    def __iter__(self) -> Iterator[tuple[Split, Example]]:
        """Yield each face that is kept, with its split. Raises `UserError` for a raw data set that cannot be read."""
        wanted = filter(self.ledger.usable, self._records())
        function = partial(decode, size=self.options.image_size, margin=self.options.margin)
        for record, face in map_records(function, wanted):
            split = cast(Split, record.split)
            self.tally.count()
            if isinstance(face, UnreadableError):
                self.ledger.leave_out(record, UNREADABLE, face.reason)
            elif self.ledger.admit(record, split, face.digest):
                yield split, self._example(record, face)
        if not self.ledger.written:
            counts = ", ".join(f"{count} {reason}" for reason, count in self.ledger.left_out.items())
            raise UserError(f"{self.place} has no image to prepare (left out: {counts or 'none'}): check its labels")

    def metadata(self) -> dict[str, Any]:
        """Return what was read and what became of it, without any path but the name of the raw folder."""
        libraries = ("numpy", "pillow", "tensorflow-datasets", "array-record")
        versions = {"jaxfer": jaxfer.__version__, "python": platform.python_version()}
        return {
            "created_by": CREATED_BY,
            "versions": versions | {name: importlib.metadata.version(name) for name in libraries},
            "source": {"name": self.place.resolve().name, "layout": self.layout.name},
            "options": asdict(self.options),
            **self.ledger.metadata(),
        }

    def _records(self) -> Iterator[Record]:
        options = ReadOptions(label_order=self.options.label_order, landmarks=True)
        try:
            yield from self.layout.read(self.place, options)
        except OSError as error:
            raise UserError(f"{self.place} cannot be read ({error}): copy it again") from error

    def _example(self, record: Record, face: Decoded) -> Example:
        return Example(
            image=face.pixels,
            label=self.options.class_names.index(record.label),
            name=record.name,
            valence=record.valence,
            arousal=record.arousal,
            landmarks=face.landmarks,
            votes=record.votes,
        )
