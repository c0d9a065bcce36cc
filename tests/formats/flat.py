"""The flat folder of the Kaggle copy `ngothienphu/affectnet`."""

from pathlib import Path

from formats import Expected, Format, encoded, face, put
from jaxfer.emotions import AFFECTNET_7


def write(root: Path, per_class: int) -> Expected:
    expected = {}
    for split in ("train", "val"):
        for code, label in enumerate(AFFECTNET_7, start=1):
            for number in range(per_class):
                name = f"{split}_0_1_2_3_4_5_6_7_8_9_class{code}_{number}.jpg"
                put(root / name, encoded(face(label, number + 1000 * len(split))))
                expected[name] = split, label
    return expected


FORMATS = [Format("flat folder", "flat folder", write, classes=AFFECTNET_7)]
