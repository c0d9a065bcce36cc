"""How much memory preparing takes: `python benchmarks/prepare_memory.py results/prepare_memory.json 20000 200000`.

For each number, so many different JPEG files of 48 pixels in class folders are prepared at 64 pixels, in a process of
its own, whose resident memory is added to that of the processes that decode for it, each at its greatest.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from machine import machine, versions
from PIL import Image

from jaxfer.emotions import AFFECTNET_7

SIDE, SIZE = 48, 64

PREPARE = """
import json, resource, sys, time
from pathlib import Path
from jaxfer.data.prepared import prepare
start = time.perf_counter()
raw, out, size = sys.argv[1:]
images = prepare(Path(raw), Path(out), image_size=int(size)).metadata["splits"]["train"]["images"]
own, each = (resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps({"images": images, "seconds": time.perf_counter() - start, "own": own, "each": each}))
"""


def main() -> None:
    """Measure, print and write."""
    result_path, *counts = sys.argv[1:]
    result = {
        "what": "greatest resident memory in MiB: of the process that prepares, of each that decodes, and of all",
        "runs": [measure(int(count)) for count in counts],
        "image_size": SIZE,
        "workers": os.cpu_count(),
        "machine": machine(),
        "versions": versions("jaxfer", "numpy", "pillow", "tensorflow-datasets", "array-record"),
    }
    print(json.dumps(result, indent=1))
    Path(result_path).write_text(json.dumps(result, indent=1) + "\n")


def measure(count: int) -> dict[str, float]:
    """Prepare so many images and return the time and the memory that took."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_images(folder / "raw" / "train", count)
        command = [sys.executable, "-c", PREPARE, str(folder / "raw"), str(folder / "out"), str(SIZE)]
        found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    assert found["images"] == count
    total = found["own"] + (os.cpu_count() or 1) * found["each"]
    return {name: round(value, 1) for name, value in (found | {"all": total}).items()}


def write_images(folder: Path, count: int) -> None:
    """Write JPEG files of noise, no two of them equal."""
    random = np.random.default_rng(0)
    for name in AFFECTNET_7:
        (folder / name).mkdir(parents=True)
    for number in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8))
        coarse.resize((SIDE, SIDE)).save(folder / AFFECTNET_7[number % 7] / f"{number}.jpg", "JPEG")


if __name__ == "__main__":
    main()
