"""Images with their labels in tables: the Kaggle copy `noamsegal/affectnet-training-data` of AffectNet, and any other.

    labels.csv      columns pth and label, among others, such as: 6,anger/image0000006.jpg,sad,0.79
    <word>/<image>

Folders named by class are another labelling: where the two disagree the table counts, and the record says so. Labels
are words, or digits whose order the user declares.

A table lies in the folder of the data or in one below it; several are one data set where each is of a split. What is
of which split says the table's column; or else the name of the table, or of its folder, where there are several; or
else a path that starts with the name of a split; or else the names of all images, where each begins with one, as
RAF-DB's do; or the table's own name. All else is training data.

Where several rows for one file agree, the first counts; where they do not, none does.
"""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from jaxfer.data.layouts.labels_csv.placing import PlacedImages, Placing, place
from jaxfer.data.layouts.labels_csv.table import (
    IMAGES,
    LABELS,
    NAME,
    SUFFIXES,
    Columns,
    Row,
    labels_table,
    named_table,
    paths_of,
    refuse_other_splits,
    rows_of,
)
from jaxfer.data.reading.affectnet_values import shown
from jaxfer.data.reading.folder import PEEK, Folder, Reach, is_image, leaves, natural, peek
from jaxfer.data.reading.image_tree import ImageTree
from jaxfer.data.reading.names import meanings, refuse_counted_apart, refuse_splits, split_named
from jaxfer.data.reading.record import (
    OTHER_CLASS,
    SPLITS,
    UNKNOWN_SPLIT,
    UNLABELLED,
    UNREADABLE,
    Kind,
    Layout,
    Match,
    ReadOptions,
    Record,
    Split,
)
from jaxfer.data.reading.table import Table, first_line
from jaxfer.emotions import from_word
from jaxfer.errors import UserError

PEEKED = 8
"""How many folders are looked into for images."""

LOOKED_AT = 200
"""About how many rows, spread over a table, are looked at to tell whether it belongs to the files beside it."""


