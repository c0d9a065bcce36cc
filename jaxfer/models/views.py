"""What a network is shown of each image in evaluation, and the mean of what it says of that.

`one` is the image. `flip` is the image and its mirror image. `five` is the image, and the image moved towards each of
the four corners, by `distance` pixels up or down and as many to either side, with mirrored borders: the middle and the
extreme places of the random crops of training (`jaxfer.data.transforms.crop`). `ten` is those five and their mirror
images.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxfer.config import Views
from jaxfer.errors import UserError
from jaxfer.models.resnet import Outputs

if TYPE_CHECKING:
    from jaxtyping import Array, Float, UInt8


def distance(side: int) -> int:
    """Return by how many pixels views are moved along each axis.

    Args:
        side: The shorter side of the image, in pixels.

    Returns:
        A twenty-fourth of the side, rounded down, and at least 1.

    >>> [distance(side) for side in (32, 44, 48, 64, 224)]
    [1, 1, 2, 2, 9]
    """
    return max(1, side // 24)


def check_views(views: Views) -> None:
    """Refuse views that there are none of.

    Args:
        views: A name of views, or anything else that somebody has passed for one.

    Raises:
        UserError: There are no such views.
    """
    if views not in get_args(Views):
        raise UserError(f"there are no views {views!r}: pass {', '.join(get_args(Views))}")


def over_views(
    predict: Callable[[jax.Array], Outputs],
    images: UInt8[Array, "b h w c"] | Float[Array, "b h w c"],
    views: Views,
) -> Outputs:
    """Return a network's outputs, averaged over views of each image; inside of a compiled step.

    Five and ten views are predicted one after another by one piece of the program: they take the memory of one, and
    the time to compile of one.

    Args:
        predict: The network: from images to its outputs [b, ...] by name, `logits` float32 [b, classes] among them.
        images: The images.
        views: Which views of them.

    Returns:
        The outputs: of the further heads the mean, and `logits` whose softmax is the mean of the probabilities. Where
        a further head has logits too, as that of the votes, the mean of these is, after the softmax, the normalised
        geometric mean of the probabilities. Of one view, they are what `predict` returns.

    Raises:
        UserError: There are no such views.
    """
    check_views(views)
    if views == "one":
        return predict(images)
    if views == "flip":
        return _mean([predict(images), predict(images[:, :, ::-1])])
    step = distance(min(images.shape[1:3]))
    padded = jnp.pad(images, ((0, 0), (step, step), (step, step), (0, 0)), mode="reflect")
    places = [(step, step)] + [(down, right) for down in (0, 2 * step) for right in (0, 2 * step)]
    shown = [(down, right, mirrored) for mirrored in range(2 if views == "ten" else 1) for down, right in places]

    def one(place: jax.Array) -> Outputs:
        seen = lax.dynamic_slice(padded, (0, place[0], place[1], 0), images.shape)
        return predict(jnp.where(place[2] == 1, seen[:, :, ::-1], seen))

    found = lax.map(one, np.array(shown, np.int32))
    return _mean([{name: values[i] for name, values in found.items()} for i in range(len(shown))])


def _mean(found: list[Outputs]) -> Outputs:
    # The logarithm of the sum of the probabilities: that it is not divided by their number changes no softmax.
    logits = reduce(jnp.logaddexp, (jax.nn.log_softmax(one["logits"]) for one in found))
    means = {name: reduce(operator.add, (one[name] for one in found)) / len(found) for name in found[0]}
    return means | {"logits": logits}
