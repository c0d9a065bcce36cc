"""Training gives plain Flax's numbers, however the work is spread and whatever our layers replace."""

from functools import cache

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxfer.devices import OneDevice, Pmapped, Sharded
from jaxfer.models import ResNetFER
from jaxfer.models import kernels as kinds
from jaxfer.training import Objective, create_state, make_train_step

STEPS, BATCH = 20, 16

SIDE = 32

RATE = 0.0005


class PlainBlock(nn.Module):
    filters: int

    @nn.compact
    def __call__(self, x):
        y = nn.Conv(self.filters, (3, 3), name="conv1")(x)
        y = nn.relu(nn.BatchNorm(False, momentum=0.99, epsilon=1e-3, name="norm1")(y))
        y = nn.Conv(self.filters, (3, 3), name="conv2")(y)
        return nn.relu(x + nn.BatchNorm(False, momentum=0.99, epsilon=1e-3, name="norm2")(y))


class PlainSeed(nn.Module):
    """The published network as anyone would write it in Flax, with our names for its parameters."""

    width: int
    blocks: int

    @nn.compact
    def __call__(self, images):
        x = nn.Conv(self.width, (7, 7), strides=2, name="stem_conv")(images.astype(jnp.float32) / 255)
        x = nn.relu(nn.BatchNorm(False, momentum=0.99, epsilon=1e-3, name="stem_norm")(x))
        x = nn.max_pool(x, (3, 3), (2, 2), "SAME")
        for index in range(self.blocks):
            x = PlainBlock(self.width, name=f"stage1_block{index + 1}")(x)
        x = nn.max_pool(x, (3, 3), (2, 2), "SAME")
        return nn.Dense(7, name="head")(x.mean((1, 2)))


def batches():
    random = np.random.default_rng(0)
    for _ in range(STEPS):
        labels = random.integers(0, 7, BATCH).astype(np.int32)
        images = random.integers(0, 100, (BATCH, SIDE, SIDE, 3)) + 20 * labels[:, None, None, None]
        yield {"image": images.astype(np.uint8), "label": labels, "mask": np.ones(BATCH, bool)}


@cache
def plain_step(blocks):
    """Return `step(params, batch_stats, batch) -> (loss, params, batch_stats)` of SGD, as anyone would write it."""
    model = PlainSeed(width=16, blocks=blocks)

    @jax.jit
    def step(params, statistics, batch):
        def loss(params):
            variables = {"params": params, "batch_stats": statistics}
            logits, updates = model.apply(variables, batch["image"], mutable=["batch_stats"])
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
            return losses.mean(), updates["batch_stats"]

        (value, statistics), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        return value, jax.tree.map(lambda p, g: p - RATE * g, params, gradients), statistics

    return step


# One block is as the next; what shares the devices knows nothing of who convolves.
@pytest.mark.parametrize(
    ("kernels", "blocks"),
    [("ours", 1), pytest.param("ours", 2, marks=pytest.mark.slow), pytest.param("XLA's", 2, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    "parallel",
    [OneDevice(), *(pytest.param(parallel, marks=pytest.mark.slow) for parallel in (Sharded(), Pmapped()))],
    ids=lambda parallel: type(parallel).__name__,
)
def test_each_of_twenty_sgd_steps_is_plain_flaxs(kernels, blocks, parallel, monkeypatch):
    if kernels == "XLA's":
        monkeypatch.setattr(kinds, "CPU", kinds.XLA)
    # Each step of plain Flax starts from our parameters: let run by itself it would part from us as from any other
    # order of its own sums. Losses and statistics vary smoothly with rounding. A gradient jumps where two values are
    # equal to the last bits, and a max-pool or a ReLU takes the other one: in some steps, but never in most.
    model, optimizer = ResNetFER(width=16, stage_sizes=(blocks,)), optax.sgd(RATE)
    state = parallel.place(create_state(model, optimizer, seed=0, image_size=SIDE))
    step = make_train_step(model, optimizer, Objective(), parallel=parallel)
    losses, updates = [], []
    for batch in batches():
        before = jax.device_get((state.params, state.batch_stats))
        loss, params, statistics = plain_step(blocks)(*before, batch)
        state, metrics = step(state, batch)
        losses.append(float(metrics.loss) / BATCH)
        assert losses[-1] == pytest.approx(float(loss), rel=1e-6)
        assert distance(state.batch_stats, statistics) < 1e-5 * distance(statistics, before[1])
        updates.append(distance(state.params, params) / distance(params, before[0]))
    assert np.median(updates) < 5e-5
    assert max(updates) < 2e-2
    assert losses[-1] < 0.9 * losses[0], "a network that learns nothing compares nothing"


def distance(tree, other):
    """Return the Euclidean norm of the difference of two trees."""
    leaves = zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True)
    return np.sqrt(sum(np.sum((np.asarray(a, np.float64) - np.asarray(b, np.float64)) ** 2) for a, b in leaves))
