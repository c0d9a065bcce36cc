"""A network compiled to predict: what does not depend on the images is computed once, before the first of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxfer.config import Views
from jaxfer.models import PREPARED, Kernels, Network, Outputs, compiled_for, folded
from jaxfer.models.views import over_views

if TYPE_CHECKING:
    from jaxtyping import Float, Num


SIZES = 1, 8, 64, 512
"""How many images are computed at once where nothing says what is fast; others are black."""


class Compiled:
    """A network with its variables, which answers as the network does, to rounding.

    Normalisation is folded into the convolutions, and kernels are kept as the products take them, where the network
    offers it. The device gets images in pieces of a few sizes, on a CPU small ones, since these it computes faster than
    many at once: so many programs are compiled at most for images of one size and type.

    Args:
        network: The network.
        variables: Its variables.
        platform: The platform of the device that will compute, such as `cpu` or `cuda`.
    """

    def __init__(self, network: Network, variables: Mapping[str, Any], platform: str) -> None:
        network, variables = folded(network, variables)
        self._network = compiled_for(network, platform, prepared=True)
        self._variables = jax.tree.map(jax.numpy.asarray, dict(variables))
        kernels = getattr(self._network, "kernels", None)
        self._sizes: tuple[int, ...] = kernels.at_once if isinstance(kernels, Kernels) else SIZES
        self._has_kernels = isinstance(kernels, Kernels)
        self._prepared: dict[tuple[int, ...], Any] = {}
        self._outputs = _compiled(self._network)

    def __call__(self, images: Num[np.ndarray, "b h w c"], views: Views) -> dict[str, Float[np.ndarray, "b ..."]]:
        """Return what each head says of images, averaged over views of them.

        Args:
            images: As the network takes them.
            views: What it is shown of each image, see `jaxfer.models.views`.
        """
        variables = self._variables | (self._prepare(images.shape[1:]) if self._has_kernels else {})
        *_, less, most = self._sizes
        whole = len(images) // most * most
        begins = [*range(0, whole, most), *range(whole, max(1, len(images)), less), max(1, len(images))]
        pieces = [images[begin:end] for begin, end in pairwise(begins)]
        # None is waited for before all are under way, so that no core idles between two.
        found = [self._outputs(variables, self._filled(piece), views) for piece in pieces]
        found = jax.device_get(found)
        return {name: np.concatenate([one[name] for one in found])[: len(images)] for name in found[0]}

    def _filled(self, piece: np.ndarray) -> np.ndarray:
        """Return images with black ones after them, up to the next of the sizes."""
        missing = min(size for size in self._sizes if size >= len(piece)) - len(piece)
        return np.concatenate([piece, np.zeros((missing, *piece.shape[1:]), piece.dtype)]) if missing else piece

    def _prepare(self, shape: tuple[int, ...]) -> Any:
        """Return the kernels as the products take them for the most images at once; fewer need no others."""
        if shape not in self._prepared:
            images = np.zeros((self._sizes[-1], *shape), np.uint8)
            self._prepared[shape] = _preparing(self._network)(self._variables, images)
        return self._prepared[shape]


@lru_cache(maxsize=8)
def _compiled(network: Network) -> Callable[..., Outputs]:
    """Return `outputs(variables, images, views)`, compiled once for all variables of a network."""

    def outputs(variables: Any, images: jax.Array, views: Views) -> Outputs:
        predict = partial(network.apply, variables, train=False, mask=None)
        return over_views(predict, images, views)  # pyright: ignore[reportArgumentType]

    return jax.jit(outputs, static_argnums=2)


@lru_cache(maxsize=8)
def _preparing(network: Network) -> Callable[..., Any]:
    """Return `prepare(variables, images)`, likewise, whose result is the collection `PREPARED`."""
    # The compiler leaves out all that only the outputs need.
    return jax.jit(lambda variables, images: network.apply(variables, images, mutable=PREPARED)[1])
