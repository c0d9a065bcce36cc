"""Weights of other networks to start from: their files, whose they are, and how they become those of a network."""

from jaxfer.models.pretrained.load import (
    SHIPPED,
    Loaded,
    Weights,
    check_unchanged,
    digest_of,
    load_pretrained,
    read_weights,
    weights_of,
)

__all__ = [
    "SHIPPED",
    "Loaded",
    "Weights",
    "check_unchanged",
    "digest_of",
    "load_pretrained",
    "read_weights",
    "weights_of",
]