@dataclass(frozen=True)
class Source:
    """A table of images and labels.

    Attributes:
        table: The table.
        root: The folder of the data.
        within: How far links are followed.
    """

    table: Table[Columns]
    root: Path
    within: Reach

    @cached_property
    def found(self) -> Placing | str:
        """How the paths of the table lead to the images there, or as a clause why they do not."""
        paths = [*paths_of(self.table)]
        beside = self.name.rpartition("/")[0]
        return place(
            paths[:: 1 + len(paths) // LOOKED_AT], self.root, self.within, beside, split_named(self.split_name)
        )

    @property
    def placing(self) -> Placing | None:
        """The former, None where the paths lead nowhere."""
        return self.found if isinstance(self.found, Placing) else None

    @property
    def path(self) -> Path:
        """The file."""
        return self.table.path

    @property
    def name(self) -> str:
        """The file's path in the data."""
        return _name(self.path, self.root)

    @property
    def split_name(self) -> str:
        """The name, of the file or its folder, that says a split; "" where neither does."""
        beside = self.path.parent
        names = (self.path.stem, beside.name if beside != self.root and beside.is_relative_to(self.root) else "")
        return next((name for name in names if split_named(name)), "")

    @property
    def is_apart(self) -> bool:
        """Whether the table and its images lie in a folder of their own, below the data's."""
        beside = self.path.parent
        return beside != self.root and Source(self.table, beside, self.within).placing is not None


class Entry(NamedTuple):
    """A row, and the split that it is of: None, and what it says instead, where nobody knows."""

    row: Row
    split: Split | None
    split_name: str


class File(NamedTuple):
    """A file that rows name: why it cannot be used, or "", the detail, and those rows."""

    reason: str
    detail: str
    entries: list[Entry]


def _near(folder: Folder) -> dict[Path, str]:
    if _is_alone(folder) and _find_alone(folder):
        return {}
    return {
        source.path: f"{source.name} is not used: {source.found}"
        for source in _sources(folder)
        if not source.placing and not source.is_apart
    }


def have_last_word(folder: Folder) -> bool:
    """Return whether tables, and not the names of folders, say the labels in a folder.

    One that is called `labels.csv` does; others where they name more than half of the images.
    """
    sources = [source for source in _sources(folder) if source.placing]
    if not sources or any(source.path.name.lower() == NAME for source in sources):
        return bool(sources)
    rows = sum(1 for source in sources for _ in paths_of(source.table))
    return 2 * rows > sum(1 for _ in ImageTree(folder.path, folder.path, folder.within).images())


def refuse_unknown(folder: Folder) -> None:
    """Refuse a `labels.csv` of which nobody can tell what it says.

    Raises:
        UserError: The folder has one that is not empty, but its columns are not known, or none of its lines has as many
            values.
    """
    for name in folder.files:
        path = folder.path / name
        if name.lower() != NAME or not path.is_file() or leaves(path, folder.within) or not path.stat().st_size:
            continue
        table = labels_table(path)
        line = next((line for line in table.lines() if line.number > table.begins), None) if table else None
        if table and line and line.problem and not any(paths_of(table)):
            raise UserError(
                f"no line of {path} has the values that its columns ask for (line {line.number}: {line.problem}), so "
                "that nobody can tell what it says of the images: correct it, or move it out of the data"
            )
        if not table:
            raise UserError(
                f"{path} has no columns pth and label, so that nobody can tell whether its labels count or the names "
                f"of the folders: name its columns, that of the images {', '.join(IMAGES[:-1])} or {IMAGES[-1]}, that "
                f"of the labels {', '.join(LABELS[:-1])} or {LABELS[-1]}, or move it out of the data"
            )


def unknown(folder: Folder) -> str:
    """Return what is missing in a folder that has images, and a table of which nobody can tell what it says, or ""."""
    names = [name for name in folder.files if name.lower().endswith((*SUFFIXES, ".txt")) and not name.startswith(".")]
    has_images = any(map(is_image, folder.files)) or any(
        any(map(is_image, peek(folder.path / name).files)) for name in folder.folders[:PEEKED]
    )
    paths = [folder.path / name for name in names if has_images and not leaves(folder.path / name, folder.within)]
    for path in paths:
        known = path.suffix.lower() in SUFFIXES and labels_table(path)  # of which `_near` says more
        begin = "" if known else first_line(path)
        if begin:
            return (
                f"{path.name} begins with {begin!r:.80}: if it says the labels of the images, have commas, semicolons "
                f"or tabs between its values, and say which they are (--table {path} --image-column NAME "
                "--label-column NAME, by their numbers from 1 where no line names them)"
            )
    return ""


def _find(folder: Folder) -> list[Match]:
    if _is_alone(folder):
        return _find_alone(folder)
    found = [source for source in _sources(folder) if source.placing]
    if len(found) == 1 or not all(source.split_name for source in found):
        found = [source for source in found if not source.is_apart]
    elif found:
        return [_match(folder.path, found)]
    return [_match(folder.path, found)] if len(found) == 1 else [_match(source.path, [source]) for source in found]


def _is_alone(folder: Folder) -> bool:
    return len(folder.files) == 1 and not folder.folders


def _find_alone(folder: Folder) -> list[Match]:
    """Return what is found where a table was passed by itself: the folder that it describes, or the table."""
    own = _sources(folder)
    if not own:  # what lies above is looked at for tables alone: it may be anything
        return []
    for root in (folder.path, folder.path.parent):
        try:
            sources = _sources(peek(root, within=folder.within_of(root)))
            mine = [source for source in sources if source.path == own[0].path]
            others = [source for source in sources if source.path != own[0].path]
            # The others are asked last: each may have to look at all that lies there.
            if any(source.placing for source in mine) and not any(source.placing for source in others):
                return [_match(root, mine)]
        except UserError:  # what lies above may be anything
            continue
    return [_match(source.path, [source]) for source in own if source.placing]


def _match(place: Path, sources: list[Source]) -> Match:
    return Match(place, f"has paths and labels of images in {' and '.join(source.name for source in sources)}")


def _sources(folder: Folder) -> list[Source]:
    """Return the tables of images and labels in a folder and directly below it."""
    paths = [folder.path / name for name in folder.files if _may_be_table(name)]
    for below in folder.folders:
        paths += _tables_in(folder.path / below)
    paths = [path for path in paths if path.is_file() and not leaves(path, folder.within)]
    return [Source(table, folder.path, folder.within) for table in map(labels_table, paths) if table]


def _tables_in(folder: Path) -> list[Path]:
    """Return what may be tables among the first files in a folder; where it may not be read, others will say so."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, PEEK) if _may_be_table(entry.name)]
    except OSError:
        return []
    return [folder / name for name in sorted(names, key=natural)]


def _may_be_table(name: str) -> bool:
    return not name.startswith(".") and (name.lower().endswith(SUFFIXES) or "." not in name)


def match_of(path: Path, options: ReadOptions) -> Match:
    """Return what the table that the options name says of the images in a folder.

    Raises:
        UserError: It has no such columns, may not be read, or names no image there.
    """
    root = path.parent if path.is_file() else path
    source = _named(root, options)
    if not source.placing:
        raise UserError(
            f"{source.path} names images, but not those in {root}: {source.found}; pass the folder that has them"
        )
    return _match(root, [source])


def _named(root: Path, options: ReadOptions) -> Source:
    assert options.table
    if not options.table.exists():
        beside = root / options.table
        advice = f"{beside}, which does" if beside.exists() else "the path of the table from where you are"
        raise UserError(f"the table {options.table} (--table) does not exist: pass {advice}")
    return Source(named_table(options.table, options.image_column, options.label_column), root, options.within(root))


def _read(place: Path, options: ReadOptions) -> Iterator[Record]:
    root = place.parent if place.is_file() else place
    within = options.within(place)
    if options.table:
        found = [_named(root, options)]
    else:
        found = _sources(Folder(root, (), (place.name,), within) if place.is_file() else peek(place, None, within))
    sources = [(source, source.placing) for source in found if source.placing]
    if not sources:
        raise UserError(f"{place} has no table of its images and labels any more: it was changed while it was read")
    tree = ImageTree(root, root, within)
    files: dict[str, File] = {}
    for source, placing in sources:
        images = PlacedImages(tree, placing)
        rows = [*rows_of(source.table)]
        split_of = _splits(source, rows, alone=len(sources) == 1)
        for row in rows:
            name, reason, detail = ("", UNREADABLE, row.problem) if row.problem else images.find(row.path)
            if name:
                files.setdefault(name, File(reason, detail, [])).entries.append(Entry(row, *split_of(name, row)))
            else:
                yield Record(name=_line(root, row), image=source.path, split=None, left_out=reason, detail=detail)
    words: defaultdict[str, set[str]] = defaultdict(set)
    for entry in chain.from_iterable(file.entries for file in files.values()):
        words[entry.split_name].add(entry.row.label)
    said_by = sources[0][0].path if len(sources) == 1 else root
    refuse_counted_apart(words, options, said_by)
    meaning = meanings(set().union(*words.values()), options, said_by)
    names = sorted(files, key=natural)
    for split in (*SPLITS, None):
        for name in names:
            if files[name].entries[0].split == split:
                yield from _records(root, name, files[name], meaning)
    for name, reason in tree.unlisted(files, [source.path for source, _ in sources]):
        yield Record(name=name, image=root / name, split=None, left_out=reason)


def _splits(source: Source, rows: list[Row], *, alone: bool) -> Callable[[str, Row], tuple[Split | None, str]]:
    """Return what tells the split of a row, given its file's name, and what the data calls that."""
    column = next(iter(source.table.form.splits), "")
    by_name = _named_by_split(rows)
    said = {row.split for row in rows} - {""}
    refuse_splits(said, column, source.path)
    if not said:
        refuse_other_splits(source.table)

    def split_of(name: str, row: Row) -> tuple[Split | None, str]:
        if said:
            return split_named(row.split), row.split
        own, folder = source.split_name, name.partition("/")[0] if "/" in name else ""
        file = _first_word(row) if by_name else ""
        found = next((one for one in ("" if alone else own, folder, file, own) if split_named(one)), "train")
        return split_named(found), found

    return split_of


def _named_by_split(rows: list[Row]) -> bool:
    """Return whether the names of all images begin with that of a split, and not all with the same, as RAF-DB's do."""
    words = {_first_word(row) for row in rows if not row.problem}
    return len(words) > 1 and all(map(split_named, words))


def _first_word(row: Row) -> str:
    match = re.match("[a-z]+", PurePosixPath(row.path.replace("\\", "/")).name.lower())
    return match[0] if match else ""


def _records(root: Path, name: str, file: File, meaning: dict[str, str]) -> Iterator[Record]:
    """Yield a record for a file and its first row, and one for each further row."""
    (first, split, split_name), *others = file.entries
    label, reason, detail = ("", file.reason, file.detail) if file.reason else _label(file.entries, meaning)
    record = Record(name=name, image=root / name, split=split, split_name=split_name if split else "")
    remarks = _conflict(first.table, name, label, meaning)
    yield replace(record, label=label, left_out=reason, detail=detail, remarks=remarks)
    for row, *_ in others:
        why = detail or f"it names {shown(row.path)} again, as {_where(first, row)} does"
        yield replace(record, name=_line(root, row), left_out=reason or UNLABELLED, detail=why)


def _label(entries: list[Entry], meaning: dict[str, str]) -> tuple[str, str, str]:
    """Return the class that rows give a file, or "", then the reason to leave it out and the detail, or "" twice."""
    first, split, split_name = entries[0]
    if len({meaning.get(row.label, row.label) for row, *_ in entries}) > 1:
        said = ", ".join(f"{_where(row, first)} says {shown(row.label)}" for row, *_ in entries[:5])
        return "", UNLABELLED, f"its lines disagree: {said}"
    if len({other for _, other, _ in entries}) > 1:
        said = ", ".join(f"{_where(row, first)} says {shown(own)}" for row, _, own in entries[:5])
        return "", UNKNOWN_SPLIT, f"its lines disagree: {said}"
    if first.label not in meaning:
        return "", UNLABELLED, f"line {first.line} says {shown(first.label)}, which is no expression"
    if not split:
        return "", UNKNOWN_SPLIT, f"line {first.line} says {shown(split_name)}, which is no split"
    return meaning[first.label], "" if meaning[first.label] else OTHER_CLASS, ""


def _conflict(table: Path, name: str, label: str, meaning: dict[str, str]) -> tuple[tuple[Kind, str], ...]:
    """Return the remark that the file's folder is named after another class than its row, if that is so."""
    folder = Path(name).parent.name
    other = from_word(folder) or meaning.get(folder)
    if label and other and other != label:
        return (("label_conflict", f"{table.name} says {label}, its folder {other}"),)
    return ()


def _line(root: Path, row: Row) -> str:
    return f"{_name(row.table, root)} line {row.line}"


def _name(table: Path, root: Path) -> str:
    """Return a table's path in the data, or its name where it lies elsewhere."""
    return table.relative_to(root).as_posix() if table.is_relative_to(root) else table.name


def _where(row: Row, other: Row) -> str:
    """Return which line a row is, with its table where that is not the one of another row."""
    return f"line {row.line}" if row.table == other.table else f"{row.table.name} line {row.line}"


LAYOUT = Layout(
    "labels.csv",
    f"{NAME}, or another table, with columns such as pth or image and label or emotion, and the images it names",
    _find,
    _read,
    near=_near,
)
