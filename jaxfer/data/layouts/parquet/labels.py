"""The labels in parquet files: words, numbers that the schema names, or shares of each class."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from jaxfer.data.layouts.record import OTHER_CLASS, UNLABELLED
from jaxfer.emotions import AFFECTNET_8

COLUMNS = ("label", "labels", "emotion", "expression")
"""Names of the column of labels; where there are several, the first of these counts."""


class Label(NamedTuple):
    """The class of a row, why it has none, the detail, and its votes, as in a `jaxfer.data.layouts.record.Record`."""

    label: str = ""
    left_out: str = ""
    detail: str = ""
    votes: tuple[float, ...] | None = None


@dataclass(frozen=True)
class LabelColumn:
    """A column of labels.

    names: what its numbers are called, in order, None where they are words or the schema does not say.
    shares: whether each row has a list of numbers, the share of each class, instead of one value.
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
        word = _word(value)
        if self.names is not None:
            word = self.names[value] if isinstance(value, int) and value in range(len(self.names)) else ""
        if word not in meaning:
            return Label(left_out=UNLABELLED, detail=f"its label is {value!r}")
        return Label(meaning[word]) if meaning[word] else Label(left_out=OTHER_CLASS, detail=word)


def label_column(kinds: Mapping[str, Any], metadata: Mapping[bytes, bytes]) -> LabelColumn | None:
    """Return the column of labels among columns of these types, `pyarrow.DataType`, or None.

    `metadata` is the schema's.
    """
    from pyarrow import types

    for column in COLUMNS:
        kind = kinds.get(column)
        if kind is None:
            continue
        if types.is_dictionary(kind):
            kind = kind.value_type
        if types.is_string(kind) or types.is_large_string(kind):
            return LabelColumn(column, None, False)
        if types.is_integer(kind):
            return LabelColumn(column, _names(metadata, column), False)
        is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
        if is_list and types.is_floating(kind.value_type):
            return LabelColumn(column, _names(metadata, column), True)
    return None


def _names(metadata: Mapping[bytes, bytes], column: str) -> tuple[str, ...] | None:
    """Return the names that Hugging Face's `ClassLabel` gives the numbers in a column.

    https://huggingface.co/docs/datasets/package_reference/main_classes#datasets.ClassLabel
    """
    try:
        feature = json.loads(metadata[b"huggingface"])["info"]["features"][column]
        while feature.get("_type") != "ClassLabel":
            feature = feature["feature"]
        names = feature["names"]
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        return None
    is_list = isinstance(names, list) and names and all(isinstance(name, str) for name in names)
    return tuple(names) if is_list else None


def _word(value: Any) -> str:
    """Return a value of the column as a word, "" for those that say that there is no label."""
    return "" if value is None or (isinstance(value, int) and value < 0) else str(value).strip()


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
