"""A network as a graph of layers, from which files of other formats are written.

The graph is read from the network itself, as JAX traces it for any number of images: it has the padding, the heads and
the preprocessing that the network has, whoever wrote that, as long as all of its operations are in `OPERATIONS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export, lax
from jax.extend.core import Literal

from jaxfer.errors import UserError
from jaxfer.models import compiled_for, folded

if TYPE_CHECKING:
    from jaxtyping import Array, Float, UInt8

    from jaxfer.inference.model import FaceModel


@dataclass(frozen=True, eq=False)
class Layer:
    """What one operation makes of the values of others, float32 but for the images.

    Attributes:
        kind: A name of `KINDS`, or `images`.
        inputs: Layers and arrays, as the kind takes them. Arrays have an axis of length one for the images, or none.
        shape: Of its value for each image, such as [h, w, c].
        settings: What the kind takes besides.
    """

    kind: str
    inputs: tuple[Any, ...]
    shape: tuple[int, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)


def graph_of(model: FaceModel) -> dict[str, Layer]:
    """Return the layers that give what a network says: its answers, the usual one first, then its further heads.

    `expression` and `votes` are the probabilities that `FaceModel.probabilities` returns; others are as the network
    returns them. All begin with one layer `images`, uint8 RGB [b, side, side, 3]. Normalisation is folded into the
    convolutions.

    Args:
        model: The network.

    Raises:
        UserError: It has an operation that is none of `OPERATIONS`, or its answers are averaged over views.
    """
    if model.views != "one":
        raise UserError(f"its answers are averaged over views ({model.views}): export it as stablehlo, which can")
    network, variables = folded(model.network, model.variables)
    network = compiled_for(network, "tpu")  # with XLA's own kernels, which are made of the fewest operations
    side = model.image_size
    images = jax.ShapeDtypeStruct(export.symbolic_shape(f"b, {side}, {side}, 3"), np.uint8)
    traced, shapes = jax.make_jaxpr(
        lambda images: network.apply(variables, images, train=False, mask=None), return_shape=True
    )(images)
    found = _followed(traced.jaxpr, traced.consts, [Layer("images", (), (side, side, 3))])
    heads: dict[str, Layer] = jax.tree.unflatten(jax.tree.structure(shapes), found)
    for name, layer in heads.items():
        _check(isinstance(layer, Layer) and layer.shape == shapes[name].shape[1:], f"a head {name} without an image")
    answers = sorted(model.answers, key=lambda answer: answer != model.answer)
    further = {name: layer for name, layer in heads.items() if name not in ("logits", *answers)}
    return {answer: _probabilities(model, answer, heads) for answer in answers} | further


def _probabilities(model: FaceModel, answer: Any, heads: Mapping[str, Layer]) -> Layer:
    head, columns = model.head(answer)
    layer = heads[head]
    if columns != list(range(*layer.shape)):
        layer = Layer("take", (layer,), (len(columns),), {"columns": columns})
    beta = 1 / model.temperature if head == "logits" else 1.0
    return Layer("softmax", (layer,), layer.shape, {"beta": beta})


def in_order(outputs: Mapping[str, Layer]) -> list[Layer]:
    """Return all layers that outputs need, each after those whose values it takes."""
    found: dict[Layer, None] = {}

    def visit(layer: Layer) -> None:
        if layer not in found:
            for value in layer.inputs:
                if isinstance(value, Layer):
                    visit(value)
            found[layer] = None

    for output in outputs.values():
        visit(output)
    return list(found)


def values_of(
    outputs: Mapping[str, Layer],
    images: UInt8[Array, "b h w 3"],
    changed: Callable[[Layer, jax.Array], jax.Array] = lambda layer, value: value,
) -> dict[Layer, Float[Array, "b ..."]]:
    """Return the values of all layers that outputs need, as `KINDS` computes them.

    Args:
        outputs: Layers by name.
        images: The images.
        changed: What becomes of the value of a layer before others take it.
    """
    found: dict[Layer, jax.Array] = {}
    for layer in in_order(outputs):
        values = [found[value] if isinstance(value, Layer) else jnp.asarray(value) for value in layer.inputs]
        made = images if layer.kind == "images" else KINDS[layer.kind](*values, **layer.settings)
        found[layer] = changed(layer, made)
    return found


def _convolution(
    x: Any, kernel: Any, bias: Any = 0.0, *, strides: Any, padding: Any, dilation: Any, groups: int
) -> jax.Array:
    numbers = ("NHWC", "HWIO", "NHWC")
    found = lax.conv_general_dilated(
        x, kernel, strides, padding, rhs_dilation=dilation, dimension_numbers=numbers, feature_group_count=groups
    )
    return found + bias


def _largest(x: jax.Array, *, window: Any, strides: Any, padding: Any) -> jax.Array:
    whole = ((0, 0), *padding, (0, 0))
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, *window, 1), (1, *strides, 1), whole)


KINDS: dict[str, Callable[..., jax.Array]] = {
    "cast": lambda x: x.astype(jnp.float32),
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "max": jnp.maximum,
    "relu": lambda x: jnp.maximum(x, 0),
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "rsqrt": lax.rsqrt,
    "softmax": lambda x, *, beta: jax.nn.softmax(x * beta),
    "take": lambda x, *, columns: x[..., np.array(columns)],
    "sum": lambda x, *, axes: x.sum(axes),
    "mean": lambda x, *, axes: x.mean(axes),
    "unsqueeze": lambda x, *, axes: jnp.expand_dims(x, axes),
    "dense": lambda x, kernel, bias=0.0: x @ kernel + bias,
    "conv": _convolution,
    "max_pool": _largest,
}
"""What each kind of layer computes.

