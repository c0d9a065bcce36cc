"""From a folder to a data set: detect its layout, read its records, select, decode."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from jaxfer.config import DataConfig
from jaxfer.data.cache import Cache
from jaxfer.data.columns import columns_of
from jaxfer.data.dataset import ROWS, Dataset, Images, LazySplits, Split, Use, content_hash, find_split, use_of
from jaxfer.data.groups import belonging, groups_of
from jaxfer.data.hold_out import Alike, find_alike, hold_out
from jaxfer.data.layouts import Layout, Match, ReadOptions, Record, detect, detect_apart, prepared, splits_apart
from jaxfer.data.layouts.fer2013.votes import Agreement
from jaxfer.data.reading.decoder import check_decoder
from jaxfer.data.reading.images import StreamedImages, UnreadableError, decode_record
from jaxfer.data.reading.pool import map_records
from jaxfer.data.reading.progress import Tally, Watch, counting, unwatched
from jaxfer.data.reading.record import UNREADABLE
from jaxfer.data.releases import differences
from jaxfer.data.selection import Part, Selection, check, check_alone, drop_unreadable, held_out, select, without
from jaxfer.emotions import AFFECTNET_8, relabel
from jaxfer.errors import UserError

WORTH_KEEPING = 2000
"""How many images take long enough to decode that the result is kept."""

Facts = dict[str, Any]
"""`left_out`, `unreadable` and `fingerprint`, as in `Dataset`, but with the records' names for paths; `names`: by its
key, what the data calls each split; `notes`: those of the selection, and what to know of how independent the splits
are; and of a stream `held_out`: the names of the records that are held out."""

Allocate = Callable[[str, tuple[int, ...]], np.ndarray]


def load(config: DataConfig, *, only: str | None = None, keep: bool = True, watch: Watch = unwatched) -> Dataset:
    """Return the faces that `config` asks for.

    Without a `data_dir`, drawn faces. Where the data has no validation split, about the share `val_fraction` of each
    class of its training split is held out instead, see `jaxfer.data.hold_out`: the same images wherever the data lies
    and in whatever order its files are listed.

    The images of training and validation split are one uint8 array each, decoded once, kept in a hidden folder
    `.jaxfer` beside the data and mapped into memory from there, so that the next call takes no time and processes
    share one copy; where nothing can be written beside the data, the array is in memory alone. Prepared data of the
    size that is asked for is pixels already: its rows are read when a batch asks for them, and no copy is made. With
    `config.stream`, images are decoded whenever a batch asks for them. Batches are the same in each case.

    Args:
        config: Where the data is, and how to read it.
        only: The one split that is wanted, as `Dataset.split` takes it, to evaluate on: the data need then have no
            training split, and where a test split is wanted nothing else is decoded or returned.
        keep: Whether to keep what is decoded; without, nothing is written beside the data, and what was kept is used.
        watch: Told how many images have been read, such as `jaxfer.reports.images_bar`.

    Raises:
        UserError: `jaxfer.data.layouts.detect` or `jaxfer.data.selection.check` refuses the data, its layout cannot
            read it, its images do not fit into memory, or there is no split `only`.
    """
    if config.data_dir is None:
        # Imported here, since data on the disk is read without JAX.
        from jaxfer.data.synthetic import drawn_dataset

        drawn = drawn_dataset(config)
        if only is not None:
            drawn.split(only)
        return drawn
    source = _Source.of(config, config.data_dir, watch, only=only)
    source.refuse_enlarging(evaluating=only is not None)
    if not source.is_pixels:
        check_decoder(config.decoder)
    cache = Cache(source.place, config, source.options.within(source.place), read_only=not keep)
    facts, splits = cache.read(source.rows) or ({}, {})
    selection = None if splits else source.select()
    if only is not None:
        names = {key: part.name for key, part in selection.all_parts.items()} if selection else facts["names"]
        key = find_split(only, names, source.passed)
        if use_of(key) == "test" or (selection and not selection.train.records):
            return source.alone(key, selection or source.select())
        if selection:
            check_alone(selection.train if selection.to_hold_out else selection.parts[key], source.name, config)
    if selection:
        facts, splits = source.read(selection, cache, facts)
    return source.dataset(facts, splits, selection.tests if selection else None)


@dataclass(frozen=True)
class _Source:
    """Data on the disk, and how it is asked for.

    Attributes:
        passed: The path that was passed.
        match: Where below it the data lies, where splits of it lie that lie elsewhere, and what is set aside.
    """

    passed: str
    layout: Layout
    match: Match
    config: DataConfig
    watch: Watch

    @classmethod
    def of(cls, config: DataConfig, data_dir: Path, watch: Watch, *, only: str | None) -> "_Source":
        """Return the data that a config names, or of it the test split alone, where that is wanted and lies apart."""
        options = ReadOptions.of(config, data_dir)
        if only == "test" and config.test_dir is not None:
            return cls(str(config.test_dir), *splits_apart.alone(detect_apart("test", options)), config, watch)
        return cls(str(data_dir), *detect(data_dir, options), config, watch)

    @property
    def place(self) -> Path:
        """Where the data lies."""
        return self.match.place

    @property
    def name(self) -> str:
        """What it is called in messages and records."""
        parts = (part for part in self.match.parts if part.match.place != self.place)
        apart = "".join(f", {part.split} in {part.match.place}" for part in parts)
        return f"{self.layout.name} in {self.place}{apart}"

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that are asked for."""
        return self.config.vocabulary

    @property
    def options(self) -> ReadOptions:
        """What its reader is told."""
        return ReadOptions.of(self.config, Path(self.passed))

    @cached_property
    def is_pixels(self) -> bool:
        """Whether the images are stored just as they are asked for, so that nothing needs to be decoded."""
        return self.layout is prepared.LAYOUT and prepared.image_size(self.place) == self.config.image_size

    def refuse_enlarging(self, *, evaluating: bool) -> None:
        """Raise `UserError` for prepared images that are smaller than what is asked for."""
        places = [(self.layout, self.place), *((part.layout, part.match.place) for part in self.match.parts)]
        for layout, place in places:
            if layout.name == prepared.LAYOUT.name:
                prepared.refuse_enlarging(place, self.config.image_size, evaluating=evaluating)

    def select(self) -> Selection:
        """Return the records of all splits."""
        agreement = Agreement()
        records = agreement.counted(self.layout.read(self.place, self.options))
        selection = select(records, self.config)
        return replace(selection, notes=agreement.notes)

    def rows(self, use: str, rows: np.ndarray) -> Images:
        """Return the images of rows that the cache remembers of prepared data."""
        return prepared.PreparedImages.of(self.place, cast(Use, use), rows)

    def read(self, selection: Selection, cache: Cache, facts: Facts) -> tuple[Facts, dict[str, Split]]:
        """Return what there is to know of training and validation split, and the splits, and keep both.

        Args:
            selection: What to read.
            cache: Where to keep it.
            facts: What is kept of a stream already; else empty.
        """
        names = {key: part.name for key, part in selection.all_parts.items()}
        is_held_out = selection.to_hold_out
        check(selection, self.name, self.config)
        if selection.to_hold_out:  # refused now, and not after the work
            belonging([record.name for record in selection.train.records], self.config.group_by)
        with cache.building(worthwhile=selection.count >= WORTH_KEEPING) as building:
            if self.is_pixels or self.config.stream:
                selection, splits, notes, fingerprint = self._by_row(selection, facts)
            else:
                selection, splits, notes, fingerprint = self._decode(selection, building.array)
            check(selection, self.name, self.config)
            # What is kept of a stream has the selection's own notes already.
            notes = tuple(dict.fromkeys((*selection.notes, *notes)))
            facts = {"left_out": selection.left_out, "unreadable": selection.unreadable, "notes": notes}
            facts |= {"fingerprint": fingerprint, "names": names}
            if self.config.stream:
                facts["held_out"] = [record.name for record in selection.val.records] if is_held_out else []
            if self.is_pixels:
                building.keep(facts, splits, {key: _rows_of(part) for key, part in selection.parts.items()})
            else:
                building.keep(facts, {} if self.config.stream else splits)
        # What was kept does without the records, which take memory.
        found = cache.read(self.rows)
        return found if found and found[1] else (facts, splits)

    def dataset(self, facts: Facts, splits: dict[str, Split], tests: dict[str, Part] | None) -> Dataset:
        """Return the data set of a training and a validation split.

        Args:
            facts: What is known of both.
            splits: Both.
            tests: The records of test splits; None reads them again when they are asked for.
        """
        release = prepared.release(self.place) if self.layout is prepared.LAYOUT else self.layout.release
        counts = {key: np.bincount(split.labels, minlength=len(self.class_names)) for key, split in splits.items()}
        found = {key: dict(zip(self.class_names, counts[key].tolist(), strict=True)) for key in counts}

        def decode(key: str) -> Split:
            return self._alone((self.select().tests if tests is None else tests)[key])[0]

        return Dataset(
            splits=LazySplits(splits, facts["names"], decode),
            class_names=self.class_names,
            source=self.name,
            left_out=facts["left_out"],
            unreadable=self._located(facts["unreadable"]),
            warnings=(
                *self.match.notes,
                *facts["notes"],
                *(differences(release, found, self.config.counted_as()) if release else ()),
            ),
            known_fingerprint=facts["fingerprint"],
            place=self.passed,
        )

    def alone(self, key: str, selection: Selection) -> Dataset:
        """Return a data set of one split alone."""
        split, failures = self._alone(selection.all_parts[key])
        return Dataset(
            splits={key: split},
            class_names=self.class_names,
            source=self.name,
            left_out=_with(selection.all_parts[key].left_out, failures),
            unreadable=self._located(failures),
            warnings=(*self.match.notes, *selection.notes),
            place=self.passed,
        )

    def _alone(self, part: Part) -> tuple[Split, dict[str, str]]:
        """Return a split, and the names of its unreadable images with the reasons."""
        check_alone(part, self.name, self.config)
        failures: dict[str, str] = {}
        with counting("reading images", len(part.records), watch=self.watch) as tally:
            if self.is_pixels:
                for _ in self._readable(part, failures, tally):
                    pass
                part = without(part, failures)
                images = self._images(part)
            else:
                images = self._decode_part(part, lambda shape: np.empty(shape, np.uint8), failures, tally)
                part = without(part, failures)
        count = len(part.records) + len(failures)
        if len(failures) > self.config.max_unreadable * count:
            name, reason = next(iter(failures.items()))
            raise UserError(
                f"{len(failures)} of {count} images of {part.name!r} in {self.name} cannot be read, such as "
                f"{name} ({reason}): copy them again"
            )
        # Soft labels are learnt from, which no such split is.
        return self._split(part, images, soft_labels=False), failures

    def _decode(
        self, selection: Selection, allocate: Allocate
    ) -> tuple[Selection, dict[str, Split], tuple[str, ...], str]:
        """Return what is readable of a selection, its splits with their images decoded, notes, and the fingerprint."""
        images: dict[str, np.ndarray] = {}
        failures: dict[str, str] = {}
        with counting("reading images", selection.count, watch=self.watch) as tally:
            for key, part in selection.parts.items():
                if key == "train" or not selection.to_hold_out:
                    images[key] = self._decode_part(part, partial(allocate, key), failures, tally)
            selection = drop_unreadable(selection, failures)
            if selection.to_hold_out:
                tally.begin("looking for copies")
                selection, rows, notes = self._hold_out(selection, find_alike(images["train"]))
                images["train"], images["val"] = _divided(images["train"], rows, partial(allocate, "val"))
            else:
                notes = self._shared(selection)
        splits = {key: self._split(part, images[key]) for key, part in selection.parts.items()}
        fingerprint = content_hash(self.class_names, [(splits[key], [images[key]]) for key in splits])
        return selection, splits, notes, fingerprint

    def _hold_out(self, selection: Selection, alike: Alike) -> tuple[Selection, np.ndarray, tuple[str, ...]]:
        """Return a selection with a validation split, which training records that is, bool [n], and notes on it."""
        records = selection.train.records
        names, labels = [record.name for record in records], [record.label for record in records]
        found = hold_out(names, labels, belonging(names, self.config.group_by), alike, self.config.val_fraction)
        return held_out(selection, found.rows), found.rows, found.notes

    def _shared(self, selection: Selection) -> tuple[str, ...]:
        """Return notes on validation images whose groups have training images too, of data with a split of its own."""
        names = {key: [record.name for record in part.records] for key, part in selection.parts.items()}
        try:
            known = belonging(names["train"] + names["val"], self.config.group_by)
        except UserError as error:
            return (
                f"whether {selection.val.name!r} shares groups with {selection.train.name!r} is not known: {error}",
            )
        learnt, groups = set(known.groups[: len(names["train"])]) - {""}, known.groups[len(names["train"]) :]
        shared = sum(group in learnt for group in groups)
        if not shared:
            return ()
        return (
            f"{shared:,} of the {len(groups):,} images of {selection.val.name!r} are of groups, by {known.known_by}, "
            f"that {selection.train.name!r} has images of too: scores on them say nothing of other groups",
        )

    def _decode_part(
        self, part: Part, allocate: Callable[[tuple[int, ...]], np.ndarray], failures: dict[str, str], tally: Tally
    ) -> np.ndarray:
        """Return the readable faces of a part, uint8 [n, size, size, 3]; add the others' names, with the reason."""
        rows = _allocated(allocate, (len(part.records), self.config.image_size, self.config.image_size, 3))
        kept = 0
        for face in self._readable(part, failures, tally):
            rows[kept] = face
            kept += 1
        return rows[:kept]

    def _by_row(self, selection: Selection, facts: Facts) -> tuple[Selection, dict[str, Split], tuple[str, ...], str]:
        """Return what is readable of a selection, its splits with images yet to be read, notes, and the fingerprint.

        Args:
            selection: What to read.
            facts: What is kept of a stream already; else empty.
        """
        selection = drop_unreadable(selection, facts.get("unreadable", {}))
        fingerprint, notes = facts.get("fingerprint", ""), tuple(facts.get("notes", ()))
        if selection.to_hold_out and fingerprint:
            held = set(facts["held_out"])
            selection = held_out(selection, np.array([record.name in held for record in selection.train.records]))
        elif selection.to_hold_out:
            failures: dict[str, str] = {}
            with counting("looking for copies", selection.count, watch=self.watch) as tally:
                alike = find_alike(self._readable(selection.train, failures, tally))
            selection, _, notes = self._hold_out(drop_unreadable(selection, failures), alike)
        else:
            notes = notes or self._shared(selection)
        while True:
            splits = {key: self._split(part, self._images(part)) for key, part in selection.parts.items()}
            if fingerprint:
                return selection, splits, notes, fingerprint
            # All images are read once and forgotten: this finds the unreadable ones, and without any, the fingerprint.
            failures = {}
            with counting("looking at each image once", selection.count, watch=self.watch) as tally:
                parts = [(splits[key], self._readable(part, failures, tally)) for key, part in selection.parts.items()]
                fingerprint = content_hash(self.class_names, parts)
            if failures:
                selection, fingerprint = drop_unreadable(selection, failures), ""

    def _images(self, part: Part) -> Images:
        """Return the images of a part, to be read when a batch asks for them."""
        if self.is_pixels and part.records:
            return prepared.PreparedImages.of_records(part.records)
        return StreamedImages(part.records, self.config.image_size, self.config.margin, self.config.decoder)

    def _readable(self, part: Part, failures: dict[str, str], tally: Tally) -> Iterator[np.ndarray]:
        """Yield the readable faces of a part, uint8 [size, size, 3]; add the others' names, with the reason."""
        for record, face in self._faces(part):
            tally.count()
            if isinstance(face, UnreadableError):
                failures[record.name] = face.reason
            else:
                yield face

    def _faces(self, part: Part) -> Iterator[tuple[Record, np.ndarray | UnreadableError]]:
        if self.is_pixels:  # which takes less time here than sending them to other processes and back
            return ((record, _pixels(record)) for record in part.records)
        how = {"size": self.config.image_size, "margin": self.config.margin, "decoder": self.config.decoder}
        return map_records(partial(decode_record, **how), part.records)

    def _split(self, part: Part, images: Images, *, soft_labels: bool | None = None) -> Split:
        """Return the split of a part whose images these are, with the labels and what else its records say."""
        if isinstance(images, np.ndarray):
            images.flags.writeable = False
        records = part.records
        labels = np.array([self.class_names.index(record.label) for record in records], np.int32)
        use_votes = self.config.soft_labels if soft_labels is None else soft_labels
        columns = columns_of(records, labels, soft_labels_of=self._codes() if use_votes else None)
        names = tuple(record.name for record in records)
        return Split(part.name, images, labels, columns, names, partial(groups_of, records))

    def _codes(self) -> np.ndarray:
        """Return the label that each of AffectNet's expressions counts as, int32 [8], -1 where it is left out."""
        counted = self.config.counted_as()
        return relabel(tuple(counted.get(expression, "") for expression in AFFECTNET_8), self.class_names)

    def _located(self, failures: Mapping[str, str]) -> tuple[tuple[Path, str], ...]:
        """Return the paths, or file and row, of records of these names, with the same reasons."""
        folder = self.place.parent if self.place.is_file() else self.place
        homes = {part.prefix: part.home for part in self.match.parts}

        def path_of(name: str) -> Path:
            prefix = next((prefix for prefix in homes if name.startswith(prefix)), "")
            return homes.get(prefix, folder) / name.removeprefix(prefix)

        return tuple((path_of(name), reason) for name, reason in failures.items())


