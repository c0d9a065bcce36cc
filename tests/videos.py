"""Videos of drawn faces that move, and files of them that differ in one thing from what cameras write."""

import itertools
import struct
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from jaxfer.data.synthetic import draw_faces
from jaxfer.inference.video import quiet_opencv

SIZE = 320, 240
"""Width and height of a picture, in pixels."""


def moving(
    labels: list[int], places: Callable[[int], list[tuple[float, float, int]]], count: int, seed: int = 1
) -> list[np.ndarray]:
    """Return pictures of faces on a canvas; the last face lies on top.

    Args:
        labels: Of each face, its expression.
        places: From the number of a picture to each face's middle and side in pixels.
        count: How many pictures.
        seed: Of the faces.
    """
    faces = [Image.fromarray(face) for face in draw_faces(seed, np.array(labels, np.int32), image_size=128)]
    pictures = []
    for i in range(count):
        canvas = Image.new("RGB", SIZE, (110, 120, 90))
        for face, (x, y, side) in zip(faces, places(i), strict=True):
            canvas.paste(
                face.resize((side, side), Image.Resampling.BICUBIC), (round(x - side / 2), round(y - side / 2))
            )
        pictures.append(np.asarray(canvas))
    return pictures


def write_video(path: Path, pictures: Iterable[np.ndarray], rate: float = 10.0, codec: str = "mp4v") -> Path:
    """Write pictures, uint8 [h, w, 3] in RGB, into a video."""
    pictures = iter(pictures)
    first = next(pictures)
    with quiet_opencv():
        fourcc = cv2.VideoWriter.fourcc(*codec)
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, rate, first.shape[1::-1])
    assert writer.isOpened()
    for picture in itertools.chain([first], pictures):
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def turned(path: Path) -> None:
    """Have an .mp4 say that it was taken by a camera that was turned by 90 degrees."""
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40
    content[start : start + 36] = struct.pack(">9i", 0, 2**16, 0, -(2**16), 0, 0, 0, 0, 2**30)
    path.write_bytes(content)


def retimed(path: Path, shares: list[int]) -> None:
    """Have an .mp4 show each picture so many times as long as before."""
    content = bytearray(path.read_bytes())
    start = content.index(b"stts")
    size, _, _, entries, _, delta = struct.unpack(">IIIIII", content[start - 4 : start + 20])
    assert entries == 1
    table = b"".join(struct.pack(">II", 1, share * delta) for share in shares)
    made = struct.pack(">I4sII", 16 + len(table), b"stts", 0, len(shares)) + table
    for parent in (b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        place = content.rindex(parent, 0, start) - 4
        (before,) = struct.unpack(">I", content[place : place + 4])
        content[place : place + 4] = struct.pack(">I", before + len(made) - size)
    content[start - 4 : start - 4 + size] = made
    place = content.rindex(b"edts", 0, start)  # which says how long the whole is
    content[place : place + 4] = b"free"
    path.write_bytes(content)
