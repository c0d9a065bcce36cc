"""Drawn faces: labelled expressions rendered from parameters, to learn and test with where no data is at hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxfer.config import DataConfig
from jaxfer.data.dataset import Dataset, Split
from jaxfer.data.synthetic.anatomy import IDENTITY, SCENE, sample
from jaxfer.data.synthetic.expressions import displacements, sample_intensities
from jaxfer.data.synthetic.render import render
from jaxfer.emotions import AFFECTNET_8

__all__ = ["draw_faces", "drawn_dataset"]

CHUNK = 128
"""Faces drawn at once: always this many, so that XLA's rounding cannot depend on how many were asked for."""


def draw_faces(seed: int, labels: np.ndarray, *, image_size: int = 64) -> np.ndarray:
    """Return one drawn face for each label, uint8 [n, image_size, image_size, 3], RGB.

    `labels` are int32 [n], indices into `jaxfer.emotions.AFFECTNET_8`. Face i depends on `seed`, i and `labels[i]`
    alone: its identity, pose and light are drawn from the key of `seed` folded with i.
    """
    images = np.empty((len(labels), image_size, image_size, 3), np.uint8)
    for start in range(0, len(labels), CHUNK):
        chunk = np.zeros(CHUNK, np.int32)
        count = min(CHUNK, len(labels) - start)
        chunk[:count] = labels[start : start + count]
        drawn = _draw_chunk(jax.random.key(seed), start + np.arange(CHUNK), chunk, image_size)
        images[start : start + count] = np.asarray(drawn)[:count].transpose(0, 2, 3, 1)
    return images


@functools.partial(jax.jit, static_argnames="image_size")
def _draw_chunk(key: Array, positions: Array, labels: Array, image_size: int) -> Array:
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, positions)
    return jax.vmap(functools.partial(_draw_face, image_size=image_size))(keys, labels)


def _draw_face(key: Array, label: Array, image_size: int) -> Array:
    who, how, where, noise = jax.random.split(key, 4)
    moves = displacements(sample_intensities(how, label))
    grain = jax.random.normal(noise, (image_size, image_size))
    image = render(sample(who, IDENTITY), moves, sample(where, SCENE), grain)
    return jnp.round(255 * image).astype(jnp.uint8)


def drawn_dataset(config: DataConfig) -> Dataset:
    """Return `config.drawn_train` and `config.drawn_val` faces of balanced classes, of different people."""
    names = AFFECTNET_8[: config.num_classes]
    train, val = (
        _split(name, seed, count, config)
        for seed, (name, count) in enumerate((("train", config.drawn_train), ("val", config.drawn_val)))
    )
    return Dataset(train=train, val=val, class_names=names, source="drawn faces", left_out={})


def _split(name: str, seed: int, count: int, config: DataConfig) -> Split:
    balanced = np.arange(count, dtype=np.int32) % config.num_classes
    labels = np.random.default_rng(seed).permutation(balanced)
    return Split(name, draw_faces(seed, labels, image_size=config.image_size), labels)
