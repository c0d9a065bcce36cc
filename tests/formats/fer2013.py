"""FER2013 in one file, and FER+ with its votes beside it."""

from pathlib import Path

import numpy as np
from PIL import Image

from formats import Expected, Format, encoded, face, put
from jaxfer.emotions import AFFECTNET_7, AFFECTNET_8, FER2013

USAGES = {"train": "Training", "val": "PublicTest", "test": "PrivateTest"}
"""In the order of the npz's codes."""

VOTED = ("neutral", "happy", "surprise", "sad", "anger", "disgust", "fear", "contempt", "unknown", "NF")
"""The columns of FER+, those of expressions by the names of AffectNet."""


def gray(label: str, number: int) -> np.ndarray:
    return np.asarray(face(label, number).convert("L"))


def faces(classes: tuple[str, ...], per_class: int) -> list[tuple[str, str, np.ndarray]]:
    """Return split, class and pixels of all rows; splits take turns, so that no reader can rely on their order."""
    return [
        (split, label, gray(label, number + 1000 * len(split)))
        for number in range(per_class)
        for label in classes
        for split in USAGES
    ]


def csv_line(code: int, pixels: np.ndarray, usage: str) -> str:
    return f"{code},{' '.join(map(str, pixels.ravel()))},{usage}"


def votes_line(usage: str, **votes: int) -> str:
    return ",".join([usage, "fer.png", *(str(votes.get(name, 0)) for name in VOTED)])


def npz(root: Path, per_class: int) -> Expected:
    rows = faces(AFFECTNET_7, per_class)
    usages = [list(USAGES).index(split) for split, _, _ in rows]
    np.savez_compressed(
        root / "fer2013.npz",
        images=np.stack([gray("sad", 1), *(pixels for _, _, pixels in rows), gray("sad", 2)]),
        labels=np.array([7, *(FER2013.index(label) for _, label, _ in rows), 0], np.uint8),
        usage=np.array([0, *usages, 3], np.uint8),
    )
    return {f"fer2013.npz row {number}": (split, label) for number, (split, label, _) in enumerate(rows, start=1)}


def csv(root: Path, per_class: int) -> Expected:
    rows = faces(AFFECTNET_7, per_class)
    lines = [csv_line(FER2013.index(label), pixels, USAGES[split]) for split, label, pixels in rows]
    damaged = ["0,1 2 3,Training", csv_line(9, gray("sad", 1), "Training")]
    put(root / "fer2013/fer2013.csv", "\n".join(["emotion,pixels,Usage", *damaged, *lines, ""]).encode())
    return {f"fer2013.csv line {number}": (split, label) for number, (split, label, _) in enumerate(rows, start=4)}


def fer_plus(root: Path, per_class: int) -> Expected:
    rows = faces(AFFECTNET_8, per_class)
    codes = {label: FER2013.index(label if label in FER2013 else "neutral") for label in AFFECTNET_8}
    lines = [csv_line(codes[label], pixels, USAGES[split]) for split, label, pixels in rows]
    votes = [votes_line(USAGES[split], **{label: 6, "unknown": 4}) for split, label, _ in rows]
    lines += [csv_line(3, gray("happy", 1), "Training")] * 3
    votes += [votes_line("Training", NF=10), votes_line("Training", happy=5, sad=5), "Training,,many"]
    put(root / "fer2013.csv", "\n".join(["emotion,pixels,Usage", *lines, ""]).encode())
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    put(root / "fer2013new.csv", "\r\n".join([header, *votes, ""]).encode())
    return {f"fer2013.csv line {number}": (split, label) for number, (split, label, _) in enumerate(rows, start=2)}


def fer_plus_folders(root: Path, per_class: int) -> Expected:
    """As the authors' script writes it; their own copy of the validation rows has boxes."""
    folders = {"train": "FER2013Train", "val": "FER2013Valid", "test": "FER2013Test"}
    expected, lines = {}, {split: ["fer9999999.png," + ",".join("0" * 10)] for split in folders}
    votes = [(one, {one[1]: 6, "unknown": 4}) for one in faces(AFFECTNET_8, per_class)]
    others = ({"NF": 10}, {"happy": 5, "sad": 5}, {"neutral": 4000})
    votes += [(("train", "", gray("happy", number)), counts) for number, counts in enumerate(others)]
    for number, ((split, label, pixels), counts) in enumerate(votes):
        name = f"{folders[split]}/fer{number:07}.png"
        put(root / "data" / name, encoded(Image.fromarray(pixels), "PNG"))
        box = '"(0, 0, 48, 48)",' if split == "val" else ""
        line = ",".join(str(counts.get(voted, 0)) for voted in VOTED)
        lines[split].append(f"fer{number:07}.png,{box}{line}")
        if label:
            expected[name] = split, label
    for split, folder in folders.items():
        put(root / "data" / folder / "label.csv", "\r\n".join([*lines[split], ""]).encode())
    return expected


FORMATS = [
    Format("FER2013 npz", "FER2013", npz, classes=AFFECTNET_7, gray=True),
    Format("FER2013 csv", "FER2013", csv, classes=AFFECTNET_7, gray=True),
    Format("FER+", "FER+", fer_plus, gray=True),
    Format("FER+ folders", "FER+ folders", fer_plus_folders, gray=True),
]
