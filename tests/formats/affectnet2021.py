"""AffectNet's release of March 2021."""

from pathlib import Path

import numpy as np

from formats import Expected, Format, encoded, face, put
from jaxfer.emotions import AFFECTNET_8

FOLDERS = {"train": "train_set", "val": "val_set"}


def annotate(folder: Path, number: int, **annotations: object) -> None:
    """Write the annotations of image `number` of a split's folder, such as `exp`, each as an array."""
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    for name, value in annotations.items():
        np.save(folder / "annotations" / f"{number}_{name}.npy", np.asarray(value))


def write(root: Path, per_class: int) -> Expected:
    expected = {}
    for split, folder in FOLDERS.items():
        for code, label in enumerate((*AFFECTNET_8, "none")):
            for index in range(per_class):
                # Numbers are not contiguous; validation images are numbered in a range of their own.
                number = 3 * (code + 9 * index) + len(folder)
                name = f"{folder}/images/{number}.jpg"
                shows = label if label in AFFECTNET_8 else "happy"
                put(root / name, encoded(face(shows, index + 1000 * len(split), size=224)))
                annotate(
                    root / folder,
                    number,
                    exp=[str(code)],
                    val=["-0.17460317460317462"],
                    aro=["0.25"],
                    lnd=np.linspace(20, 200, 136),
                )
                if label in AFFECTNET_8:
                    expected[name] = split, label
    return expected


FORMATS = [Format("AffectNet 2021", "AffectNet, March 2021", write)]
