"""ExpW: two faces in a photograph, side by side."""

from pathlib import Path

from PIL import Image

from formats import Expected, Format, encoded, face, put
from jaxfer.emotions import AFFECTNET_7, FER2013


def write(root: Path, per_class: int) -> Expected:
    """All training data. Around the faces, photographs show another class than any of them."""
    expected: Expected = {}
    lines = ["damaged.jpg 0 20 20"]
    labels = [label for _ in range(per_class) for label in AFFECTNET_7]
    for photograph in range(len(labels)):
        canvas = face("contempt", photograph, 200)
        name = f"some people_{photograph}.jpg"
        for place, label in enumerate((labels[photograph], labels[photograph - 1])):
            left, top = 10 + 100 * place, 60
            canvas.paste(face(label, photograph + 1000 * place, 80), (left, top))
            lines.append(f"{name} {place} {top} {left} {left + 80} {top + 80} 61.5 {FER2013.index(label)}")
            own = f"image/origin/{name}" if not place else f"image/origin/{name} line {len(lines)} of label.lst"
            expected[own] = "train", label
        put(root / "image/origin" / name, encoded(canvas))
    put(root / "image/origin/unlisted.jpg", encoded(Image.new("RGB", (60, 60))))
    lines += [
        "missing.jpg 0 1 1 9 9 5.5 3",
        "some people_0.jpg 2 60 90 10 140 61.5 3",
        "some people_0.jpg 3 1 1 9 9 5.5 8",
    ]
    put(root / "label/label.lst", "\n".join([*lines, ""]).encode())
    return expected


FORMATS = [Format("ExpW", "ExpW", write, classes=AFFECTNET_7)]
