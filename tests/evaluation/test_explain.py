"""Grad-CAM against a computation that takes no gradients, and against the map that it generalises."""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import networks
import numpy as np
import pytest

from jaxfer.evaluation.explain import grad_cam
from jaxfer.models import BottleneckBlock, ResNetFER, unit_range


def build(model, n=3, size=32):
    images = np.random.default_rng(0).integers(0, 256, (n, size, size, 3), np.uint8)
    return networks.drawn(model, images), images, np.arange(n) % model.num_classes


def last_map(model, variables, images, name):
    _, kept = jax.jit(partial(model.apply, capture_intermediates=True))(variables, images)
    return np.float64(kept["intermediates"][name]["__call__"][0])


def pool(features):
    """Return the 3x3 max-pool of stride 2 with SAME padding of a map [h, w, k] of even sides."""
    h, w, k = features.shape
    padded = np.full((h + 1, w + 1, k), -np.inf)
    padded[:h, :w] = features
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
    return windows[::2, ::2].max((-1, -2))


def test_a_map_is_that_of_numerical_derivatives():
    model = ResNetFER(width=4, stage_sizes=(1, 2))
    variables, images, classes = build(model)
    # Far from zero, so that a ReLU makes no equals for the pool to choose from.
    variables["params"]["stage2_block2"]["norm2"]["bias"] += 9.0
    kernel = np.float64(variables["params"]["head"]["kernel"])
    expected = []
    for features, asked in zip(last_map(model, variables, images, "stage2_block2"), classes, strict=True):
        slopes, step = np.zeros_like(features), 1e-6
        for place in np.ndindex(features.shape):
            change = np.zeros_like(features)
            change[place] = step
            up, down = ((pool(x).mean((0, 1)) @ kernel)[asked] for x in (features + change, features - change))
            slopes[place] = (up - down) / (2 * step)
        expected.append(np.maximum((slopes.mean((0, 1)) * features).sum(-1), 0))
    assert np.max(expected) > 0
    np.testing.assert_allclose(grad_cam(model, variables, images, classes), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "make",
    [
        lambda: ResNetFER(width=8, final_pool=False),
        lambda: ResNetFER(width=4, stage_sizes=(1, 1), block=BottleneckBlock, final_pool=False),
        # The network makes one channel of the colours itself, and weighs channels within its blocks.
        lambda: ResNetFER(width=8, final_pool=False, gray=True, standardize=True, squeeze=2),
    ],
)
def test_with_a_global_average_it_is_the_class_activation_map(make):
    """Zhou et al. 2016: the last layer's weights, here divided by the number of places (Grad-CAM, section 3)."""
    model = make()
    variables, images, classes = build(model)
    name = f"stage{len(model.stage_sizes)}_block{model.stage_sizes[-1]}"
    features = last_map(model, variables, images, name)
    weights = np.float64(variables["params"]["head"]["kernel"])[:, classes].T[:, None, None, :]
    expected = np.maximum((weights * features).sum(-1), 0) / np.prod(features.shape[1:3])
    np.testing.assert_allclose(grad_cam(model, variables, images, classes), expected, rtol=1e-4, atol=1e-5)


def test_images_do_not_meet():
    model = ResNetFER(width=4, stage_sizes=(1,))
    variables, images, classes = build(model, n=19)
    together = grad_cam(model, variables, images, classes)
    alone = grad_cam(model, variables, images[17:18], classes[17:18])
    np.testing.assert_allclose(together[17], alone[0], rtol=1e-5, atol=1e-6)
    assert together.shape == (19, 8, 8)


class Transformed(nn.Module):
    """A network with a block that Flax runs inside of a transformation."""

    wrap: Callable = nn.remat
    before: bool = True

    @nn.compact
    def __call__(self, images, *, train=False, mask=None):
        x = unit_range(images)
        if self.before:
            x = nn.Conv(4, (3, 3), strides=4, name="conv")(x)
        x = self.wrap(Block)(name="block")(x)
        return {"logits": nn.Dense(7, name="head")(x.mean((1, 2)))}


class Block(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.relu(nn.Conv(4, (3, 3), name="inner")(x))


@pytest.mark.parametrize("wrap", [nn.remat, nn.jit], ids=["remat", "jit"])
def test_maps_inside_of_a_transformation_are_left_alone(wrap):
    model = Transformed(wrap)
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    variables = networks.drawn(model, images)
    maps = grad_cam(model, variables, images, np.arange(3))
    assert maps.shape == (3, 8, 8)
    assert np.isfinite(maps).all()
