"""Networks: `ResNetFER`, its named variants, and the blocks and layers they are built from."""

from jaxfer.models.layers import BatchNorm, max_pool
from jaxfer.models.resnet import (
    BasicBlock,
    BottleneckBlock,
    Outputs,
    ResNetFER,
    ResNetFER18,
    ResNetFER34,
    ResNetFER50,
    Stem,
    heads,
    make_model,
)

__all__ = [
    "BasicBlock",
    "BatchNorm",
    "BottleneckBlock",
    "Outputs",
    "ResNetFER",
    "ResNetFER18",
    "ResNetFER34",
    "ResNetFER50",
    "Stem",
    "heads",
    "make_model",
    "max_pool",
]
