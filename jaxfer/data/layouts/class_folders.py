"""Folders named by class: `<split>/<class>/<image>`, or `<class>/<image>`, which is training data.

Classes are words in any of the spellings that `jaxfer.emotions` knows, or those that the user declares, or digits. A
class folder without an image of its own may have a folder for each person or sequence, `<class>/<person>/<image>`. Two
other layouts, `labels_csv` and `esr`, have such folders but keep their labels elsewhere, and take precedence.
"""

from collections.abc import Collection, Iterator
from itertools import chain
from pathlib import Path

from jaxfer.data.layouts import esr, labels_csv
from jaxfer.data.reading.folder import PEEK, Folder, images, is_image, other_files, peek
from jaxfer.data.reading.names import (
    is_code,
    meanings,
    refuse_counted_apart,
    refuse_misspelled,
    refuse_unknown,
    split_named,
)
from jaxfer.data.reading.record import (
    NOT_IMAGE,
    OTHER_CLASS,
    SPLITS,
    UNLABELLED,
    Layout,
    Match,
    ReadOptions,
    Record,
    astray,
)
from jaxfer.emotions import from_word, plain
from jaxfer.errors import UserError

Classes = dict[str, tuple[str, ...]]
"""The names of the class folders in each split folder; the split is "" where there are no split folders."""


def _find(folder: Folder, named: Collection[str] = ()) -> list[Match]:
    classes = _classes(folder, PEEK)
    paths = [folder.path / split / name for split, names in classes.items() for name in names]
    words = [path for path in paths if from_word(path.name) or plain(path.name) in named]
    digits = [path for path in paths if is_code(path.name)]
    if not words and not (len(digits) >= 2 and 2 * len(digits) > len(paths)):
        return []
    if labels_csv.have_last_word(folder) or esr.LAYOUT.find(folder):
        return []
    example = (words or digits)[0].relative_to(folder.path).as_posix()
    return [Match(folder.path, f"has folders named by class, such as {example}")]


def unknown(folder: Folder) -> list[str]:
    """Return the names of the folders of images in a folder that is of this layout but for what they are called."""
    classes = _classes(folder, PEEK)
    names = dict.fromkeys(name for names in classes.values() for name in names)
    held = [
        any(map(is_image, peek(folder.path / split / name).files)) for split, names in classes.items() for name in names
    ]
    return list(names) if len(names) > 1 and all(held) else []


def _read(place: Path, options: ReadOptions) -> Iterator[Record]:
    within = options.within(place)
    top = peek(place, None, within)
    labels_csv.refuse_unknown(top)
    classes = _classes(top, limit=None)
    if "" not in classes:
        refuse_misspelled(top)
        _refuse_other_splits(top, classes)
    paths = {name: place / split / name for split, names in classes.items() for name in names}
    refuse_counted_apart(classes, options, place)
    meaning = meanings(paths, options, place)
    refuse_unknown({str(path): name for name, path in paths.items()}, meaning)
    read: set[Path] = set()
    for split, names in classes.items():
        for name in names:
            class_folder = place / split / name
            found = [*images(class_folder, within)]
            inner = [] if found else _inner(class_folder)
            read |= {class_folder, *inner}
            for path, link in chain(found, *(images(folder, within) for folder in inner)):
                yield Record(
                    name=path.relative_to(place).as_posix(),
                    image=path,
                    split=split_named(split) or "train",
                    split_name=split or "train",
                    label=meaning[name],
                    left_out=link or ("" if meaning[name] else OTHER_CLASS),
                )
            for path in chain.from_iterable(other_files(folder, within) for folder in (class_folder, *inner)):
                yield Record(name=path.relative_to(place).as_posix(), image=path, split=None, left_out=NOT_IMAGE)
    yield from astray(place, within, read, reason=UNLABELLED, detail="it is not directly in a class folder")


def _refuse_other_splits(folder: Folder, classes: Classes) -> None:
    """Refuse a folder beside splits that has the same classes, but a name which says no split.

    Raises:
        UserError: There is one.
    """
    known = {name.strip().lower() for names in classes.values() for name in names}
    for name in folder.folders:
        inner = [one.strip().lower() for one in peek(folder.path / name).folders] if name not in classes else []
        if len(inner) > 1 and known.issuperset(inner):
            raise UserError(
                f"{folder.path / name} has classes as {folder.path / next(iter(classes))} has, but its name says no "
                "split that jaxfer knows: rename it, take it out of the data, or pass the folder of each split by "
                "itself (--val-dir, --test-dir)"
            )


def _inner(class_folder: Path) -> list[Path]:
    """Return the folders of persons or sequences in that of a class.

    A folder that is named as a class or a split could mean anything there.
    """
    names = peek(class_folder, limit=None).folders
    return [class_folder / name for name in names if not (from_word(name) or split_named(name))]


def _classes(folder: Folder, limit: int | None) -> Classes:
    splits = [(SPLITS.index(split), name) for name in folder.folders if (split := split_named(name))]
    ordered = [name for _, name in sorted(splits, key=lambda item: item[0])]
    found = {name: peek(folder.path / name, limit).folders for name in ordered}
    beside = tuple(name for name in folder.folders if name not in found)
    if not any(found.values()):
        return {"": beside}
    if any(split == "train" for split in map(split_named, found)) or not any(map(from_word, beside)):
        return found
    return found | {"": beside}  # classes beside a test split, which are its training images


LAYOUT = Layout(
    "class folders", "<split>/<class>/ or <class>/, classes as words or digits", _find, _read, find_named=_find
)
