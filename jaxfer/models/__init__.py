"""Networks: `ResNetFER`, its named variants, what any other network has to offer, and the kernels they compute with."""

from jaxfer.models.batch_norm import BatchNorm
from jaxfer.models.kernels import Kernels, compiled_for
from jaxfer.models.pixels import luma, standardized, unit_range
from jaxfer.models.resnet import (
    MODELS,
    BasicBlock,
    BottleneckBlock,
    Head,
    Network,
    Outputs,
    ResNetFER,
    ResNetFER18,
    ResNetFER34,
    ResNetFER50,
    ResNetFERSmall,
    ResNetFERStrong,
    SqueezeExcite,
    Stem,
    checked_outputs,
    import_network,
    l2_kernels,
    make_model,
    name_of,
)

__all__ = [
    "MODELS",
    "BasicBlock",
    "BatchNorm",
    "BottleneckBlock",
    "Head",
    "Kernels",
    "Network",
    "Outputs",
    "ResNetFER",
    "ResNetFER18",
    "ResNetFER34",
    "ResNetFER50",
    "ResNetFERSmall",
    "ResNetFERStrong",
    "SqueezeExcite",
    "Stem",
    "checked_outputs",
    "compiled_for",
    "import_network",
    "l2_kernels",
    "luma",
    "make_model",
    "name_of",
    "standardized",
    "unit_range",
]
