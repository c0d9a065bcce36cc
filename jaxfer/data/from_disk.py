"""From a folder to a data set: detect its layout, read its records, select, decode."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxfer.config import DataConfig
from jaxfer.data.cache import Cache
from jaxfer.data.dataset import Dataset, Images, Split, content_hash
from jaxfer.data.images import UnreadableError, decode_record
from jaxfer.data.layouts import Layout, Match, ReadOptions, detect, prepared
from jaxfer.data.processes import map_records
from jaxfer.data.progress import Tally, counting
from jaxfer.data.protocols import PROTOCOLS
from jaxfer.data.selection import Part, Selection, check, drop_unreadable, select
from jaxfer.data.soft_labels import soft_labels
from jaxfer.data.stream import StreamedImages
from jaxfer.errors import UserError

WORTH_KEEPING = 2000
"""How many images take long enough to decode that the result is kept."""

Facts = dict[str, Any]
"""`left_out`, `unreadable` and `fingerprint`, as in `Dataset`, but with the records' names for paths."""

Allocate = Callable[[str, tuple[int, ...]], np.ndarray]


def load_from_disk(data_dir: Path, config: DataConfig, *, keep: bool = True) -> Dataset:
    """Do what `jaxfer.data.load` says for data on the disk."""
    layout, match = detect(data_dir)
    if layout is prepared.LAYOUT:
        prepared.refuse_enlarging(match.place, config.image_size)
    cache = Cache(match.place, config, read_only=not keep)
    facts, splits = cache.read() or ({}, {})
    if not splits:
        selection = select(layout.read(match.place, ReadOptions(label_order=config.label_order)), config)
        source = f"{layout.name} in {match.place}"
        check(selection, source, config)
        with cache.building(worthwhile=selection.count >= WORTH_KEEPING) as building:
            if config.stream:
                selection, splits, fingerprint = _stream(selection, facts, config)
            else:
                selection, splits, fingerprint = _decode(selection, building.array, config)
            check(selection, source, config)
            facts = {"left_out": selection.left_out, "unreadable": selection.unreadable, "fingerprint": fingerprint}
            building.keep(facts, {} if config.stream else splits)
    return _dataset(facts, splits, layout, match, config)


def _dataset(facts: Facts, splits: dict[str, Split], layout: Layout, match: Match, config: DataConfig) -> Dataset:
    protocol = PROTOCOLS[config.num_classes]
    release = prepared.release(match.place) if layout is prepared.LAYOUT else layout.release
    counts = {key: np.bincount(split.labels, minlength=config.num_classes) for key, split in splits.items()}
    found = {key: dict(zip(protocol.class_names, counts[key].tolist(), strict=True)) for key in counts}
    folder = match.place.parent if match.place.is_file() else match.place
    return Dataset(
        **splits,
        class_names=protocol.class_names,
        source=f"{layout.name} in {match.place}",
        left_out=facts["left_out"],
        unreadable=tuple((folder / name, reason) for name, reason in facts["unreadable"].items()),
        warnings=tuple(protocol.differences(release, found)) if release else (),
        known_fingerprint=facts["fingerprint"],
    )


def _decode(selection: Selection, allocate: Allocate, config: DataConfig) -> tuple[Selection, dict[str, Split], str]:
    """Return what is readable of a selection, its splits with their images decoded, and their fingerprint."""
    images: dict[str, np.ndarray] = {}
    failures: dict[str, str] = {}
    with counting("reading images", selection.count) as tally:
        for key, part in selection.parts.items():
            images[key] = decode_part(part, partial(allocate, key), config, failures, tally)
    selection = drop_unreadable(selection, failures)
    splits = {key: split_of(part, images[key], config) for key, part in selection.parts.items()}
    parts = [(split, [images[key]]) for key, split in splits.items()]
    return selection, splits, content_hash(PROTOCOLS[config.num_classes].class_names, parts)


def decode_part(
    part: Part,
    allocate: Callable[[tuple[int, ...]], np.ndarray],
    config: DataConfig,
    failures: dict[str, str],
    tally: Tally,
) -> np.ndarray:
    """Return the readable faces of a part, uint8 [n, size, size, 3]; add the names of the others, with the reason."""
    rows = _allocated(allocate, (len(part.records), config.image_size, config.image_size, 3))
    kept = 0
    for face in _readable(part, config, failures, tally):
        rows[kept] = face
        kept += 1
    images = rows[:kept]
    images.flags.writeable = False
    return images


def _stream(selection: Selection, facts: Facts, config: DataConfig) -> tuple[Selection, dict[str, Split], str]:
    """Return what is readable of a selection, its splits with images yet to be decoded, and their fingerprint."""
    selection = drop_unreadable(selection, facts.get("unreadable", {}))
    fingerprint = facts.get("fingerprint", "")
    while True:
        splits = {}
        for key, part in selection.parts.items():
            splits[key] = split_of(part, StreamedImages(part.records, config.image_size, config.margin), config)
        if fingerprint:
            return selection, splits, fingerprint
        # All images are decoded once and forgotten: this finds the unreadable ones, and without any, the fingerprint.
        failures: dict[str, str] = {}
        with counting("looking at each image once", selection.count) as tally:
            parts = [(splits[key], _readable(part, config, failures, tally)) for key, part in selection.parts.items()]
            fingerprint = content_hash(PROTOCOLS[config.num_classes].class_names, parts)
        if failures:
            selection, fingerprint = drop_unreadable(selection, failures), ""


def _readable(part: Part, config: DataConfig, failures: dict[str, str], tally: Tally) -> Iterator[np.ndarray]:
    """Yield the readable faces of a part, uint8 [size, size, 3]; add the names of the others, with the reason."""
    function = partial(decode_record, size=config.image_size, margin=config.margin)
    for record, face in map_records(function, part.records):
        tally.count()
        if isinstance(face, UnreadableError):
            failures[record.name] = face.reason
        else:
            yield face


def _allocated(allocate: Callable[[tuple[int, ...]], np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    try:
        return allocate(shape)
    except MemoryError as error:
        raise UserError(
            f"the images take {np.prod(shape, dtype=float) / 1e9:.0f} GB, and there is neither memory nor disk for so "
            "much: pass a smaller image_size (--image-size), or decode them anew for each batch (--stream)"
        ) from error


def split_of(part: Part, images: Images, config: DataConfig) -> Split:
    """Return the split of a part whose images these are, with the labels and what else its records say."""
    class_names = PROTOCOLS[config.num_classes].class_names

    def affect(field: str) -> np.ndarray | None:
        values = np.array([getattr(record, field) for record in part.records], np.float32)
        return None if np.isnan(values).all() else values

    labels = np.array([class_names.index(record.label) for record in part.records], np.int32)
    soft = (
        soft_labels([record.votes for record in part.records], labels, config.num_classes)
        if config.soft_labels
        else None
    )
    return Split(part.name, images, labels, affect("valence"), affect("arousal"), soft)
