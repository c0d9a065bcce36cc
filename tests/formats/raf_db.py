"""RAF-DB's basic expressions."""

from pathlib import Path

from formats import Expected, Format, encoded, face, put
from jaxfer.emotions import AFFECTNET_7

LABELS = {"surprise": 1, "fear": 2, "disgust": 3, "happy": 4, "sad": 5, "anger": 6, "neutral": 7}


def aligned(root: Path, per_class: int) -> Expected:
    expected = {}
    lines = []
    for split, digits in (("train", 5), ("test", 4)):
        for number in range(per_class * len(AFFECTNET_7)):
            label = AFFECTNET_7[number % len(AFFECTNET_7)]
            stem = f"{split}_{number + 1:0{digits}d}"
            content = encoded(face(label, number + 1000 * len(split), 100))
            put(root / f"basic/Image/aligned/{stem}_aligned.jpg", content)
            # A photograph: it shows more than the face.
            put(root / f"basic/Image/original/{stem}.jpg", encoded(face("contempt", number, 200)))
            lines.append(f"{stem}.jpg {LABELS[label]}")
            expected[f"Image/aligned/{stem}_aligned.jpg"] = split, label
    put(root / "basic/Image/aligned/train_88888_aligned.jpg", encoded(face("sad", 0)))
    lines += ["train_99999.jpg 3", "train_88888.jpg 8"]
    put(root / "basic/EmoLabel/list_patition_label.txt", "\n".join([*lines, ""]).encode())
    return expected


FORMATS = [Format("RAF-DB", "RAF-DB", aligned, classes=AFFECTNET_7)]
