"""AffectNet's release of 2017: photographs whose surroundings have the colour of another class than the face's."""

import hashlib
from pathlib import Path

from PIL import Image

from formats import COLOURS, Expected, Format, encoded, face, put
from jaxfer.emotions import AFFECTNET_8

HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"

KINDS = {"jpg": "JPEG", "JPG": "JPEG", "jpeg": "JPEG", "png": "PNG", "bmp": "BMP", "tif": "TIFF"}
"""The suffixes of the release's files and what such files hold."""

BOX = (70, 20, 48, 48)
"""Left, top, width and height of the face in each photograph."""

LANDMARKS = ";".join(f"{70 + 0.5 * (i % 68):.2f}" for i in range(136))


def photograph(label: str, number: int) -> Image.Image:
    """Return 160 x 90 pixels with the face in `BOX`, in the colour of the class after its own."""
    other = AFFECTNET_8[(AFFECTNET_8.index(label) + 1) % len(AFFECTNET_8)]
    picture = Image.new("RGB", (160, 90), COLOURS[other])
    picture.paste(face(label, number), BOX[:2])
    return picture


def line(path: str, code: int | str, *, box: tuple = BOX, valence: float = 0.25, arousal: float = -0.5) -> str:
    """Return a row of a list."""
    return ",".join(map(str, (path, *box, LANDMARKS, code, valence, arousal)))


def fill(images: Path, split: str, per_class: int) -> tuple[list[str], dict[str, str]]:
    """Write photographs and return a list's rows, and the class of each path."""
    rows, classes = [], {}
    for code, label in enumerate(AFFECTNET_8):
        for number in range(per_class):
            suffix = list(KINDS)[(code + number) % len(KINDS)]
            name = hashlib.sha224(f"{split} {label} {number}".encode()).hexdigest()
            path = f"{(137 * code + number) % 1053 + 1}/{name}.{suffix}"
            put(images / path, encoded(photograph(label, number + 1000 * len(split)), KINDS[suffix]))
            rows.append(line(path, code))
            classes[path] = label
    return rows, classes


def unusable(images: Path) -> list[str]:
    """Return rows that must be left out, and write an image that no row names."""
    for code in (8, 9, 10):
        put(images / f"12/none{code}.jpg", encoded(photograph("happy", code)))
    put(images / "12/unlisted.jpg", encoded(photograph("happy", 11)))
    return [
        line("12/none8.jpg", 8, valence=-2, arousal=-2),
        line("12/none9.jpg", 9, valence=-2, arousal=-2),
        line("12/none10.jpg", 10, box=(-1, -1, -1, -1), valence=-2, arousal=-2),
        "12/malformed.jpg,134,134,899",
        line("12/missing.jpg", 1),
    ]


def copy(root: Path, lists: dict[str, str], images: str, per_class: int, header: str = f"{HEADER}\n") -> Expected:
    """Write lists, by split, and the folder of their images; return what a reader must find, named from `root`."""
    expected = {}
    for split, path in lists.items():
        rows, classes = fill(root / images, split, per_class)
        if split == "train":
            rows[1:1] = unusable(root / images)
        put(root / path, (header + "\n".join(rows) + "\n").encode())
        expected |= {f"{images}/{name}": (split, label) for name, label in classes.items()}
    return expected


def released(root: Path, per_class: int) -> Expected:
    """The lists and the images as the authors name them, and the automatic part beside."""
    automatic, _ = fill(root / "Automatically_Annotated_Images", "automatic", 1)
    put(
        root / "Automatically_Annotated_file_lists/automatically_annotated.csv",
        "\n".join((HEADER, *automatic, "")).encode(),
    )
    folder = "Manually_Annotated_file_lists"
    lists = {"train": f"{folder}/training.csv", "val": f"{folder}/validation.csv"}
    return copy(root, lists, "Manually_Annotated_Images", per_class)


def nested(root: Path, per_class: int) -> Expected:
    """Other names, deeper images, and no header."""
    lists = {"train": "Manual_Annot_lists/train.csv", "val": "Manual_Annot_lists/val.csv"}
    place = root / "data" / "AffectNet (2017)"
    return copy(place, lists, "Manually_Annotated/Manually_Annotated_compressed", per_class, header="")


def loose(root: Path, per_class: int) -> Expected:
    """Lists that stand beside the image folder and were saved on Windows: a byte order mark and CRLF."""
    lists = {"train": "Training.CSV", "val": "Validation.CSV"}
    expected = copy(root, lists, "Manual_Annot", per_class)
    for path in root.glob("*.CSV"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    return expected


FORMATS = [
    Format("AffectNet 2017", "AffectNet, 2017", released),
    Format("AffectNet 2017 nested, without header", "AffectNet, 2017", nested),
    Format("AffectNet 2017 with lists beside the images", "AffectNet, 2017", loose),
]
