"""YOLO's format. Faces are boxes in larger photographs, several to each: only the box has the class's colour."""

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from formats import Expected, Format, encoded, face, put
from jaxfer.emotions import AFFECTNET_8

NAMES = ("Anger", "Contempt", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
"""Those of `fatihkgg/affectnet-yolo-format`."""

WIDTH, HEIGHT, SIDE = 192, 64, 40

UPRIGHT, TURNED = 1, 6
"""EXIF orientations; the second turns a stored image by 90 degrees to the right."""


def photograph(labels: Iterable[str], number: int, orientation: int) -> tuple[bytes, str]:
    """Return a JPEG with a face of each label, and its label file."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), "white")
    lines = []
    for index, label in enumerate(labels):
        left, top = 8 + 56 * index, 16
        picture.paste(face(label, number, SIDE), (left, top))
        middle = (left + SIDE / 2) / WIDTH, (top + SIDE / 2) / HEIGHT
        code = [name.lower() for name in NAMES].index(label)
        lines.append(" ".join(map(str, (code, *middle, SIDE / WIDTH, SIDE / HEIGHT))))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = picture.transpose(Image.Transpose.ROTATE_90) if orientation == TURNED else picture
    return encoded(stored, quality=95, exif=exif), "\n".join(lines) + "\n"


def write_splits(root: Path, splits: dict[str, tuple[str, str, str]], per_class: int) -> Expected:
    """Write each split, given as what it is used for and the folders of its images and labels."""
    expected = {}
    for place, (split, images, labels) in enumerate(splits.values()):
        for start, label in enumerate(AFFECTNET_8):
            shown = [AFFECTNET_8[(start + step) % 8] for step in range(3)]
            for number in range(per_class):
                stem = f"{label}_{number}.rf.8f2b"
                orientation = TURNED if number % 2 == start % 2 else UPRIGHT
                content, text = photograph(shown, 1000 * (8 * place + start) + number, orientation)
                put(root / images / f"{stem}.jpg", content)
                put(root / labels / f"{stem}.txt", text.encode())
                for index, name in enumerate(shown, start=1):
                    suffix = "" if index == 1 else f" box {index}"
                    expected[f"{images}/{stem}.jpg{suffix}"] = split, name
    odd = {"no_text": None, "empty": "", "malformed": "3 0.5 0.5\n", "other": "11 0.5 0.5 0.2 0.2\n"}
    _, images, labels = next(iter(splits.values()))
    for stem, text in odd.items():
        put(root / images / f"{stem}.png", encoded(face("sad", 7), "PNG"))
        if text is not None:
            put(root / labels / f"{stem}.txt", text.encode())
    put(root / labels / "no_image.txt", b"0 0.5 0.5 0.2 0.2\n")
    return expected


def by_split(root: Path, per_class: int) -> Expected:
    root = root / "YOLO_format"
    names = ", ".join(f"'{name}'" for name in NAMES)
    put(
        root / "data.yaml",
        f"train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 8\nnames: [{names}]\n".encode(),
    )
    folders = {"train": "train", "valid": "val", "test": "test"}
    splits = {folder: (split, f"{folder}/images", f"{folder}/labels") for folder, split in folders.items()}
    return write_splits(root, splits, per_class)


def by_kind(root: Path, per_class: int) -> Expected:
    names = "".join(f"  {index}: {name}\n" for index, name in enumerate([*NAMES, "none"]))
    put(root / "data.yaml", f"path: /elsewhere\ntrain: images/train\nval: images/val\nnames:\n{names}".encode())
    put(root / "images/train/nobody.png", encoded(face("sad", 8), "PNG"))
    put(root / "labels/train/nobody.txt", b"8 0.5 0.5 0.2 0.2\n")
    put(root / "labels/train/classes.txt", "\n".join(NAMES).encode())
    splits = {split: (split, f"images/{split}", f"labels/{split}") for split in ("train", "val")}
    return write_splits(root, splits, per_class)


FORMATS = [
    Format("YOLO", "YOLO", by_split),
    Format("YOLO, images and labels apart", "YOLO", by_kind),
]
