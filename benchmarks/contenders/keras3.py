"""Keras 3 on JAX or on TensorFlow."""

# pyright: reportMissingImports=false, reportMissingModuleSource=false
import os
from collections.abc import Callable
from itertools import cycle, islice

import numpy as np
from contenders.case import BLOCKS, CLASSES, EPSILON, LEARNING_RATE, Case, Contender


def build(case: Case, way: str) -> Contender:
    """Return the compiled model; `way` is the backend."""
    if case.network == "shipped":
        raise NotImplementedError("the shipped network is not written in it")
    os.environ["KERAS_BACKEND"] = way
    import keras

    if case.dtype == "bfloat16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = network(case)
    model.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE, epsilon=EPSILON),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    run = inference(case, model) if case.work == "infer" else training(case, model)
    parameters = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    return Contender(run, parameters, device(way), ("keras", way, "numpy"))


def device(way: str) -> str:
    """Return what the backend computes on."""
    if way == "jax":
        from contenders import jax_loop

        return jax_loop.device()
    import tensorflow as tf

    return "gpu" if tf.config.list_physical_devices("GPU") else "cpu"


def training(case: Case, model) -> Callable[[int], tuple[float, float]]:
    """Return what trains for so many steps, by `train_on_batch`."""
    batches = cycle(case.batches())

    def run(steps: int) -> tuple[float, float]:
        results = [model.train_on_batch(images, labels, return_dict=True) for images, labels in islice(batches, steps)]
        model.reset_metrics()
        return float(np.mean([r["loss"] for r in results])), float(results[-1]["accuracy"])

    return run


def inference(case: Case, model) -> Callable[[int], tuple[float, float]]:
    """Return what applies the network to so many batches, by `predict_on_batch`."""
    batches = cycle([images for images, _ in case.batches()])

    def run(steps: int) -> tuple[float, float]:
        logits = np.zeros(())
        for images in islice(batches, steps):
            logits = np.asarray(model.predict_on_batch(images))
        return float(np.abs(logits).mean()), 0.0

    return run


def network(case: Case):
    """Return the same network from Keras's layers."""
    import keras
    from keras import layers

    published, small = case.network == "published", case.network == "small"
    decay = keras.regularizers.L2(case.l2) if case.l2 else None
    momentum, epsilon = (0.99, 1e-3) if published else (0.9, 1e-5)

    def conv(x, filters: int, kernel: int, stride: int, regularizer=None):
        options = {"padding": "same", "use_bias": published, "kernel_regularizer": regularizer}
        x = layers.Conv2D(filters, kernel, stride, **options)(x)
        return layers.BatchNormalization(momentum=momentum, epsilon=epsilon)(x)

    def block(x, filters: int, stride: int):
        wide = case.network == "resnet50"
        last = 4 * filters if wide else filters
        shortcut = x if stride == 1 and x.shape[-1] == last else conv(x, last, 1, stride)
        y = layers.ReLU()(conv(x, filters, 1 if wide else 3, 1 if wide else stride))
        y = conv(y, filters, 3, stride if wide else 1)
        y = conv(layers.ReLU()(y), last, 1, 1) if wide else y
        return layers.ReLU()(y + shortcut)

    images = keras.Input((case.side, case.side, 3), batch_size=case.batch, dtype="uint8")
    x = conv(layers.Rescaling(1 / 255)(images), 64, 3 if small else 7, 2, decay)
    x = layers.ReLU()(x)
    x = x if small else layers.MaxPooling2D(3, 2, "same")(x)
    for stage, size in enumerate(BLOCKS[case.network]):
        for index in range(size):
            x = block(x, 64 * 2**stage, 2 if stage > 0 and index == 0 else 1)
    x = layers.MaxPooling2D(3, 2, "same")(x) if published else x
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(CLASSES, kernel_regularizer=decay, dtype="float32")(x))
