"""What the values of a dataclass's fields must be: said where a field is declared, checked when an object is made."""

import functools
import math
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from jaxfer.errors import UserError


@dataclass(frozen=True)
class Must:
    """What a field's value must be.

    Attributes:
        holds: Whether a value is that; a `TypeError` counts as a no.
        words: What follows "pass" in the error.
    """

    holds: Callable[[Any], bool]
    words: str


AT_LEAST_1 = Must(lambda x: x >= 1, "at least 1")
PORTION = Must(lambda x: 0 <= x < 1, "a share from 0 to below 1")
POSITIVE = Must(lambda x: 0 < x < math.inf, "a number above 0")
NOT_NEGATIVE = Must(lambda x: 0 <= x < math.inf, "a number of at least 0")
RISING = Must(
    lambda epochs: all(a < b for a, b in zip((0, *epochs), epochs, strict=False)), "epochs above 0 in rising order"
)


class Section:
    """Base of dataclasses that refuse values which their fields' annotations exclude: a `Literal` or a `Must`.

    Raises:
        UserError: A value is excluded.
    """

    def __post_init__(self) -> None:
        for name, must in musts(type(self)).items():
            check(must.holds(getattr(self, name)), name, getattr(self, name), must.words)


def check(holds: bool, name: str, value: object, wanted: str) -> None:
    """Refuse the value of a field unless it is what it must be.

    Args:
        holds: Whether it is.
        name: The field's name.
        value: Its value.
        wanted: What to pass instead, in words.

    Raises:
        UserError: `holds` is false; the sentence has the name, the value and what is wanted.
    """
    if not holds:
        raise UserError(f"{name} is {value!r}: pass {wanted}")


@functools.cache
def musts(section: type) -> dict[str, Must]:
    """Return what the values of a section's fields must be, by name."""
    found = {}
    for name, hint in typing.get_type_hints(section, include_extras=True).items():
        parts = list(kinds(hint))
        must = next((kind for kind in parts if isinstance(kind, Must)), None)
        choices = next((typing.get_args(kind) for kind in parts if typing.get_origin(kind) is Literal), None)
        if choices is not None:
            must = Must(functools.partial(_is_one_of, choices), f"one of {', '.join(map(str, choices))}")
        if must is not None:
            found[name] = Must(functools.partial(_holds, must, type(None) in parts), must.words)
    return found


def kinds(hint: Any) -> Iterator[Any]:
    """Yield a type and all that it is made of."""
    yield hint
    for part in typing.get_args(hint):
        yield from kinds(part)


def _is_one_of(choices: tuple[object, ...], value: object) -> bool:
    return any(type(value) is type(choice) and value == choice for choice in choices)


def _holds(must: Must, optional: bool, value: object) -> bool:
    try:
        return (optional and value is None) or must.holds(value)
    except TypeError:  # such as a text in place of a number
        return False
