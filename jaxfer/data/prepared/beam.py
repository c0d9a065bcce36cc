"""The faces of a raw data set, decoded and written by a pipeline of Apache Beam: on as many machines as its runner has.

What is written is what one process writes, byte for byte. Machines decode, and write a file each; what each record
becomes is decided in one place, from the hashes of all, in the order of the records: a copy is left out because of what
came before it, and the data set's fingerprint is a hash over that order.
"""

import json
import uuid
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from jaxfer.config import PrepareConfig
from jaxfer.data.layouts.prepared import SPLIT_NAMES
from jaxfer.data.layouts.prepared.example import to_record
from jaxfer.data.prepared.decoding import Decoded
from jaxfer.data.prepared.faces import RawFaces, example_of
from jaxfer.data.prepared.ledger import Ledger, reason_against
from jaxfer.data.reading.images import UnreadableError, quiet_pillow
from jaxfer.data.reading.pool import portable
from jaxfer.data.reading.record import UNREADABLE, Record
from jaxfer.emotions import AFFECTNET_8
from jaxfer.errors import UserError
from jaxfer.json_text import read

Templates = dict[str, Any]
"""What names the files of each split: `tfds.core.ShardedFileTemplate`."""

Write = Callable[[Path, Iterator[bytes]], tuple[int, int]]
"""What writes records into a file."""


class _Fact(NamedTuple):
    """What decides about a record, without its pixels.

    place: Which of all records it is.
    record: Without image and landmarks.
    unreadable: Why it cannot be decoded; empty where it can, or need not be.
    size: Of the bytes that are kept.
    """

    place: int
    record: Record
    unreadable: str = ""
    digest: bytes = b""
    thumbnail: bytes = b""
    size: int = 0


class File(NamedTuple):
    """A file to be written: of a split's files the one of this number, and the first record in it."""

    split: str
    number: int
    first: int


@dataclass
class Plan:
    """What becomes of all records.

    Attributes:
        files: Every file, in the order of their first records.
        lengths: How many records each has.
        sizes: How many bytes these have.
        left_out: The records that are decoded, and kept in none.
        ledger: What the data set's metadata say of all of them.
    """

    files: list[File] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    left_out: set[int] = field(default_factory=set)
    ledger: dict[str, Any] = field(default_factory=dict)

    def count(self, split: str) -> int:
        """Return how many files a split has."""
        return sum(file.split == split for file in self.files)


def options_of(flags: Sequence[str]) -> Any:
    """Return Beam's options from its own flags, such as `--runner=DirectRunner`.

    Raises:
        UserError: There is no such flag, or no Apache Beam.
    """
    try:
        from apache_beam.options.pipeline_options import (  # pyright: ignore[reportMissingImports]
            PipelineOptions,
            TypeOptions,
        )
    except ImportError as error:
        raise UserError(
            f"preparing in a pipeline needs Apache Beam ({error}): pip install 'jaxfer[beam]', or leave out the options"
        ) from error
    options = PipelineOptions(list(flags))
    known = options.get_all_options()
    for flag in flags:
        if not flag.startswith("--") or flag.removeprefix("--").partition("=")[0] not in known:
            raise UserError(f"Apache Beam has no option {flag!r}: pass its own, as runner=DirectRunner")
    # DirectRunner otherwise fetches a program to run the pipeline, Prism, from the network. There are no triggers here.
    options.view_as(TypeOptions).allow_unsafe_triggers = True
    # Beam would guess the types of what flows from what comes first.
    options.view_as(TypeOptions).pipeline_type_check = False
    return options


def generate(
    faces: RawFaces, templates: Templates, folder: Path, write: Write, file_bytes: int, *, options: Any, runner: Any
) -> Plan:
    """Write the faces into files, and return what became of all.

    Args:
        faces: The faces, whose `found` is set.
        templates: What names the files.
        folder: Where they are written, under other names first. Every machine must see it under this path, as all of
            the raw data.
        write: What writes a file.
        file_bytes: A file that has grown to so many bytes is followed by another.
        options: Beam's, or None.
        runner: Beam's, or None for what the options say.

    Raises:
        UserError: The pipeline failed, or no image is left to prepare.
    """
    import apache_beam as beam  # pyright: ignore[reportMissingImports]
    from apache_beam.pvalue import AsSingleton  # pyright: ignore[reportMissingImports]

    kept = folder / "plan.json"
    classes = AFFECTNET_8[: faces.config.num_classes]
    records = [(index, portable(record)) for index, record in enumerate(faces.records())]
    try:
        with beam.Pipeline(runner=runner, options=options or options_of([])) as pipeline:
            decoded = (
                pipeline
                | "Records" >> beam.Create(records)
                | "SpreadOut" >> beam.Reshuffle()
                | "Decode" >> beam.Map(_decoded, faces.decode, classes)
            )
            plan = (
                decoded
                | "Facts" >> beam.Keys()
                | "AllFacts" >> beam.combiners.ToList()
                | "Decide" >> beam.Map(_plan, faces.config, faces.place, file_bytes)
            )
            _ = plan | "KeepPlan" >> beam.Map(_keep, kept)
            _ = (
                decoded
                | "ToFiles" >> beam.FlatMap(_placed, AsSingleton(plan))
                | "ByFile" >> beam.GroupByKey()
                | "WriteFiles" >> beam.Map(_write, AsSingleton(plan), templates, folder, write)
            )
    except Exception as error:
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UserError(
            f"the pipeline of Apache Beam failed ({said}): see that its workers have the same jaxfer, and see "
            f"{faces.place} and {folder.parent} under these paths"
        ) from error
    found = read(kept, dict)
    kept.unlink()
    done = Plan(**found | {"files": [File(*file) for file in found["files"]]})
    faces.found = done.ledger
    if not done.files:
        faces.refuse_none({reason: left["images"] for reason, left in done.ledger["left_out"].items()})
    return done


def _decoded(
    numbered: tuple[int, Record], decode: Callable[[Record], Decoded | UnreadableError], classes: Collection[str]
) -> tuple[_Fact, bytes]:
    """Return what decides about a record, and what a file would keep of it; nothing where it cannot be used."""
    index, record = numbered
    bare = replace(record, image=Path(), landmarks=None)
    if reason_against(record, classes):
        return _Fact(index, bare), b""
    with quiet_pillow():
        face = decode(record)
    if isinstance(face, UnreadableError):
        return _Fact(index, bare, unreadable=face.reason), b""
    content = to_record(example_of(record, face))
    return _Fact(index, bare, "", face.digest, face.thumbnail, len(content)), content


def _plan(facts: list[_Fact], config: PrepareConfig, place: Path, file_bytes: int) -> Plan:
    """Decide about all records, one after another, as one process does."""
    plan = Plan()
    with closing(Ledger(config, place)) as ledger:
        for fact in sorted(facts, key=lambda fact: fact.place):
            split = fact.record.split
            if not ledger.usable(fact.record):
                continue
            if split is None or fact.unreadable:
                ledger.leave_out(fact.record, UNREADABLE, fact.unreadable)
            elif ledger.admit(fact.record, split, fact.digest, fact.thumbnail):
                _add(plan, SPLIT_NAMES[split], fact, file_bytes)
            else:
                plan.left_out.add(fact.place)
        plan.ledger = ledger.metadata()
    return plan


def _add(plan: Plan, split: str, fact: _Fact, file_bytes: int) -> None:
    """Put a record into the last file, or into a new one where that is full or of another split."""
    if not plan.files or plan.files[-1].split != split or plan.sizes[-1] >= file_bytes:
        plan.files.append(File(split, plan.count(split), fact.place))
        plan.lengths.append(0)
        plan.sizes.append(0)
    plan.lengths[-1] += 1
    plan.sizes[-1] += fact.size


def _keep(plan: Plan, path: Path) -> None:
    path.write_text(json.dumps({**vars(plan), "left_out": []}))


def _placed(decoded: tuple[_Fact, bytes], plan: Plan) -> Iterator[tuple[int, tuple[int, bytes]]]:
    """Yield the number of the file that keeps a record, with its place and content; nothing of what none keeps."""
    fact, content = decoded
    if content and fact.place not in plan.left_out:
        yield bisect_right(plan.files, fact.place, key=lambda file: file.first) - 1, (fact.place, content)


def _write(
    contents: tuple[int, Iterable[tuple[int, bytes]]], plan: Plan, templates: Templates, folder: Path, write: Write
) -> None:
    """Write a file, whole or not at all, however often Beam tries."""
    number, numbered = contents
    file = plan.files[number]
    begun = folder / f"begun-{uuid.uuid4().hex}"
    write(begun, (content for _, content in sorted(numbered)))
    begun.rename(templates[file.split].sharded_filepath(shard_index=file.number, num_shards=plan.count(file.split)))


def by_split(plan: Plan) -> dict[str, tuple[list[int], int]]:
    """Return of each split how many records its files have, and how many bytes it has."""
    found: defaultdict[str, tuple[list[int], int]] = defaultdict(lambda: ([], 0))
    for file, length, size in zip(plan.files, plan.lengths, plan.sizes, strict=True):
        lengths, before = found[file.split]
        found[file.split] = [*lengths, length], before + size
    return dict(found)
