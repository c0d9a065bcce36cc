"""One split of a data set to evaluate on, the test split too, with the name of every face."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxfer.config import DataConfig
from jaxfer.data.dataset import Dataset, Split, chunks, content_hash
from jaxfer.data.layouts.record import Record
from jaxfer.data.layouts.record import Split as Use
from jaxfer.data.selection import TEST, Part, select
from jaxfer.emotions import AFFECTNET_8
from jaxfer.errors import UserError


@dataclass(frozen=True)
class OneSplit:
    """A split to evaluate on.

    use: what it is for: `train`, `val` or `test`.
    names: each face's path inside the data, or file and row.
    columns: for each column that the data has, the group that each face belongs to; see `columns_of`.
    source, left_out: as in `Dataset`; where `use` is `test`, of this split alone.
    data_fingerprint: that of the training and validation splits together; empty where they were not read.
    """

    split: Split
    use: Use
    names: tuple[str, ...]
    class_names: tuple[str, ...]
    columns: dict[str, np.ndarray]
    source: str
    left_out: dict[str, int]
    data_fingerprint: str

    @property
    def fingerprint(self) -> str:
        """A hash of the class names, and of the images of this split with all that they are compared with."""
        split = dataclasses.replace(self.split, soft_labels=None)
        return content_hash(self.class_names, [(split, chunks(split.images))])


def load_split(config: DataConfig, name: str, *, keep: bool = True) -> OneSplit:
    """Return the split that `name` means, of the data that `config` describes.

    name: `train`, `val`, `test`, or the data's own name of a split, such as `PublicTest`. Training and validation
        splits are those of `jaxfer.data.load`, held-out images included.
    keep: as for `load`.

    Raises `UserError` where `load` does, and for a split that does not exist or lacks one of the classes.
    """
    if config.data_dir is None:
        return _drawn(config, name)
    from jaxfer.data.layouts import ReadOptions, detect, prepared

    layout, match = detect(config.data_dir)
    if layout is prepared.LAYOUT and prepared.image_size(match.place) < config.image_size:
        raise UserError(
            f"{match.place} was prepared at {prepared.image_size(match.place)} pixels, but the network was trained at "
            f"{config.image_size}: prepare it again with --image-size {config.image_size}"
        )
    records = list(layout.read(match.place, ReadOptions(label_order=config.label_order)))
    selection, tests = select(records, config), _test_parts(records, config)
    use, part = _find(name, {"train": selection.train, "val": selection.val}, tests, str(config.data_dir))
    source = f"{layout.name} in {match.place}"
    _refuse_missing(part, source, config)
    if use == "test" or not selection.train.records:
        return _decoded(part, use, source, config)
    from jaxfer.data.load import load

    folder = match.place.parent if match.place.is_file() else match.place
    return _of_dataset(load(config, keep=keep), use, part, folder)


def _drawn(config: DataConfig, name: str) -> OneSplit:
    from jaxfer.data.load import load

    data = load(config)
    parts: dict[Use, Part] = {"train": Part(data.train.name, []), "val": Part(data.val.name, [])}
    use, _ = _find(name, parts, {}, data.source)
    split = data.train if use == "train" else data.val
    names = tuple(f"drawn face {row}" for row in range(len(split)))
    return OneSplit(split, use, names, data.class_names, {}, data.source, data.left_out, data.fingerprint)


def _test_parts(records: list[Record], config: DataConfig) -> dict[str, Part]:
    """Return the usable records of each test split, by its name."""
    parts: dict[str, Part] = {}
    for record in records:
        if record.split == "test" and not record.left_out and record.label in AFFECTNET_8[: config.num_classes]:
            parts.setdefault(record.split_name, Part(record.split_name, [])).records.append(record)
    return parts


def _find(name: str, parts: dict[Use, Part], tests: dict[str, Part], source: str) -> tuple[Use, Part]:
    """Return what a name of a split means."""
    found: dict[str, tuple[Use, Part]] = {part.name: ("test", part) for part in tests.values()}
    if len(tests) == 1:
        found["test"] = ("test", next(iter(tests.values())))
    found |= {label: (use, part) for use, part in parts.items() for label in (use, part.name)}
    if name not in found:
        there = ", ".join([part.name for part in parts.values()] + list(tests))
        raise UserError(f"{source} has no split {name!r}: pass one of {there}")
    return found[name]


def _refuse_missing(part: Part, source: str, config: DataConfig) -> None:
    present = {record.label for record in part.records}
    missing = [label for label in AFFECTNET_8[: config.num_classes] if label not in present]
    if missing:
        raise UserError(
            f"{source} has no image of {', '.join(missing)} in {part.name!r}, but the network knows "
            f"{config.num_classes} classes, over which its scores would be averaged: pass data that has them all"
        )


def _decoded(part: Part, use: Use, source: str, config: DataConfig) -> OneSplit:
    """Return a split that `load` does not read, decoded into memory."""
    from jaxfer.data.columns import columns_of
    from jaxfer.data.from_disk import decode_part, split_of
    from jaxfer.data.progress import counting
    from jaxfer.data.protocols import PROTOCOLS

    failures: dict[str, str] = {}
    with counting("reading images", len(part.records)) as tally:
        images = decode_part(part, lambda shape: np.empty(shape, np.uint8), config, failures, tally)
    if len(failures) > config.max_unreadable * len(part.records):
        name, reason = next(iter(failures.items()))
        raise UserError(
            f"{len(failures)} of {len(part.records)} images of {part.name!r} in {source} cannot be read, such as "
            f"{name} ({reason}): copy them again"
        )
    kept = [record for record in part.records if record.name not in failures]
    split = split_of(Part(part.name, kept), images, dataclasses.replace(config, soft_labels=False))
    names, classes = tuple(record.name for record in kept), PROTOCOLS[config.num_classes].class_names
    left_out = {"unreadable": len(failures)} if failures else {}
    return OneSplit(split, use, names, classes, columns_of(kept), source, left_out, "")


def _of_dataset(data: Dataset, use: Use, part: Part, folder: Path) -> OneSplit:
    """Return a split that was loaded, with what its records say."""
    from jaxfer.data.columns import columns_of

    split = data.train if use == "train" else data.val
    unreadable = {path for path, _ in data.unreadable}
    kept = [record for record in part.records if folder / record.name not in unreadable]
    if [record.label for record in kept] != [data.class_names[label] for label in split.labels]:
        raise UserError(f"{data.source} was changed while it was read: try again")
    names = tuple(record.name for record in kept)
    left_out = {reason: count for reason, count in data.left_out.items() if reason != TEST}
    return OneSplit(split, use, names, data.class_names, columns_of(kept), data.source, left_out, data.fingerprint)
