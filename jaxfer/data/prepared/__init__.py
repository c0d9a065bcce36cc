"""Prepare a data set once: crop, resize and keep it as a tfds data set that jaxfer and plain tfds code read fast."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxfer.data.prepared.run import Prepared, prepare

__all__ = ["Prepared", "prepare"]


def __getattr__(name: str) -> Any:
    # Imported when it is used: processes that decode do without the layouts.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from jaxfer.data.prepared import run

    return getattr(run, name)
