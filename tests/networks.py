"""Networks that compile in a moment, for tests of what is made of any network."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxfer.models import MODELS

DEEP = ("resnet34", "ir50", "adaface50")
"""The names of networks that have the blocks of another one more often, and take longest."""

FEW = ("published", "small", "ir18")

VARIANTS = [
    pytest.param(variant, marks=() if variant in FEW else pytest.mark.slow if variant in DEEP else pytest.mark.long)
    for variant in MODELS
]
"""The names of jaxfer's networks."""


class Linear(nn.Module):
    """One layer on the mean colours of patches: what is least to train, with dropout and without statistics."""

    num_classes: int = 7
    dropout: float = 0.0
    patch: int = 8

    @nn.compact
    def __call__(self, images, *, train=False, mask=None):
        x = nn.avg_pool(_from_0_to_1(images), (self.patch,) * 2, (self.patch,) * 2)
        x = nn.Dropout(self.dropout, deterministic=not train)(x.reshape(len(x), -1))
        return {"logits": nn.Dense(self.num_classes, name="head")(x)}


class Convolutional(nn.Module):
    """Flax's own convolution and batch normalisation, of which each device of `jax.pmap` has statistics of its own."""

    num_classes: int = 7
    width: int = 4
    dropout: float = 0.0

    @nn.compact
    def __call__(self, images, *, train=False, mask=None):
        x = nn.Conv(self.width, (5, 5), strides=4, name="conv")(_from_0_to_1(images))
        norm = nn.BatchNorm(use_running_average=not train, momentum=0.9, name="norm")
        x = nn.relu(norm(x, mask=None if mask is None else mask[:, None, None, None])).mean((1, 2))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return {"logits": nn.Dense(self.num_classes, name="head")(x)}


def _from_0_to_1(images):
    return images.astype(jnp.float32) / (255 if images.dtype == jnp.uint8 else 1)


def logits(model, variables, images):
    """Return what a network says of images in evaluation, in one program where `model.apply` is one an operation."""
    return jax.jit(lambda variables, images: model.apply(variables, images)["logits"])(variables, images)


def drawn(model, images, seed=0):
    """Return variables for a network as if it had been trained, drawn by NumPy: JAX compiles long to draw its own.

    Scales and variances are around 1, the rest around 0; kernels keep the size of what goes through them.
    """
    random = np.random.default_rng(seed)

    def draw(path, leaf):
        name = path[-1].key
        if name in ("scale", "var"):
            return random.uniform(0.5, 1.5, leaf.shape).astype(leaf.dtype)
        spread = np.sqrt(2 / np.prod(leaf.shape[:-1])) if name == "kernel" else 0.1
        return random.normal(0, spread, leaf.shape).astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(draw, jax.eval_shape(model.init, jax.random.key(0), images))
