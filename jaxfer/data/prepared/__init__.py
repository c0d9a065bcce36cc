"""Prepare a data set once: crop, resize and keep it as a tfds data set that jaxfer and plain tfds code read fast."""

from jaxfer.data.prepared.run import Prepared, prepare

__all__ = ["Prepared", "prepare"]
