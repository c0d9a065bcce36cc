"""Flax and Optax as their documentation writes them: the same layers, jit, and no setting of JAX."""

from functools import partial
from itertools import cycle, islice
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from contenders.case import BLOCKS, CLASSES, EPSILON, LEARNING_RATE, Case, Contender
from contenders.jax_loop import device, inference, size
from flax.training.train_state import TrainState

PACKAGES = ("jax", "flax", "optax", "numpy")


class Network(nn.Module):
    """The same network as `jaxfer.models.ResNetFER`, under the same names."""

    name_of_network: str
    dtype: Any

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Map uint8 [b, h, w, 3] to logits [b, 7]."""
        published, small = self.name_of_network == "published", self.name_of_network == "small"
        momentum, epsilon = (0.99, 1e-3) if published else (0.9, 1e-5)
        conv = partial(nn.Conv, use_bias=published, dtype=self.dtype)
        norm = partial(
            nn.BatchNorm, use_running_average=not train, momentum=momentum, epsilon=epsilon, dtype=self.dtype
        )
        pool = partial(nn.max_pool, window_shape=(3, 3), strides=(2, 2), padding="SAME")
        x = images.astype(self.dtype) / 255
        x = conv(64, (3, 3) if small else (7, 7), strides=2, name="stem_conv")(x)
        x = nn.relu(norm(name="stem_norm")(x))
        x = x if small else pool(x)
        for stage, blocks in enumerate(BLOCKS[self.name_of_network]):
            for index in range(blocks):
                stride = 2 if stage > 0 and index == 0 else 1
                wide = self.name_of_network == "resnet50"
                x = Block(64 * 2**stage, stride, wide, conv, norm, name=f"stage{stage + 1}_block{index + 1}")(x)
        if published:
            x = pool(x)
        x = x.astype(jnp.float32).mean((1, 2))
        return nn.Dense(CLASSES, name="head")(x)


class Block(nn.Module):
    """Two 3x3 convolutions, or with `wide` a 1x1, a 3x3 and a 1x1 one, around a shortcut."""

    filters: int
    stride: int
    wide: bool
    conv: Any
    norm: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [b, h, w, c] to the block's output."""
        last = (4 if self.wide else 1) * self.filters
        kernels = ((1, 1, self.filters), (3, self.stride, self.filters), (1, 1, last))
        if not self.wide:
            kernels = ((3, self.stride, last), (3, 1, last))
        y = x
        for number, (kernel, stride, filters) in enumerate(kernels, 1):
            y = self.conv(filters, (kernel, kernel), strides=stride, name=f"conv{number}")(y)
            y = self.norm(name=f"norm{number}")(y)
            y = nn.relu(y) if number < len(kernels) else y
        if x.shape != y.shape:
            x = self.conv(last, (1, 1), strides=self.stride, name="shortcut_conv")(x)
            x = self.norm(name="shortcut_norm")(x)
        return nn.relu(x + y)


class State(TrainState):
    """Flax's state with running statistics."""

    batch_stats: Any = None


def build(case: Case, _: str) -> Contender:
    """Return the training step, or the network in evaluation mode."""
    if case.network == "shipped":
        raise NotImplementedError("the shipped network is not written in it")
    network = Network(case.network, jnp.dtype(case.dtype))
    variables = jax.jit(network.init)(jax.random.key(0), jnp.zeros((1, case.side, case.side, 3), jnp.uint8))
    parameters = size(variables["params"])
    if case.work == "infer":
        apply = jax.jit(network.apply)
        return Contender(inference(case, partial(apply, variables)), parameters, device(), PACKAGES)

    adam = optax.adam(LEARNING_RATE, eps=EPSILON)
    state = State.create(
        apply_fn=network.apply, params=variables["params"], tx=adam, batch_stats=variables["batch_stats"]
    )
    step = jax.jit(partial(train_step, l2=case.l2), donate_argnums=0)
    batches = cycle(case.batches())

    def run(steps: int) -> tuple[float, float]:
        nonlocal state
        total = jnp.zeros(2)
        for images, labels in islice(batches, steps):
            state, numbers = step(state, images, labels)
            total += numbers
        jax.block_until_ready(state)
        loss, accuracy = total / steps
        return float(loss), float(accuracy)

    return Contender(run, parameters, device(), PACKAGES)


def train_step(state: Any, images: jax.Array, labels: jax.Array, *, l2: float) -> tuple[Any, jax.Array]:
    """Return the state after one update, and the batch's loss and accuracy."""

    def loss_of(params: Any) -> tuple[jax.Array, Any]:
        variables = {"params": params, "batch_stats": state.batch_stats}
        logits, updates = state.apply_fn(variables, images, train=True, mutable=["batch_stats"])
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
        if l2:
            loss += l2 * sum(jnp.square(params[name]["kernel"]).sum() for name in ("stem_conv", "head"))
        return loss, (logits, updates["batch_stats"])

    (loss, (logits, batch_stats)), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    state = state.apply_gradients(grads=gradients, batch_stats=batch_stats)
    return state, jnp.stack([loss, (logits.argmax(1) == labels).mean()])
