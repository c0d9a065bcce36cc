"""Applying a network: `python benchmarks/inference.py results/inference.json --peers PEERS/bin/python`.

From uint8 images in the host's memory to logits there: one image, where the latency matters, and 256 at once.
"""

from command import compare
from contenders.case import Case
from machine import accelerator
from turns import NETWORKS

CASES = [
    Case("infer", network, batch, dtype)
    for network in ("published", "small", "resnet18")
    for dtype in (("float32", "bfloat16") if accelerator() else ("float32",))
    for batch in (1, 256)
]

if __name__ == "__main__":
    compare(__doc__, CASES, NETWORKS)
