"""A network as an ONNX file: for ONNX Runtime, on any machine, in a browser or on a telephone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxfer.errors import UserError
from jaxfer.inference.export.graph import Layer, graph_of, in_order

if TYPE_CHECKING:
    from jaxfer.inference.model import FaceModel

OPSET, IR = 17, 8
"""Versions of the operators and of the file, of 2022: what runs ONNX knows them."""

_OPERATORS = {
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "max": "Max",
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
}
"""The operators that take what a layer of the kind takes."""


def encode(model: FaceModel, said: Mapping[str, str]) -> bytes:
    """Return the content of a file.

    It takes `images`, uint8 RGB [b, side, side, 3] for any number b, and returns what `graph_of` describes, float32.

    Args:
        model: The network.
        said: What the file says of it, in its metadata.

    Raises:
        UserError: The package onnx is not installed, or `graph_of` refuses.
    """
    onnx = _onnx()
    helper, kinds = onnx.helper, onnx.TensorProto
    outputs, side = graph_of(model), model.image_size
    graph = _Graph(onnx, {layer: name for name, layer in outputs.items()})
    for layer in in_order(outputs):
        graph.add(layer)
    images = helper.make_tensor_value_info("images", kinds.UINT8, ["b", side, side, 3])
    answers = [helper.make_tensor_value_info(name, kinds.FLOAT, ["b", *of.shape]) for name, of in outputs.items()]
    made = helper.make_model(
        helper.make_graph(graph.nodes, "jaxfer", [images], answers, graph.arrays),
        producer_name="jaxfer",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR,
    )
    helper.set_model_props(made, dict(said))
    return made.SerializeToString()


def _onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise UserError("ONNX is written by a package that is not installed: pip install 'jaxfer[onnx]'") from error
    return onnx


class _Graph:
    """The nodes and arrays of a file. Maps are [b, c, h, w] in it, as ONNX convolves them."""

    def __init__(self, onnx: Any, outputs: Mapping[Layer, str]) -> None:
        self._onnx = onnx
        self._outputs = outputs
        self._names: dict[Layer, str] = {}
        self.nodes: list[Any] = []
        self.arrays: list[Any] = []

    def add(self, layer: Layer) -> None:
        """Add the nodes of a layer; those whose values it takes are there."""
        operator, inputs, attributes = self._as_node(layer)
        self._names[layer] = self._node(operator, *inputs, name=self._outputs.get(layer, ""), **attributes)

    def _as_node(self, layer: Layer) -> tuple[str, list[str], dict[str, Any]]:
        """Return the operator, the inputs and the attributes of a layer's last node."""
        settings = layer.settings
        match layer.kind:
            case "images":
                return "Transpose", ["images"], {"perm": (0, 3, 1, 2)}
            case "conv":
                x, kernel, *bias = layer.inputs
                arrays = [self._array(kernel.transpose(3, 2, 0, 1)), *map(self._array, bias)]
                where = {"strides": settings["strides"], "dilations": settings["dilation"], "pads": _pads(settings)}
                return "Conv", [self._names[x], *arrays], where | {"group": settings["groups"]}
        inputs = [self._names[one] if isinstance(one, Layer) else self._array(_turned(one)) for one in layer.inputs]
        match layer.kind:
            case "cast":
                return "Cast", inputs, {"to": self._onnx.TensorProto.FLOAT}
            case "max_pool":
                where = {"kernel_shape": settings["window"], "strides": settings["strides"], "pads": _pads(settings)}
                return "MaxPool", inputs, where
            case "dense":
                return "Gemm", inputs, {}
            case "sum":
                return "ReduceSum", [*inputs, self._array(_axes(layer.inputs[0], settings))], {"keepdims": 0}
            case "mean":
                return "ReduceMean", inputs, {"axes": _axes(layer.inputs[0], settings), "keepdims": 0}
            case "unsqueeze":
                return "Unsqueeze", [*inputs, self._array(_axes(layer, settings))], {}
            case "take":
                return "Gather", [*inputs, self._array(np.array(settings["columns"]))], {"axis": 1}
            case "rsqrt":
                return "Reciprocal", [self._node("Sqrt", *inputs)], {}
            case "softmax":
                beta = self._array(np.float32(settings["beta"]))
                return "Softmax", [self._node("Mul", *inputs, beta)], {"axis": 1}
        return _OPERATORS[layer.kind], inputs, {}

    def _node(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node, and return the name of its output."""
        name = name or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(self._onnx.helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def _array(self, array: Any) -> str:
        """Add an array, and return its name."""
        name = f"array_{len(self.arrays)}"
        self.arrays.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name


def _turned(array: np.ndarray) -> np.ndarray:
    return array.transpose(0, 3, 1, 2) if array.ndim == 4 else array


def _axes(layer: Layer, settings: Mapping[str, Any]) -> np.ndarray:
    """Return axes of a layer's value as they are in the file."""
    places = (0, 2, 3, 1) if len(layer.shape) == 3 else range(len(layer.shape) + 1)
    return np.array(sorted(places[axis] for axis in settings["axes"]))


def _pads(settings: Mapping[str, Any]) -> np.ndarray:
    """Return the pixels before and then those after, for height and width."""
    return np.transpose(settings["padding"]).ravel()
