"""Networks of a few lines, which compile in a moment: for tests of all that is no network of jaxfer's own."""

import flax.linen as nn
import jax

from jaxfer.models import Outputs, unit_range


class Linear(nn.Module):
    """One layer on the means of 8x8 pixels: 343 values at 32x32 pixels, neither kernels of jaxfer's nor statistics."""

    num_classes: int = 7
    dropout: float = 0.0

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False, mask: jax.Array | None = None) -> Outputs:
        x = nn.avg_pool(unit_range(images), (8, 8), (8, 8)).reshape(len(images), -1)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return {"logits": nn.Dense(self.num_classes, name="head")(x)}


class Normalised(nn.Module):
    """A strided convolution, batch normalisation as Flax has it, and a layer on the means of its channels.

    Under `jax.pmap` each device normalises its own examples.
    """

    num_classes: int = 7
    dropout: float = 0.0

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False, mask: jax.Array | None = None) -> Outputs:
        x = nn.Conv(8, (4, 4), strides=4, name="stem_conv")(unit_range(images))
        norm = nn.BatchNorm(use_running_average=not train, momentum=0.9, name="stem_norm")
        x = nn.relu(norm(x, mask=None if mask is None else mask[:, None, None, None])).mean((1, 2))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return {"logits": nn.Dense(self.num_classes, name="head")(x)}
