"""Applying a network: `python benchmarks/inference.py results/inference.json --peers PEERS/bin/python`.

From uint8 images in the host's memory to logits there: one image, where the latency matters, and 256 at once, on an
accelerator 32 and 1,024; the shipped network also for the numbers of faces that photographs have.
"""

from command import compare
from contenders.case import Case
from machine import accelerator
from turns import NETWORKS

CASES = [
    *(Case("infer", "shipped", batch) for batch in (1, 4, 64, 256) if not accelerator()),
    *(
        Case("infer", network, batch, dtype)
        for network in ("published", "resnet18")
        for dtype in (("float32", "bfloat16") if accelerator() else ("float32",))
        for batch in ((1, 32, 1024) if accelerator() else (1, 256))
    ),
]

if __name__ == "__main__":
    compare(__doc__, CASES, NETWORKS)
