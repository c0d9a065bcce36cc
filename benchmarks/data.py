"""Gathering shuffled batches: `python benchmarks/data.py results/data.json --peers PEERS/bin/python`.

uint8 images and labels of 20,000 faces, in memory or in a mapped file, beside PyTorch's DataLoader on tensors.
`prepare.py` measures decoding.
"""

from command import compare
from contenders.case import Case
from turns import LOADERS

if __name__ == "__main__":
    compare(__doc__, [Case("load", "published", 32), Case("load", "published", 256)], LOADERS)
