"""A network as a file of LiteRT, which was TensorFlow Lite: for telephones and small computers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxfer.errors import UserError
from jaxfer.inference.export.graph import Layer, in_order

_OPERATORS = {
    "add": "ADD",
    "cast": "CAST",
    "conv": "CONV_2D",
    "dense": "FULLY_CONNECTED",
    "div": "DIV",
    "max": "MAXIMUM",
    "max_pool": "MAX_POOL_2D",
    "mean": "MEAN",
    "min": "MINIMUM",
    "mul": "MUL",
    "relu": "RELU",
    "rsqrt": "RSQRT",
    "sigmoid": "LOGISTIC",
    "softmax": "SOFTMAX",
    "sub": "SUB",
    "sum": "SUM",
    "take": "GATHER",
    "tanh": "TANH",
    "unsqueeze": "RESHAPE",
}
"""The operator of each kind of layer."""

_TAKES_RELU = ("add", "conv", "dense")
"""Kinds whose operator does a ReLU that follows, too."""


def encode(outputs: Mapping[str, Layer], said: Mapping[str, str]) -> bytes:
    """Return the content of a file.

    It takes `images`, uint8 RGB [1, side, side, 3], which may be resized to any number of images, and returns the
    outputs, float32; its signature has their names.

    Args:
        outputs: The layers of the network, as `graph_of` returns them.
        said: What the file says of the network, in its metadata of the name `jaxfer`, as JSON.

    Raises:
        UserError: The package ai-edge-litert is not installed.
    """
    try:
        import flatbuffers
        from ai_edge_litert import schema_py_generated as schema
    except ImportError as error:
        raise UserError("LiteRT is written by a package that is not installed: pip install 'jaxfer[litert]'") from error
    graph = _Graph(schema)
    layers = in_order(outputs)
    taken = Counter(value for layer in layers for value in layer.inputs if isinstance(value, Layer))
    with_relu = {
        layer.inputs[0]
        for layer in layers
        if layer.kind == "relu" and layer.inputs[0].kind in _TAKES_RELU and taken[layer.inputs[0]] == 1
    }
    for layer in layers:
        if layer.kind == "relu" and layer.inputs[0] in with_relu:
            graph.places[layer] = graph.places[layer.inputs[0]]
        else:
            graph.add(layer, relu=layer in with_relu)
    images = [place for layer, place in graph.places.items() if layer.kind == "images"]
    named = {name: graph.places[layer] for name, layer in outputs.items()}
    builder = flatbuffers.Builder()
    builder.Finish(graph.model(images, named, json.dumps(dict(said))).Pack(builder), b"TFL3")
    return bytes(builder.Output())


class _Graph:
    """The tensors and operators of a file."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._codes: list[str] = []
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._buffers = [schema.BufferT()]  # the first is empty by convention
        self.places: dict[Layer, int] = {}
        """Which tensor holds the value of each layer."""

    def add(self, layer: Layer, *, relu: bool) -> None:
        """Add the operators of a layer; those whose values it takes are there.

        Args:
            layer: The layer.
            relu: Whether its last operator is to do a ReLU, too.
        """
        kinds = self._schema.TensorType
        if layer.kind == "images":
            self.places[layer] = self._tensor("images", layer.shape, kinds.UINT8)
            return
        inputs = [self._value(one) for one in self._inputs(layer)]
        options = self._options(layer, inputs, relu=relu)
        self.places[layer] = self._operator(_OPERATORS[layer.kind], inputs, layer.shape, options)

    def model(self, images: list[int], outputs: Mapping[str, int], said: str) -> Any:
        """Return the model, whose input and outputs are these tensors."""
        schema = self._schema

        def named(places: Mapping[str, int]) -> list[Any]:
            found = []
            for name, place in places.items():
                entry = schema.TensorMapT()
                entry.name, entry.tensorIndex = name, place
                found.append(entry)
            return found

        graph = schema.SubGraphT()
        graph.name, graph.tensors, graph.operators = "jaxfer", self._tensors, self._operators
        graph.inputs, graph.outputs = images, list(outputs.values())
        signature = schema.SignatureDefT()
        signature.signatureKey = "serving_default"
        signature.inputs, signature.outputs = named({"images": images[0]}), named(outputs)
        note = schema.MetadataT()
        note.name, note.buffer = "jaxfer", self._buffer(np.frombuffer(said.encode(), np.uint8))
        model = schema.ModelT()
        model.version, model.description = 3, "jaxfer"
        model.operatorCodes = [self._code(name) for name in self._codes]
        model.subgraphs, model.buffers = [graph], self._buffers
        model.signatureDefs, model.metadata = [signature], [note]
        return model

    def _inputs(self, layer: Layer) -> list[Any]:
        """Return layers and arrays as the operator takes them."""
        x, *others = layer.inputs
        settings = layer.settings
        match layer.kind:
            case "conv":
                kernel, bias = (*others, np.zeros(layer.shape[-1], np.float32))[:2]
                return [x, np.ascontiguousarray(kernel.transpose(3, 0, 1, 2)), bias]
            case "dense":
                kernel, bias = (*others, np.zeros(layer.shape[-1], np.float32))[:2]
                return [x, np.ascontiguousarray(kernel.T), bias]
            case "sum" | "mean":
                return [x, np.array(settings["axes"], np.int32)]
            case "take":
                return [x, np.array(settings["columns"], np.int32)]
            case "unsqueeze":
                return [x, np.array([-1, *layer.shape], np.int32)]
        return list(layer.inputs)

    def _options(self, layer: Layer, inputs: list[int], *, relu: bool) -> Any:
        """Return the options of an operator; a pad that it cannot do itself becomes an operator before it."""
        schema, settings = self._schema, layer.settings
        fused = {"fusedActivationFunction": schema.ActivationFunctionType.RELU} if relu else {}
        match layer.kind:
            case "conv" | "max_pool":
                where = {"padding": self._padding(layer, inputs)}
                where["strideH"], where["strideW"] = settings["strides"]
                if layer.kind == "conv":
                    where["dilationHFactor"], where["dilationWFactor"] = settings["dilation"]
                    return schema.Conv2DOptionsT(**where, **fused)
                where["filterHeight"], where["filterWidth"] = settings["window"]
                return schema.Pool2DOptionsT(**where)
            case "cast":
                return schema.CastOptionsT(schema.TensorType.UINT8, schema.TensorType.FLOAT32)
            case "dense":
                return schema.FullyConnectedOptionsT(**fused)
            case "softmax":
                return schema.SoftmaxOptionsT(beta=settings["beta"])
            case "take":
                return schema.GatherOptionsT(axis=len(layer.shape))
            case "sum" | "mean":
                return schema.ReducerOptionsT()
            case "add":
                return schema.AddOptionsT(**fused)
        return None

    def _padding(self, layer: Layer, inputs: list[int]) -> int:
        """Return the kind of padding of a layer with windows, whose input becomes a padded one where it is no kind."""
        schema, settings, x = self._schema, layer.settings, layer.inputs[0]
        window = settings["window"] if layer.kind == "max_pool" else layer.inputs[1].shape[:2]
        wide = [(size - 1) * gap + 1 for size, gap in zip(window, settings.get("dilation", (1, 1)), strict=True)]
        same = []
        for size, stride, length in zip(x.shape, settings["strides"], wide, strict=False):
            missing = max((-(-size // stride) - 1) * stride + length - size, 0)
            same.append((missing // 2, missing - missing // 2))
        padding = [tuple(pair) for pair in settings["padding"]]
        if padding == same:
            return schema.Padding.SAME
        if any(map(any, padding)):
            pads = np.array([(0, 0), *padding, (0, 0)], np.int32)
            shape = tuple(size + sum(pair) for size, pair in zip(x.shape, (*padding, (0, 0)), strict=True))
            least = np.zeros(1, np.float32) if layer.kind == "conv" else np.full(1, -np.inf, np.float32)
            values = [inputs[0], self._value(pads), self._value(least)]
            inputs[0] = self._operator("PADV2", values, shape, None)
        return schema.Padding.VALID

    def _operator(self, name: str, inputs: list[int], shape: tuple[int, ...], options: Any) -> int:
        """Add an operator, and return the tensor of its output."""
        place = self._tensor(f"{name.lower()}_{len(self._operators)}", shape, self._schema.TensorType.FLOAT32)
        if name not in self._codes:
            self._codes.append(name)
        operator = self._schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = self._codes.index(name), inputs, [place]
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType, operator.builtinOptions = getattr(self._schema.BuiltinOptions, kind), options
        self._operators.append(operator)
        return place

    def _value(self, value: Any) -> int:
        """Return the tensor of a layer's value, or a new one of an array."""
        if isinstance(value, Layer):
            return self.places[value]
        kind = {"f": "FLOAT32", "i": "INT32"}[value.dtype.kind]
        tensor = self._schema.TensorT()
        tensor.name, tensor.shape = f"array_{len(self._buffers)}", list(value.shape)
        tensor.type, tensor.buffer = getattr(self._schema.TensorType, kind), self._buffer(value)
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _tensor(self, name: str, shape: tuple[int, ...], kind: int) -> int:
        """Add a tensor of a value for any number of images, and return its place."""
        tensor = self._schema.TensorT()
        tensor.name, tensor.type = name, kind
        tensor.shape, tensor.shapeSignature = [1, *shape], [-1, *shape]
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _buffer(self, array: np.ndarray) -> int:
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
        self._buffers.append(buffer)
        return len(self._buffers) - 1

    def _code(self, name: str) -> Any:
        code = self._schema.OperatorCodeT()
        number = getattr(self._schema.BuiltinOperator, name)
        code.builtinCode = code.deprecatedBuiltinCode = number
        return code
