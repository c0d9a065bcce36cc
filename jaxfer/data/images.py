"""Decode images of any kind into uint8 RGB squares, one or many at a time."""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")
"""What is tried, whatever a file's name ends in. Pillow knows more, among them some that start other programs."""

CHUNK = 64
"""Images that a thread decodes before it reports."""


class UnreadableError(Exception):
    """An image that cannot be decoded: `path` says which, None for pixels, and `reason` says why."""

    def __init__(self, path: Path | None, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


def decode(image: Path | np.ndarray, size: int) -> np.ndarray:
    """Return an image as uint8 [size, size, 3], RGB.

    `image` is a file, or pixels, uint8 [h, w] gray or [h, w, 3] RGB. Images are turned upright by their EXIF
    orientation; of an animation the first frame counts. Gray becomes three equal channels, 16-bit gray is scaled to
    8 bits, palette and CMYK are converted, and transparent parts lie on black. The whole image is resized, whatever
    its aspect, by `Image.Resampling.BILINEAR`: when it shrinks, Pillow widens the filter with the factor, so that
    nothing aliases. A JPEG at least four times the size is first shrunk by its decoder to no less than twice the size.

    Raises `UnreadableError` for what is no image, is damaged, or has so many pixels that it looks like an attack.
    """
    with _pillow_warnings():
        return _decode(image, size)


def decode_into(
    images: Sequence[Path | np.ndarray], out: np.ndarray, on_progress: Callable[[int], None] = lambda count: None
) -> dict[int, str]:
    """Decode each image, as `decode` does, into its row of `out`, uint8 [n, size, size, 3], on all processors.

    Returns the index of each unreadable image with the reason; its row of `out` is left as it was. `on_progress` is
    called with the number of images that were done since its last call. Rows do not depend on the number of threads.
    """

    def decode_chunk(start: int) -> dict[int, str]:
        failures = {}
        for index in range(start, min(start + CHUNK, len(images))):
            try:
                out[index] = _decode(images[index], out.shape[1])
            except UnreadableError as error:
                failures[index] = error.reason
        return failures

    # Pillow loads its formats when they are first needed, which is not safe in several threads at once.
    Image.init()
    failures: dict[int, str] = {}
    starts = range(0, len(images), CHUNK)
    # Warning filters belong to the process: set once here, since threads that set and restore them would collide.
    with _pillow_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        for start, failed in zip(starts, pool.map(decode_chunk, starts), strict=True):
            failures |= failed
            on_progress(min(CHUNK, len(images) - start))
    return failures


@contextmanager
def _pillow_warnings() -> Iterator[None]:
    """Silence what Pillow says about odd metadata, and make it refuse images of a suspicious size."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _decode(image: Path | np.ndarray, size: int) -> np.ndarray:
    if isinstance(image, np.ndarray):
        return _square(Image.fromarray(image), size)
    try:
        with Image.open(image, formats=FORMATS) as picture:
            picture.draft(None, (2 * size, 2 * size))
            ImageOps.exif_transpose(picture, in_place=True)
            return _square(picture, size)
    except UnidentifiedImageError as error:
        reason = "not an image of a known format" if image.stat().st_size else "an empty file"
        raise UnreadableError(image, reason) from error
    except Exception as error:  # Pillow meets damage with OSError, SyntaxError, struct.error, KeyError and others.
        raise UnreadableError(image, str(error) or type(error).__name__) from error


def _square(picture: Image.Image, size: int) -> np.ndarray:
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray(np.rint(np.asarray(picture) / 257).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise ValueError("32-bit pixels, whose range is not known")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "black"), picture)
    if picture.mode != "L":
        picture = picture.convert("RGB")
    return np.array(picture.resize((size, size), Image.Resampling.BILINEAR).convert("RGB"))
