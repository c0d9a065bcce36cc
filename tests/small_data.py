"""Small labelled data for tests, with whatever further columns a task learns from."""

import dataclasses

import numpy as np

from jaxfer.data.dataset import Dataset, Split
from jaxfer.emotions import AFFECTNET_7


def bright_faces(count, name, seed, **columns):
    """Return noise of 32x32 pixels whose brightness tells the class, and what else is said of each face."""
    random = np.random.default_rng(seed)
    labels = (np.arange(count) % 7).astype(np.int32)
    images = random.integers(0, 100, (count, 32, 32, 3)) + 20 * labels[:, None, None, None]
    return split_of(name, images.astype(np.uint8), labels, **columns)


# What follows stands between two forms of the data room. Once `Split.columns` is a mapping and `Dataset` holds any
# splits, the first branch of each is all that is needed.

NEW = "columns" in {field.name for field in dataclasses.fields(Split)}


class Columned(Split):
    """A split that hands further columns to batches, as `Split` itself does not do yet."""

    more = {}

    def columns(self):
        yield from super().columns()
        yield from self.more.items()


def split_of(name, images, labels, **columns):
    if NEW:
        return Split(name, images, labels, columns)
    known = {"soft_label": "soft_labels", "valence": "valence", "arousal": "arousal"}
    split = Columned(name, images, labels, **{known[key]: columns.pop(key) for key in known if key in columns})
    object.__setattr__(split, "more", columns)
    return split


def dataset_of(train, val):
    if NEW:
        return Dataset({"train": train, "val": val}, AFFECTNET_7, "small data", {})
    return Dataset(train, val, AFFECTNET_7, "small data", {})


def evaluation_of(trained, data, **options):
    """Evaluate a run on the validation split of its own data."""
    from jaxfer.evaluation.evaluate import evaluate

    if NEW:
        return evaluate(trained, data, "val", **options)
    from jaxfer.data.one_split import OneSplit

    names = tuple(f"face {row}" for row in range(len(data.val)))
    split = OneSplit(data.val, "val", names, data.class_names, {}, data.source, {}, data.fingerprint)
    return evaluate(trained, split, **options)
