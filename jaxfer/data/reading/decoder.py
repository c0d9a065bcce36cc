"""What decodes the pixels of JPEG files: Pillow, or simplejpeg where somebody has asked for it.

Both are made of libjpeg-turbo. Its pixels were the same bit for bit with Pillow 13.0 and simplejpeg 1.9, and differ by
rounding where the two are built with other versions of it. That is why simplejpeg is asked for and kept with what it
decoded, and never taken because it happens to be installed: the same config has to give the same pixels everywhere.
"""

import importlib.metadata

from PIL import Image

from jaxfer.config import Decoder
from jaxfer.errors import UserError

SMALLEST = 16
"""Fewer pixels along a side, and a scale of n / 8 is not told from the next one by the size of its result."""


def check_decoder(decoder: Decoder) -> None:
    """Refuse a decoder whose library is not installed, or cannot be imported: every image would seem unreadable.

    Raises:
        UserError: It is so.
    """
    if decoder == "pillow":
        return
    problem = "" if decoder_versions(decoder) else "is not installed"
    if not problem:
        try:
            import simplejpeg  # noqa: F401 - the one that is not Pillow
        except ImportError as error:
            problem = f"cannot be imported ({error})"
    if problem:
        raise UserError(
            f"{decoder}, which was chosen to decode JPEG files (--decoder), {problem}: "
            "pip install 'jaxfer[jpeg]', or choose pillow"
        )


def decoder_versions(decoder: Decoder) -> dict[str, str]:
    """Return the version of a decoder's library, by its name.

    Args:
        decoder: What decodes.

    Returns:
        One version; none for Pillow, which everybody has, or where it is not installed.
    """
    if decoder == "pillow":
        return {}
    try:
        return {decoder: importlib.metadata.version(decoder)}
    except importlib.metadata.PackageNotFoundError:
        return {}


def plain_size(content: bytes) -> tuple[int, int] | None:
    """Return width and height of a plain JPEG; None of anything that Pillow has to look at.

    Plain is one that is to be shown as its pixels lie, gray or in three colours. Pillow knows what becomes of all
    others: those that are turned by their metadata, are printed in four colours, or are no JPEG or a damaged one.
    """
    import simplejpeg  # here: whoever has not asked for it does without

    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
    except ValueError:
        return None
    is_plain = colours in ("Gray", "YCbCr", "RGB") and _is_upright(content)
    return (int(width), int(height)) if is_plain else None


def plain_pixels(content: bytes, size: tuple[int, int]) -> Image.Image | None:
    """Return the pixels of a plain JPEG as simplejpeg decodes them; None where they are damaged in the slightest.

    Args:
        content: The file, of which `plain_size` has returned a size.
        size: Width and height of the result: the picture's own, or a half, a quarter or an eighth of them, rounded up.

    Returns:
        A picture of the mode RGB or L.
    """
    import simplejpeg

    kind = "GRAY" if simplejpeg.decode_jpeg_header(content)[2] == "Gray" else "RGB"
    try:
        # Of the scales n / 8 it takes the smallest that leaves so much.
        pixels = simplejpeg.decode_jpeg(content, kind, min_width=size[0], min_height=size[1], min_factor=1)
    except ValueError:
        return None
    if min(size) < SMALLEST or pixels.shape[1::-1] != size:
        return None
    mode = "L" if kind == "GRAY" else "RGB"
    return Image.frombuffer(mode, size, pixels, "raw", mode, 0, 1)


_SAYS_NOTHING = {0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, 0xE0, 0xE2, 0xED, 0xEE, 0xFE}
"""Markers of segments before the pixels that do not turn them: tables, sizes, JFIF, colour profiles, comments."""


def _is_upright(content: bytes) -> bool:
    """Return whether nothing in a JPEG's segments before its pixels could turn it."""
    at = 2
    while content[at : at + 1] == b"\xff":
        marker, end = content[at + 1], at + 2 + int.from_bytes(content[at + 2 : at + 4])
        if marker == 0xDA:  # the pixels
            return True
        if marker == 0xE1:  # EXIF or XMP, whose tag of the orientation is this number in either order, or this word
            segment = content[at:end]
            if any(sign in segment for sign in (b"\x01\x12", b"\x12\x01", b"rientation")):
                return False
        elif marker not in _SAYS_NOTHING:
            return False
        at = end
    return False
