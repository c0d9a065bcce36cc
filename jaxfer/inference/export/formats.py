"""The formats in which a network leaves: what each holds, and what its files say of the network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jaxfer.errors import UserError
from jaxfer.files import write
from jaxfer.inference.export import onnx
from jaxfer.inference.model import FaceModel, is_run, load_model
from jaxfer.tasks import TASKS
from jaxfer.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

Format = Literal["onnx"]
"""What `export_model` writes: a file of ONNX."""


def export_model(model: FaceModel | Path | str, out: Path | str, format: Format) -> Path:  # noqa: A002
    """Write a network in a format that others read, whole or not at all.

    All formats take faces as they are, uint8 RGB [b, side, side, 3]: what the network does to them before its first
    layer is inside. They return the answers of the network, the usual one first: `expression`, and `votes` where it
    has learnt them, are probabilities as `FaceModel.probabilities` returns them; further heads are as they are.

    Args:
        model: The network; or the folder of one or of a run, or a name of `SHIPPED`.
        out: The file, which must not exist.
        format: What to write, see `Format`.

    Returns:
        The file.

    Raises:
        UserError: There is something already; the format cannot hold the network, or needs a package that is not
            installed; or the folder cannot be read, or the disk fails.
    """
    out = Path(out)
    if out.exists() or out.is_symlink():
        raise UserError(f"{out} exists, and nothing is overwritten: pass another name")
    model = model if isinstance(model, FaceModel) else open_model(model)
    return write(_ENCODERS[format](model, metadata(model)), out)


_ENCODERS: dict[str, Callable[..., bytes]] = {"onnx": onnx.encode}


def open_model(place: Path | str) -> FaceModel:
    """Return the network of a run or of a folder that people share.

    Args:
        place: The folder, or a name of `SHIPPED`.

    Raises:
        UserError: `load_model` or `jaxfer.load_run` refuses.
    """
    if not is_run(place):
        return load_model(place)
    from jaxfer.runs.load import load_run  # who has a model alone does not wait for what reads runs

    return FaceModel.of_run(load_run(place))


def metadata(model: FaceModel) -> dict[str, str]:
    """Return what files say of a network, each as JSON but for plain text.

    `class_names` are those of the first output, `outputs` what each output's numbers stand for, where that is known.
    `framing` says how the faces are to be cut out, see `jaxfer.inference.Framing`.
    """
    side, first = model.image_size, model.answer
    heads = {name: TASKS[name].columns for name in model.config.heads if name in TASKS and name not in model.answers}
    said: dict[str, Any] = {
        "library": "jaxfer",
        "version": __version__,
        "input": f"images: uint8 RGB [b, {side}, {side}, 3] from 0 to 255; scaling and all that follows is inside",
        "image_size": side,
        "class_names": model.names(first),
        "outputs": {first: model.names(first)} | {name: model.names(name) for name in model.answers} | heads,
        "temperature": model.temperature,
        "framing": model.framing and model.framing.to_dict(),
        "network": model.config.variant,
    }
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in said.items()}
