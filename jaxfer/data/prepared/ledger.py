"""Count what goes into a prepared data set and what does not, and why; tell copies by their pixels or their looks."""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any

from jaxfer.config import PrepareConfig
from jaxfer.data.checking.near import Lookup
from jaxfer.data.layouts.prepared import SPLIT_NAMES
from jaxfer.data.reading.record import Record, Split
from jaxfer.emotions import AFFECTNET_8

LEAK = "leak"
"""The reason to leave out a training image that is an exact copy of a validation or test image."""

NEAR_LEAK = "near_leak"
"""The reason to leave out a training image that looks like a validation or test image."""

DUPLICATE = "duplicate"
"""The reason to leave out an exact copy of an earlier image of the same split."""

LISTED = 100
"""How many of the images that are left out for one reason are listed by name."""


def reason_against(record: Record, classes: Collection[str]) -> str:
    """Return why a record's image is not wanted, whatever it shows; empty where it is."""
    return record.left_out or ("" if record.label in classes else record.label)


class Ledger:
    """What became of each record of the data in `place`; to be closed.

    Digests and counts are all that it keeps of an image; where look-alikes are dropped, of validation and test images
    what `Lookup` keeps.
    """

    def __init__(self, config: PrepareConfig, place: Path) -> None:
        self._config = config
        self._class_names = AFFECTNET_8[: config.num_classes]
        root = place.parent if place.is_file() else place
        roots = [root, *filter(None, (config.val_dir, config.test_dir))]
        self._roots = tuple(f"{path}{os.sep}" for root in roots for path in (root, root.resolve()))
        self._read: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._written: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._names: defaultdict[str, set[str]] = defaultdict(set)
        self._left_out: Counter[str] = Counter()
        self._listed: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
        self._seen: defaultdict[str, set[bytes]] = defaultdict(set)
        self._copies: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._content = hashlib.blake2b(digest_size=16)
        self._lookup = Lookup() if config.leaks == "near" else None

    def close(self) -> None:
        """Delete what was kept of images on the disk."""
        if self._lookup is not None:
            self._lookup.close()

    def usable(self, record: Record) -> bool:
        """Return whether a record's image is wanted, and count it either way."""
        reason = reason_against(record, self._class_names)
        if reason:
            self.leave_out(record, reason, record.detail)
        elif record.split:
            self._read[record.split][record.label] += 1
            self._names[record.split].add(record.split_name)
        return not reason

    def leave_out(self, record: Record, reason: str, detail: str = "") -> None:
        """Count a record that is not written.

        Args:
            record: What is left out.
            reason: Why, one of `jaxfer.data.reading.record.KINDS`, `LEAK`, `NEAR_LEAK`, `DUPLICATE`, or a class that is
                not wanted.
            detail: What is wrong with this very record.
        """
        self._left_out[reason] += 1
        if len(self._listed[reason]) < LISTED:
            for root in self._roots:  # nobody who is given the data set needs to know where the raw data lay
                detail = detail.replace(root, "")
            self._listed[reason].append({"name": record.name, "detail": detail} if detail else {"name": record.name})

    def admit(self, record: Record, split: Split, digest: bytes, thumbnail: bytes) -> bool:
        """Return whether an image is written, by what came before it, and count it either way.

        Args:
            record: Whose image it is.
            split: What it is used for.
            digest: A hash of its pixels.
            thumbnail: See `jaxfer.data.checking.perceptual.thumbnail`; empty unless look-alikes are dropped.
        """
        copied: list[str] = [other for other in SPLIT_NAMES if digest in self._seen[other]]
        self._copies[split].update(copied)
        reason, detail = "", f"a copy of an image of {self._names_of(copied)}"
        if split == "train" and self._config.leaks != "keep" and set(copied) - {"train"}:
            reason = LEAK
        elif split == "train" and self._lookup is not None and self._lookup.has_like(thumbnail):
            reason, detail = NEAR_LEAK, "it looks like an image of validation or test"
        elif split in copied and self._config.duplicates == "drop":
            reason = DUPLICATE
        if reason:
            self.leave_out(record, reason, detail)
            return False
        if split != "train" and self._lookup is not None:
            self._lookup.add(thumbnail)
        self._seen[split].add(digest)
        self._written[split][record.label] += 1
        self._content.update(repr((split, record.name, record.label)).encode() + digest)
        return True

    def _names_of(self, splits: Collection[str]) -> str:
        return " and ".join(name for split, name in SPLIT_NAMES.items() if split in splits)

    @property
    def written(self) -> int:
        """How many images are written so far."""
        return sum(counts.total() for counts in self._written.values())

    @property
    def left_out(self) -> dict[str, int]:
        """How many records are not written, by reason: the most frequent first, equal ones by their names."""
        return dict(sorted(self._left_out.items(), key=lambda item: (-item[1], item[0])))

    def metadata(self) -> dict[str, Any]:
        """Return all counts, the lists of what was left out, and a fingerprint of what was written, for JSON."""
        return {
            "class_names": list(self._class_names),
            "splits": {name: self._split(split) for split, name in SPLIT_NAMES.items() if self._read[split]},
            "left_out": {
                reason: {"images": count, "first": self._listed[reason]} for reason, count in self.left_out.items()
            },
            "fingerprint": self._content.hexdigest(),
        }

    def _split(self, split: Split) -> dict[str, Any]:
        def by_class(counts: Counter[str]) -> dict[str, int]:
            return {name: counts[name] for name in self._class_names}

        return {
            "source_name": " and ".join(sorted(self._names[split])),
            "images": self._written[split].total(),
            "classes": by_class(self._written[split]),
            "read": by_class(self._read[split]),
            "copies_of": {name: self._copies[split][other] for other, name in SPLIT_NAMES.items()},
        }
