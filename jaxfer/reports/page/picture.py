"""Small pictures inside of a page."""

import base64
import io

from PIL import Image


def data_uri(picture: Image.Image, side: int) -> str:
    """Return a picture, made smaller where it is more than `side` pixels wide or high, as a JPEG in a data URI."""
    picture = picture.copy()
    picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
