"""How much memory and time checking and preparing take: `python benchmarks/data_memory.py results/data_memory.json`.

At 20,000 and at 200,000 images, each in a process of its own: so many different JPEG files of 48 pixels in class
folders are checked, and prepared at 64 pixels. The greatest resident memory of that process is added to that of each
process that decodes for it.
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
from places import places

from jaxfer.emotions import AFFECTNET_7

COUNTS = (20_000, 200_000)
SIDE = 48

VERBS = {
    "check": "from jaxfer.data import check; images = check(raw).images",
    "prepare": "from jaxfer.data import prepare; images = prepare(raw, out).metadata['splits']['train']['images']",
}

PROGRAM = """
import json, resource, sys, time
from pathlib import Path
raw, out = map(Path, sys.argv[1:])
start = time.perf_counter()
{work}
seconds = time.perf_counter() - start
own, each = (resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps({{"images": images, "seconds": seconds, "own": own, "each": each}}))
"""


def main() -> None:
    """Measure, print and write."""
    (out,) = places(__doc__, "out")
    result = {
        "what": "seconds, and greatest resident memory in MiB: of all processes together",
        "runs": [run for count in COUNTS for run in measure(count)],
        "machine": machine(),
        "versions": versions("jaxfer", "numpy", "pillow", "tensorflow-datasets", "array-record"),
    }
    print(json.dumps(result, indent=1))
    out.write_text(json.dumps(result, indent=1) + "\n")


def measure(count: int) -> list[dict[str, str | float]]:
    """Check and prepare so many images and return the time and the memory that took."""
    runs = []
    with tempfile.TemporaryDirectory() as temporary:
        raw, out = Path(temporary) / "raw", Path(temporary) / "out"
        write_images(raw / "train", count)
        for verb, work in VERBS.items():
            command = [sys.executable, "-c", PROGRAM.format(work=work), raw, out]
            found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
            assert found["images"] == count
            children = (os.cpu_count() or 1) * found["each"]
            runs.append(
                {"verb": verb, "images": count, "seconds": round(found["seconds"], 1)}
                | {"memory_mib": round(found["own"] + children)}
            )
    return runs


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
