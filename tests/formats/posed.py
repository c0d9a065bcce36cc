"""JAFFE and KDEF: labels in the names of the files."""

from pathlib import Path

from formats import Expected, Format, encoded, face, put
from jaxfer.emotions import AFFECTNET_7

JAFFE_CODES = ("NE", "HA", "SA", "SU", "FE", "DI", "AN")
KDEF_CODES = ("NE", "HA", "SA", "SU", "AF", "DI", "AN")
"""In AffectNet's order."""


def jaffe(root: Path, per_class: int) -> Expected:
    expected = {}
    for code, label in zip(JAFFE_CODES, AFFECTNET_7, strict=True):
        for number in range(per_class):
            name = f"{'KM'[number % 2]}A.{code}{number % 4 + 1}.{len(expected) + 1}.tiff"
            put(root / "jaffe" / name, encoded(face(label, number), "TIFF"))
            expected[name] = "train", label
    put(root / "jaffe/README_FIRST.txt", b"Terms of use")
    return expected


def kdef(root: Path, per_class: int) -> Expected:
    expected = {}
    for code, label in zip(KDEF_CODES, AFFECTNET_7, strict=True):
        for number in range(per_class):
            person = f"{'AB'[number // 2 % 2]}{'FM'[number % 2]}{number // 4 + 1:02}"
            name = f"{person}/{person}{code}{('S', 'HL', 'FR')[number % 3]}.JPG"
            put(root / "KDEF_and_AKDEF/KDEF" / name, encoded(face(label, number)))
            expected[name] = "train", label
    put(root / "KDEF_and_AKDEF/KDEF/AF01/AF01V.JPG", encoded(face("sad", 5)))
    put(root / "KDEF_and_AKDEF/Readme - KDEF & AKDEF.txt", b"Terms of use")
    return expected


FORMATS = [
    Format("JAFFE", "JAFFE", jaffe, classes=AFFECTNET_7),
    Format("KDEF", "KDEF", kdef, classes=AFFECTNET_7),
]
