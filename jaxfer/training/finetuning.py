"""What of a network that starts from other weights is trained, when, and how fast.

Parts are named by patterns of the paths of their parameters, such as `stem` for `stem_conv/kernel` and all others that
begin so; `*` stands for anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxfer.config import OptimizerConfig
from jaxfer.errors import UserError
from jaxfer.models import BatchNorm, Network

Free = bool | jax.Array
"""Whether something is trained: known while tracing, or bool [], which depends on the step."""


@dataclass(frozen=True)
class Freezing:
    """Which parameters and statistics stay as they are, and until which step.

    A normalisation that is frozen normalises by its running statistics in training, too, and keeps them. That is so for
    modules that are called with `train=`; of others only the statistics are kept.

    Attributes:
        patterns: What is frozen.
        thaws: For each pattern the step from which on it is trained; None for never.
    """

    patterns: tuple[str, ...] = ()
    thaws: tuple[int | None, ...] = ()

    @classmethod
    def of(cls, config: OptimizerConfig, steps_per_epoch: int) -> Freezing:
        """Return what a config freezes: of its patterns the last is the first that is trained.

        >>> Freezing.of(OptimizerConfig(freeze=("stem", "stage1"), unfreeze_epochs=(2,)), 10).thaws
        (None, 20)
        """
        steps: list[int | None] = [epoch * steps_per_epoch for epoch in config.unfreeze_epochs]
        steps += [None] * (len(config.freeze) - len(steps))
        return cls(config.freeze, tuple(reversed(steps)))

    def thaw(self, path: str) -> int | None:
        """Return the step from which on what has a path is trained: 0 for what is not frozen, None for never."""
        found = [
            step for pattern, step in zip(self.patterns, self.thaws, strict=True) if fnmatchcase(path, f"{pattern}*")
        ]
        return None if None in found else max((step for step in found if step is not None), default=0)

    def free(self, path: str, step: jax.Array) -> Free:
        """Return whether what has a path is trained in a step."""
        thaw = self.thaw(path)
        return thaw == 0 if not thaw else step >= thaw

    def check(self, params: Any) -> None:
        """Refuse patterns that no parameter has.

        Args:
            params: The parameters, or their shapes.

        Raises:
            UserError: There is such a pattern, or everything is frozen for ever.
        """
        paths = [_path(path) for path, _ in jax.tree.leaves_with_path(params)]
        for pattern in self.patterns:
            if all(Freezing((pattern,), (None,)).thaw(path) == 0 for path in paths):
                parts = ", ".join(dict.fromkeys(path.split("/")[0] for path in paths))
                raise UserError(f"freeze names {pattern!r}, and no part of the network begins so: name some of {parts}")
        if all(self.thaw(path) is None for path in paths):
            raise UserError(f"freeze is {', '.join(self.patterns)}, which leaves nothing to train: name fewer parts")

    def select(self, new: Any, old: Any, step: jax.Array) -> Any:
        """Return `new` where a tree of arrays is trained in a step, and `old` elsewhere.

        Args:
            new: The tree after the step.
            old: That before it, of the same structure.
            step: Which step, counted from 0, int32 [].
        """

        def one(path: Any, new: jax.Array, old: jax.Array) -> jax.Array:
            free = self.free(_path(path), step)
            return (new if free else old) if isinstance(free, bool) else jnp.where(free, new, old)

        return jax.tree.map_with_path(one, new, old) if self.patterns else new

    @contextmanager
    def applied(self, step: jax.Array) -> Iterator[None]:
        """Let frozen modules inside be called as in evaluation."""

        def call(
            following: Callable[..., Any],
            args: Sequence[Any],
            kwargs: dict[str, Any],
            context: nn.module.InterceptorContext,
        ) -> Any:
            path = "/".join(context.module.path)
            if path and kwargs.get("train") is True:
                free = self.free(path, step)
                # A step is known when the program runs: jaxfer's own layer alone can wait for it.
                if isinstance(free, bool) or isinstance(context.module, BatchNorm):
                    kwargs = kwargs | {"train": free}
            return following(*args, **kwargs)

        if not self.patterns:
            yield
            return
        with nn.intercept_methods(call):
            yield


@dataclass(frozen=True)
class Tuning:
    """How the parts of a network are trained.

    Attributes:
        freezing: Which are, and when.
        layers: The names of the network's modules in groups, from the images on; the last group are its heads. Empty
            where rates are the same for all.
    """

    freezing: Freezing
    layers: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def of(cls, config: OptimizerConfig, model: Network, params: Any, steps_per_epoch: int) -> Tuning | None:
        """Return what a config says of a network; None where it trains all of it alike.

        Args:
            config: The config.
            model: The network.
            params: Its parameters, or their shapes.
            steps_per_epoch: Steps in an epoch.

        Raises:
            UserError: `Freezing.check` refuses; or rates differ, and the network does not say what its layers are.
        """
        differ = config.backbone_rate is not None or config.layer_decay is not None
        if not (config.freeze or differ):
            return None
        freezing = Freezing.of(config, steps_per_epoch)
        freezing.check(params)
        if not differ:
            return cls(freezing)
        if not hasattr(model, "layers"):
            raise UserError(
                f"the network {type(model).__name__} does not say which of its parts come first, which backbone_rate "
                "and layer_decay need: give it a method layers(), or leave them out"
            )
        return cls(freezing, tuple(model.layers()))

    def labels(self, params: Any) -> Any:
        """Return for each parameter the step from which on it is trained, as text: `0`, `None` for never."""
        return jax.tree.map_with_path(lambda path, _: str(self.freezing.thaw(_path(path))), params)

    def factors(self, params: Any, backbone_rate: Any, layer_decay: Any) -> Any:
        """Return for each parameter the factor of its learning rate, a number or float32 [].

        Args:
            params: The parameters.
            backbone_rate: The factor of all but the heads, or None.
            layer_decay: The factor from each group to the one before, or None.
        """
        last = len(self.layers) - 1
        place = {name: index for index, names in enumerate(self.layers) for name in names}

        def factor(path: Any, _: Any) -> Any:
            index = place.get(_path(path).split("/")[0], 0)
            rate = 1.0 if backbone_rate is None or index == last else backbone_rate
            return rate if layer_decay is None else rate * layer_decay ** (last - index)

        return jax.tree.map_with_path(factor, params)


def _path(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
