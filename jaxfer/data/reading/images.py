"""Decode images of any kind into upright RGB faces, one or many at a time."""

import io
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError, features

from jaxfer.config import Decoder
from jaxfer.data.reading.decoder import plain_pixels, plain_size
from jaxfer.data.reading.folder import LARGEST_IMAGE
from jaxfer.data.reading.originals import Originals
from jaxfer.data.reading.record import Record, StoredImage
from jaxfer.errors import UserError
from jaxfer.files import opened

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
FORMATS += ("AVIF",) if "avif" in features.modules and features.check("avif") else ()
"""What is tried, whatever a file's name ends in. Pillow knows more, among them some that start other programs."""

HEIC = tuple(b"ftyp" + brand for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
"""How files of HEIF begin, after four bytes, but for AVIF's. Telephones write them, and Pillow does not read them."""

DETAIL = 1.5
"""How many times the pixels that are wanted along each side a JPEG's decoder must leave of a face.

The decoder halves an image faster than it decodes it whole and Pillow shrinks it, but with a sharper filter. At 1.5
times, faces of 224 pixels decode in half the time, and their 64 pixels differ by half a gray level on average.
"""

Box = tuple[float, float, float, float]


class UnreadableError(Exception):
    """An image that cannot be decoded: `path` says which, None for pixels, and `reason` says why."""

    def __init__(self, path: Path | None, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[type, tuple[Path | None, str]]:
        # Exceptions are pickled by their message, from which this one cannot be made again.
        return type(self), (self.path, self.reason)


@dataclass(frozen=True)
class Face:
    """A face cut out of its photograph.

    Attributes:
        picture: RGB, or gray, 8 bits; perhaps at a fraction of the photograph's resolution.
        extent: Width and height of `crop` in pixels of `picture`: a fraction less than its own where a decoder rounds
            up.
        crop: Left, top, width and height of what `picture` shows, in pixels of the upright photograph.
        photograph: Width and height of the upright photograph, in pixels.
        mode: How the file holds its pixels, such as `RGB`, `L` or `CMYK`, in Pillow's words.
    """

    picture: Image.Image
    extent: tuple[float, float]
    crop: Box
    photograph: tuple[int, int]
    mode: str

    def resize(self, size: int) -> np.ndarray:
        """Return the face as uint8 [size, size, 3], RGB, whatever its aspect.

        The filter is `Image.Resampling.BILINEAR`: when the face shrinks, Pillow widens it with the factor, so that
        nothing aliases.
        """
        return np.array(self.resized(size))

    def resized(self, size: int) -> Image.Image:
        """Return the face as `resize` does, as a picture of the mode RGB."""
        picture = self.picture.resize((size, size), Image.Resampling.BILINEAR, (0, 0, *self.extent))
        return picture if picture.mode == "RGB" else picture.convert("RGB")

    def points(self, points: np.ndarray, size: int) -> np.ndarray:
        """Return points, float [n, 2], x and y in pixels of the photograph, in pixels of `resize(size)`."""
        left, top, width, height = self.crop
        return (points - np.array([left, top])) * (size / np.array([width, height]))


def decode(
    image: Path | np.ndarray | StoredImage,
    size: int,
    *,
    box: Box | None = None,
    margin: float = 0,
    decoder: Decoder = "pillow",
) -> np.ndarray:
    """Return the pixels of the face in an image: `face_for` and `Face.resize` in one.

    Args:
        image: As for `open_face`.
        size: Height and width of the result, in pixels.
        box: As for `open_face`.
        margin: As for `open_face`.
        decoder: As for `open_face`.

    Returns:
        uint8 [size, size, 3], RGB.

    Raises:
        UnreadableError: As for `open_face`.
    """
    with quiet_pillow():
        return face_for(size, image, box=box, margin=margin, decoder=decoder).resize(size)


def decode_record(
    record: Record, *, size: int, margin: float, decoder: Decoder = "pillow"
) -> np.ndarray | UnreadableError:
    """Return a record's face, as `decode` does, or why there is none. Call it within `quiet_pillow`.

    Args:
        record: One that is not left out.
        size: Height and width of the result, in pixels.
        margin: As for `open_face`.
        decoder: As for `open_face`.
    """
    try:
        return face_for(size, record.image, box=record.box, margin=margin, decoder=decoder).resize(size)
    except UnreadableError as error:
        return error


class StreamedImages:
    """The faces of n records, by row, each decoded anew whenever it is asked for.

    For data that fits neither into memory nor on the disk again. One that was replaced meanwhile is refused, see
    `Originals`.

    Args:
        records: Those of the faces.
        size: Height and width of the images, in pixels.
        margin: As for `open_face`.
        decoder: As for `open_face`.
    """

    def __init__(self, records: Sequence[Record], size: int, margin: float, decoder: Decoder = "pillow") -> None:
        Image.init()  # the formats, which is not safe in several threads at once
        self._sources = [(record.name, record.image, record.box) for record in records]
        self._originals = Originals(_file(record.image) for record in records)
        self._size = size
        self._margin = margin
        self._decoder: Decoder = decoder

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, size, size, 3)."""
        return len(self._sources), self._size, self._size, 3

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray:
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for image, row in zip(images, rows, strict=True):
            name, source, box = self._sources[row]
            try:
                face = face_for(self._size, source, box=box, margin=self._margin, decoder=self._decoder)
                image[:] = face.resize(self._size)
            except UnreadableError as error:
                raise UserError(f"{name} can no longer be read ({error.reason}): has the data been moved?") from error
            self._originals.check(row, _file(source), image, name)
        return images


def _file(image: Path | np.ndarray | StoredImage) -> Path | None:
    """Return the file that an image is, or is stored in; None where it is in memory."""
    return image if isinstance(image, Path) else getattr(image, "path", None)


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silence what Pillow says about odd metadata, and load its formats, which is not safe in several threads at once.

    Filters of warnings belong to the process: enter this in one thread, around the work of all.
    """
    Image.init()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def face_for(
    size: int,
    image: Path | np.ndarray | StoredImage,
    *,
    box: Box | None = None,
    margin: float = 0,
    decoder: Decoder = "pillow",
) -> Face:
    """Return the face in an image, as `open_face` does, with the detail that `Face.resize(size)` takes.

    Args:
        size: Height and width that the face will have, in pixels.
        image: As for `open_face`.
        box: As for `open_face`.
        margin: As for `open_face`.
        decoder: As for `open_face`.

    Raises:
        UnreadableError: As for `open_face`.
    """
    return open_face(image, least=DETAIL * size, box=box, margin=margin, decoder=decoder)


def open_face(
    image: Path | np.ndarray | Image.Image | StoredImage,
    *,
    least: float,
    box: Box | None = None,
    margin: float = 0,
    decoder: Decoder = "pillow",
) -> Face:
    """Return the face in an image.

    Images are turned upright by their EXIF orientation; of an animation the first frame counts. 16-bit gray is scaled
    to 8 bits, palette and CMYK are converted, and transparent parts lie on black.

    Args:
        image: A file, or pixels, uint8 [h, w] gray or [h, w, 3] RGB, or where either is stored, or Pillow's image.
        least: A JPEG may be shrunk by its decoder, to no less than so many pixels along each side of the face.
        box: Left, top, width and height of the face, in pixels of the upright image. The face is then the square around
            its middle whose side is the box's longer one; what lies outside of the image is black. Without a box, the
            face is the whole image.
        margin: How much more there is on each side of the square, as a share of the box's longer side.
        decoder: What decodes the pixels of JPEG files, see `jaxfer.data.reading.decoder`.

    Raises:
        UnreadableError: It is no image, is damaged, has more than `LARGEST_IMAGE` bytes or so many pixels that it looks
            like an attack, or does not reach into the box.
    """
    path = image if isinstance(image, Path) else None
    size, head = None, b""
    try:
        if isinstance(image, Image.Image):
            return _upright(image.copy(), least, box, margin)
        content = image if isinstance(image, Path | np.ndarray) else image.read()
        if isinstance(content, np.ndarray):
            return _cut(Image.fromarray(content), content.shape[1::-1], box, margin)
        if isinstance(content, bytes):
            size, content = len(content), io.BytesIO(content)
        with content if isinstance(content, io.BytesIO) else opened(content, LARGEST_IMAGE) as file:
            size = os.fstat(file.fileno()).st_size if path else size
            head = file.read(12)
            file.seek(0)
            if decoder == "pillow":
                with Image.open(file, formats=FORMATS) as picture:
                    return _upright(picture, least, box, margin)
            whole = file.read()
            face = _of_plain_jpeg(whole, least, box, margin)
            if face is not None:
                return face
            with Image.open(io.BytesIO(whole), formats=FORMATS) as picture:
                return _upright(picture, least, box, margin)
    except UnidentifiedImageError as error:
        unknown = "a HEIC image: convert it to JPEG" if head[4:] in HEIC else "not an image of a known format"
        raise UnreadableError(path, unknown if size else "an empty file") from error
    except Image.DecompressionBombError as error:  # Pillow tells no size of what it does not open
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise UnreadableError(path, f"more than {most:,} pixels look like a decompression bomb") from error
    except Exception as error:  # Pillow meets damage with OSError, SyntaxError, struct.error, KeyError and others.
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreadableError(path, reason) from error


def _upright(picture: Image.Image, least: float, box: Box | None, margin: float) -> Face:
    width, height = picture.size
    _refuse_bomb(width, height)
    wanted = _drafted(width, height, least, box, margin)
    if wanted:
        picture.draft(None, wanted)
    ImageOps.exif_transpose(picture, in_place=True)
    turned = (picture.width < picture.height) != (width < height)
    return _cut(picture, (height, width) if turned else (width, height), box, margin)


def _of_plain_jpeg(content: bytes, least: float, box: Box | None, margin: float) -> Face | None:
    """Return what `_upright` does of a plain JPEG, decoded by simplejpeg; None where Pillow is to decode it."""
    size = plain_size(content)
    if size is None:
        return None
    _refuse_bomb(*size)
    wanted = _drafted(*size, least, box, margin)
    if wanted and min(wanted) > 0:
        # As `Image.draft` does.
        scale = min(size[0] // wanted[0], size[1] // wanted[1])
        factor = next(factor for factor in (8, 4, 2, 1) if scale >= factor or factor == 1)
    else:
        factor = 1
    picture = plain_pixels(content, (-(-size[0] // factor), -(-size[1] // factor)))
    return None if picture is None else _cut(picture, size, box, margin)


def _refuse_bomb(width: int, height: int) -> None:
    if width * height > (Image.MAX_IMAGE_PIXELS or math.inf):  # Pillow only warns up to twice its limit
        raise ValueError(f"{width} x {height} pixels look like a decompression bomb")


def _drafted(width: int, height: int, least: float, box: Box | None, margin: float) -> tuple[int, int] | None:
    """Return the width and height that a JPEG may be shrunk to by its decoder; None where it is not to be."""
    face = min(width, height) if box is None else max(box[2:]) * (1 + 2 * margin)
    return (int(width * least / face), int(height * least / face)) if face > least else None


def _cut(picture: Image.Image, photograph: tuple[int, int], box: Box | None, margin: float) -> Face:
    """Return the face of an upright picture, which may be smaller by a whole factor than the photograph."""
    crop: Box = (0, 0, *photograph)
    mode = picture.mode
    shrunk = round(photograph[0] / picture.width)
    extent = photograph[0] / shrunk, photograph[1] / shrunk
    if box is not None:
        crop = square_around(box, margin)
        if not reaches_into(crop, photograph):
            raise ValueError(f"its box, {' '.join(f'{value:g}' for value in box)}, lies outside of the image")
        left, top, width, height = (value / shrunk for value in crop)
        picture = picture.crop((round(left), round(top), round(left + width), round(top + height)))
        extent = picture.size
    return Face(_eight_bits(picture), extent, crop, photograph, mode)


def square_around(box: Box, margin: float) -> Box:
    """Return the square around the middle of a box, with a margin on each side, a share of the box's longer side.

    >>> square_around((10, 20, 40, 50), 0.1)
    (0.0, 15.0, 60.0, 60.0)
    """
    left, top, width, height = box
    side = max(width, height) * (1 + 2 * margin)
    return left + (width - side) / 2, top + (height - side) / 2, side, side


def reaches_into(crop: Box, photograph: tuple[int, int]) -> bool:
    """Return whether a box holds at least a pixel of an image of this width and height.

    >>> reaches_into((-10, 0, 11, 5), (8, 8)), reaches_into((-10, 0, 10, 5), (8, 8))
    (True, False)
    """
    left, top, width, height = crop
    return min(left + width, photograph[0]) - max(left, 0) >= 1 and min(top + height, photograph[1]) - max(top, 0) >= 1


def _eight_bits(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray(np.rint(np.asarray(picture) / 257).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise ValueError("32-bit pixels, whose range is not known")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "black"), picture)
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")
