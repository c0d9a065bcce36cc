"""The networks that a config can name."""

from collections.abc import Callable

import jax.numpy as jnp

from jaxfer.config import VARIANTS, ModelConfig
from jaxfer.errors import UserError
from jaxfer.models.irnet import AdaFace18, AdaFace50, IRNet, IRNet18, IRNet50
from jaxfer.models.resnet import (
    Head,
    ResNetFER,
    ResNetFER18,
    ResNetFER34,
    ResNetFER50,
    ResNetFERSmall,
    ResNetFERStrong,
)

_RESNETS = (ResNetFER, ResNetFERSmall, ResNetFERStrong, ResNetFER18, ResNetFER34, ResNetFER50)
_IRNETS = (IRNet18, IRNet50, AdaFace18, AdaFace50)

MODELS: dict[str, Callable[..., ResNetFER | IRNet]] = dict(zip(VARIANTS, (*_RESNETS, *_IRNETS), strict=True))
"""The networks that `ModelConfig.variant` can name, each made with what `make_model` takes from the config."""


def make_model(config: ModelConfig, num_classes: int, heads: tuple[Head, ...] = ()) -> ResNetFER | IRNet:
    """Return the network that a config names.

    Args:
        config: Which network, and its properties: what it sees of the images, squeeze-and-excitation, dropout, dtype.
        num_classes: Logits per image, one for each expression.
        heads: Its last layers besides that of the expression.

    Raises:
        UserError: The config names a network that is not jaxfer's, which has to be passed as an object.

    >>> make_model(ModelConfig(variant="resnet18"), 8).stage_sizes
    (2, 2, 2, 2)
    """
    if config.variant not in MODELS:
        raise UserError(
            f"the network {config.variant} is not one of jaxfer's ({', '.join(MODELS)}): pass it as an object, or name "
            f"it on the command line (--network {config.variant}), which imports its module"
        )
    names = ("gray", "standardize", "pixel_mean", "pixel_std", "padding", "dropout")
    same = {name: getattr(config, name) for name in names}
    same |= {} if config.squeeze is None else {"squeeze": config.squeeze}  # which not every network has
    return MODELS[config.variant](num_classes=num_classes, heads=heads, dtype=jnp.dtype(config.dtype), **same)
