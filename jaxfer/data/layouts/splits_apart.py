"""Data whose validation or test split lies in a place of its own, in whatever layout: read as one data set.

Each of these places holds one split, whatever it calls that. The names of its records start with the name of what was
passed, so that they are not taken for others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from jaxfer.data.reading.record import Apart, Layout, Match, ReadOptions, Record, Split
from jaxfer.errors import UserError


def refuse_nesting(path: Path, others: dict[Split, Path]) -> None:
    """Refuse places of splits that lie in each other: the images of one would be those of the other, too.

    Args:
        path: Where the data lies.
        others: Where splits of it lie apart.

    Raises:
        UserError: Two are the same, or one lies in the other.
    """
    places: dict[str, Path] = {"data_dir": path, **{f"{split}_dir": other for split, other in others.items()}}
    for name, place in places.items():
        for other_name, other in places.items():
            if name != other_name and place.resolve().is_relative_to(other.resolve()):
                raise UserError(
                    f"{place} ({_flag(name)}) lies in {other} ({_flag(other_name)}), of which all is read: pass for "
                    f"{_flag(other_name)} the folder of its own images alone"
                )


def joined(layout: Layout, match: Match, apart: Sequence[Apart]) -> tuple[Layout, Match]:
    """Return the layout and the place of data of which splits lie apart.

    Args:
        layout: That of the rest of the data.
        match: Where that lies.
        apart: The splits.
    """
    evidence = "".join(
        f"; {one.split} is in {one.match.place}, which {one.match.evidence} ({one.layout.name})" for one in apart
    )
    notes = (*match.notes, *(note for one in apart for note in one.match.notes))
    read = partial(_read, layout=layout, apart=apart)
    return replace(layout, read=read), Match(match.place, match.evidence + evidence, notes, tuple(apart))


def alone(one: Apart) -> tuple[Layout, Match]:
    """Return the layout and the place of a split that lies apart, without the others."""
    return replace(one.layout, read=partial(_read, layout=None, apart=[one])), replace(one.match, parts=(one,))


def _read(place: Path, options: ReadOptions, *, layout: Layout | None, apart: Sequence[Apart]) -> Iterator[Record]:
    ahead = {one.split: _records(one, options) for one in apart}
    names = [record.name for records in ahead.values() for record in records]
    taken = set(names)
    if len(taken) < len(names):
        raise UserError(f"{' and '.join(str(one.passed) for one in apart)} have one name: rename one of them")
    # In the order of `SPLITS`.
    yield from ahead.pop("val", ())
    for record in layout.read(place, options) if layout else ():
        for one in apart:
            if record.split == one.split:
                raise UserError(
                    f"{place} has a {one.split} split of its own, {record.split_name!r}, besides {one.passed}: pass "
                    f"the folder of its training images alone, or leave out {_flag(f'{one.split}_dir')}"
                )
        if record.name in taken:
            raise UserError(f"{place} and another folder that was passed both have {record.name}: rename that folder")
        if record.split == "train":
            yield from ahead.pop("test", ())
        yield record
    yield from ahead.pop("test", ())


def _records(one: Apart, options: ReadOptions) -> list[Record]:
    """Return the records of a split that lies apart."""
    found = [*one.layout.read(one.match.place, options.apart(one.passed))]
    usable = [record for record in found if not record.left_out]
    if not usable:
        why = "; ".join(dict.fromkeys(record.left_out for record in found))
        raise UserError(f"{one.passed} ({_flag(f'{one.split}_dir')}) has no labelled image: {why or 'there is none'}")
    said = list(dict.fromkeys(record.split_name for record in usable))
    if len({record.split for record in usable}) > 1:
        raise UserError(
            f"{one.passed} ({_flag(f'{one.split}_dir')}) holds the splits {', '.join(said)}: pass a folder of one"
        )
    return [
        replace(
            record,
            name=f"{one.prefix}{record.name}",
            split=record.split and one.split,
            split_name=one.split if record.split else "",
        )
        for record in found
    ]


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
