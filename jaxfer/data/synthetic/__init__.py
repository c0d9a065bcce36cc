"""Drawn faces: labelled expressions rendered from parameters, to learn and test with where no data is at hand.

From the inside out: `anatomy` says who is drawn and how the picture is taken, `expressions` how the face moves,
`shapes` what can be painted, and `render` what colour each pixel gets from it.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxfer.config import DataConfig
from jaxfer.data.dataset import Dataset, Split
from jaxfer.data.synthetic.anatomy import IDENTITY, SCENE, sample, uniform
from jaxfer.data.synthetic.expressions import displacements, sample_intensities
from jaxfer.data.synthetic.render import render
from jaxfer.emotions import AFFECTNET_8, relabel
from jaxfer.errors import UserError

__all__ = ["draw_faces", "drawn_dataset"]


def draw_faces(seed: int, labels: np.ndarray, *, image_size: int = 64) -> np.ndarray:
    """Return one drawn face for each label.

    Face i depends on `seed`, i and `labels[i]` alone, and is the same on every device and under every version of JAX;
    person, pose and light depend on `seed` and i only, so that another label is the same person in the same picture
    with another expression.

    Args:
        seed: From 0 to 4294967295.
        labels: int32 [n], indices into `jaxfer.emotions.AFFECTNET_8`.
        image_size: Height and width of the pictures, in pixels.

    Returns:
        uint8 [n, image_size, image_size, 3], RGB.

    Raises:
        UserError: A label is no such index.

    >>> draw_faces(0, np.array([1, 2], np.int32), image_size=32).shape
    (2, 32, 32, 3)
    """
    if not np.isin(labels, range(len(AFFECTNET_8))).all():
        raise UserError(f"labels must be whole numbers from 0 to {len(AFFECTNET_8) - 1}, not {np.unique(labels)}")
    images = np.empty((len(labels), image_size, image_size, 3), np.uint8)
    # Always this many at once: one program serves every n, in bounded memory, and few faces do not wait for many.
    chunk = int(np.clip(2**18 // image_size**2, 1, 16))
    for start in range(0, len(labels), chunk):
        part = images[start : start + chunk]
        padded = np.zeros(chunk, np.int32)
        padded[: len(part)] = labels[start : start + chunk]
        # In float64 no processor's way to round reaches a pixel; in float32 one bit in 100,000 is another elsewhere.
        with jax.enable_x64(True):
            drawn = _draw_chunk(jax.random.key(seed), start + np.arange(chunk), padded, image_size)
        part[:] = np.moveaxis(np.asarray(drawn), 1, -1)[: len(part)]
    return images


@functools.partial(jax.jit, static_argnames="image_size")
def _draw_chunk(key: Array, positions: Array, labels: Array, image_size: int) -> Array:
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, positions)
    return jax.vmap(functools.partial(_draw_face, image_size=image_size))(keys, labels)


def _draw_face(key: Array, label: Array, image_size: int) -> Array:
    person, expression, picture, noise = jax.random.split(key, 4)
    moves = displacements(sample_intensities(expression, label))
    grain = math.sqrt(2) * lax.erf_inv(2 * uniform(noise, (image_size, image_size)) - 1 + 2**-23)
    image = render(sample(person, IDENTITY), moves, sample(picture, SCENE), grain)
    return jnp.round(255 * image).astype(jnp.uint8)


def drawn_dataset(config: DataConfig) -> Dataset:
    """Return `config.drawn_train` and `config.drawn_val` drawn faces.

    Each expression of the classes that are asked for is as frequent as any other, to within one face, and their order
    is mixed. The two splits are drawn from different seeds: nobody is in both.

    Raises:
        UserError: `DataConfig.counted_as` refuses the classes.
    """
    return Dataset(
        splits={
            "train": _split("train", 0, config.drawn_train, config),
            "val": _split("val", 1, config.drawn_val, config),
        },
        class_names=config.vocabulary,
        source="drawn faces",
        left_out={},
    )


def _split(name: str, seed: int, count: int, config: DataConfig) -> Split:
    counted = config.counted_as()
    expressions = sorted(counted, key=lambda expression: config.vocabulary.index(counted[expression]))
    drawn = np.random.default_rng(seed).permutation(np.arange(count, dtype=np.int32) % len(expressions))
    faces = draw_faces(seed, relabel(tuple(expressions), AFFECTNET_8)[drawn], image_size=config.image_size)
    labels = relabel(tuple(counted[expression] for expression in expressions), config.vocabulary)[drawn]
    return Split(name, faces, labels, names=tuple(f"drawn face {row}" for row in range(count)))
