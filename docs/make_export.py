"""Write what each format takes into docs/export.md, from benchmarks/results/export.json.

python docs/make_export.py
"""

import json
import statistics
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results"

KEEPS = {
    "model": ("jaxfer: JAX, Flax and NumPy", "everything: network, card, framing, how it was made; kernels in float16"),
    "onnx": ("ONNX Runtime, in any of its languages", "answers and heads; names, framing, temperature as metadata"),
    "int8": ("the same", "the same, and what eight bits cost"),
    "litert": ("LiteRT, on telephones too", "answers and heads; names, framing, temperature as metadata"),
    "stablehlo": ("JAX of about the same age", "the same, in `metadata.json`; views, too"),
}
"""What runs each format, and what it keeps."""

CALLED = {"int8": "`onnx --int8`"}


def main() -> None:
    """Write the part of the page."""
    page = DOCS / "export.md"
    begin, end = "<!-- formats: written by docs/make_export.py -->", "<!-- end of formats -->"
    before, _, rest = page.read_text().partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n{part()}\n{end}{after}")


def part() -> str:
    """Return the part: a table of the formats, and how it was measured."""
    found = json.loads((RESULTS / "export.json").read_text())
    machine, versions, cost = found["machine"], found["versions"], found["int8"]
    rows = "\n".join(row(name, found) for name in KEEPS)
    return f"""The network that comes with jaxfer, `small`, 48 x 48 pixels, in each format:

| format | MB | ms, 1 face | ms, 32 faces | what runs it | what it keeps |
|---|---|---|---|---|---|
{rows}

Milliseconds of processors, of all threads together, medians of {found["turns"]} turns on {machine["cores"]} cores of an {machine["processor"]}, which others used, too
(load {found["load"]:.0f}): jax {versions["jax"]}, onnxruntime {versions["onnxruntime"]}, ai-edge-litert {versions["ai-edge-litert"]}; `python benchmarks/export.py` measures it. Of `stablehlo` one of
three programs is counted. Eight bits cost {found["int8"]["split"]}'s {cost["measured_on"]:,} images that did not calibrate them this: accuracy {cost["accuracy_int8"]:.4f} in place of
{cost["accuracy_float32"]:.4f}, another answer for {1 - cost["same_answer"]:.1%} of them, and {cost["largest_change"]:.2f} at most of a probability. Each file of eight bits says so of itself."""


def row(name: str, found: dict[str, Any]) -> str:
    """Return the row of a format."""
    times = [statistics.median(found["seconds"][count][name]) * 1e3 for count in ("1", "32")]
    cells = [CALLED.get(name, f"`{name}`"), f"{found['bytes'][name] / 1e6:.1f}", *(f"{time:.1f}" for time in times)]
    return f"| {' | '.join([*cells, *KEEPS[name]])} |"


if __name__ == "__main__":
    main()
