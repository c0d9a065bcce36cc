"""The formats in which a network leaves: what each holds, and what its files say of the network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from jaxfer.errors import UserError
from jaxfer.files import write, write_folder
from jaxfer.inference.export import litert, onnx, stablehlo
from jaxfer.inference.export.graph import graph_of
from jaxfer.inference.export.int8 import in_int8
from jaxfer.inference.model import FaceModel, is_run, load_model, save_model
from jaxfer.tasks import TASKS
from jaxfer.version import __version__

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Int, UInt8

    from jaxfer.models import Network

Format = Literal["model", "onnx", "litert", "stablehlo"]
"""What `export_model` writes.

- `model`: the folder that `load_model` reads;
- `onnx`: a file for ONNX Runtime;
- `litert`: a file for LiteRT;
- `stablehlo`: a folder of programs for JAX, see `jaxfer.inference.export.stablehlo`.
"""


def export_model(
    model: FaceModel | Path | str,
    out: Path | str,
    format: Format = "model",  # noqa: A002
    *,
    card: str = "",
    int8: tuple[UInt8[np.ndarray, "n h w 3"], Int[np.ndarray, " n"]] | None = None,
) -> Path:
    """Write a network in a format that others read, whole or not at all.

    But for `model`, files take faces as they are, uint8 RGB [b, side, side, 3]: what the network does to pixels before
    its first layer is inside. They return its answers: `expression`, and `votes` where it has learnt them, are
    probabilities as `FaceModel.probabilities` returns them; further heads are as the network returns them.

    Args:
        model: The network; or the folder of a model or of a run, or a name of `SHIPPED`.
        out: The file or folder, which must not exist.
        format: What to write, see `Format`.
        int8: Labelled images that the network was not trained on, for ONNX of eight bits: images as the network takes
            them, and their classes. One in five calibrates it; by the others the file says what it costs.
        card: What a folder of the format `model` has in its `README.md`, such as `jaxfer.reports.model_card` of a run.

    Returns:
        The file or folder.

    Raises:
        UserError: There is something already; the format cannot hold the network, or needs a package that is not
            installed; or the folder cannot be read, or the disk fails.
    """
    out = Path(out)
    if out.exists() or out.is_symlink():
        raise UserError(f"{out} exists, and nothing is overwritten: pass another name")
    if int8 is not None and format != "onnx":
        raise UserError(f"int8 is for onnx, not for {format}: leave it out")
    model = model if isinstance(model, FaceModel) else open_model(model)
    match format:
        case "model":
            return save_model(model, out, card=card)
        case "onnx":
            said, graph = metadata(model), graph_of(model)
            if int8 is not None:
                graph, cost = in_int8(graph, *int8)
                said["int8"] = json.dumps(cost)
            return write(onnx.encode(graph, model.image_size, said), out)
        case "litert":
            return write(litert.encode(graph_of(model), metadata(model)), out)
        case "stablehlo":
            text = json.dumps(metadata(model), indent=2) + "\n"
            return write_folder({"metadata.json": text, **stablehlo.encode(model)}, out)
    raise UserError(f"there is no format {format!r}: pass {', '.join(get_args(Format))}")


def open_model(place: Path | str, network: Network | None = None) -> FaceModel:
    """Return the network of a run or of a folder that people share.

    Args:
        place: The folder, or a name of `SHIPPED`.
        network: The network, if it is not one of jaxfer's own.

    Raises:
        UserError: `load_model` or `jaxfer.load_run` refuses.
    """
    if not is_run(place):
        return load_model(place, network=network)
    from jaxfer.runs.load import load_run  # who has a model alone does not wait for what reads runs

    return FaceModel.of_run(load_run(place, model=network))


def outputs_of(model: FaceModel) -> dict[str, tuple[str, ...]]:
    """Return what each number of a network's outputs stands for, where that is known; the output to use is the first.

    >>> list(outputs_of(load_model("small")))
    ['votes', 'expression']
    """
    answers = sorted(model.answers, key=lambda answer: answer != model.answer)
    heads = {name: TASKS[name].columns for name in model.config.heads if name in TASKS and name not in answers}
    return {answer: model.names(answer) for answer in answers} | heads


def metadata(model: FaceModel) -> dict[str, str]:
    """Return what files say of a network, each as JSON but for plain text.

    `class_names` are those of the first output, `outputs` what each output's numbers stand for, where that is known.
    `framing` says how the faces are to be cut out, see `jaxfer.inference.Framing`.
    """
    side = model.image_size
    said: dict[str, Any] = {
        "library": "jaxfer",
        "version": __version__,
        "input": f"images: uint8 RGB [b, {side}, {side}, 3] from 0 to 255; scaling and all that follows is inside",
        "image_size": side,
        "class_names": model.names(),
        "outputs": outputs_of(model),
        "temperature": model.temperature,
        "framing": model.framing and model.framing.to_dict(),
        "network": model.config.variant,
    }
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in said.items()}
