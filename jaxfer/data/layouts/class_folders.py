"""Folders named by class: `<split>/<class>/<image>`, or `<class>/<image>`, which is all training data.

Classes are words in any of the spellings that `jaxfer.emotions` knows, or digits whose order the user declares.
"""

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path

from jaxfer.data.layouts.folder import PEEK, Folder, images, peek
from jaxfer.data.layouts.record import OTHER_CLASS, SPLITS, Layout, Match, ReadOptions, Record, Split
from jaxfer.emotions import AFFECTNET_8, LABEL_ORDERS, SPELLINGS, from_word, label_order
from jaxfer.errors import UserError

SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Names of split folders, in lower case."""

OTHER_WORDS = frozenset({"none", "uncertain", "unknown", "no face", "no_face", "no-face", "noface", "non-face"})
"""Names of folders, in lower case, for faces without an expression; they are left out."""

LAST_CODE = 10
"""AffectNet's last code, no face."""


Classes = dict[str, tuple[str, ...]]
"""The names of the class folders in each split folder; the split is "" where there are no split folders."""


def _find(folder: Folder) -> list[Match]:
    classes = _classes(folder, PEEK)
    paths = [folder.path / split / name for split, names in classes.items() for name in names]
    words = [path for path in paths if from_word(path.name)]
    digits = [path for path in paths if path.name.isdecimal() and int(path.name) <= LAST_CODE]
    if not words and not (len(digits) >= 2 and 2 * len(digits) > len(paths)):
        return []
    example = (words or digits)[0].relative_to(folder.path)
    return [Match(folder.path, f"has folders named by class, such as {example.as_posix()}")]


def _read(place: Path, options: ReadOptions) -> Iterator[Record]:
    classes = _classes(peek(place, limit=None), limit=None)
    meanings = _meanings(place, classes, options.label_order)
    for split_name, names in classes.items():
        for name in names:
            for path, link in images(place / split_name / name, place):
                yield Record(
                    name=path.relative_to(place).as_posix(),
                    image=path,
                    split=_split(split_name),
                    split_name=split_name or "train",
                    label=meanings[name],
                    left_out=link or ("" if meanings[name] else OTHER_CLASS),
                )


def _classes(folder: Folder, limit: int | None) -> Classes:
    splits = [name for name in folder.folders if name.lower() in SPLIT_NAMES]
    if not splits:
        return {"": folder.folders}
    splits.sort(key=lambda name: SPLITS.index(_split(name)))
    return {name: peek(folder.path / name, limit).folders for name in splits}


def _split(name: str) -> Split:
    return SPLIT_NAMES.get(name.lower(), "train")


def _meanings(place: Path, classes: Classes, order: str | None) -> dict[str, str]:
    """Return the class that each folder name stands for, empty for those without an expression."""
    paths = {name: place / split / name for split, names in classes.items() for name in names}
    words = any(map(from_word, paths))
    for name, path in paths.items():
        if not (from_word(name) or name.lower() in OTHER_WORDS if words else name.isdecimal()):
            raise UserError(_unknown(path))
    return {name: from_word(name) or "" for name in paths} if words else _from_digits(place, paths, order)


def _unknown(path: Path) -> str:
    spellings = [word for words in SPELLINGS.values() for word in words]
    close = difflib.get_close_matches(path.name.lower(), spellings, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return (
        f"{path} is named after no expression that jaxfer knows{hint} "
        f"Name it {', '.join(AFFECTNET_8[:-1])} or {AFFECTNET_8[-1]}, or move it out of the data."
    )


def _from_digits(place: Path, names: Iterable[str], order: str | None) -> dict[str, str]:
    codes = {name: int(name) for name in names}
    present = set(codes.values())
    first = 1 if present in ({*range(1, 8)}, {*range(1, 9)}) else 0
    choices = _choices(max(present) + 1 - first)
    if order not in choices:
        what = (
            f"{place} names its classes by digits, which carry no order of their own"
            if order is None
            else f"the label order {order!r} does not fit the folders {min(present)} to {max(present)} in {place}"
        )
        shown = "".join(
            f"\n  {name}: " + ", ".join(f"{code} {word}" for code, word in enumerate(words, start=first))
            for name, words in choices.items()
        )
        raise UserError(f"{what}. Declare what they mean with label_order (--label-order), one of:{shown}")
    meaning = dict(enumerate(choices[order], start=first))
    return {name: meaning.get(code, "") for name, code in codes.items()}


def _choices(count: int) -> dict[str, tuple[str, ...]]:
    """Return each label order that so many codes can follow, with its classes."""
    count = max(count, 7)
    return {
        # Codes 8 to 10, for faces without an expression, exist in AffectNet's order only.
        name: label_order(name, min(count, 8) if name == "affectnet" else count)
        for name, order in LABEL_ORDERS.items()
        if count <= len(order) or name == "affectnet"
    }


LAYOUT = Layout("class folders", "<split>/<class>/ or <class>/, classes as words or digits", _find, _read)
