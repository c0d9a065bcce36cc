"""The numbers of a config that its compiled program takes as arguments, so that one program serves all their values."""

import copy
import dataclasses
from typing import Any

import jax
import numpy as np

from jaxfer.config import Config

Numbers = dict[str, dict[str, Any]]
"""float32 scalars by section and field of `Config`, such as `numbers["optimizer"]["learning_rate"]`."""

FIELDS = {
    "loss": ("label_smoothing", "l2", "head_weight"),
    "optimizer": ("learning_rate", "weight_decay", "momentum", "epsilon", "clip_norm"),
}
"""Which they are. Other numbers decide what is computed, as `warmup_epochs` does, or would lose digits, as `ema` in
1 - ema."""


def numbers_of(config: Config) -> Numbers:
    """Return a config's numbers.

    One that is 0 or None is none of them: it belongs to the program, which leaves out what it would scale.

    >>> numbers_of(Config())["loss"]
    {'l2': np.float32(0.01), 'head_weight': np.float32(1.0)}
    """
    sections = {section: getattr(config, section) for section in FIELDS}
    values = {section: {name: getattr(sections[section], name) for name in names} for section, names in FIELDS.items()}
    return {section: {name: np.float32(v) for name, v in fields.items() if v} for section, fields in values.items()}


def with_numbers(config: Config, numbers: Numbers) -> Config:
    """Return `config` with these numbers, which may be traced, in place of its own."""
    sections = {}
    for section, fields in numbers.items():
        sections[section] = copy.copy(getattr(config, section))
        for name, value in fields.items():
            # Not through `dataclasses.replace`: the checks of a config compare values, which a traced one has not.
            object.__setattr__(sections[section], name, value)
    return dataclasses.replace(config, **sections)


def structure(config: Config) -> Config:
    """Return what is left of a config without its numbers: equal for runs that one program serves.

    The seed is no part of it, nor is the number of epochs unless the learning rate depends on it.
    """
    # Any value would do that no field can have: None is one of them.
    unnamed = {section: dict.fromkeys(fields, "a number") for section, fields in numbers_of(config).items()}
    epochs = config.epochs if config.depends_on_epochs else 1
    return dataclasses.replace(with_numbers(config, unnamed), seed=0, epochs=epochs)


def is_zero(number: Any) -> bool:
    """Return whether a number is 0 in every run of a program: a traced one may be anything."""
    return not isinstance(number, jax.Array) and number == 0
