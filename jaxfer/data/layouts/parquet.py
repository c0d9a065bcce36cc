"""Parquet files as Hugging Face exports them: a face a row, with a column of encoded images and one of labels.

    data/train-00000-of-00002.parquet   data/train-00001-of-00002.parquet   data/validation-00000-of-00001.parquet
    default/train/0000.parquet          default/validation/0000.parquet     default/test/0000.parquet

Images are structs of `bytes` and `path`, or bytes alone; the path counts where there are no bytes. Labels are words,
numbers with names in the schema's metadata or a declared label order, or lists with the share of each class.
"""

import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, count, repeat
from pathlib import Path
from typing import Any, NamedTuple

from jaxfer.data.reading.affectnet_values import shown
from jaxfer.data.reading.folder import PEEK, Folder, Reach, peek
from jaxfer.data.reading.names import (
    SPLIT_COLUMNS,
    SPLIT_NAMES,
    UNKNOWN,
    Codes,
    OtherSplits,
    as_code,
    is_code,
    meanings,
    refuse_counted_apart,
    refuse_misspelled,
    refuse_splits,
    refuse_unknown,
    split_named,
)
from jaxfer.data.reading.parquet import BATCH, FaceFile, ImageReader, ParquetImage, open_file
from jaxfer.data.reading.record import (
    OTHER_CLASS,
    SPLITS,
    UNKNOWN_SPLIT,
    UNLABELLED,
    Layout,
    Match,
    ReadOptions,
    Record,
    Split,
    astray,
    by_split,
)
from jaxfer.emotions import AFFECTNET_8, from_word, plain
from jaxfer.errors import UserError
from jaxfer.files import MOST_LINES
from jaxfer.json_text import parse

AFFECTS = ("valence", "arousal")
"""Names of columns of numbers, in any case, that are read where they exist."""

MOST_SHARES = 1000
"""How many shares of classes a row may have."""

COLUMNS = ("label", "labels", "emotion", "expression")
"""Names of the column of labels, in any case; files with several are refused."""


class Label(NamedTuple):
    """The class of a row, why it has none, the detail, and its votes, as in a `jaxfer.data.reading.record.Record`."""

    label: str = ""
    left_out: str = ""
    detail: str = ""
    votes: tuple[float, ...] | None = None


@dataclass(frozen=True)
class LabelColumn:
    """A column of labels.

    Attributes:
        names: What its numbers are called, in order, None where they are words or the schema does not say.
        shares: Whether each row has a list of numbers, the share of each class, instead of one value.
    """

    column: str
    names: tuple[str, ...] | None
    shares: bool

    def named(self, values: Iterable[Any]) -> "LabelColumn":
        """Return the column with digits for names where it has shares of classes that the schema does not name.

        `values` are those of all rows: most of them have as many shares as there are classes.
        """
        if self.names is not None or not self.shares:
            return self
        lengths = Counter(len(value) for value in values if value)
        return replace(self, names=tuple(map(str, range(max(lengths, key=lambda length: lengths[length], default=0)))))

    def words(self, values: Iterable[Any]) -> set[str]:
        """Return what the classes are called that these values of the column may mean."""
        return {_word(value) for value in values} - {""} if self.names is None else set(self.names)

    def label(self, value: Any, meaning: Mapping[str, str]) -> Label:
        """Return the label of a row; `meaning` has the class of each of `words`, "" for those without expression."""
        if self.shares:
            return _largest(value, self.names or (), meaning)
        word = _named(value, self.names)
        if word not in meaning:
            return Label(left_out=UNLABELLED, detail=f"its label is {value!r:.44}")
        return Label(meaning[word]) if meaning[word] else Label(left_out=OTHER_CLASS, detail=word)


def label_columns(kinds: Mapping[str, Any]) -> list[str]:
    """Return those that may have the labels, by their names in any case, of columns of these types."""
    return [column for name in COLUMNS for column in kinds if column.lower() == name]


def label_column(kinds: Mapping[str, Any], metadata: Mapping[bytes, bytes]) -> LabelColumn | None:
    """Return the column of labels among columns of these types, `pyarrow.DataType`, or None.

    `metadata` is the schema's.
    """
    from pyarrow import types

    for column in label_columns(kinds):
        kind = kinds[column]
        if kind is None:
            continue
        if types.is_dictionary(kind):
            kind = kind.value_type
        if types.is_string(kind) or types.is_large_string(kind):
            return LabelColumn(column, None, False)
        if types.is_integer(kind) or types.is_floating(kind):
            return LabelColumn(column, _names(metadata, column), False)
        is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
        if is_list and types.is_floating(kind.value_type) and getattr(kind, "list_size", 1) <= MOST_SHARES:
            return LabelColumn(column, _names(metadata, column), True)
    return None


