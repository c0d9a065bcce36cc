"""Pages that need no other file: templates in which every text is escaped, what they embed, and writing them."""

import base64
import io
import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from jaxfer.reports import words

Text = TypeVar("Text", bound=str)


def render(template: str, **values: Any) -> str:
    """Return the page that a template of `jaxfer/reports/templates` makes of these values.

    Whatever text is among the values is escaped. A template that uses a value which is not there is an error.
    """
    return _ENVIRONMENT.get_template(template).render(values)


def embedded(kind: str, content: bytes) -> str:
    """Return a file as a data URI; `kind` is its type, such as `image/svg+xml`."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def picture(image: np.ndarray | Image.Image, side: int) -> str:
    """Return an image as a JPEG in a data URI, made smaller where it is more than `side` pixels wide or high.

    Args:
        image: Of Pillow, or uint8 [h, w, 3].
        side: Pixels at most.
    """
    small = Image.fromarray(image) if isinstance(image, np.ndarray) else image.copy()
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return embedded("image/jpeg", buffer.getvalue())


class Cell(NamedTuple):
    """A cell of a table that sorts.

    Attributes:
        key: What it is sorted by: a number, or text; nothing for what is missing.
        text: What it shows.
        notes: Lines below that.
        address: Of the page of what the row is about, where the cell names that: empty where there is no page.
    """

    key: str
    text: str
    notes: Sequence[str] = ()
    address: str | None = None


def sorted_by(value: Any) -> str:
    """Return what a cell is sorted by; nothing for what is missing.

    >>> sorted_by(0.5), sorted_by(None), sorted_by(float("nan")), sorted_by(True)
    ('0.5', '', '', 'True')
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return str(value) if isinstance(value, int | float) else words.setting(value)


def _one_line(text: Text) -> Text:
    """Return a text whose lines a template has broken as one line; what was escaped stays so."""
    return type(text)(re.sub("[ \n]+", " ", text).strip())


def _headings(sections: Text) -> list[tuple[str, Text]]:
    """Return the id and the heading of each section of a page; what was escaped stays so."""
    found = re.findall(r'<section id="([^"]+)"><h2>(.*?)</h2>', sections, re.DOTALL)
    return [(place, type(sections)(heading)) for place, heading in found]


def _sentence(text: str) -> str:
    """Return a text that begins a sentence."""
    return text[:1].upper() + text[1:]


def _shown(value: Any) -> Any:
    """Return what an expression of a template becomes: text that does nothing, and markup of ours as it is."""
    return words.printable(value) if type(value) is str else value


_ENVIRONMENT = Environment(
    finalize=_shown,
    loader=PackageLoader("jaxfer.reports"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "decimal": words.decimal,
    "duration": words.duration,
    "headings": _headings,
    "one_line": _one_line,
    "percent": words.percent,
    "sentence": _sentence,
    "setting": words.setting,
    "thousands": words.thousands,
}
