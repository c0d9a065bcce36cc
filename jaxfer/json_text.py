"""JSON that jaxfer reads, which may be damaged or made to do damage: parsed within bounds, and of a known form."""

import json
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from jaxfer.errors import UserError
from jaxfer.files import read_bytes

MOST_BYTES = 2**28
"""Most bytes of a file: the confusions and curves of a thousand classes and epochs take a hundredth of it."""

MOST_VALUES = 2**23
"""Most values of a file, for which Python takes less than a GB: a thousand classes are confused in a million ways."""

LARGEST = 2**53
"""Whole numbers are smaller, as everywhere that JSON has its numbers from: no number of steps or images is larger."""


def read(path: Path, wanted: Any = object, advice: str = "copy it again") -> Any:
    """Return the value that a file holds.

    Args:
        path: The file.
        wanted: As for `check`.
        advice: What to do where it is damaged, as the end of a sentence.

    Raises:
        UserError: `read_text` refuses the file, or `parse` its text.
    """
    return parse(read_text(path, advice), str(path), wanted, advice)


def read_text(path: Path, advice: str = "copy it again", errors: str = "strict") -> str:
    """Return the text of a file of JSON, or of lines of it.

    Args:
        path: The file.
        advice: As for `read`.
        errors: What becomes of bytes that are no UTF-8, as for `bytes.decode`.

    Raises:
        UserError: It cannot be read, is larger than `MOST_BYTES`, or is no text.
    """
    try:
        return read_bytes(path, MOST_BYTES).decode("utf-8-sig", errors)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): {advice}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is damaged: it is not text; {advice}") from error


def parse(text: str, where: str, wanted: Any = object, advice: str = "copy it again") -> Any:
    """Return the value of a text. Numbers that are none (NaN, infinity) are floats.

    Args:
        text: The text.
        where: What errors call it, such as its file.
        wanted: As for `check`.
        advice: As for `read`.

    Raises:
        UserError: It is not JSON, nested too deep, or has numbers of thousands of digits or more than `MOST_VALUES`; or
            `check` refuses its value.

    >>> parse('{"epoch": 3}', "a line", {"epoch": int})
    {'epoch': 3}
    """
    if len(text) > MOST_VALUES and sum(map(text.count, ",[{")) >= MOST_VALUES:
        raise UserError(f"{where} is damaged: it has more than {MOST_VALUES:,} values; {advice}")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} is damaged: it is not JSON ({str(error)[:100]}); {advice}") from error
    check(value, wanted, where, advice)
    return value


def check(value: Any, wanted: Any, where: str, advice: str = "copy it again") -> None:
    """Refuse a value of another form.

    Args:
        value: As `parse` returns it.
        wanted: A type; a tuple of types, any of which will do; `list[item]` or `[item]`; `dict[str, item]` or
            `{...: item}` for an object of any fields; another dict, or a dataclass, for an object with at least these
            fields, where those with a default may be missing. A float may be an int, or null in place of NaN. An int
            is less than `LARGEST`, and no bool.
        where: The file, and the place in it.
        advice: As for `read`.

    Raises:
        UserError: It says where, and what was to be there.
    """
    if is_dataclass(wanted):
        hints = get_type_hints(wanted)
        there = value if isinstance(value, dict) else {}
        named = (field.name for field in fields(wanted) if _is_required(field) or field.name in there)
        wanted = {name: hints[name] for name in named}
    if isinstance(wanted, UnionType):  # of something and None
        if value is None:
            return
        (wanted,) = {*get_args(wanted)} - {type(None)}
    kind = get_origin(wanted) or (type(wanted) if isinstance(wanted, dict | list) else wanted)
    accepted = (float, int, type(None)) if kind is float else kind
    if not isinstance(value, accepted) or (kind in (int, float) and _is_no_number(value)):
        names = " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))
        found = repr(value)[:42]
        raise UserError(f"{where} is damaged: expected a value of type {names}, found {found}; {advice}")
    if kind is list and wanted is not list:
        of = wanted[0] if isinstance(wanted, list) else get_args(wanted)[0]
        items = [(of, item, f"{where}[{index}]") for index, item in enumerate(value)]
    elif kind is dict and wanted is not dict:
        inner: dict[Any, Any] = wanted if isinstance(wanted, dict) else {...: get_args(wanted)[1]}
        inner = dict.fromkeys(value, inner[...]) if ... in inner else inner
        missing = inner.keys() - value.keys()
        if missing:
            raise UserError(f"{where} is damaged: it lacks {', '.join(sorted(missing))}; {advice}")
        items = [(item, value[name], f"{where}: {name}") for name, item in inner.items()]
    else:
        items = []
    for item, inside, place in items:
        check(inside, item, place, advice)


def _is_no_number(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, int) and abs(value) >= LARGEST)


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING
