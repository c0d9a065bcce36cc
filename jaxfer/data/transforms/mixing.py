"""Pairs of images mixed, and with them their labels and all else that is known of them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxfer.data.batches import Batch
from jaxfer.errors import UserError
from jaxfer.models import unit_range


def mixup(key: jax.Array, batch: Batch, *, alpha: float, num_classes: int) -> Batch:
    """Mix each example with another one of the batch: images, labels and all else that is known of them.

    Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018, https://arxiv.org/abs/1710.09412, with a share of
    its own for each pair. Padding is neither mixed nor mixed in.

    Args:
        key: Of the pairs and the shares.
        batch: As a step has it.
        alpha: Of the Beta distribution of the shares, a number of Python above 0, not one that is traced.
        num_classes: How many classes there are.

    Returns:
        The batch with `soft_label` float32 [b, c] mixed, and in `label` the class of the larger share. What is not
        known of either example is not known of the mixture. Columns of whole numbers or of truth values, which cannot
        be mixed, are those of the larger share, as the label is. What teachers say is mixed as it is there, in
        logarithms: after the softmax of the loss it is the normalised geometric mean of their probabilities, with the
        shares as weights, while labels are mixed as an arithmetic mean.

    Raises:
        UserError: There is no such distribution.
    """
    pair_key, share_key = jax.random.split(key)
    partner = _partners(pair_key, batch["mask"])
    share = _shares(share_key, alpha, partner.shape[0])
    images = unit_range(batch["image"])
    weight = share[:, None, None, None]
    return _mixed(batch, images * weight + images[partner] * (1 - weight), partner, share, num_classes)


def cutmix(key: jax.Array, batch: Batch, *, alpha: float, num_classes: int) -> Batch:
    """Replace a rectangle of each image by that of another one of the batch, and mix labels by the areas.

    Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", 2019,
    https://arxiv.org/abs/1905.04899, section 3.1, with a rectangle of its own for each pair.

    Args:
        key: Of the pairs, the shares and the places.
        batch: As for `mixup`.
        alpha: Of the Beta distribution of the share of the image that stays, above 0.
        num_classes: As for `mixup`.

    Returns:
        As for `mixup`.

    Raises:
        UserError: As for `mixup`.
    """
    pair_key, share_key, place_key = jax.random.split(key, 3)
    partner = _partners(pair_key, batch["mask"])
    images = unit_range(batch["image"])
    count, height, width, _ = images.shape
    side = jnp.sqrt(1 - _shares(share_key, alpha, count))
    place = jax.random.uniform(place_key, (count, 2))
    rows, columns = (_span(place[:, i], side, size) for i, size in enumerate((height, width)))  # [b, h], [b, w]
    inside = rows[:, :, None] & columns[:, None, :]
    share = 1 - inside.mean((1, 2))
    return _mixed(batch, jnp.where(inside[..., None], images[partner], images), partner, share, num_classes)


_PLACES = 4096


def _shares(key: jax.Array, alpha: float, count: int) -> jax.Array:
    """Draw shares from Beta(alpha, alpha), float32 [count], by 4,096 of its quantiles, and lines in between.

    `jax.random.beta` draws in a loop until the last share of all devices is accepted, which they ask each other each
    time. XLA keeps what devices exchange in order, but not within loops: on a CPU one can wait in the loop with its
    last thread, while the other waits outside of it with its own, for ever.
    """
    from scipy.special import betaincinv  # takes long to import

    # The middles of parts of equal probability: from 0 and 1 themselves to the next quantile it is far.
    quantiles = betaincinv(alpha, alpha, (np.arange(_PLACES) + 0.5) / _PLACES)
    if not np.isfinite(quantiles).all():
        raise UserError(f"there is no distribution Beta({alpha}, {alpha}): pass an alpha above 0, of at most 1000")
    quantiles = jnp.asarray(quantiles, jnp.float32)
    place = jax.random.uniform(key, (count,), jnp.float32) * (_PLACES - 1)
    below = place.astype(jnp.int32)
    return quantiles[below] + (place - below) * (quantiles[below + 1] - quantiles[below])


def _span(centre: jax.Array, side: jax.Array, size: int) -> jax.Array:
    """Return which of `size` places lie within half a side of a centre, both shares [b] of them: bool [b, size]."""
    place = (jnp.arange(size) + 0.5)[None, :]
    return jnp.abs(place - (centre * size)[:, None]) < (side * size / 2)[:, None]


def _partners(key: jax.Array, mask: jax.Array) -> jax.Array:
    """Return for each row another one to mix it with, int [b]: the next in a random ring of all that are no padding."""
    order = jnp.argsort(jnp.where(mask, jax.random.uniform(key, mask.shape), 2.0))  # padding last
    place = jnp.argsort(order)
    following = order[(place + 1) % jnp.maximum(mask.sum(), 1)]
    return jnp.where(mask, following, jnp.arange(mask.shape[0]))


def _mixed(batch: Any, images: jax.Array, partner: jax.Array, share: jax.Array, num_classes: int) -> Batch:
    """Return a batch of mixed images whose labels and further columns are mixed by the share [b] of each row itself."""
    labels = batch["label"]
    soft = batch["soft_label"] if "soft_label" in batch else jax.nn.one_hot(labels, num_classes)
    columns = {name: rows for name, rows in batch.items() if name not in ("image", "label", "mask")}

    def mix(rows: jax.Array) -> jax.Array:
        weight = share.reshape(-1, *(1,) * (rows.ndim - 1))
        if not jnp.issubdtype(rows.dtype, jnp.floating):
            return jnp.where(weight >= 0.5, rows, rows[partner])
        return rows * weight.astype(rows.dtype) + rows[partner] * (1 - weight).astype(rows.dtype)

    mixed = {name: mix(jnp.asarray(rows)) for name, rows in (columns | {"soft_label": soft, "label": labels}).items()}
    return batch | mixed | {"image": images}
