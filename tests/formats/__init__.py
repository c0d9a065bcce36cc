"""Small copies of every layout in its true format, with real encoded images whose colour says which class they show.

Each module beside this file describes one layout: how to write it, and what a reader must find in it.
"""

import functools
import importlib
import io
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from jaxfer.emotions import AFFECTNET_8

COLOURS = {
    "neutral": (128, 128, 128),
    "happy": (230, 220, 20),
    "sad": (20, 30, 200),
    "surprise": (240, 130, 20),
    "fear": (120, 20, 160),
    "disgust": (20, 150, 40),
    "anger": (210, 20, 20),
    "contempt": (30, 200, 200),
}
"""One colour a class, far enough apart to survive JPEG."""

Expected = dict[str, tuple[str, str]]
"""The name of each usable record with its split (train, val or test) and its class."""


@dataclass(frozen=True)
class Format:
    """One way to keep data on disk.

    name: for the tests' identifiers.
    layout: the name of the `jaxfer.data.layouts.Layout` that must recognise it.
    write: writes a copy with usable images of all its classes in each split, into an empty folder that exists, and
        returns what a reader must find. A larger `per_class` writes so many images of each class and split.
    classes: the classes it holds.
    label_order: what has to be declared to read it.
    gray: whether it holds gray pixels only, from which no colour tells the class.
    """

    name: str
    layout: str
    write: Callable[[Path, int], Expected]
    classes: tuple[str, ...] = AFFECTNET_8
    label_order: str | None = None
    gray: bool = False


def face(label: str, number: int, size: int = 48) -> Image.Image:
    """Return an RGB image of the class's colour with a pattern of its own, `size` pixels a side."""
    return Image.fromarray(_pixels(label, number, size))


@functools.lru_cache(maxsize=5_000)  # every copy in every format has these
def _pixels(label: str, number: int, size: int) -> np.ndarray:
    random = np.random.default_rng((AFFECTNET_8.index(label), number))
    pattern = np.kron(random.normal(0, 18, (8, 8, 1)), np.ones((-(-size // 8), -(-size // 8), 1)))[:size, :size]
    return np.clip(np.array(COLOURS[label]) + pattern, 0, 255).astype(np.uint8)


def class_shown(pixels: np.ndarray) -> str:
    """Return the class whose colour an image, uint8 [h, w, 3], has."""
    mean = pixels.reshape(-1, 3).mean(axis=0)
    return min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))


def encoded(picture: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """Return an image as the bytes of a file."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def put(path: Path, content: bytes) -> Path:
    """Write a file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


FORMATS: list[Format] = [
    format_
    for module in pkgutil.iter_modules(__path__)
    for format_ in importlib.import_module(f"{__name__}.{module.name}").FORMATS
]
"""All of them."""
