"""Labelled faces: read from disk or drawn, checked, prepared once, and served to training."""

from jaxfer.data.checking import check
from jaxfer.data.dataset import Dataset, Split
from jaxfer.data.load import load
from jaxfer.data.prepared import prepare

__all__ = ["Dataset", "Split", "check", "load", "prepare"]
