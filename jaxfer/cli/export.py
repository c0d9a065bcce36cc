"""`jaxfer export`: a network in a format in which others use it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from jaxfer.cli.flags import own_network

if TYPE_CHECKING:
    from jaxfer.inference import FaceModel


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write the network of a run, or of a model, in a format in which others use it.

    jaxfer export runs/first first --format model

    jaxfer export runs/first first.onnx --format onnx

    jaxfer export small small.tflite --format litert

    jaxfer export small small-stablehlo --format stablehlo

    A model is a folder with the weights, what to know of them and a card; people share it, and jaxfer reads it. The
    other formats run without jaxfer: ONNX on any machine or in a browser, LiteRT on telephones and small computers,
    StableHLO in JAX on CPUs, GPUs and TPUs.
    """

    model: tyro.conf.Positional[str]
    """The folder of a run, finished or not, or of a model, or the name of a network that comes with jaxfer."""
    out: tyro.conf.Positional[Path]
    """The file or folder, which must not exist."""
    format: Literal["model", "onnx", "litert", "stablehlo"]
    """What to write."""
    network: str | None = None
    """Your own network as module:attribute, which is imported, for what was trained with one."""

    def run(self) -> None:
        """Write the file or folder, and say how large it is.

        Raises:
            UserError: `jaxfer.export_model` refuses.
        """
        from jaxfer.inference.export import export_model

        model = opened(self.model, self.network)
        card = _card(self.model, model) if self.format == "model" else ""
        path = export_model(model, self.out, self.format, card=card)
        files = [path] if path.is_file() else list(path.iterdir())
        print(f"Written: {path}, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB")


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
