"""A fixed grid of views of each image, of which teachers can say once for all what they see."""

from dataclasses import dataclass
from typing import Any, Self, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxfer.config import AugmentConfig
from jaxfer.data.batches import TEACHER, Batch
from jaxfer.data.transforms.geometry import cut, mirror


@dataclass(frozen=True)
class ViewGrid:
    """The views of an image: where it is cut out of itself with mirrored borders, and whether it is mirrored.

    View number v has `v % 2` mirrored, where `mirrors` is True, and the places row by row in the rest of v.

    Attributes:
        pad: Pixels of border on each side.
        corners: Where a cut may begin along each axis, pixels of the padded image from 0 to 2 pad.
        mirrors: Whether there is each view mirrored too.
    """

    pad: int
    corners: tuple[int, ...]
    mirrors: bool

    @classmethod
    def of(cls, config: AugmentConfig, places: int) -> Self:
        """Return the grid that stands for the crop and the flips of a config.

        Args:
            config: `crop` is the border; `flip` or `alternate_flip` has mirror images.
            places: Places along each axis, at most those that there are, spread evenly from end to end; the middle
                where it is one.

        >>> ViewGrid.of(AugmentConfig(crop=4, flip=True), 3)
        ViewGrid(pad=4, corners=(0, 4, 8), mirrors=True)
        """
        ends = (0, 2 * config.crop) if places > 1 else (config.crop, config.crop)
        corners = np.unique(np.round(np.linspace(*ends, min(places, 2 * config.crop + 1))).astype(int))
        return cls(config.crop, tuple(corners.tolist()), config.flip or config.alternate_flip)

    @property
    def places(self) -> int:
        """How many places there are, along both axes."""
        return len(self.corners) ** 2

    @property
    def count(self) -> int:
        """How many views there are."""
        return self.places * (2 if self.mirrors else 1)

    def show(self, images: jax.Array, view: jax.Array) -> jax.Array:
        """Return of each image [b, h, w, c] the view of this number, int [b]; of the same dtype."""
        place, mirrored = (view // 2, view % 2 == 1) if self.mirrors else (view, None)
        if self.pad:
            row, column = place // len(self.corners), place % len(self.corners)
            images = cut(images, jnp.asarray(self.corners)[jnp.stack([row, column], axis=-1)], self.pad)
        return images if mirrored is None else mirror(images, mirrored)

    def draw(self, key: jax.Array, count: int, mirrored: jax.Array | None = None) -> jax.Array:
        """Return the numbers of views, int32 [count], all equally probable.

        Args:
            key: Of the numbers.
            count: How many.
            mirrored: bool [count], which are mirrored, if that is not to be drawn; the grid has `mirrors` then.
        """
        if mirrored is None:
            return jax.random.randint(key, (count,), 0, self.count)
        return 2 * jax.random.randint(key, (count,), 0, self.places) + mirrored


def show_views(key: jax.Array, batch: Batch, views: ViewGrid, *, mirrored: jax.Array | None = None) -> Batch:
    """Return a batch with a random view of each image, and what teachers say of that very view.

    Args:
        key: Of the views.
        batch: As a step has it. Columns of teachers are [b, views, c].
        views: The views.
        mirrored: bool [b], which images are mirrored, if that is not to be drawn.

    Returns:
        The batch. Columns of teachers are float32 [b, c].
    """
    view = views.draw(key, len(batch["mask"]), mirrored)
    there: dict[str, Any] = {name: rows for name, rows in batch.items() if name.startswith(TEACHER)}
    said = {name: jnp.take_along_axis(rows, view[:, None, None], axis=1)[:, 0] for name, rows in there.items()}
    said = {name: rows.astype(jnp.float32) for name, rows in said.items()}
    return cast(Batch, {**batch, **said, "image": views.show(jnp.asarray(batch["image"]), view)})
