"""Parquet files as Hugging Face exports them: a face a row, with a column of encoded images and one of labels.

    data/train-00000-of-00002.parquet   data/train-00001-of-00002.parquet   data/validation-00000-of-00001.parquet
    default/train/0000.parquet          default/validation/0000.parquet     default/test/0000.parquet

Images are structs of `bytes` and `path`, or bytes alone; the path counts where there are no bytes. Labels are words,
numbers with names in the schema's metadata or a declared label order, or lists with the share of each class.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from jaxfer.data.layouts.folder import PEEK, Folder, leaves, peek
from jaxfer.data.layouts.names import SPLIT_NAMES, is_code, meanings, unknown
from jaxfer.data.layouts.parquet.file import FaceFile, label_groups, open_faces
from jaxfer.data.layouts.parquet.images import ImageReader, ParquetImage
from jaxfer.data.layouts.record import SPLITS, Layout, Match, ReadOptions, Record, Split
from jaxfer.emotions import from_word
from jaxfer.errors import UserError

SPLIT_WORDS: dict[str, Split] = {**SPLIT_NAMES, "dev": "val", "eval": "test", "evaluation": "test"}
"""Words that mean splits, as in https://huggingface.co/docs/hub/datasets-file-names-and-splits."""


@dataclass(frozen=True)
class Shard:
    """A file of the data, its split, and the data's own name of that."""

    file: FaceFile
    split: Split
    split_name: str


def _find(folder: Folder) -> list[Match]:
    paths = _paths(folder, PEEK)
    alone = not folder.folders and len(folder.files) == len(paths) == 1
    fitting = next((path for path in paths if _fits(path, expected=alone or bool(_splits(path)))), None)
    if fitting is None:
        return []
    example = fitting.relative_to(folder.path).as_posix()
    return [Match(fitting if alone else folder.path, f"has images and labels in parquet, such as {example}")]


def _read(place: Path, options: ReadOptions) -> Iterator[Record]:
    root = place.parent if place.is_file() else place
    paths = [place] if place.is_file() else _paths(peek(place, limit=None), limit=None)
    for path in paths:
        if path != place and leaves(path, place):
            raise UserError(f"{path} is a link out of {place}, which jaxfer does not follow: put the file itself there")
    shards = sorted(map(_shard, paths), key=lambda shard: SPLITS.index(shard.split))
    meaning = _meanings(place, shards, options.label_order)
    reader = ImageReader(root)
    for shard in shards:
        yield from _records(shard, root, reader, meaning)


def _paths(folder: Folder, limit: int | None) -> list[Path]:
    """Return the parquet files in a folder and in those below it that are named by split, in natural order."""
    below = [peek(folder.path / name, limit) for name in folder.folders if name.lower() in SPLIT_WORDS]
    paths = [one.path / name for one in (folder, *below) for name in one.files if name.lower().endswith(".parquet")]
    return [path for path in paths if path.is_file()]


def _splits(path: Path) -> dict[str, Split]:
    """Return the words for splits in the name of a file, or else that of its folder, with what they mean."""
    words = [word for word in re.findall(r"[a-z]+", path.stem.lower()) if word in SPLIT_WORDS]
    return {word: SPLIT_WORDS[word] for word in words or [path.parent.name.lower()] if word in SPLIT_WORDS}


def _fits(path: Path, expected: bool) -> bool:
    """Return whether a file has labelled faces; only where it is `expected` to, errors are raised."""
    try:
        file = open_faces(path)
    except UserError:
        if expected:
            raise
        return False
    if file is None or file.labels.names is None:
        return file is not None
    return any(from_word(name) or is_code(name) for name in file.labels.names)


def _shard(path: Path) -> Shard:
    file, splits = open_faces(path), _splits(path)
    if file is None:
        raise UserError(f"{path} lacks the columns of images and labels that files beside it have: move it away")
    if len(set(splits.values())) > 1:
        raise UserError(f"{path} is named after several splits, {' and '.join(splits)}: rename it after one")
    name, split = next(iter(splits.items()), ("train", "train"))
    labels = (label for group in label_groups(file) for label in group[file.labels.column])
    return Shard(replace(file, labels=file.labels.named(labels)), split, name)


def _meanings(place: Path, shards: list[Shard], order: str | None) -> dict[str, str]:
    """Return the class that each word or digit for a class stands for, "" for those without an expression."""
    digits: set[str] = set()
    meaning: dict[str, str] = {}
    for file in (shard.file for shard in shards):
        labels = (label for group in label_groups(file) for label in group[file.labels.column])
        words = file.labels.words(labels)
        digits |= {word for word in words if is_code(word)}
        words = {word for word in words if not word.isdecimal()}
        meaning |= meanings(words, None, place)
        for word in sorted(words - set(meaning)):
            raise unknown(f"the class {word!r} in the column {file.labels.column} of {file.path}", word)
    return meaning | meanings(digits, order, place)


def _records(shard: Shard, root: Path, reader: ImageReader, meaning: dict[str, str]) -> Iterator[Record]:
    file = shard.file
    name = file.path.relative_to(root).as_posix()
    number = count()
    for group, columns in enumerate(label_groups(file)):
        for row, value in enumerate(columns[file.labels.column]):
            label = file.labels.label(value, meaning)
            yield Record(
                name=f"{name} row {next(number)}",
                image=ParquetImage(reader, file, group, row),
                split=shard.split,
                split_name=shard.split_name,
                label=label.label,
                left_out=label.left_out,
                detail=label.detail,
                votes=label.votes,
                valence=_affect(columns, "valence", row),
                arousal=_affect(columns, "arousal", row),
            )


def _affect(columns: dict[str, list[Any]], name: str, row: int) -> float:
    """Return valence or arousal, NaN where there is none or it is marked invalid."""
    value = columns[name][row] if name in columns else None
    return value if value is not None and -1 <= value <= 1 else math.nan


LAYOUT = Layout("parquet", "parquet files with a column of images and one of labels", _find, _read)
