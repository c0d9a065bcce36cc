"""`jaxfer export`: a network in a format in which others use it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from jaxfer.cli.flags import own_network
from jaxfer.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from jaxfer.inference import FaceModel


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write the network of a run, or of a model, in a format in which others use it.

    jaxfer export runs/first first --format model

    jaxfer export runs/first first.onnx --format onnx

    jaxfer export small small.tflite --format litert

    jaxfer export small small-stablehlo --format stablehlo

    jaxfer export runs/first site --format web

    A model is a folder with the weights, what to know of them and a card; people share it, and jaxfer reads it. The
    other formats run without jaxfer: ONNX on any machine or in a browser, LiteRT on telephones and small computers,
    StableHLO in JAX on CPUs, GPUs and TPUs.
    """

    model: tyro.conf.Positional[str]
    """The folder of a run, finished or not, or of a model, or the name of a network that comes with jaxfer."""
    out: tyro.conf.Positional[Path]
    """The file or folder, which must not exist."""
    format: Literal["model", "onnx", "litert", "stablehlo", "web"]
    """What to write; web is a page for any static host, on which the network runs in the browser."""
    int8: bool = False
    """Write ONNX of eight bits, calibrated and measured by the validation images of the run, on whose disk they are."""
    network: str | None = None
    """Your own network as module:attribute, which is imported, for what was trained with one."""

    def run(self) -> None:
        """Write the file or folder, and say how large it is.

        Raises:
            UserError: `jaxfer.export_model` refuses.
        """
        from jaxfer.inference.export import export_model, outputs_of
        from jaxfer.reports.words import in_a_line

        model = opened(self.model, self.network)
        if self.format == "web":
            self._write_page(model)
            return
        card = _card(self.model, model) if self.format == "model" else ""
        images = _validation_images(self.model) if self.int8 else None
        path = export_model(model, self.out, self.format, card=card, int8=images)
        files = [path] if path.is_file() else list(path.iterdir())
        print(f"Written: {path}, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB")
        if self.format != "model":
            for name, numbers in outputs_of(model).items():
                print(f"  {name}: {', '.join(map(in_a_line, numbers))}")
        if images is not None:
            print(f"  {_cost(path)}")

    def _write_page(self, model: "FaceModel") -> None:
        from jaxfer.demo import export_web
        from jaxfer.demo.web import COMMANDS
        from jaxfer.inference.model import called

        if self.int8:
            raise UserError("the page runs float32 alone: leave out --int8, or write --format onnx")
        folder = export_web(model, self.out, called(self.model))
        print(f"Written: {folder}. It needs three files of onnxruntime-web, which these lines put beside it:")
        print(f"cd {folder}\n{COMMANDS}")
        print("Then any static host serves it, such as: python3 -m http.server --bind 127.0.0.1")


def opened(place: str, network: str | None) -> "FaceModel":
    """Return the network of a run or of a model.

    Args:
        place: The folder, or the name of one that comes with jaxfer.
        network: The network as module:attribute, which is imported; None for one of jaxfer's own.

    Raises:
        UserError: It cannot be read or imported.
    """
    from jaxfer.inference.export import open_model
    from jaxfer.inference.model import class_names_of

    return open_model(place, own_network(network, len(class_names_of(place))) if network else None)


def _card(place: str, model: "FaceModel") -> str:
    """Return the card of a run, or that which the folder of a model has already."""
    from jaxfer.inference.model import card_of, is_run

    if is_run(place):
        from jaxfer.reports.card import model_card

        return model_card(place, model)
    return card_of(place)


def _validation_images(place: str) -> "tuple[np.ndarray, np.ndarray]":
    """Return the validation images of a run and their labels.

    Raises:
        UserError: It is no run, or its data cannot be read.
    """
    import numpy as np

    from jaxfer.data import load
    from jaxfer.inference.model import is_run
    from jaxfer.runs.folder import read_config

    if not is_run(place):
        raise UserError(
            f"{place} is no run, by whose validation images --int8 is calibrated: pass one, or leave it out"
        )
    split = load(read_config(Path(place)).data, keep=False).val
    return split.images[np.arange(len(split))], split.labels


def _cost(path: Path) -> str:
    """Return what the eight bits of a file cost, in words."""
    from jaxfer.files import read_bytes
    from jaxfer.inference.export.onnx import said_by
    from jaxfer.reports.words import counted, percent

    cost = json.loads(said_by(read_bytes(path, path.stat().st_size))["int8"])
    accuracy, before, same = (percent(cost[name]) for name in ("accuracy_int8", "accuracy_float32", "same_answer"))
    images = counted(cost["measured_on"], "validation image")
    return f"int8: accuracy {accuracy} in place of {before} on {images}, the same answer for {same} of them"
