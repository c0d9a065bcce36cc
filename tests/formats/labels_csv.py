"""Word folders with a csv that has the last word, as in `noamsegal/affectnet-training-data`."""

from pathlib import Path

from formats import Expected, Format, encoded, face, put
from jaxfer.emotions import AFFECTNET_8


def write(root: Path, per_class: int) -> Expected:
    """All training data. Every third file lies in the folder of another class, and some rows cannot be used."""
    rows, expected = [], {}
    for label in AFFECTNET_8:
        for number in range(per_class):
            count = len(rows)
            folder = AFFECTNET_8[(AFFECTNET_8.index(label) + (count % 3 == 0)) % 8]
            name = f"{folder}/image{count:07}.jpg"
            put(root / name, encoded(face(label, number)))
            rows.append(f"{count},{name},{label},0.79")
            expected[name] = "train", label
    for name in ("anger/unlisted.jpg", "anger/none.jpg", "anger/sleepy.jpg", "anger/unsure.jpg"):
        put(root / name, encoded(face("anger", 7)))
    rows += [
        "90,anger/none.jpg,none,0.5",
        "91,anger/sleepy.jpg,sleepy,0.5",
        "92,anger/unsure.jpg,anger,0.5",
        "93,anger/unsure.jpg,sad,0.5",
        "94,anger/missing.jpg,anger,0.5",
        "95,/etc/passwd,anger,0.5",
        "96,../anger/outside.jpg,anger,0.5",
        "97,anger",
        rows[0],
    ]
    put(root / "labels.csv", "\r\n".join([",pth,label,relFCs", *rows, ""]).encode())
    return expected


def in_split_folders(root: Path, per_class: int) -> Expected:
    """`mstjebashazida/affectnet`: class folders whose labels.csv is that of the other copy, without the splits."""
    rows, expected = [], {}
    for folder, split in (("Train", "train"), ("Test", "test")):
        for label in AFFECTNET_8:
            for _ in range(per_class):
                name = f"{label}/image{len(rows):07}.jpg"
                put(root / "archive (3)" / folder / name, encoded(face(label, len(rows))))
                rows.append(f"{len(rows)},{name},{AFFECTNET_8[len(rows) % 8]},0.79")
                expected[f"{folder}/{name}"] = split, label
    put(root / "archive (3)" / "labels.csv", "\n".join([",pth,label,relFCs", *rows, ""]).encode())
    return expected


FORMATS = [
    Format("labels.csv", "labels.csv", write),
    Format("labels.csv of another copy", "class folders", in_split_folders),
]
