"""Where in a face a network finds the evidence for a class: Grad-CAM.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017,
https://arxiv.org/abs/1610.02391.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.core.tracers import current_trace

from jaxfer.devices import OneDevice
from jaxfer.errors import UserError
from jaxfer.models import Network, checked_outputs, compiled_for

if TYPE_CHECKING:
    from jaxtyping import Float, Int, UInt8

AT_ONCE = 16
"""Images whose maps are computed together."""


class NoFeatureMap(UserError):
    """A network has no feature map on which it could be explained."""


def grad_cam(
    model: Network,
    variables: dict[str, Any],
    images: UInt8[np.ndarray, "n h w c"] | Float[np.ndarray, "n h w c"],
    classes: Int[np.ndarray, " n"],
    *,
    head: str = "logits",
) -> Float[np.ndarray, "n h_map w_map"]:
    """Return how much each place of an image speaks for a class, on the last feature map: what `explainer` compiles.

    Let A be that feature map and y the logit of the class. The result is relu(sum_k a_k A_k), where a_k is the mean of
    dy/dA_k over the places (equations 1 and 2). Its scale has no meaning across images.

    Args:
        model: The network. Its last feature map is the last output [b, h', w', k] of one of its modules, outside of
            functions that the network itself transforms, such as `nn.remat` and `nn.scan`.
        variables: Its variables, `params` and `batch_stats`.
        images: The images as the network takes them, [n, h, w, c].
        classes: The class to explain in each image, int [n].
        head: Which of the network's outputs has the logits.

    Returns:
        The maps, float32 [n, h', w'], at least 0.

    Raises:
        NoFeatureMap: The network has none.
    """
    return explainer(model, variables, head=head)(images, classes)


def explainer(
    model: Network, variables: dict[str, Any], *, head: str = "logits"
) -> Callable[[np.ndarray, np.ndarray], Float[np.ndarray, "n h_map w_map"]]:
    """Return `grad_cam` of one network, compiled when it is first called: for whoever asks more than once.

    Args:
        model: As for `grad_cam`.
        variables: As for `grad_cam`.
        head: As for `grad_cam`.

    Returns:
        The function from images and classes to maps, which raises `NoFeatureMap` as `grad_cam` does.
    """
    model = compiled_for(model, OneDevice().device.platform)
    compiled = partial(_compiled(model, head), variables)

    def explain(images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        maps = []
        for start in range(0, len(images), AT_ONCE):
            part, asked = images[start : start + AT_ONCE], classes[start : start + AT_ONCE]
            missing = AT_ONCE - len(part)
            padded = np.pad(part, ((0, missing), *[(0, 0)] * 3)), np.pad(asked, (0, missing))
            maps.append(np.asarray(compiled(*padded))[: len(part)])
        return np.concatenate(maps)

    return explain


@lru_cache(maxsize=8)
def _compiled(model: Network, head: str) -> Callable[..., jax.Array]:
    """Return `maps(variables, images, classes)`, compiled once for all variables of a network."""
    return jax.jit(lambda variables, images, classes: _maps(model, variables, images, classes, head))


def _maps(model: Network, variables: dict[str, Any], images: jax.Array, classes: jax.Array, head: str) -> jax.Array:
    apply = partial(model.apply, variables, images, train=False, mask=None)
    last = _count_maps(apply)

    def forward(change: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        """Return the sum of the asked logits with `change` added to the feature map, and the map itself."""
        seen, here = [], current_trace()

        def intercept(call: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
            out = call(*args, **kwargs)
            if not _is_map(out, context, here):
                return out
            seen.append(out)
            return out if change is None or len(seen) != last else out + change

        with nn.intercept_methods(intercept):
            outputs: Any = apply()
        # The images do not meet in evaluation mode: the gradient of the sum is each image's own.
        logits = checked_outputs(outputs, len(classes))[head]
        return jnp.take_along_axis(logits, classes[:, None], axis=1).sum(), seen[last - 1]

    shape = jax.eval_shape(lambda: forward(None)[1])
    gradient, features = jax.grad(forward, has_aux=True)(jnp.zeros(shape.shape, shape.dtype))
    gradient, features = gradient.astype(jnp.float32), features.astype(jnp.float32)  # [n, h', w', k]
    weights = gradient.mean((1, 2), keepdims=True)
    return nn.relu((weights * features).sum(-1))


def _count_maps(apply: Callable[[], Any]) -> int:
    """Return how often a network's modules return a feature map, the last of them its last one."""
    count, here = 0, None

    def intercept(call: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        nonlocal count
        out = call(*args, **kwargs)
        count += _is_map(out, context, here)
        return out

    def counted() -> Any:
        nonlocal here
        here = current_trace()
        return apply()

    with nn.intercept_methods(intercept):
        jax.eval_shape(counted)
    if not count:
        raise NoFeatureMap(
            "the network has no feature map, a module's output [b, h, w, k] outside of jit, vmap, scan and remat, on "
            "which to explain it"
        )
    return count


def _is_map(out: Any, context: nn.module.InterceptorContext, here: Any) -> bool:
    """Return whether an output is a feature map that may be kept: not one inside of a transformation of its own."""
    inner = context.method_name == "__call__" and bool(context.module.path)
    return inner and getattr(out, "ndim", 0) == 4 and current_trace() == here
