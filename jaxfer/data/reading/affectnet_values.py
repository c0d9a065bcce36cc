"""What the values of AffectNet's annotations mean, in both of its releases; all are taken as text."""

import math
from collections.abc import Sequence

import numpy as np

from jaxfer.data.reading.names import LAST_CODE, Codes
from jaxfer.data.reading.record import OTHER_CLASS, UNLABELLED, Kind
from jaxfer.emotions import AFFECTNET_8

OTHER_CODES = (8, 9, 10)
"""Codes of faces that show none of the eight expressions: none, uncertain, no face."""

LANDMARKS = 68
"""Points on a face, each x and y."""

SHOWN = 40
"""Characters of a wrong value that messages repeat."""

Remarks = tuple[tuple[Kind, str], ...]


def number(text: str) -> float:
    """Return the number that a text spells, NaN where it spells none.

    >>> number(" 134.0"), number("much"), number("1_0")
    (134.0, nan, nan)
    """
    try:
        # Python's own notation has underscores, which no data set means.
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan


def expression(text: str) -> tuple[str, str, str]:
    """Return the class that a code names, or "", then the reason to leave its face out and the detail, or "" twice.

    >>> expression("3"), expression("10")
    (('surprise', '', ''), ('', 'other class', ''))
    >>> expression("11")
    ('', 'unlabelled', "its expression is '11', not a code from 0 to 10")
    """
    code = number(text)
    if code in range(len(AFFECTNET_8)):
        return AFFECTNET_8[int(code)], "", ""
    if code in OTHER_CODES:
        return "", OTHER_CLASS, ""
    return "", UNLABELLED, f"its expression is {shown(text)}, not a code from 0 to {OTHER_CODES[-1]}"


class ExpressionCodes(Codes):
    """The codes of a whole data set, as texts."""

    def add_text(self, text: str, where: str) -> None:
        """Take note of a code, and of where it is."""
        code = number(text)
        if code.is_integer():
            self.add(int(code), where)

    def refuse_other_count(self) -> None:
        """Refuse codes that look as if they did not count from 0.

        Raises:
            UserError: They do.
        """
        # The codes behind those of the expressions have a meaning, too, and are not in every release.
        expressions = len(AFFECTNET_8)
        alone = -1 in self.counts or self.counts.keys() == {*range(1, expressions + 1)}
        self.refuse_shifted(expressions if alone else LAST_CODE + 1, unknown=None)


def affect(name: str, text: str | None) -> tuple[float, Remarks]:
    """Return valence or arousal, whichever `name` says: in [-1, 1], or NaN with a remark on what there is instead.

    AffectNet marks invalid values by -2. None stands for data that has no such value at all, which is no remark.

    >>> affect("valence", "-2")
    (nan, (('affect', "valence is '-2', not a number from -1 to 1"),))
    """
    if text is None:
        return math.nan, ()
    value = number(text)
    if -1 <= value <= 1:
        return value, ()
    return math.nan, (("affect", f"{name} is {shown(text)}, not a number from -1 to 1"),)


def landmarks(coordinates: Sequence[str] | Sequence[float]) -> np.ndarray | None:
    """Return the points of 136 numbers, x and y in turn, as float32 [68, 2]; None where there are others, or more."""
    if len(coordinates) != 2 * LANDMARKS:
        return None
    try:
        with np.errstate(over="ignore"):
            points = np.array([*map(float, coordinates)]).astype(np.float32)
    except ValueError:
        return None
    return points.reshape(LANDMARKS, 2) if np.isfinite(points).all() else None


def shown(text: str) -> str:
    """Return a value in quotes for a message, cut short, with what cannot be printed escaped."""
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")
