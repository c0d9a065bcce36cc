"""What the network that ships takes in each format: bytes, and processor seconds for one face and for 32, in turns.

`python benchmarks/export.py results/export.json FER2013`

Each format runs in a process of its own, as docs/export.md shows it. The time is that of processors, of all threads
together, which says the same where others use the machine, too. A turn is as many calls as fill a tenth of a second;
the medians of eleven turns count. FER2013 is the folder or file of
that data, by whose PublicTest ONNX of eight bits is calibrated and measured.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine, versions
from places import places

from jaxfer import FaceModel, export_model, load, load_model
from jaxfer.config import DataConfig
from jaxfer.inference.export.onnx import said_by

BATCHES, TURNS, SECONDS = (1, 32), 11, 0.1

START = {
    "model": """
from jaxfer import load_model
model = load_model(path)
call = model.probabilities
""",
    "onnx": """
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
call = lambda images: session.run(None, {"images": images})
""",
    "litert": """
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(path, num_threads=1)
interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], [count, 48, 48, 3])
runner = interpreter.get_signature_runner()
call = lambda images: runner(images=images)
""",
    "stablehlo": """
import jax
program = jax.jit(jax.export.deserialize(bytearray(open(f"{path}/batch-{count}.stablehlo", "rb").read())).call)
call = lambda images: jax.device_get(program(images))
""",
}
"""How a process of each format starts, with `path` and `count` images: `call(images)` answers."""

SERVE = """
images = numpy.random.default_rng(0).integers(0, 256, (count, 48, 48, 3)).astype(numpy.uint8)
call(images)
for line in sys.stdin:
    begun, calls = time.process_time(), 0
    while time.process_time() < begun + float(line):
        call(images)
        calls += 1
    print("took", (time.process_time() - begun) / calls, flush=True)
"""


def main() -> None:
    """Measure, and write the numbers."""
    out, data = places(__doc__, "out", "fer2013")
    model = load_model("small")
    found: dict[str, Any] = {
        "machine": machine(),
        "versions": versions("jaxfer", "jax", "onnxruntime", "ai-edge-litert"),
        "load": os.getloadavg()[0],
        "turns": TURNS,
    }
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / name for name in START}
        for name, path in paths.items():
            export_model(model, path, name)  # pyright: ignore[reportArgumentType]
        found["int8"] = eight_bits(model, data, Path(folder))
        paths["int8"] = Path(folder) / "int8"
        found["bytes"] = {name: size(path) for name, path in paths.items()}
        found["seconds"] = in_turns(paths)
    out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def size(path: Path) -> int:
    """Return the bytes of a file, or of the largest file of a folder: of three programs one is used."""
    return path.stat().st_size if path.is_file() else max(file.stat().st_size for file in path.iterdir())


def in_turns(paths: dict[str, Path]) -> dict[str, dict[str, list[float]]]:
    """Return the processor seconds of a call, of each turn, for each number of images and each format."""
    found: dict[str, dict[str, list[float]]] = {}
    for count in BATCHES:
        running = {name: start(START.get(name, START["onnx"]), path, count) for name, path in paths.items()}
        times: dict[str, list[float]] = {name: [] for name in running}
        for _ in range(TURNS):
            for name, process in running.items():
                times[name].append(turn(process))
        for process in running.values():
            process.communicate()
        found[str(count)] = times
    return found


def start(program: str, path: Path, count: int) -> subprocess.Popen[str]:
    """Start a process that takes turns."""
    head = f"import sys, time, numpy\npath, count = {str(path)!r}, {count}\n"
    environment = os.environ | {"ORT_DISABLE_TELEMETRY": "1", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", head + program + SERVE]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def turn(process: subprocess.Popen[str]) -> float:
    """Return the processor seconds of a call in one more turn of a process."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{SECONDS}\n")
    process.stdin.flush()
    for line in process.stdout:
        if line.startswith("took"):
            return float(line.split()[1])
    raise SystemExit("a process has ended before its turn")


def eight_bits(model: FaceModel, data: Path, folder: Path) -> dict[str, Any]:
    """Write ONNX of eight bits, and return what it costs on images that the network was not trained on."""
    config = DataConfig(data_dir=data, image_size=model.image_size)
    split = load(config, only="val", keep=False).val
    labelled = split.images[np.arange(len(split))], split.labels
    path = export_model(model, folder / "int8", "onnx", int8=labelled)
    return {"split": split.name} | json.loads(said_by(path.read_bytes())["int8"])


if __name__ == "__main__":
    main()
