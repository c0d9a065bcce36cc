"""Pages that need no other file: templates in which every text is escaped, what they embed, and writing them."""

import base64
import io
import re
from typing import Any, TypeVar

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


def _one_line(text: Text) -> Text:
    """Return a text whose lines a template has broken as one line; what was escaped stays so."""
    return type(text)(re.sub("[ \n]+", " ", text).strip())


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
    "one_line": _one_line,
    "percent": words.percent,
    "sentence": _sentence,
    "setting": words.setting,
    "thousands": words.thousands,
}
