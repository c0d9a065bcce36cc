"""Decide which records are trained on, which are validated on, and whether they are fit for it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from jaxfer.config import DataConfig
from jaxfer.data.dataset import TEST
from jaxfer.data.reading.folder import LINK
from jaxfer.data.reading.record import UNREADABLE, Record
from jaxfer.emotions import AFFECTNET_8
from jaxfer.errors import UserError


@dataclass(frozen=True)
class Part:
    """The records of one split, its name, and how many others it has that are left out, by reason."""

    name: str
    records: list[Record]
    left_out: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Selection:
    """What is used of a data set, and what is not.

    Attributes:
        train: The records to learn from, in the reader's order.
        val: The records to select on.
        tests: The records of each test split, by its name.
        left_out: How many other records there are, by reason, those of test splits among them.
        unreadable: The name of each unreadable record and what is wrong with it; `left_out` counts them too.
        notes: What a reader of the data's numbers should know, one sentence each.
        to_hold_out: Whether a part of `train` is still to become `val`, which has a name and no record yet.
    """

    train: Part
    val: Part
    tests: dict[str, Part]
    left_out: dict[str, int]
    unreadable: dict[str, str]
    notes: tuple[str, ...] = ()
    to_hold_out: bool = False

    @property
    def parts(self) -> dict[str, Part]:
        """What is trained and selected on, by the keys that `Dataset.splits` has."""
        return {"train": self.train, "val": self.val}

    @property
    def all_parts(self) -> dict[str, Part]:
        """All parts by their keys."""
        return self.parts | {name: part for name, part in self.tests.items() if name not in self.parts}

    @property
    def count(self) -> int:
        """How many records there are to use."""
        return len(self.train.records) + len(self.val.records)


def select(records: Iterable[Record], config: DataConfig) -> Selection:
    """Return the records to use; without a validation split, a part of the training split is still to be held out.

    Test splits are kept apart, whether or not there is a validation split.

    Raises:
        UserError: `DataConfig.counted_as` refuses the classes.
    """
    counted = config.counted_as()
    used: dict[str, list[Record]] = {"train": [], "val": []}
    tests: dict[str, Part] = {}
    left_out: Counter[str] = Counter()
    apart: defaultdict[str, Counter[str]] = defaultdict(Counter)
    unreadable = {}
    for record in records:
        reason = record.left_out
        if not reason and record.label not in counted:
            reason = record.label
        elif not reason and counted[record.label] != record.label:
            record = replace(record, label=counted[record.label])
        if reason and record.split:
            apart[record.split_name if record.split == "test" else record.split][reason] += 1
        if record.split == "test":
            left_out[TEST] += 1
            if not reason:
                name = record.split_name
                tests.setdefault(name, Part(name, [], apart[name])).records.append(record)
            continue
        if reason == UNREADABLE:
            unreadable[record.name] = record.detail
        if reason:
            left_out[reason] += 1
        elif record.split:
            used[record.split].append(record)
    train, val = (Part(_split_name(part) or name, part, apart[name]) for name, part in used.items())
    if val.records:
        return Selection(train, val, tests, dict(left_out), unreadable)
    val = Part(f"held out {100 * config.val_fraction:g}% of {train.name}", [])
    return Selection(train, val, tests, dict(left_out), unreadable, to_hold_out=True)


def held_out(selection: Selection, rows: np.ndarray) -> Selection:
    """Return a selection whose validation split is a part of its training split.

    Args:
        selection: One of which a part is `to_hold_out`.
        rows: Which training records are held out, bool [n].
    """
    train: list[Record] = []
    val: list[Record] = []
    for record, row in zip(selection.train.records, rows.tolist(), strict=True):
        (val if row else train).append(record)
    parts = {"train": replace(selection.train, records=train), "val": replace(selection.val, records=val)}
    return replace(selection, **parts, to_hold_out=False)


def drop_unreadable(selection: Selection, failures: dict[str, str]) -> Selection:
    """Return the selection without the records of these names, which turned out to be unreadable."""
    if not failures:
        return selection
    unreadable = selection.unreadable | failures
    return replace(
        selection,
        train=without(selection.train, failures),
        val=without(selection.val, failures),
        left_out=selection.left_out | {UNREADABLE: len(unreadable)},
        unreadable=unreadable,
    )


def check(selection: Selection, source: str, config: DataConfig) -> None:
    """Refuse data that is not fit to train on.

    A class without training images cannot be learnt; one without validation images makes macro averages meaningless.

    Args:
        selection: What is used of the data.
        source: What messages call the data.
        config: The classes that are asked for, and `max_unreadable`.

    Raises:
        UserError: There is no image, a larger share of them than `max_unreadable` is unreadable, a class is missing,
            or there are no votes to learn soft labels from.
    """
    used = selection.count
    bad = len(selection.unreadable)
    if bad > config.max_unreadable * (bad + used):
        shown = "".join(f"\n  {name}: {why}" for name, why in list(selection.unreadable.items())[:3])
        raise UserError(
            f"{bad} of {bad + used} images ({bad / (bad + used):.1%}) of {source} cannot be read. Copy them again, or "
            f"train without them by a larger max_unreadable (--max-unreadable). The first are:{shown}"
        )
    counts = ", ".join(f"{count} {reason}" for reason, count in selection.left_out.items())
    aside = f" (left out: {counts})" if counts else ""
    if not used:
        raise UserError(f"{source} has no labelled image to train on{aside}")
    if config.soft_labels and not any(record.votes for record in selection.train.records):
        raise UserError(
            f"soft labels were asked for, but {selection.train.name!r} of {source} has one label a face and no votes: "
            "leave them out (--no-soft-labels)"
        )
    for part in (
        selection.train,
        _further(selection.train, selection.val.name) if selection.to_hold_out else selection.val,
    ):
        missing = _missing(part, config)
        if missing:
            names = ", ".join(missing)
            raise UserError(
                f"{source} has no image of {names} in {part.name!r}{aside}. {_remedy(part, missing, config, selection)}"
            )


def check_alone(part: Part, source: str, config: DataConfig) -> None:
    """Refuse a split that is not fit to evaluate a network on.

    Args:
        part: The split.
        source: What messages call the data.
        config: The classes that the network knows.

    Raises:
        UserError: The split lacks one of them.
    """
    missing = _missing(part, config)
    if missing:
        others = _others(missing, config)
        fewer = f", or compare the others alone (--classes {others})" if others else ""
        raise UserError(
            f"{source} has no image of {', '.join(missing)} in {part.name!r}, but the network knows "
            f"{len(config.vocabulary)} classes, over which its scores would be averaged: pass data that has them all"
            f"{fewer}"
        )


def _missing(part: Part, config: DataConfig) -> list[str]:
    present = {record.label for record in part.records}
    return [name for name in config.vocabulary if name not in present]


def _further(train: Part, name: str) -> Part:
    """Return the images of each class but one, which is all that can be held out."""
    seen: set[str] = set()
    further = [record for record in train.records if record.label in seen or seen.add(record.label)]
    return Part(name, further)


def _others(missing: list[str], config: DataConfig, more: Iterable[str] = ()) -> str:
    """Return the classes that are not missing, and more, parted by commas; "" where they are too few to tell apart."""
    others = [*(name for name in config.vocabulary if name not in missing), *more]
    return ",".join(others) if len(others) > 1 else ""


def _remedy(part: Part, missing: list[str], config: DataConfig, selection: Selection) -> str:
    own = config.has_own_classes
    # Contempt is left out by default alone: nobody has said that they do not want it.
    # A single one can be in one split alone.
    contempt = [name for name, count in selection.left_out.items() if name in AFFECTNET_8 and count > 1 and not own]
    others = _others(missing, config, contempt)
    fewer = f" Or train on the other classes alone, with classes (--classes {others})." if others else ""
    if missing == ["contempt"] and not own:
        return "Add some, or train on the other seven classes with num_classes 7 (--num-classes 7)."
    if LINK in selection.left_out:
        return f"Have the links out of it followed, with follow_links (--follow-links), if it is meant so.{fewer}"
    if part.records and part.records[0].split == "val":
        return f"Add some, or move {part.name!r} away: a share of the training images is then held out instead.{fewer}"
    return f"Add some, or check the names of its folders and, where those are digits, the label_order.{fewer}"


def _split_name(records: Iterable[Record]) -> str:
    return " and ".join(dict.fromkeys(record.split_name for record in records))


def without(part: Part, names: Collection[str]) -> Part:
    """Return a part without the records of these names."""
    return replace(part, records=[record for record in part.records if record.name not in names])
