"""Networks that leave: files of other formats, one module for each, which run without jaxfer."""

from jaxfer.inference.export.formats import Format, export_model, metadata, open_model, outputs_of

__all__ = ["Format", "export_model", "metadata", "open_model", "outputs_of"]