@dataclass(frozen=True)
class Shard:
    """A file of the data.

    Attributes:
        file: Its images.
        labels: Its column of labels.
        groups: That column, and those of `AFFECTS` that it has: for each row group one batch of rows or several.
        split: Its split.
        split_name: The data's own name of that.
        splits: The name of a column that says the split of each row, None where that is the file's.
    """

    file: FaceFile
    labels: LabelColumn
    groups: list[list[Any]]
    split: Split
    split_name: str
    splits: str | None

    def all_labels(self) -> Iterator[Any]:
        """Yield the label of each row, as the file has it."""
        return self.values(self.labels.column)

    def values(self, column: str) -> Iterator[Any]:
        """Yield what each row has in a column that was read."""
        for batch in chain.from_iterable(self.groups):
            yield from batch.column(column).to_pylist()

    def split_of(self, value: Any) -> tuple[Split | None, str]:
        """Return the split of a row, None where nobody knows, and what it says, given its value in `splits`."""
        if self.splits is None:
            return self.split, self.split_name
        name = _named(value, _names(self.file.metadata, self.splits))
        return split_named(name), name


def _find(folder: Folder, named: Collection[str] = ()) -> list[Match]:
    paths = _paths(folder, PEEK)
    alone = not folder.folders and len(folder.files) == len(paths) == 1
    fitting = next((path for path in paths if _fits(path, named, expected=alone or bool(_splits(path)))), None)
    if fitting is None:
        return []
    example = fitting.relative_to(folder.path).as_posix()
    return [Match(fitting if alone else folder.path, f"has images and labels in parquet, such as {example}")]


def _near(folder: Folder) -> dict[Path, str]:
    for path in _paths(folder, PEEK):
        try:
            file = open_file(path)
        except UserError:
            continue
        if file and not label_column(file.kinds, file.metadata):
            others = ", ".join(shown(name) for name in file.kinds if name != file.images) or "none"
            called = f"{', '.join(COLUMNS[:-1])} or {COLUMNS[-1]}"
            return {path: f"{path.name} has images, but no column of labels called {called}; its others are {others}"}
    return {}


def _read(place: Path, options: ReadOptions) -> Iterator[Record]:
    root = place.parent if place.is_file() else place
    within = options.within(place)
    if place.is_file():
        paths = [place]
    else:
        top = peek(place, None, within)
        paths = _paths(top, limit=None)
        refuse_misspelled(top)
        _refuse_unread(top, paths)
    for path in paths:
        if path != place:
            within.refuse_leaving(path)
    shards, rows = [], 0
    for path in paths:
        shards.append(_shard(path))
        rows += shards[-1].file.footer.num_rows
        if rows > MOST_LINES:
            raise UserError(f"{place} has more than {MOST_LINES:,} rows: move some of its files away")
    unnamed = next((shard for shard in shards if not (shard.splits or _splits(shard.file.path))), None)
    named = next((shard for shard in shards if _splits(shard.file.path)), None)
    if unnamed and named:
        raise UserError(
            f"{unnamed.file.path} is named after no split that jaxfer knows, and {named.file.path.name} is: rename it, "
            "or move it away"
        )
    shards.sort(key=lambda shard: SPLITS.index(shard.split))
    meaning = _meanings(place, shards, options)
    reader = ImageReader(root, within)
    records = chain.from_iterable(_records(shard, root, reader, meaning) for shard in shards)
    yield from by_split(records) if any(shard.splits for shard in shards) else records
    if place.is_dir():
        yield from _strays(place, within, shards)


def _strays(place: Path, within: Reach, shards: list[Shard]) -> Iterator[Record]:
    """Yield a record for each image beside the files that no row names."""
    beside = list(astray(place, within, ()))
    if not beside:
        return  # as nearly always: the paths that rows say need not be read
    named = {os.path.normpath(place / path) for shard in shards for path in shard.file.paths()}
    yield from (record for record in beside if os.path.normpath(place / record.name) not in named)


def _paths(folder: Folder, limit: int | None) -> list[Path]:
    """Return the parquet files in a folder and in those below it that are named by split, in natural order."""
    below = [peek(folder.path / name, limit) for name in folder.folders if name.lower() in SPLIT_NAMES]
    paths = [one.path / name for one in (folder, *below) for name in one.files if name.lower().endswith(".parquet")]
    return [path for path in paths if path.is_file()]


def _refuse_unread(folder: Folder, paths: list[Path]) -> None:
    """Refuse files in folders that are named after no split, beside others that are read."""
    for name in folder.folders:
        one = next((one for one in peek(folder.path / name).files if one.lower().endswith(".parquet")), None)
        if one and not any(path.parent == folder.path / name for path in paths):
            raise UserError(
                f"{folder.path / name / one} lies in a folder that is named after no split that jaxfer knows, and "
                f"{paths[0]} is read: rename the folder, or move it away"
            )


