"""Networks: `ResNetFER`, its named variants, what any other network has to offer, and the kernels they compute with."""

from jaxfer.models.batch_norm import BatchNorm
from jaxfer.models.kernels import Kernels, compiled_for
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
    Stem,
    import_network,
    l2_kernels,
    make_model,
    name_of,
    unit_range,
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
    "Stem",
    "compiled_for",
    "import_network",
    "l2_kernels",
    "make_model",
    "name_of",
    "unit_range",
]
