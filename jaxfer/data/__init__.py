"""Labelled faces: read from disk or drawn, decoded into memory."""

from jaxfer.data.dataset import Dataset, Split
from jaxfer.data.load import load

__all__ = ["Dataset", "Split", "load"]
