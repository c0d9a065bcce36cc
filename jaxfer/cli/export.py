"""`jaxfer export`: a network in a format that runs without jaxfer."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

if TYPE_CHECKING:
    from jaxfer.inference import FaceModel


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write the network of a run, or of a model, in a format that others read.

    jaxfer export runs/first first.onnx --format onnx

    jaxfer export runs/first site --format web
    """

    model: tyro.conf.Positional[str]
    """The folder of a run or of a model, or the name of a network that comes with jaxfer."""
    out: tyro.conf.Positional[Path]
    """The file, or the folder for web, which must not exist."""
    format: Literal["onnx", "web"]
    """What to write; web is a page for any static host, on which the network runs in the browser."""

    def run(self) -> None:
        """Write the file, and say what it takes and returns.

        Raises:
            UserError: `jaxfer.export_model` refuses.
        """
        from jaxfer.inference.export import export_model, open_model

        model = open_model(self.model)
        if self.format == "web":
            self._write_page(model)
            return
        path = export_model(model, self.out, self.format)
        print(f"Written: {path}, {path.stat().st_size / 1e6:.1f} MB")

    def _write_page(self, model: "FaceModel") -> None:
        from jaxfer.demo import export_web
        from jaxfer.demo.web import COMMANDS
        from jaxfer.inference.model import SHIPPED

        name = self.model if self.model in SHIPPED else Path(self.model).resolve().name
        folder = export_web(model, self.out, name)
        print(f"Written: {folder}. It needs three files of onnxruntime-web, which these lines put beside it:")
        print(f"cd {folder}\n{COMMANDS}")
        print("Then any static host serves it, such as: python3 -m http.server --bind 127.0.0.1")
