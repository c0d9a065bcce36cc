"""What finding and framing faces costs in accuracy: the same faces as they are, and in larger pictures.

`python benchmarks/framing.py DEMO_RUN results/framing.json [FER2013]`

Drawn faces of a seed that no training has seen are shown to the network of a run of the preset `demo` as they are, and
then pasted into pictures of 960 x 640 pixels at random places, sizes and rolls, where they have to be found first. With
FER2013 (a folder, csv or npz) the images of PublicTest are pasted likewise, for the network that ships. A face that is
not found counts as wrong.
"""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from machine import machine
from PIL import Image
from places import places

from jaxfer import Predictor, load
from jaxfer.cli.program import run
from jaxfer.cli.start import start_jax
from jaxfer.config import DataConfig
from jaxfer.data.synthetic import draw_faces
from jaxfer.evaluation import wilson_interval
from jaxfer.inference.faces import CONFIDENT, SIDES

ACROSS, DOWN, CELL = 3, 2, 320
"""Faces in a row, rows, and the pixels of the square that each has."""

SIZES = 80, 220
"""Pixels of the smallest and the largest face's side."""

ROLL = 15.0
"""Degrees to either side that faces are turned by at most."""

DRAWN = 1200
"""How many drawn faces."""


def main() -> None:
    """Measure, and write the numbers."""
    demo, out, fer2013 = places(__doc__, "demo_run", "out", "fer2013?")
    start_jax()
    labels = np.arange(DRAWN, dtype=np.int32) % 7
    predictor = Predictor.load(demo, answer="expression")
    faces = draw_faces(20_000, labels, image_size=predictor.model.image_size)
    large = draw_faces(20_000, labels, image_size=160)  # the same, with more pixels, as photographs have them
    found = {"drawn": measured(predictor, faces, labels, large)}
    if fer2013:
        shipped = Predictor.load(answer="expression")
        config = DataConfig(data_dir=fer2013, image_size=48)
        split = load(config, only="val", keep=False).split("val")
        wanted = np.array([shipped.names.index(name) for name in config.vocabulary])[split.labels]
        images = split.images[np.arange(len(split))]
        found[f"FER2013 {split.name}"] = measured(shipped, images, wanted, images)
    how = {"sizes": SIZES, "roll": ROLL, "seed": 0, "detector": {"sides": SIDES, "score": CONFIDENT}}
    out.write_text(json.dumps({"machine": machine(), "how": how, "found": found}, indent=1) + "\n")


def measured(predictor: Predictor, images: np.ndarray, labels: np.ndarray, large: np.ndarray) -> dict[str, Any]:
    """Return the accuracy on images as they are, and through detection."""
    as_they_are = predictor.classify(images).argmax(axis=1) == labels
    framing = predictor.model.framing
    through, seen = np.zeros(len(labels), bool), np.zeros(len(labels), bool)
    pictures = pasted(len(labels), large)
    for rows, (photograph, middles) in zip(batches(len(labels)), _predicted(predictor, pictures), strict=True):
        for row, middle in zip(rows, middles, strict=True):
            near = [face for face in photograph.faces if np.hypot(*np.subtract(face.frame.centre, middle)) < CELL / 3]
            seen[row] = bool(near)
            if near:
                best = max(near, key=lambda face: face.score)
                through[row] = predictor.names.index(best.label) == labels[row]
    return {
        "n": len(labels),
        "found": int(seen.sum()),
        "as_they_are": _share(as_they_are),
        "through_detection": _share(through),
        "of_those_found": {"as_they_are": _share(as_they_are[seen]), "through_detection": _share(through[seen])},
        "framing": framing and framing.to_dict(),
    }


def batches(count: int) -> Iterator[range]:
    """Yield the rows of each picture."""
    step = ACROSS * DOWN
    return (range(start, min(start + step, count)) for start in range(0, count, step))


def pasted(count: int, large: np.ndarray) -> Iterator[tuple[np.ndarray, list[tuple[float, float]]]]:
    """Yield pictures with the faces of their rows, and the middle of each."""
    random = np.random.default_rng(0)
    for rows in batches(count):
        picture = Image.new(
            "RGB", (ACROSS * CELL, DOWN * CELL), tuple(int(value) for value in random.integers(60, 200, 3))
        )
        middles = []
        for place, row in enumerate(rows):
            side, roll = int(random.integers(*SIZES)), float(random.uniform(-ROLL, ROLL))
            room = (CELL - side * 1.2) / 2
            x, y = (CELL * (cell + 0.5) + random.uniform(-room, room) for cell in (place % ACROSS, place // ACROSS))
            face = Image.fromarray(large[row]).resize((side, side), Image.Resampling.BICUBIC).convert("RGBA")
            face = face.rotate(roll, Image.Resampling.BICUBIC, expand=True)
            picture.paste(face, (round(x - face.width / 2), round(y - face.height / 2)), face)
            middles.append((x, y))
        yield np.asarray(picture), middles


def _predicted(predictor: Predictor, pictures: Iterator[tuple[np.ndarray, list[tuple[float, float]]]]) -> Iterator[Any]:
    middles: list[list[tuple[float, float]]] = []

    def only_pictures() -> Iterator[np.ndarray]:
        for picture, centres in pictures:
            middles.append(centres)
            yield picture

    for number, photograph in enumerate(predictor.batch(only_pictures())):
        yield photograph, middles[number]


def _share(right: np.ndarray) -> dict[str, Any]:
    share = float(right.mean())
    return {"accuracy": share, "interval": wilson_interval(share, len(right)), "n": len(right)}


if __name__ == "__main__":
    run(main)
