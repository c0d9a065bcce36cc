"""The published network, built in Keras 3 on its JAX backend, is ours number for number."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import jax.numpy as jnp
import keras
import networks
import numpy as np
import pytest

from jaxfer.config import OptimizerConfig
from jaxfer.devices import OneDevice
from jaxfer.models import ResNetFER
from jaxfer.training import Objective, create_state, make_optimizer, make_train_step

# Keras's variables do not know NumPy 2's `copy` keyword yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

L2 = 0.01

RATE = 0.00003
"""At a thirtieth of Keras's default: there rounding grows within four steps to 3e-4 of the loss, and hides mistakes.
Here it stays below 2e-7, and Optax's place for the epsilon shows at 4e-6."""


@pytest.fixture(autouse=True)
def allow_keras_to_broadcast():
    with jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture
def keras_network():
    """Return the published network, written with the layers and defaults its notebook used."""
    layers = keras.layers
    keras.utils.set_random_seed(0)

    def residual(x, block):
        y = layers.Conv2D(64, 3, padding="same", name=f"{block}_conv1")(x)
        y = layers.Activation("relu")(layers.BatchNormalization(name=f"{block}_norm1")(y))
        y = layers.Conv2D(64, 3, padding="same", name=f"{block}_conv2")(y)
        y = layers.BatchNormalization(name=f"{block}_norm2")(y)
        return layers.Activation("relu")(layers.Add()([x, y]))

    regularizer = keras.regularizers.L2(L2)
    inputs = layers.Input((64, 64, 3))
    x = layers.Conv2D(64, 7, strides=2, padding="same", kernel_regularizer=regularizer, name="stem_conv")(inputs)
    x = layers.Activation("relu")(layers.BatchNormalization(name="stem_norm")(x))
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    for block in ("stage1_block1", "stage1_block2"):
        x = residual(x, block)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(7, kernel_regularizer=regularizer, name="head")(x))


def variables_of(network):
    """Return a Keras network's weights under our names."""
    variables = {"params": {}, "batch_stats": {}}
    for layer in network.layers:
        if not layer.weights:
            continue
        block, _, name = layer.name.rpartition("_") if layer.name.startswith("stage") else ("", "", layer.name)
        for weight in layer.weights:
            kind = {"gamma": "scale", "beta": "bias", "moving_mean": "mean", "moving_variance": "var"}.get(
                weight.name, weight.name
            )
            tree = variables["batch_stats" if kind in ("mean", "var") else "params"]
            tree = tree.setdefault(block, {}) if block else tree
            tree.setdefault(name, {})[kind] = jnp.array(np.asarray(weight.value))
    return variables


def batches(count):
    random = np.random.default_rng(0)
    for _ in range(count):
        labels = random.integers(0, 7, 32).astype(np.int32)
        images = random.integers(0, 256, (32, 64, 64, 3)) * (0.4 + 0.08 * labels[:, None, None, None])
        yield images.astype(np.uint8), labels


def test_the_same_weights_give_the_same_logits(keras_network):
    variables = variables_of(keras_network)
    images, _ = next(batches(1))
    ours = networks.logits(ResNetFER(), variables, images)
    np.testing.assert_allclose(ours, keras_network.predict_on_batch(images.astype(np.float32) / 255), rtol=0, atol=1e-5)


# Slow: the published network at its full width is compiled for training, by JAX and for Keras.
@pytest.mark.long
def test_five_adam_steps_give_the_same_losses_and_statistics(keras_network):
    network = keras_network
    network.compile(keras.optimizers.Adam(RATE), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model, optimizer = ResNetFER(), make_optimizer(OptimizerConfig(), RATE)
    state = create_state(model, optimizer, seed=0, image_size=64)
    assert jax.tree.structure(state.params) == jax.tree.structure(variables_of(network)["params"])
    state = OneDevice().place(state.replace(**variables_of(network)))
    step = make_train_step(model, optimizer, Objective(l2=L2, kernels=model.l2_kernels))

    for index, (images, labels) in enumerate(batches(5)):
        theirs = network.train_on_batch(images.astype(np.float32) / 255, labels)
        state, metrics = step(state, {"image": images, "label": labels, "mask": np.ones(32, bool)})
        # Keras's running mean of the loss is reset before each batch, so that this is the batch's own.
        assert float(metrics.loss) / 32 == pytest.approx(float(theirs), rel=1e-6)
        if index == 0:
            # Later steps amplify rounding, since Adam divides by the size of the gradient.
            for ours, reference in zip(
                jax.tree.leaves(state.batch_stats), jax.tree.leaves(variables_of(network)["batch_stats"]), strict=True
            ):
                np.testing.assert_allclose(ours, reference, rtol=1e-4, atol=1e-6)
