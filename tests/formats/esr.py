"""AffectNet as ESR and OpenDR prepare it: labels in the names of the files."""

from pathlib import Path

from formats import Expected, Format, encoded, face, put
from jaxfer.emotions import AFFECTNET_8


def write(root: Path, per_class: int, separator: str) -> Expected:
    expected = {}
    number = 0

    def add(folder: str, label: str, *parts: object) -> str:
        nonlocal number
        name = f"{folder}/{number // 12}/{separator.join(map(str, (f'{number:07}', *parts)))}.jpg"
        put(root / "AffectNet" / name, encoded(face(label, number)))
        number += 1
        return name

    for folder, split in (("Training_Labeled", "train"), ("Validation", "val")):
        for code, label in enumerate(AFFECTNET_8):
            for _ in range(per_class):
                expected[add(folder, label, code, -653, 653)] = split, label
    expected[add("Training_Labeled", "sad", 2, -2000, -2000)] = "train", "sad"
    for code in (8, 9, 10, 11):
        add("Training_Labeled", "sad", code, -2000, -2000)
    add("Training_Labeled", "sad", "nothing")
    for code, label in enumerate(AFFECTNET_8):
        add("Training_Unlabeled", label, code, 100, 0)
    return expected


def esr(root: Path, per_class: int) -> Expected:
    return write(root, per_class, "_")


def opendr(root: Path, per_class: int) -> Expected:
    return write(root, per_class, "s")


FORMATS = [
    Format("ESR", "ESR or OpenDR", esr),
    Format("OpenDR", "ESR or OpenDR", opendr),
]
