"""Where weights come from: by which keys files are told apart, and which key is which array of a network."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as nn

from jaxfer.models.irnet import IRNet
from jaxfer.models.resnet import ResNetFER

_LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
"""PyTorch's names of the arrays of a module, but for PReLU's slope, its only weight."""


@dataclass(frozen=True)
class Origin:
    """A family of weights of PyTorch.

    Attributes:
        title: What it is called.
        network: The kind of network that it is for.
        variants: The names of those, for errors.
        anchors: Keys that all its files have, after a prefix that is the file's own; each is a choice of several.
        trunk: A pattern of the keys, after the prefix, that a network must have a place for.
        key: `key(model, path, keys)` returns the key of an array of the network, by the words of its path.
    """

    title: str
    network: type[nn.Module]
    variants: str
    anchors: tuple[tuple[str, ...], ...]
    trunk: re.Pattern[str]
    key: Callable[[Any, tuple[str, ...], Mapping[str, Any]], str]

    def prefixes(self, keys: Mapping[str, Any]) -> list[str]:
        """Return what comes before the anchors, such as `module.`, for each set of such weights among some keys."""
        starts = {key.removesuffix(first) for first in self.anchors[0] for key in keys if key.endswith(first)}
        return sorted(
            start for start in starts if all(any(start + one in keys for one in choice) for choice in self.anchors)
        )


def _torchvision_key(model: ResNetFER, path: tuple[str, ...], keys: Mapping[str, Any]) -> str:
    """Return the key as torchvision and timm name it: `layer1.0.conv1.weight`."""
    *modules, leaf = path
    words = {"stem_conv": "conv1", "stem_norm": "bn1", "shortcut_conv": "downsample.0", "shortcut_norm": "downsample.1"}
    found = []
    for module in modules:
        block = re.fullmatch(r"stage(\d+)_block(\d+)", module)
        word = f"layer{block[1]}.{int(block[2]) - 1}" if block else module.replace("norm", "bn")
        found.append(words.get(module, word))
    return ".".join([*found, _LEAVES.get(leaf, leaf)])


def _ir_key(model: IRNet, path: tuple[str, ...], keys: Mapping[str, Any]) -> str:
    """Return the key as ArcFace's and AdaFace's networks name it: `body.0.res_layer.1.weight`."""
    *modules, leaf = path
    residual = ["norm1", "conv1", *(["norm2"] if model.middle_norm else []), "prelu", "conv2", "norm3"]
    words = {name: f"res_layer.{place}" for place, name in enumerate(residual)}
    words |= {"stem_conv": "input_layer.0", "stem_norm": "input_layer.1", "stem_prelu": "input_layer.2"}
    words |= {"shortcut_conv": "shortcut_layer.0", "shortcut_norm": "shortcut_layer.1", "final_norm": "output_layer.0"}
    found = []
    for module in modules:
        block = re.fullmatch(r"stage(\d+)_block(\d+)", module)
        if block:
            stage, place = int(block[1]), int(block[2]) - 1
            # One sequence of all blocks, or one for each stage.
            whole = f"body.{sum(model.stage_sizes[: stage - 1]) + place}"
            found.append(f"body{stage}.{place}" if "body1.0.res_layer.0.weight" in keys else whole)
        else:
            found.append(words.get(module, module))
    return ".".join([*found, "weight" if leaf == "slope" else _LEAVES.get(leaf, leaf)])


ORIGINS = (
    Origin(
        "a ResNet with torchvision's names",
        ResNetFER,
        "resnet18, resnet34 or resnet50",
        (("bn1.running_mean",), ("conv1.weight",), ("layer1.0.conv1.weight",)),
        re.compile(r"(conv1|bn1|layer\d+)\."),
        _torchvision_key,
    ),
    Origin(
        "an IR network with ArcFace's names",
        IRNet,
        "ir18, ir50, adaface18 or adaface50",
        (("input_layer.0.weight",), ("body.0.res_layer.0.weight", "body1.0.res_layer.0.weight")),
        re.compile(r"(input_layer|body\d*)\."),
        _ir_key,
    ),
)
