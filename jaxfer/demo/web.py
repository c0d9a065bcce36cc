"""The page in a folder, which any static host serves: the network and the detector run in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jaxfer.errors import UserError
from jaxfer.files import write_folder
from jaxfer.inference.export.formats import metadata
from jaxfer.inference.export.graph import graph_of
from jaxfer.inference.export.onnx import encode
from jaxfer.inference.faces import weights
from jaxfer.inference.model import FaceModel
from jaxfer.reports.demo_page import web_page

RUNTIME = "onnxruntime-web@1.30.0"
"""The package of npm that the page was tried with, and needs three files of."""

FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
"""Those files, in its folder `dist`."""

COMMANDS = f"""npm pack {RUNTIME}
tar -xzf {RUNTIME.replace("@", "-")}.tgz --strip-components=2 {" ".join(f"package/dist/{file}" for file in FILES)}"""
"""What puts them into the folder that one is in."""


def export_web(model: FaceModel, folder: Path | str, name: str) -> Path:
    """Write the page with a network to a new folder, which appears whole or not at all.

    It needs the `FILES` of `RUNTIME` beside it, of 14 MB, which are not jaxfer's to ship.

    Args:
        model: The network.
        folder: The folder, which must not exist.
        name: What the page calls the network.

    Returns:
        The folder.

    Raises:
        UserError: There is something already, the network cannot be written as ONNX or does not say how faces are
            framed, the detector is not installed, or the disk fails.
    """
    if model.framing is None:
        raise UserError("the model does not say how its training images frame faces: train it anew, or use jaxfer demo")
    page, network = (
        web_page(model, model.framing, name, COMMANDS),
        encode(graph_of(model), model.image_size, metadata(model)),
    )
    return write_folder(
        {"index.html": page, "model.onnx": network, "yunet.onnx": any_size(weights().tobytes())}, Path(folder)
    )


def any_size(content: bytes) -> bytes:
    """Return YuNet's file for pictures of any height and width that are multiples of 32; it is made for 640 alone.

    Args:
        content: Of the file.
    """
    import onnx as package  # which `encode` has found

    model = package.load_from_string(content)
    _, _, height, width = model.graph.input[0].type.tensor_type.shape.dim
    for side, name in ((height, "height"), (width, "width")):
        _free(side, name)
    for output in model.graph.output:
        _free(output.type.tensor_type.shape.dim[1], f"cells_{output.name}")
    del model.graph.value_info[:]  # the sizes in between
    package.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def _free(dimension: Any, name: str) -> None:
    dimension.ClearField("dim_value")
    dimension.dim_param = name
