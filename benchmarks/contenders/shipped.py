"""The shipped network without JAX: its stored arrays, and as ONNX with the normalisation folded in float64.

SAME padding as XLA pads is ONNX's `SAME_UPPER`.
"""

# pyright: reportMissingImports=false
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from contenders.case import BLOCKS, CLASSES, SIDES, WEIGHTS

EPSILON = 1e-5
"""Added to the variance by the normalisation of the standard networks."""


def stored() -> dict[str, np.ndarray]:
    """Return the arrays of the safetensors file, float64, by their names."""
    raw = (WEIGHTS / "model.safetensors").read_bytes()
    begin = 8 + int.from_bytes(raw[:8], "little")
    kinds = {"F16": np.float16, "F32": np.float32}
    arrays = {}
    for name, said in json.loads(raw[8:begin]).items():
        if name != "__metadata__":
            first, last = (begin + offset for offset in said["data_offsets"])
            found = np.frombuffer(raw[first:last], kinds[said["dtype"]])
            arrays[name] = found.reshape(said["shape"]).astype(np.float64)
    return arrays


def parameters() -> int:
    """Return how many values of it are trained."""
    return sum(array.size for name, array in stored().items() if name.startswith("params/"))


class Graph:
    """The nodes and the constants of an ONNX graph, in the making."""

    def __init__(self) -> None:
        self.arrays, self.nodes, self.constants = stored(), [], []

    def constant(self, values: object) -> str:
        """Add a float32 constant and return its name."""
        name = f"constant{len(self.constants)}"
        array = np.ascontiguousarray(np.asarray(values, np.float32))
        self.constants.append(onnx.numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        name = name or f"node{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def convolution(self, x: str, path: str, number: str, stride: int) -> str:
        """Add the convolution `conv{number}` under a path, with its normalisation, and return its output's name."""
        conv, norm = (f"{path}{number.replace('*', kind)}" for kind in ("conv", "norm"))
        statistics, of_norm = (f"{group}/{norm}" for group in ("batch_stats", "params"))
        factor = self.arrays[f"{of_norm}/scale"] / np.sqrt(self.arrays[f"{statistics}/var"] + EPSILON)
        kernel = (self.arrays[f"params/{conv}/kernel"] * factor).transpose(3, 2, 0, 1)
        bias = self.arrays[f"{of_norm}/bias"] - self.arrays[f"{statistics}/mean"] * factor
        inputs = x, self.constant(kernel), self.constant(bias)
        return self.add("Conv", *inputs, strides=[stride] * 2, auto_pad="SAME_UPPER")


def export(path: Path) -> None:
    """Write it: uint8 `images` [b, 48, 48, 3] in, float32 `logits` [b, 7] and `votes` [b, 10] out."""
    graph, side = Graph(), SIDES["shipped"]
    x = graph.add("Div", graph.add("Cast", "images", to=onnx.TensorProto.FLOAT), graph.constant(255))
    x = graph.add("MatMul", x, graph.constant([[0.299], [0.587], [0.114]]))
    every = {"axes": [1, 2, 3], "keepdims": 1}
    x = graph.add("Sub", x, graph.add("ReduceMean", x, **every))
    variance = graph.add("ReduceMean", graph.add("Mul", x, x), **every)
    variance = graph.add("Max", variance, graph.constant(1 / (255 * side) ** 2))
    x = graph.add("Transpose", graph.add("Div", x, graph.add("Sqrt", variance)), perm=[0, 3, 1, 2])
    x = graph.add("Relu", graph.convolution(x, "", "stem_*", 2))
    for stage, size in enumerate(BLOCKS["shipped"]):
        for index in range(size):
            block, stride = f"stage{stage + 1}_block{index + 1}/", 2 if stage > 0 and index == 0 else 1
            y = graph.add("Relu", graph.convolution(x, block, "*1", stride))
            y = graph.convolution(y, block, "*2", 1)
            if stride == 2:
                x = graph.convolution(x, block, "shortcut_*", stride)
            x = graph.add("Relu", graph.add("Add", x, y))
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    sizes = {"logits": ("head", CLASSES), "votes": ("votes_head", 10)}
    for output, (layer, _) in sizes.items():
        kernel, bias = (graph.constant(graph.arrays[f"params/{layer}/{name}"]) for name in ("kernel", "bias"))
        graph.add("Gemm", x, kernel, bias, name=output)
    images = onnx.helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["b", side, side, 3])
    outputs = [
        onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, ["b", size])
        for output, (_, size) in sizes.items()
    ]
    made = onnx.helper.make_graph(graph.nodes, "shipped", [images], outputs, graph.constants)
    model = onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
