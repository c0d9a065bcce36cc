"""The numbers of a config that a compiled program takes as arguments, so that one program serves all values."""

import dataclasses
from typing import Any

import numpy as np
from flax import struct

from jaxfer.config import Config

_SECTIONS = {
    "loss": ("label_smoothing", "l2", "head_weight", "logit_adjustment"),
    "distill": ("teacher_weight", "teacher_temperature"),
    "optimizer": (
        "learning_rate",
        "weight_decay",
        "momentum",
        "epsilon",
        "clip_norm",
        "sam",
        "backbone_rate",
        "layer_decay",
    ),
}


@struct.dataclass
class Hyperparameters:
    """The hyper-parameters of a run, a pytree that is an argument of its step.

    Each field is a float32 scalar. It is None where the config has 0 or None: the program then leaves out what it would
    scale. So runs that share a program have pytrees of the same structure. Other numbers of a config are not here
    because they decide what is computed, as `warmup_epochs` does, or would lose digits as float32, as `ema` in 1 - ema.

    Attributes:
        label_smoothing: `LossConfig.label_smoothing`.
        l2: `LossConfig.l2`.
        head_weight: `LossConfig.head_weight`.
        logit_adjustment: `LossConfig.logit_adjustment`.
        teacher_weight: `DistillConfig.teacher_weight`.
        teacher_temperature: `DistillConfig.teacher_temperature`.
        learning_rate: `OptimizerConfig.learning_rate`.
        weight_decay: `OptimizerConfig.weight_decay`.
        momentum: `OptimizerConfig.momentum`.
        epsilon: `OptimizerConfig.epsilon`.
        clip_norm: `OptimizerConfig.clip_norm`.
        sam: `OptimizerConfig.sam`.
        backbone_rate: `OptimizerConfig.backbone_rate`.
        layer_decay: `OptimizerConfig.layer_decay`.
    """

    label_smoothing: Any = None
    l2: Any = None
    head_weight: Any = None
    logit_adjustment: Any = None
    teacher_weight: Any = None
    teacher_temperature: Any = None
    learning_rate: Any = None
    weight_decay: Any = None
    momentum: Any = None
    epsilon: Any = None
    clip_norm: Any = None
    sam: Any = None
    backbone_rate: Any = None
    layer_decay: Any = None

    @classmethod
    def of(cls, config: Config) -> "Hyperparameters":
        """Return the hyper-parameters of a config.

        >>> found = Hyperparameters.of(Config())
        >>> found.l2, found.weight_decay
        (np.float32(0.01), None)
        """
        values = {name: getattr(getattr(config, part), name) for part, names in _SECTIONS.items() for name in names}
        return cls(**{name: np.float32(value) for name, value in values.items() if value})


def structure(config: Config) -> Config:
    """Return a config without its hyper-parameters: equal for runs that one program serves.

    The seed is left out too, and the number of epochs unless the learning rate depends on it.
    """
    sections = {}
    for part, names in _SECTIONS.items():
        section = getattr(config, part)
        # Any value stands for all: this one is allowed in every field.
        named = {name: 0.5 for name in names if getattr(section, name)}
        sections[part] = dataclasses.replace(section, **named)
    epochs = config.epochs if config.depends_on_epochs else 1
    return dataclasses.replace(config, **sections, seed=0, epochs=epochs)
