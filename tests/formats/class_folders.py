"""Folders named by class."""

from pathlib import Path

from formats import Expected, Format, encoded, face, put
from jaxfer.emotions import AFFECTNET_7, AFFECTNET_8

SPELT = ("Neutral", "happy", "SAD", "surprised", "fear", "Disgusted", "anger", "Contempt")

RAF_DB = ("surprise", "fear", "disgust", "happy", "sad", "anger", "neutral")


def words(root: Path, per_class: int) -> Expected:
    expected = {}
    for folder, split in (("Train", "train"), ("Test", "test"), ("valid", "val")):
        for label, word in zip(AFFECTNET_8, SPELT, strict=True):
            for number in range(per_class):
                picture = face(label, number + 1000 * len(split))
                put(root / "archive (3)" / folder / word / f"{number}.png", encoded(picture, "PNG"))
                expected[f"{folder}/{word}/{number}.png"] = split, label
    return expected


def words_alone(root: Path, per_class: int) -> Expected:
    """All training data, with names in other scripts, a folder of faces without expression, and files astray."""
    expected = {}
    for label, word in zip(AFFECTNET_8, SPELT, strict=True):
        for number in range(per_class):
            name = f"{word}/größe 표정 {number}.webp"
            put(root / "データ" / name, encoded(face(label, number), "WEBP"))
            expected[name] = "train", label
    for astray in ("Uncertain/1.jpg", "happy/copies/1.jpg", "overview.jpg"):
        put(root / "データ" / astray, encoded(face("sad", 7)))
    return expected


def digits(root: Path, per_class: int) -> Expected:
    return by_code(root, per_class, dict(enumerate(AFFECTNET_7)))


def alphabetical(root: Path, per_class: int) -> Expected:
    return by_code(root, per_class, dict(enumerate(sorted(AFFECTNET_8))))


def raf_db(root: Path, per_class: int) -> Expected:
    return by_code(root, per_class, dict(enumerate(RAF_DB, start=1)))


def all_codes(root: Path, per_class: int) -> Expected:
    """AffectNet's codes with those that name no expression: none, uncertain and no face."""
    for code in (8, 9, 10):
        put(root / f"train/{code}/1.jpg", encoded(face("sad", code)))
    return by_code(root, per_class, dict(enumerate(AFFECTNET_8)))


def by_code(root: Path, per_class: int, classes: dict[int, str]) -> Expected:
    expected = {}
    for split in ("train", "val"):
        for code, label in classes.items():
            for number in range(per_class):
                put(root / split / str(code) / f"{number}.jpg", encoded(face(label, number + 1000 * len(split))))
                expected[f"{split}/{code}/{number}.jpg"] = split, label
    return expected


FORMATS = [
    Format("word folders", "class folders", words),
    Format("word folders without splits", "class folders", words_alone),
    Format("digit folders", "class folders", digits, classes=AFFECTNET_7, label_order="affectnet"),
    Format("digit folders of all codes", "class folders", all_codes, label_order="affectnet"),
    Format("alphabetical digit folders", "class folders", alphabetical, label_order="alphabetical"),
    Format("RAF-DB in digit folders", "class folders", raf_db, classes=AFFECTNET_7, label_order="raf-db"),
]
