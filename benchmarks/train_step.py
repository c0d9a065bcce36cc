"""A training step beside the peers: `python benchmarks/train_step.py results/train_step.json --peers PEERS/bin/python`.

uint8 images from the host's memory, normalised, forward, backward, Adam's update, loss and accuracy. On a CPU float32;
on an accelerator also bfloat16, larger batches and ResNet-50, and jaxfer with the images on the device, as `fit` has
them there.
"""

from command import compare
from contenders.case import Case
from machine import accelerator
from turns import NETWORKS, RESIDENT

ON_CPU = [
    Case("train", network, batch)
    for network, batch in (("published", 32), ("published", 256), ("small", 128), ("resnet18", 32))
]
ON_ACCELERATOR = [
    Case("train", network, batch, dtype)
    for network in ("published", "small", "resnet18", "resnet50")
    for dtype in ("float32", "bfloat16")
    for batch in (32, 256, 1024)
]

if __name__ == "__main__":
    if accelerator():
        compare(__doc__, ON_ACCELERATOR, [NETWORKS[0], RESIDENT, *NETWORKS[1:]])
    else:
        compare(__doc__, ON_CPU, NETWORKS)