def _splits(path: Path) -> dict[str, Split]:
    """Return the words for splits in the name of a file, or else that of its folder, with what they mean."""
    words = [word for word in re.findall(r"[a-z]+", path.stem.lower()) if word in SPLIT_NAMES]
    return {word: SPLIT_NAMES[word] for word in words or [path.parent.name.lower()] if word in SPLIT_NAMES}


def _fits(path: Path, named: Collection[str], *, expected: bool) -> bool:
    """Return whether a file has labelled faces; only where it is `expected` to, errors are raised."""
    try:
        found = _open(path)
    except UserError:
        if expected:
            raise
        return False
    if found is None or found[1].names is None:
        return found is not None
    return any(from_word(name) or is_code(name) or plain(name) in named for name in found[1].names)


def _open(path: Path) -> tuple[FaceFile, LabelColumn] | None:
    """Return a file and its column of labels, None where it lacks either or images."""
    file = open_file(path)
    labels = label_column(file.kinds, file.metadata) if file else None
    return (file, labels) if file and labels else None


def _shard(path: Path) -> Shard:
    found, splits = _open(path), _splits(path)
    if found is None:
        raise UserError(f"{path} lacks the columns of images and labels that files beside it have: move it away")
    if len(set(splits.values())) > 1:
        raise UserError(f"{path} is named after several splits, {' and '.join(splits)}: rename it after one")
    name, split = next(iter(splits.items()), ("train", "train"))
    file, labels = found
    _refuse_several(file)
    affects = [column for column in file.kinds if column.lower() in AFFECTS and _is_floating(file.kinds[column])]
    columns = [one for one in file.kinds if one.lower() in SPLIT_COLUMNS and one != labels.column]
    if len(columns) > 1:
        raise UserError(f"{path} has several columns that may have the splits, {' and '.join(columns)}: keep one")
    column = columns[0] if columns else None
    groups = file.read([labels.column, *affects, *columns])
    shard = Shard(file, labels, groups, split, name, column)
    if column:
        said = {shard.split_of(value)[1] for value in set(shard.values(column))} - {""}
        refuse_splits(said, column, path)
        shard = replace(shard, splits=column if said else None)
    if not shard.splits:
        _refuse_other_splits(file, labels.column)
    return replace(shard, labels=labels.named(shard.all_labels()))


def _refuse_several(file: FaceFile) -> None:
    usable = [one for one in label_columns(file.kinds) if label_column({one: file.kinds[one]}, file.metadata)]
    if len(usable) > 1:
        raise UserError(
            f"{file.path} has several columns that may have the labels, {' and '.join(usable)}: take out or rename all "
            "but the one that counts"
        )


def _refuse_other_splits(file: FaceFile, labels: str) -> None:
    """Refuse a file of which a column that is not read says the split of each row.

    Raises:
        UserError: There is one, or the file is damaged.
    """
    names = {one: _names(file.metadata, one) for one in file.kinds if one not in (labels, file.images)}
    others = [one for one, kind in file.kinds.items() if one in names and (names[one] or _is_text(kind))]
    found = OtherSplits(names)
    for one in others:
        for word in dict.fromkeys(names[one] or _first_texts(file, one)):
            found.add(one, word)
    found.refuse(file.path, f"call it {SPLIT_COLUMNS[0]}, with train, val or test in it, or take it out")


def _first_texts(file: FaceFile, column: str) -> Iterator[str]:
    """Yield the texts in a column, up to one that is no split: captions of any length are not read to their end."""
    for group in range(file.footer.num_row_groups):
        for batch in file.batches(group, [column], BATCH):
            for value in batch.column(0).to_pylist():
                word = _word(value)
                yield word
                if word and not split_named(word):
                    return


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return types.is_string(kind) or types.is_large_string(kind)


def _is_floating(kind: Any) -> bool:
    from pyarrow import types

    return kind is not None and types.is_floating(kind)


