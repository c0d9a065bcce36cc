"""A network without its normalisation answers in evaluation as the network with it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import Linear, drawn

from jaxfer.config import ModelConfig
from jaxfer.models import MODELS, BatchNorm, Head, ResNetFER, folded, make_model

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 37, 40, 3)).astype(np.uint8)
HEADS = (Head("affect", 2, jnp.tanh), Head("votes", 10))


def outputs(network, variables):
    # With sums in vectors, as users compile it: one value after another rounds more.
    answer = jax.jit(
        lambda variables: network.apply(variables, IMAGES, train=False, mask=None),
        compiler_options={"xla_backend_optimization_level": 2},
    )
    return answer(variables)


FOLDED = [name for name, make in MODELS.items() if hasattr(make(), "folded")]


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "variant",
    [name if name in ("published", "small") else pytest.param(name, marks=pytest.mark.slow) for name in FOLDED],
)
def test_it_answers_alike_with_fewer_variables(variant):
    squeeze = None if variant in ("published", "small") else 4
    config = ModelConfig(variant=variant, gray=variant != "published", standardize=True, squeeze=squeeze, dropout=0.2)
    network = make_model(config, 7, HEADS)
    network = network.clone(width=4, stage_sizes=tuple(min(blocks, 2) for blocks in network.stage_sizes))
    variables = drawn(network, IMAGES)
    short, fewer = folded(network, variables)
    expected, found = outputs(network, variables), outputs(short, fewer)
    assert found.keys() == {"logits", "affect", "votes"}
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-5 * float(np.abs(values).max()))
    assert fewer.keys() == {"params"}
    shapes = jax.eval_shape(short.init, jax.random.key(0), IMAGES)
    assert jax.tree.structure(shapes["params"]) == jax.tree.structure(fewer["params"])
    assert not any("norm" in jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(fewer))


def test_a_kernel_is_folded_in_float64():
    layer = {"kernel": np.full((1, 1, 1, 2), 0.1, np.float32), "bias": np.array([3, -1], np.float32)}
    params = {"scale": np.array([7, 0.3], np.float32), "bias": np.array([0.1, 5], np.float32)}
    statistics = {"mean": np.array([0.7, 1e4], np.float32), "var": np.array([1e-7, 3e5], np.float32)}
    folded_layer = BatchNorm(epsilon=1e-5).folded(layer, params, statistics)
    exact = {name: np.float64(value) for name, value in (layer | params | statistics).items() if name != "bias"}
    factor = exact["scale"] / np.sqrt(exact["var"] + 1e-5)
    np.testing.assert_array_equal(folded_layer["kernel"], np.float32(exact["kernel"] * factor))
    bias = (np.float64(layer["bias"]) - exact["mean"]) * factor + np.float64(params["bias"])
    np.testing.assert_array_equal(folded_layer["bias"], np.float32(bias))


class Shifted(BatchNorm):
    """A normalisation of one's own, which does something else."""


class Own(ResNetFER):
    """A network of one's own, which may call its layers in another order."""


@pytest.mark.parametrize(
    "network",
    [ResNetFER(width=4, norm=Shifted), ResNetFER(width=4, dtype=jnp.bfloat16), Own(width=4), Linear()],
    ids=["norm", "bfloat16", "class", "other"],
)
def test_what_cannot_be_folded_exactly_stays_as_it_is(network):
    variables = {"params": {}, "batch_stats": {}}
    assert folded(network, variables) == (network, variables)
    assert isinstance(network, nn.Module)
