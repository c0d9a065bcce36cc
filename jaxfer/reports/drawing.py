"""Photographs with what was predicted drawn into them: boxes, names and bars, readable on light and on dark."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxfer.inference.predictor import Face
from jaxfer.reports.predictions import most_probable
from jaxfer.reports.words import in_a_line, percent

COLOURS = ("#f2b134", "#ed553b", "#3caea3", "#a06cd5", "#4f9de0", "#8fbf4d", "#e36bae", "#c9cdd2")
"""Of the classes in their order, all bright enough for the dark plates that they stand on."""

PLATE = (16, 18, 22, 215)
"""What text and bars stand on: nearly black, so that the photograph does not matter."""

LETTERS = 0.095
"""Height of letters as a share of a face's box, within `SMALLEST` and `LARGEST`."""

SMALLEST, LARGEST = 11, 40
"""Height of letters in pixels."""


def drawn(picture: Image.Image, faces: Sequence[Face], classes: Sequence[str], top: int = 3) -> Image.Image:
    """Return a picture with its faces marked, RGB.

    Args:
        picture: The upright photograph.
        faces: Those in it, with places in its pixels.
        classes: All classes, in order, so that each has one colour in all pictures.
        top: How many classes have a bar, the most probable first.
    """
    canvas = picture.convert("RGB")
    layer = Image.new("RGBA", canvas.size)
    pen = ImageDraw.Draw(layer)
    colour = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(classes)}
    for face in sorted(faces, key=lambda face: -face.box[2] * face.box[3]):
        left, upper, width, height = face.box
        letters = round(min(max(LETTERS * height, SMALLEST), LARGEST))
        line = max(2, letters // 6)
        pen.rectangle((left - line, upper - line, left + width + line, upper + height + line), None, "black", 3 * line)
        pen.rectangle((left, upper, left + width, upper + height), None, colour[face.label], line)
        for x, y in face.landmarks:
            pen.ellipse((x - line, y - line, x + line, y + line), "white", "black")
        _bars(pen, face, colour, letters, canvas.size, top)
    return Image.alpha_composite(canvas.convert("RGBA"), layer).convert("RGB")


def explained(faces: Sequence[Face], overlays: Sequence[np.ndarray], side: int = 192) -> Image.Image:
    """Return what the network was shown of each face above where it looked, one column a face.

    Args:
        faces: At least one.
        overlays: What it was shown of each, coloured by what speaks for the label, uint8 [h, w, 3].
        side: Pixels of each crop.
    """
    font = ImageFont.load_default(15)
    canvas = Image.new("RGB", (len(faces) * (side + 8) + 8, 2 * side + 48), "#101216")
    pen = ImageDraw.Draw(canvas)
    for i, (face, coloured) in enumerate(zip(faces, overlays, strict=True)):
        left = 8 + i * (side + 8)
        for row, pixels in enumerate((face.crop, coloured)):
            canvas.paste(
                Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC), (left, 8 + row * (side + 8))
            )
        pen.text((left, 2 * side + 22), f"{i + 1}: {in_a_line(face.label)} {percent(face.confidence)}", "white", font)
    return canvas


def _bars(
    pen: ImageDraw.ImageDraw, face: Face, colour: dict[str, str], letters: int, size: tuple[int, int], top: int
) -> None:
    """Draw the most probable classes below a face, or above it where there is no room below."""
    font = ImageFont.load_default(letters)
    shown = most_probable(face, top)
    texts = [f"{in_a_line(name)} {percent(share)}" for name, share in shown]
    if face.track is not None:
        texts[0] = f"{face.track}: {texts[0]}"
    pad, step = letters // 3, round(1.35 * letters)
    text_width = max(pen.textlength(text, font) for text in texts)
    bar = 4 * letters
    width, height = text_width + bar + 3 * pad, step * len(texts) + pad
    left, upper, box_width, box_height = face.box
    x = min(max(left + box_width / 2 - width / 2, 0), max(size[0] - width, 0))
    y = upper + box_height + 2 * pad
    if y + height > size[1]:
        y = max(upper - height - 2 * pad, 0)
    pen.rounded_rectangle((x, y, x + width, y + height), pad, PLATE)
    for i, (text, (name, share)) in enumerate(zip(texts, shown, strict=True)):
        row = y + pad / 2 + i * step
        pen.text((x + pad, row), text, "white", font)
        start = x + 2 * pad + text_width
        pen.rectangle((start, row + letters * 0.25, start + bar, row + letters), (74, 78, 86))
        pen.rectangle((start, row + letters * 0.25, start + max(1, bar * share), row + letters), colour[name])
