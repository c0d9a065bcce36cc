"""Eight bits in place of 32: a graph whose convolutions compute with integers, and what that costs.

Kernels are multiples of one step for each convolution, with seven bits, since processors without VNNI add products of
eight bits up to more than they hold. What convolutions take and return is rounded to 256 values between the least and
the largest that calibration has seen. The arithmetic is that of QuantizeLinear and DequantizeLinear of ONNX.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxfer.errors import UserError
from jaxfer.inference.export.graph import Layer, in_order, values_of

if TYPE_CHECKING:
    from jaxtyping import Float, Int, UInt8

LARGEST = 64
"""What the integers of kernels are at most."""

CALIBRATE = 5
"""One in so many images calibrates, and the others measure."""

LEAST = 10
"""So many images are needed at least."""

_AT_ONCE = 64
_ROUNDED = ("conv", "add", "relu", "max_pool")
"""Kinds whose values are rounded, but where a ReLU alone takes them."""


def in_int8(
    outputs: Mapping[str, Layer], images: UInt8[np.ndarray, "n h w 3"], labels: Int[np.ndarray, " n"]
) -> tuple[dict[str, Layer], dict[str, Any]]:
    """Return a graph of eight bits, and what it costs.

    Args:
        outputs: The graph, of which `expression` is judged.
        images: Images as the network takes them, which it was not trained on.
        labels: Their classes.

    Returns:
        The graph; and the numbers of images that calibrated and that measured, the accuracy on the latter of both
        graphs, the share of these whose answer is the same, and the largest change of a probability.

    Raises:
        UserError: There are too few images.
    """
    if len(images) < LEAST:
        raise UserError(f"int8 is calibrated and measured by images, of which there are {len(images)}: pass {LEAST}")
    calibrating = np.arange(len(images)) % CALIBRATE == 0
    made = _rounded(outputs, _ranges(outputs, images[calibrating]))
    before, after = (_expressions(graph, images[~calibrating]) for graph in (outputs, made))
    right = labels[~calibrating]
    return made, {
        "calibrated_on": int(calibrating.sum()),
        "measured_on": len(right),
        "accuracy_float32": float((before.argmax(1) == right).mean()),
        "accuracy_int8": float((after.argmax(1) == right).mean()),
        "same_answer": float((before.argmax(1) == after.argmax(1)).mean()),
        "largest_change": float(np.abs(after - before).max()),
    }


def _ranges(outputs: Mapping[str, Layer], images: np.ndarray) -> dict[Layer, tuple[float, float]]:
    """Return the least and the largest value of each layer that is to be rounded, and zero, which is always one."""
    layers = in_order(outputs)
    taken_by: dict[Layer, list[str]] = {layer: [] for layer in layers}
    for layer in layers:
        for value in layer.inputs:
            if isinstance(value, Layer):
                taken_by[value].append(layer.kind)
    wanted = [
        layer
        for layer, takers in taken_by.items()
        if "conv" in takers or (layer.kind in _ROUNDED and takers not in (["relu"], []))
    ]

    @jax.jit
    def extremes(images: jax.Array) -> list[jax.Array]:
        values = values_of(outputs, images)
        return [jnp.stack([values[layer].min(), values[layer].max()]) for layer in wanted]

    pieces = [images[begin : begin + _AT_ONCE] for begin in range(0, len(images), _AT_ONCE)]
    found = np.array(jax.device_get([extremes(piece) for piece in pieces]))  # [pieces, layers, 2]
    least, largest = np.minimum(found[..., 0].min(0), 0), np.maximum(found[..., 1].max(0), 0)
    return dict(zip(wanted, zip(least.tolist(), largest.tolist(), strict=True), strict=True))


def _rounded(outputs: Mapping[str, Layer], ranges: Mapping[Layer, tuple[float, float]]) -> dict[str, Layer]:
    """Return a graph in which the values of these layers, and the kernels of convolutions, are rounded."""
    found: dict[Layer, Layer] = {}
    for layer in in_order(outputs):
        inputs: tuple[Any, ...] = tuple(found[value] if isinstance(value, Layer) else value for value in layer.inputs)
        settings = dict(layer.settings)
        if layer.kind == "conv":
            x, kernel, *bias = inputs
            settings["step"] = step = float(np.abs(kernel).max()) / LARGEST or 1.0
            unit = x.settings["step"] * step
            inputs = (x, _to_multiples(kernel, step), *(_to_multiples(values, unit) for values in bias))
        found[layer] = Layer(layer.kind, inputs, layer.shape, settings)
        if layer in ranges:
            least, largest = ranges[layer]
            step = (largest - least) / 255 or 1.0
            found[layer] = Layer("rounded", (found[layer],), layer.shape, {"step": step, "zero": round(-least / step)})
    return {name: found[layer] for name, layer in outputs.items()}


def _to_multiples(values: np.ndarray, unit: float) -> np.ndarray:
    return (np.round(values / unit) * unit).astype(np.float32)


def _expressions(outputs: Mapping[str, Layer], images: np.ndarray) -> Float[np.ndarray, "n c"]:
    """Return the probabilities of the expressions in images."""

    @jax.jit
    def expressions(images: jax.Array) -> jax.Array:
        return values_of(outputs, images)[outputs["expression"]]

    pieces = [images[begin : begin + _AT_ONCE] for begin in range(0, len(images), _AT_ONCE)]
    return np.concatenate(jax.device_get([expressions(piece) for piece in pieces]))
