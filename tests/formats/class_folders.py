"""Folders named by class."""

from pathlib import Path

from formats import Expected, Format, encoded, face, put
from jaxfer.emotions import AFFECTNET_7, AFFECTNET_8

SPELT = ("Neutral", "happy", "SAD", "surprised", "fear", "Disgusted", "anger", "Contempt")


def words(root: Path, per_class: int) -> Expected:
    expected = {}
    for folder, split in (("Train", "train"), ("Test", "test"), ("valid", "val")):
        for label, word in zip(AFFECTNET_8, SPELT, strict=True):
            for number in range(per_class):
                picture = face(label, number + 1000 * len(split))
                put(root / "archive (3)" / folder / word / f"{number}.png", encoded(picture, "PNG"))
                expected[f"{folder}/{word}/{number}.png"] = split, label
    return expected


def digits(root: Path, per_class: int) -> Expected:
    expected = {}
    for split in ("train", "val"):
        for code, label in enumerate(AFFECTNET_7):
            for number in range(per_class):
                put(root / split / str(code) / f"{number}.jpg", encoded(face(label, number + 1000 * len(split))))
                expected[f"{split}/{code}/{number}.jpg"] = split, label
    return expected


FORMATS = [
    Format("word folders", "class folders", words),
    Format("digit folders", "class folders", digits, classes=AFFECTNET_7, label_order="affectnet"),
]
