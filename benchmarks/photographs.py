"""Photographs a second from file to expressions, beside the package fer, and the first answer of a fresh process.

`python benchmarks/photographs.py results/photographs.json [FER_PYTHON]`

The photographs are JPEGs of 1280 x 960 pixels with one to eight drawn faces each. FER_PYTHON is the Python of an
environment with `fer`, TensorFlow and `setuptools<81`; it finds faces by Haar cascades and answers by its LiteRT
network, its fastest way. Both take turns, a pass over all photographs each, and only passes after the first count. Each
is called as its documentation has it: `Predictor.batch` with all files, `detect_emotions` with one image after another.
The first answer is that of `jaxfer predict`, in a process of its own, with an empty cache of compiled programs and
with the one that it left.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine, versions
from PIL import Image
from places import places

from jaxfer.data.synthetic import draw_faces

COUNT, PASSES = 40, 5
SIZE = 1280, 960

OURS = """
import sys, time
from jaxfer import Predictor
predictor = Predictor.load()
def photographs(paths):
    return sum(len(found.faces) for found in predictor.batch(paths))
"""
FER = """
import sys, time
import cv2
from fer.fer import FER
detector = FER(mtcnn=False, use_tflite=True)
def photographs(paths):
    return sum(len(detector.detect_emotions(cv2.imread(path))) for path in paths)
"""
SERVE = """
for line in sys.stdin:
    paths = line.split()
    wall, processor = time.perf_counter(), time.process_time()
    faces = photographs(paths)
    print("took", time.perf_counter() - wall, time.process_time() - processor, faces, flush=True)
"""


def main() -> None:
    """Measure, and write the numbers."""
    out, fer = places(__doc__, "out", "fer_python?")
    with tempfile.TemporaryDirectory() as folder:
        paths, faces = draw(Path(folder))
        programs = {"jaxfer": (sys.executable, OURS)} | ({"fer": (str(fer), FER)} if fer else {})
        found: dict[str, Any] = {
            "machine": machine(),
            "versions": versions("jaxfer", "jax", "opencv-python-headless", "pillow") | (_fer(fer) if fer else {}),
            "photographs": {"count": COUNT, "size": SIZE, "faces": faces},
            "load": os.getloadavg()[0],
            "passes": in_turns(programs, paths),
            "first_answer": first_answers(paths[0], Path(folder) / "cache"),
        }
    if fer:
        ours, other = (found["passes"][name] for name in ("jaxfer", "fer"))
        found["times_as_fast"] = statistics.median(
            b["seconds"] / a["seconds"] for a, b in zip(ours, other, strict=True)
        )
    out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def draw(folder: Path) -> tuple[list[str], int]:
    """Write the photographs; return their paths, and how many faces are in all of them."""
    random = np.random.default_rng(0)
    paths, faces = [], 0
    for number in range(COUNT):
        count = 1 + number % 8
        picture = Image.new("RGB", SIZE, tuple(int(value) for value in random.integers(60, 200, 3)))
        for place, face in enumerate(draw_faces(number, random.integers(0, 7, count).astype(np.int32), image_size=160)):
            side = int(random.integers(120, 280))
            corner = 320 * (place % 4) + (320 - side) // 2, 480 * (place // 4) + (480 - side) // 2
            picture.paste(Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC), corner)
        paths.append(str(folder / f"{number}.jpg"))
        picture.save(paths[-1], quality=92)
        faces += count
    return paths, faces


def in_turns(programs: dict[str, tuple[str, str]], paths: list[str]) -> dict[str, list[dict[str, float]]]:
    """Return what each pass of each program took: seconds of the wall and of processors, and faces found."""
    processes = {
        name: subprocess.Popen(
            [python, "-c", program + SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for name, (python, program) in programs.items()
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in programs}
    for number in range(PASSES + 1):
        for name, process in processes.items():
            assert process.stdin
            assert process.stdout
            process.stdin.write(" ".join(paths) + "\n")
            process.stdin.flush()
            line = next(line for line in process.stdout if line.startswith("took"))
            seconds, processor, faces = map(float, line.split()[1:])
            if number:
                found[name].append({"seconds": seconds, "processor_seconds": processor, "faces": faces})
    for process in processes.values():
        process.communicate()
    return found


def first_answers(path: str, cache: Path) -> dict[str, Any]:
    """Return seconds until `jaxfer predict` has answered: with nothing compiled, and thrice with what was kept."""
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    cache.mkdir()
    taken = []
    for _ in range(4):
        begun = time.perf_counter()
        command = [sys.executable, "-m", "jaxfer", "predict", path]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        taken.append(time.perf_counter() - begun)
    return {"empty_cache": taken[0], "kept_programs": taken[1:]}


def _fer(python: Path) -> dict[str, str]:
    ask = "import importlib.metadata as m; print(m.version('fer'), m.version('tensorflow'))"
    said = subprocess.run([str(python), "-c", ask], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    return dict(zip(("fer", "tensorflow"), said, strict=True))


if __name__ == "__main__":
    main()
