"""Labelled faces: read from disk or drawn, checked, prepared once, and served to training."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jaxfer.data.batches import Batches
from jaxfer.data.dataset import Dataset, Split

if TYPE_CHECKING:
    from jaxfer.data.checking import check
    from jaxfer.data.loading import load
    from jaxfer.data.prepared import prepare

__all__ = ["Batches", "Dataset", "Split", "check", "load", "prepare"]

_HOMES = {"check": "checking", "load": "loading", "prepare": "prepared"}
"""The modules of what is imported when it is used: whoever trains on arrays does without Pillow and tfds."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"jaxfer.data.{_HOMES[name]}"), name)
