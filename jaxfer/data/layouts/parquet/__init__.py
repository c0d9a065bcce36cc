"""Faces in parquet files, as Hugging Face exports them."""

from jaxfer.data.layouts.parquet.reader import LAYOUT

__all__ = ["LAYOUT"]
