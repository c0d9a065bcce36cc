"""Preparing beside a PyTorch DataLoader: `python benchmarks/prepare.py results/prepare.json PEERS/bin/python`.

The second argument is the Python of an environment with `requirements-peers.txt`. Drawn faces, as JPEG files of 224
pixels in class folders, become 64 pixels. Each round times `jaxfer.data.prepared.prepare`, which decodes, resizes and
stores, with either decoder; `check` and a first `load`, likewise; and the peer, which decodes and resizes into batches
that nobody uses, once with float and once with uint8 tensors. All have a worker process for each processor. The order
changes from round to round; the medians are compared, of images a second and, for a machine that is shared, of the
processors' time.
"""

import io
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from machine import machine, versions
from PIL import Image
from places import places
from prepare_peer import processor_seconds
from turns import in_turn

from jaxfer.config import DataConfig, Decoder, PrepareConfig
from jaxfer.data import check, load
from jaxfer.data.cache import FOLDER
from jaxfer.data.prepared import builder, prepare  # noqa: F401 - imported before the clock starts, as the peer's torch
from jaxfer.data.synthetic import draw_faces
from jaxfer.emotions import AFFECTNET_7

IMAGES, DRAWN, ROUNDS = 12_000, 1500, 3
SIDE, QUALITY, SIZE = 224, 90, 64

DECODERS: dict[Decoder, str] = {"pillow": "jaxfer", "simplejpeg": "jaxfer simplejpeg"}

Round = dict[str, float]
"""`images`, the `seconds` they took, and the `processor`'s seconds."""


def main() -> None:
    """Measure, print and write."""
    result_path, peer_python = places(__doc__, "out", "peer_python")
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary) / "train"
        size = write_images(folder)
        contenders: dict[str, Callable[[], Round]] = {}
        for decoder, ours in DECODERS.items():
            contenders[ours] = partial(once, prepare_images, folder.parent, decoder)
            contenders[f"{ours} check"] = partial(once, check_images, folder.parent, decoder)
            contenders[f"{ours} load"] = partial(once, load_images, folder.parent, decoder)
        for kind in ("float32", "uint8"):
            contenders[f"peer {kind}"], peer_versions = peer(stack, str(peer_python), folder, kind)
        rounds = {name: turns[1:] for name, turns in in_turn(contenders, ROUNDS + 1).items()}  # the first warms up
    rates = {name: [turn["images"] / turn["seconds"] for turn in turns] for name, turns in rounds.items()}
    per_second = {name: [turn["images"] / turn["processor"] for turn in turns] for name, turns in rounds.items()}
    result = {
        "what": f"images a second, JPEG of {SIDE} pixels (quality {QUALITY}, {size / 1e3:.1f} kB) to {SIZE} pixels",
        "images_per_second": {name: spread(values) for name, values in rates.items()},
        "processor_ms_per_image": {
            name: spread([1e3 * turn["processor"] / turn["images"] for turn in turns]) for name, turns in rounds.items()
        },
        "ratio_to": compared(rates, "jaxfer"),
        "simplejpeg_ratio_to": compared(rates, "jaxfer simplejpeg"),
        "processor_ratio_to": compared(per_second, "jaxfer"),
        "simplejpeg_processor_ratio_to": compared(per_second, "jaxfer simplejpeg"),
        "images": IMAGES,
        "rounds": ROUNDS,
        "workers": os.cpu_count(),
        "machine": machine(),
        "versions": versions("jaxfer", "numpy", "pillow", "simplejpeg", "tensorflow-datasets", "array-record"),
        "peer_versions": peer_versions,
    }
    print(json.dumps(result, indent=1))
    result_path.write_text(json.dumps(result, indent=1) + "\n")


def write_images(folder: Path) -> float:
    """Write drawn faces into class folders, each as several files, and return the files' mean size in bytes."""
    labels = (np.arange(DRAWN) % len(AFFECTNET_7)).astype(np.int32)
    total = 0
    for number, (face, label) in enumerate(zip(draw_faces(0, labels, image_size=SIDE), labels, strict=True)):
        buffer = io.BytesIO()
        Image.fromarray(face).save(buffer, "JPEG", quality=QUALITY)
        place = folder / AFFECTNET_7[label]
        place.mkdir(parents=True, exist_ok=True)
        for copy in range(number, IMAGES, DRAWN):
            total += (place / f"{copy}.jpg").write_bytes(buffer.getvalue())
    return total / IMAGES


def once(work: Callable[[Path, Decoder], None], data_dir: Path, decoder: Decoder) -> Round:
    """Time what is done once with all images."""
    start, used = time.perf_counter(), processor_seconds()
    work(data_dir, decoder)
    return {"images": IMAGES, "seconds": time.perf_counter() - start, "processor": processor_seconds() - used}


def prepare_images(data_dir: Path, decoder: Decoder) -> None:
    """Prepare into a new folder."""
    with tempfile.TemporaryDirectory() as out:
        prepared = prepare(data_dir, Path(out), PrepareConfig(image_size=SIZE, decoder=decoder))
        assert prepared.metadata["splits"]["train"]["images"] == IMAGES


def check_images(data_dir: Path, decoder: Decoder) -> None:
    """Check."""
    assert check(data_dir, decoder=decoder).images == IMAGES


def load_images(data_dir: Path, decoder: Decoder) -> None:
    """Load as if for the first time."""
    data = load(DataConfig(data_dir=data_dir, image_size=SIZE, decoder=decoder))
    assert len(data.train) + len(data.val) == IMAGES
    shutil.rmtree(data_dir / FOLDER)


def compared(rates: dict[str, list[float]], ours: str) -> dict[str, dict[str, float]]:
    """Return how many times the peers' rates ours is, round by round."""
    peers = {name: values for name, values in rates.items() if name.startswith("peer")}
    return {
        name: spread([own / theirs for own, theirs in zip(rates[ours], values, strict=True)])
        for name, values in peers.items()
    }


def peer(stack: ExitStack, python: str, folder: Path, kind: str) -> tuple[Callable[[], Round], dict[str, Any]]:
    """Start a peer that ends with `stack`; return what times one round of it, and its versions."""
    command = [python, str(Path(__file__).parent / "prepare_peer.py"), folder, SIZE, os.cpu_count(), kind]
    process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    stack.enter_context(process)
    orders, answers = cast(IO[str], process.stdin), cast(IO[str], process.stdout)

    def again() -> Round:
        print(file=orders, flush=True)
        return json.loads(answers.readline())

    return again, json.loads(answers.readline())


def spread(values: list[float]) -> dict[str, float]:
    """Return the median, least and greatest of some values."""
    return {name: round(f(values), 3) for name, f in (("median", statistics.median), ("least", min), ("greatest", max))}


if __name__ == "__main__":
    main()
