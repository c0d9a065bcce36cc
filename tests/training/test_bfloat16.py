"""Training in bfloat16 on every way to run: what is computed is short, what is kept is not."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from jaxfer.config import Config, DataConfig, LossConfig, ModelConfig, OptimizerConfig
from jaxfer.models import ResNetFER, make_model
from jaxfer.training import HostFeed, OneDevice, Pmapped, ResidentFeed, Sharded, fit

CONFIG = Config(
    data=DataConfig(image_size=32),
    loss=LossConfig(l2=0.001),
    optimizer=OptimizerConfig(optimizer="sgd", learning_rate=0.003, ema=0.9),
    epochs=4,
    batch_size=16,
)
MODEL = ResNetFER(width=8, stage_sizes=(1,))
SHORT = MODEL.clone(dtype=make_model(ModelConfig(dtype="bfloat16"), 7).dtype)


@pytest.mark.parametrize("feed", [HostFeed(), ResidentFeed()], ids=["host", "resident"])
@pytest.mark.parametrize("way", [OneDevice, Sharded, Pmapped])
def test_it_learns_as_float32_does_and_keeps_the_state_in_float32(data, way, feed):
    config = dataclasses.replace(CONFIG, model=ModelConfig(dtype="bfloat16"))
    state, rows = fit(config, data, parallel=way(), feed=feed, model=SHORT)
    _, expected = fit(CONFIG, data, parallel=OneDevice(), model=MODEL)
    kept = jax.tree.leaves((state.params, state.batch_stats, state.opt_state, state.ema))
    assert {leaf.dtype for leaf in kept if jnp.issubdtype(leaf.dtype, jnp.inexact)} == {jnp.dtype("float32")}
    losses = [row["loss"] for row in rows]
    assert losses == pytest.approx([row["loss"] for row in expected], rel=0.005)
    assert losses != pytest.approx([row["loss"] for row in expected], rel=1e-5), "it was computed in float32"
    assert losses[-1] < 0.8 * losses[0]


def test_the_network_between_images_and_logits_is_short(data):
    images = data.train.images[:4]
    outputs, seen = SHORT.apply(SHORT.init(jax.random.key(0), images), images, capture_intermediates=True)
    assert outputs["logits"].dtype == jnp.float32
    outputs = dict(seen["intermediates"])
    head = outputs.pop("head")["__call__"][0]
    assert head.dtype == jnp.float32
    del outputs["__call__"], outputs["Dropout_0"]
    assert {leaf.dtype for leaf in jax.tree.leaves(outputs)} == {jnp.dtype("bfloat16")}
