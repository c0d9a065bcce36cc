"""A training step beside the peers: `python benchmarks/train_step.py results/train_step.json --peers PEERS/bin/python`.

uint8 images from the host's memory, normalised, forward, backward, Adam's update, loss and accuracy. On a CPU float32
at batches 32 to 256; on an accelerator also bfloat16, larger batches and ResNet-50.
"""

from command import compare
from contenders.case import Case
from machine import accelerator
from turns import NETWORKS

ON_CPU = [
    *(Case("train", "seed", batch) for batch in (32, 256, 64)),
    *(Case("train", "resnet18", batch) for batch in (32, 256)),
]
ON_ACCELERATOR = [
    Case("train", network, batch, dtype)
    for network in ("seed", "resnet18", "resnet50")
    for dtype in ("float32", "bfloat16")
    for batch in (32, 256, 1024)
]

if __name__ == "__main__":
    compare(__doc__, ON_ACCELERATOR if accelerator() else ON_CPU, NETWORKS, slow=("Flax", "Keras on JAX"))
