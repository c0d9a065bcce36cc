"""Networks: `ResNetFER`, its named variants, and the blocks and layers they are built from."""

from jaxfer.models.batch_norm import BatchNorm
from jaxfer.models.kernels import Kernels, compiled_for
from jaxfer.models.resnet import (
    BasicBlock,
    BottleneckBlock,
    Outputs,
    ResNetFER,
    ResNetFER18,
    ResNetFER34,
    ResNetFER50,
    Stem,
    make_model,
)

__all__ = [
    "BasicBlock",
    "BatchNorm",
    "BottleneckBlock",
    "Kernels",
    "Outputs",
    "ResNetFER",
    "ResNetFER18",
    "ResNetFER34",
    "ResNetFER50",
    "Stem",
    "compiled_for",
    "make_model",
]
