"""Write `demo.png` beside this script: the page of `jaxfer demo` with three drawn people, as Chromium shows it.

python docs/make_demo.py
"""

import io
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
from PIL import Image

from jaxfer.data.synthetic import draw_faces
from jaxfer.demo import DemoServer
from jaxfer.inference import Predictor

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

PEOPLE = ((48, 0), (24, 1), (31, 3))
"""Seed and expression of each."""

SIDE, WIDTH, HEIGHT = 400, 1280, 1025


def main() -> None:
    """Draw the people, show them to the page, and write what it shows."""
    from browser import Browser

    faces = [draw_faces(seed, np.array([label], np.int32), image_size=SIDE)[0] for seed, label in PEOPLE]
    with tempfile.TemporaryDirectory() as folder, DemoServer(Predictor.load(), "small", 0) as server:
        people = Path(folder) / "people.png"
        Image.fromarray(np.concatenate(faces, axis=1)).save(people)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Browser() as browser:
            browser.open(server.address, width=WIDTH)
            browser.choose("input", people)
            browser.wait_for("document.querySelectorAll('.box').length === 3")
            browser.wait_for("document.getAnimations().length === 0")
            page = Image.open(io.BytesIO(browser.screenshot())).convert("RGB")
        server.shutdown()
    path = Path(__file__).with_name("demo.png")
    page.crop((0, 0, WIDTH, HEIGHT)).quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=4).save(
        path, optimize=True
    )
    print(f"wrote {path.relative_to(ROOT)}, {path.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
