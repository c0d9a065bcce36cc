"""`jaxfer export`: a network in a format that runs without jaxfer."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write the network of a run, or of a model, in a format that others read.

    jaxfer export runs/first first.onnx --format onnx
    """

    model: tyro.conf.Positional[str]
    """The folder of a run or of a model, or the name of a network that comes with jaxfer."""
    out: tyro.conf.Positional[Path]
    """The file, which must not exist."""
    format: Literal["onnx"]
    """What to write."""

    def run(self) -> None:
        """Write the file, and say what it takes and returns.

        Raises:
            UserError: `jaxfer.export_model` refuses.
        """
        from jaxfer.inference.export import export_model, open_model

        model = open_model(self.model)
        path = export_model(model, self.out, self.format)
        print(f"Written: {path}, {path.stat().st_size / 1e6:.1f} MB")
