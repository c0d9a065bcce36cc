"""Networks: `ResNetFER`, its named variants, and the blocks and layers they are built from."""

from collections.abc import Callable

import jax.numpy as jnp

from jaxfer.config import VARIANTS, ModelConfig
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
)

MODELS: dict[str, Callable[..., ResNetFER]] = dict(
    zip(VARIANTS, (ResNetFER, ResNetFER18, ResNetFER34, ResNetFER50), strict=True)
)
"""The networks that a config can name; each takes the fields of `ResNetFER`."""

__all__ = [
    "MODELS",
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


def make_model(config: ModelConfig, num_classes: int) -> ResNetFER:
    """Return the network that a config names, for `num_classes` expressions.

    >>> make_model(ModelConfig(variant="resnet18"), 8).stage_sizes
    (2, 2, 2, 2)
    """
    options = {"dropout": config.dropout, "valence_arousal": "affect" in config.heads, "dtype": jnp.dtype(config.dtype)}
    return MODELS[config.variant](num_classes=num_classes, **options)