`axes` count that of the images, which is none of them. The `kernel` of a convolution is [h, w, c_in / groups, c] and
its bias [c]; those of `dense` are [c_in, c] and [c]. `padding` has the pixels before and after, for height and width.
"""


def _followed(jaxpr: Any, constants: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
    """Return what a traced program makes of its inputs, layers and arrays; what is made of arrays alone is computed."""
    known = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*constants, *inputs), strict=True))

    def value(of: Any) -> Any:
        found = of.val if isinstance(of, Literal) else known[of]
        return found if isinstance(found, Layer) else np.asarray(found)

    for equation in jaxpr.eqns:
        name, values = equation.primitive.name, list(map(value, equation.invars))
        if name in _PROGRAMS:
            inner = equation.params[_PROGRAMS[name]]
            found = _followed(inner.jaxpr, inner.consts, values)
        elif not any(isinstance(one, Layer) for one in values):
            made = equation.primitive.bind(*values, **equation.params)
            found = made if equation.primitive.multiple_results else [made]
        else:
            _check(name in OPERATIONS, f"the operation {name}")
            found = [OPERATIONS[name](equation, *values)]
        known.update(zip(equation.outvars, found, strict=True))
    return list(map(value, jaxpr.outvars))


_PROGRAMS = {"jit": "jaxpr", "pjit": "jaxpr", "custom_jvp_call": "call_jaxpr"}
"""The operations that run a program, and where they have it."""


def _check(is_known: bool, what: str) -> None:
    if not is_known:
        raise UserError(f"the network has {what}, which this format cannot hold: export it as stablehlo or as a model")


def _whole(equation: Any, *values: Any) -> tuple[int, ...]:
    """Return the shape of what an operation returns for each image, which takes all of its values as they are."""
    for atom, value in zip(equation.invars, values, strict=True):
        given = not isinstance(value, Layer) or value.shape == atom.aval.shape[1:]
        _check(given, f"a repeated value in {equation.primitive.name}")
    return tuple(equation.outvars[0].aval.shape[1:])


def _of_each(kind: str) -> Callable[..., Layer]:
    """Return what makes a layer that changes each number by itself."""
    return lambda equation, x: Layer(kind, (x,), x.shape)


def _of_two(kind: str) -> Callable[..., Layer]:
    """Return what makes a layer of two values, which repeats them along axes of length one."""

    def make(equation: Any, a: Any, b: Any) -> Layer:
        of_arrays = [one.shape for one in (a, b) if not isinstance(one, Layer)]
        _check(all(shape[:1] in ((), (1,)) for shape in of_arrays), f"an array of several rows in {kind}")
        shapes = [one.shape if isinstance(one, Layer) else one.shape[1:] for one in (a, b)]
        return Layer(kind, (a, b), np.broadcast_shapes(*shapes))

    return make


def _add(equation: Any, a: Any, b: Any) -> Layer:
    if _takes_bias(a) and isinstance(b, np.ndarray) and b.shape[-1:] == a.shape[-1:] == (b.size,):
        return replace(a, inputs=(*a.inputs, b.reshape(-1)))
    return _of_two("add")(equation, a, b)


def _takes_bias(layer: Any) -> bool:
    return isinstance(layer, Layer) and layer.kind in ("conv", "dense") and len(layer.inputs) == 2


def _max(equation: Any, a: Any, b: Any) -> Layer:
    if isinstance(b, np.ndarray) and b.size == 1 and b.item() == 0:
        return Layer("relu", (a,), a.shape)
    return _of_two("max")(equation, a, b)


def _div(equation: Any, a: Any, b: Any) -> Layer:
    if isinstance(a, Layer) and a.kind == "sum" and isinstance(b, np.ndarray) and b.size == 1:
        added = math.prod(a.inputs[0].shape[axis - 1] for axis in a.settings["axes"])
        if b.item() == added:
            return replace(a, kind="mean")
    return _of_two("div")(equation, a, b)


def _cast(equation: Any, x: Layer) -> Layer:
    _check(equation.params["new_dtype"] == np.float32, f"numbers of {equation.params['new_dtype']}")
    return Layer("cast", (x,), x.shape) if x.kind == "images" else x


def _power(equation: Any, x: Layer) -> Layer:
    _check(equation.params["y"] == 2, f"a power of {equation.params['y']}")
    return Layer("mul", (x, x), x.shape)


def _sum(equation: Any, x: Layer) -> Layer:
    axes = tuple(equation.params["axes"])
    _check(0 not in axes, "a sum over images")
    return Layer("sum", (x,), _whole(equation, x), {"axes": axes})


def _broadcast(equation: Any, x: Layer) -> Layer:
    """Return a layer with more axes, of length one: those that take its value repeat it."""
    kept = equation.params["broadcast_dimensions"]
    axes = tuple(axis for axis in range(len(equation.params["shape"])) if axis not in kept)
    _check(kept[:1] == (0,), "a value that is repeated for each image")
    shape = np.expand_dims(np.empty((1, *x.shape), bool), axes).shape[1:]
    return Layer("unsqueeze", (x,), shape, {"axes": axes})


def _gather(equation: Any, x: Layer, places: np.ndarray) -> Layer:
    """Return a layer of one channel: JAX takes it so where it does not know the number of images."""
    numbers, shape = equation.params["dimension_numbers"], _whole(equation, x, places)
    channel = numbers.start_index_map == (len(x.shape),) and places.shape == (1,) and shape == (*x.shape[:-1], 1)
    _check(channel and not numbers.collapsed_slice_dims, "the operation gather")
    return Layer("take", (x,), shape, {"columns": [int(places[0])]})


def _dot(equation: Any, x: Layer, kernel: Any) -> Layer:
    of_two = isinstance(kernel, np.ndarray) and kernel.ndim == 2 and len(x.shape) == 1
    _check(of_two and equation.params["dimension_numbers"] == (((1,), (0,)), ((), ())), "a product of another kind")
    return Layer("dense", (x, kernel), _whole(equation, x, kernel))


def _conv(equation: Any, x: Layer, kernel: Any) -> Layer:
    params, shape = equation.params, _whole(equation, x, kernel)
    usual = isinstance(kernel, np.ndarray) and params["batch_group_count"] == 1 and params["lhs_dilation"] == (1, 1)
    usual = usual and tuple(params["dimension_numbers"]) == ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
    _check(usual, "a convolution of another kind")
    settings = {"strides": params["window_strides"], "padding": params["padding"]}
    settings |= {"dilation": params["rhs_dilation"], "groups": params["feature_group_count"]}
    return Layer("conv", (x, kernel), shape, settings)


def _max_pool(equation: Any, x: Layer) -> Layer:
    params, shape = equation.params, _whole(equation, x)
    window, strides, padding = params["window_dimensions"], params["window_strides"], params["padding"]
    usual = len(window) == 4 and window[::3] == strides[::3] == (1, 1) and padding[::3] == ((0, 0), (0, 0))
    _check(usual and {*params["base_dilation"], *params["window_dilation"]} == {1}, "a pool of another kind")
    settings = {"window": window[1:3], "strides": strides[1:3], "padding": padding[1:3]}
    return Layer("max_pool", (x,), shape, settings)


OPERATIONS: dict[str, Callable[..., Layer]] = {
    "add": _add,
    "broadcast_in_dim": _broadcast,
    "conv_general_dilated": _conv,
    "convert_element_type": _cast,
    "div": _div,
    "dot_general": _dot,
    "gather": _gather,
    "integer_pow": _power,
    "logistic": _of_each("sigmoid"),
    "max": _max,
    "mul": _of_two("mul"),
    "reduce_sum": _sum,
    "reduce_window_max": _max_pool,
    "rsqrt": _of_each("rsqrt"),
    "square": lambda equation, x: Layer("mul", (x, x), x.shape),
    "sub": _of_two("sub"),
    "tanh": _of_each("tanh"),
}
"""What makes a layer of each operation of JAX's that networks of this field have."""