def _meanings(place: Path, shards: list[Shard], options: ReadOptions) -> dict[str, str]:
    """Return the class that each word or digit for a class stands for, "" for those without an expression."""
    digits: set[str] = set()  # and -1, which says more beside them
    meaning: dict[str, str] = {}
    for shard in shards:
        if shard.labels.names and not shard.labels.shares:
            codes, where = Codes(), f"the column {shard.labels.column} of {shard.file.path}"
            for value, number in Counter(shard.all_labels()).items():
                if value is not None and value == value // 1:
                    codes.add(int(value), where, number)
            codes.refuse_shifted(len(shard.labels.names))
        words = shard.labels.words(shard.all_labels())
        digits |= {word for word in words if is_code(word) or word == UNKNOWN}
        words = {word for word in words if not (word.isdecimal() or word == UNKNOWN)}
        meaning |= meanings(words, options, place)
        place_of = f"in the column {shard.labels.column} of {shard.file.path}"
        refuse_unknown({f"the class {shown(word)} {place_of}": word for word in sorted(words)}, meaning)
    unnamed: defaultdict[str, set[str]] = defaultdict(set)
    for shard in shards:
        if not shard.labels.names:
            splits = shard.values(shard.splits) if shard.splits else repeat(None)
            for value, split in set(zip(shard.all_labels(), splits, strict=False)):
                unnamed[shard.split_of(split)[1]].add(_word(value))
    refuse_counted_apart(unnamed, options, place)
    return meaning | meanings(digits, options, place)


def _records(shard: Shard, root: Path, reader: ImageReader, meaning: dict[str, str]) -> Iterator[Record]:
    file = shard.file
    name = file.path.relative_to(root).as_posix()
    number = count()
    batches = ((group, batch) for group, of in enumerate(shard.groups) for batch in of)
    rows: Counter[int] = Counter()
    for group, batch in batches:
        columns = batch.to_pydict()
        affects = {name.lower(): values for name, values in columns.items() if name.lower() in AFFECTS}
        for row, value in enumerate(columns[shard.labels.column]):
            label = shard.labels.label(value, meaning)
            split, split_name = shard.split_of(columns[shard.splits][row] if shard.splits else None)
            if not (split or label.left_out):
                label = Label(left_out=UNKNOWN_SPLIT, detail=f"its {shard.splits} is {split_name!r:.44}")
            yield Record(
                name=f"{name} row {next(number)}",
                image=ParquetImage(reader, file, group, rows[group] + row),
                split=split,
                split_name=split_name if split else "",
                label=label.label,
                left_out=label.left_out,
                detail=label.detail,
                votes=label.votes,
                valence=_affect(affects, "valence", row),
                arousal=_affect(affects, "arousal", row),
            )
        rows[group] += batch.num_rows


def _affect(columns: dict[str, list[Any]], name: str, row: int) -> float:
    """Return valence or arousal, NaN where there is none or it is marked invalid."""
    value = columns[name][row] if name in columns else None
    return value if value is not None and -1 <= value <= 1 else math.nan


def _names(metadata: Mapping[bytes, bytes], column: str) -> tuple[str, ...] | None:
    """Return the names that Hugging Face's `ClassLabel` gives the numbers in a column.

    https://huggingface.co/docs/datasets/package_reference/main_classes#datasets.ClassLabel
    """
    try:
        feature = parse(metadata[b"huggingface"].decode(), "its schema")["info"]["features"][column]
        while feature.get("_type") != "ClassLabel":
            feature = feature["feature"]
        names = feature["names"]
    except (KeyError, TypeError, AttributeError, ValueError):
        return None
    is_list = isinstance(names, list) and names and all(isinstance(name, str) for name in names)
    return tuple(names) if is_list else None


def _word(value: Any) -> str:
    """Return a value of the column as a word, "" for those that say that there is no label."""
    if value is None or (isinstance(value, int | float) and not value >= 0):
        return UNKNOWN if value == -1 else ""
    return as_code(str(value).strip())


def _named(value: Any, names: tuple[str, ...] | None) -> str:
    """Return a value as a word where `names` says what its numbers are called, "" for those that it does not name."""
    word = _word(value)
    if names is None:
        return word
    return names[int(word)] if word.isdecimal() and int(word) < len(names) else ""


def _largest(values: Any, names: tuple[str, ...], meaning: Mapping[str, str]) -> Label:
    if values is None or len(values) != len(names) or not all(map(_is_share, values)) or not any(values):
        return Label(left_out=UNLABELLED, detail=f"its label is not {len(names)} shares")
    totals: Counter[str] = Counter()
    for name, value in zip(names, values, strict=True):
        totals[meaning.get(name) or f"no expression: {name}"] += value
    votes = tuple(float(totals[name]) for name in AFFECTNET_8)
    winners = [name for name, total in totals.items() if total == max(totals.values())]
    if len(winners) > 1:
        return Label(left_out=UNLABELLED, detail=f"{' and '.join(winners)} have equal shares", votes=votes)
    if winners[0] not in AFFECTNET_8:
        return Label(left_out=OTHER_CLASS, detail=winners[0], votes=votes)
    return Label(winners[0], votes=votes)


def _is_share(value: Any) -> bool:
    return value is not None and math.isfinite(value) and value >= 0


LAYOUT = Layout(
    "parquet",
    "parquet files with a column of images and one of labels",
    _find,
    _read,
    near=_near,
    find_named=_find,
)
