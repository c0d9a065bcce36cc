"""Training in bfloat16 on every way to run: what is computed is short, what is kept is not."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from programs.small_run import two

from jaxfer.config import Config, DataConfig, LossConfig, ModelConfig, OptimizerConfig
from jaxfer.devices import OneDevice, Pmapped, Sharded
from jaxfer.models import ResNetFER, make_model
from jaxfer.training import HostFeed, ResidentFeed, fit

CONFIG = Config(
    data=DataConfig(image_size=32),
    loss=LossConfig(l2=0.001),
    optimizer=OptimizerConfig(optimizer="sgd", learning_rate=0.003, ema=0.9),
    epochs=4,
    batch_size=16,
)
BFLOAT16 = make_model(ModelConfig(dtype="bfloat16"), 7).dtype
MODEL, STEM = (ResNetFER(width=8, stage_sizes=sizes) for sizes in ((1,), ()))
"""A network with a block, and one without, which compiles in a fraction of the time."""


@pytest.fixture(scope="module")
def expected(data):
    """Return `expected(model)`, the losses of a run in float32."""
    found = {}

    def losses(model):
        if model not in found:
            _, rows = fit(CONFIG, data, parallel=OneDevice(), model=model)
            found[model] = [row["loss"] for row in rows]
        return found[model]

    return losses


@pytest.mark.parametrize(
    ("way", "feed", "model"),
    [
        pytest.param(OneDevice, HostFeed(), MODEL, marks=pytest.mark.slow),  # whose kernels compile for long
        (OneDevice, HostFeed(), STEM),
        pytest.param(Sharded, ResidentFeed(), STEM, marks=pytest.mark.long),
        *(pytest.param(way, HostFeed(), STEM, marks=pytest.mark.slow) for way in (Sharded, Pmapped)),
        *(pytest.param(way, ResidentFeed(), STEM, marks=pytest.mark.slow) for way in (OneDevice, Pmapped)),
    ],
)
def test_it_learns_as_float32_does_and_keeps_the_state_in_float32(data, expected, way, feed, model):
    config = dataclasses.replace(CONFIG, model=ModelConfig(dtype="bfloat16"))
    state, rows = fit(config, data, parallel=two(way), feed=feed, model=model.clone(dtype=BFLOAT16))
    kept = jax.tree.leaves((state.params, state.batch_stats, state.opt_state, state.ema))
    assert {leaf.dtype for leaf in kept if jnp.issubdtype(leaf.dtype, jnp.inexact)} == {jnp.dtype("float32")}
    losses = [row["loss"] for row in rows]
    assert losses == pytest.approx(expected(model), rel=0.005)
    assert losses != pytest.approx(expected(model), rel=1e-5), "it was computed in float32"
    assert losses[-1] < 0.8 * losses[0]


def test_the_network_between_images_and_logits_is_short(data):
    images, short = data.train.images[:4], MODEL.clone(dtype=BFLOAT16)
    variables = jax.eval_shape(short.init, jax.random.key(0), images)
    # Of shapes and types alone: nothing is computed.
    outputs, seen = jax.eval_shape(lambda v: short.apply(v, images, capture_intermediates=True), variables)
    assert outputs["logits"].dtype == jnp.float32
    outputs = dict(seen["intermediates"])
    head = outputs.pop("head")["__call__"][0]
    assert head.dtype == jnp.float32
    del outputs["__call__"], outputs["Dropout_0"]
    assert {leaf.dtype for leaf in jax.tree.leaves(outputs)} == {jnp.dtype("bfloat16")}