def _with(left_out: Mapping[str, int], failures: Mapping[str, str]) -> dict[str, int]:
    """Return counts of what is left out, by reason, with what turned out to be unreadable."""
    return dict(Counter(left_out) + Counter({UNREADABLE: len(failures)}))


def _pixels(record: Record) -> np.ndarray | UnreadableError:
    image = cast(prepared.PreparedImage, record.image)
    try:
        return image.read()
    except OSError as error:
        return UnreadableError(None, str(error))


def _divided(
    images: np.ndarray, rows: np.ndarray, allocate: Callable[[tuple[int, ...]], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the images that are not held out, moved together in the same place, and those that are.

    Args:
        images: uint8 [n, size, size, 3].
        rows: Which are held out, bool [n].
        allocate: Makes room for these.
    """
    val = _allocated(allocate, (int(rows.sum()), *images.shape[1:]))
    left = taken = 0
    for start in range(0, len(images), ROWS):
        some, held = images[start : start + ROWS], rows[start : start + ROWS]
        stay, go = some[~held], some[held]
        images[left : left + len(stay)], val[taken : taken + len(go)] = stay, go
        left, taken = left + len(stay), taken + len(go)
    return images[:left], val


def _rows_of(part: Part) -> tuple[str, np.ndarray]:
    """Return which split of prepared data the rows of a part come from, and which of its rows they are."""
    indices = [cast(prepared.PreparedImage, record.image).index for record in part.records]
    return str(part.records[0].split), np.array(indices, np.int64)


def _allocated(allocate: Callable[[tuple[int, ...]], np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    try:
        return allocate(shape)
    except MemoryError as error:
        raise UserError(
            f"the images take {np.prod(shape, dtype=float) / 1e9:.0f} GB, and there is neither memory nor disk for so "
            "much: pass a smaller image_size (--image-size), or decode them anew for each batch (--stream)"
        ) from error
