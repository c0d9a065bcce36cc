"""Data sets that `jaxfer data prepare` wrote."""

from jaxfer.data.layouts.prepared.reader import (
    CREATED_BY,
    LAYOUT,
    NAME,
    SPLIT_NAMES,
    PreparedImage,
    PreparedImages,
    check_library,
    config_name,
    image_size,
    refuse_enlarging,
    release,
)

__all__ = [
    "CREATED_BY",
    "LAYOUT",
    "NAME",
    "SPLIT_NAMES",
    "PreparedImage",
    "PreparedImages",
    "check_library",
    "config_name",
    "image_size",
    "refuse_enlarging",
    "release",
]
