"""Small labelled data for tests, with whatever further columns a task learns from."""

import numpy as np

from jaxfer.data.dataset import Dataset, Split
from jaxfer.emotions import AFFECTNET_7


def bright_faces(count, name, seed, **columns):
    """Return noise of 32x32 pixels whose brightness tells the class, and what else is said of each face."""
    random = np.random.default_rng(seed)
    labels = (np.arange(count) % 7).astype(np.int32)
    images = random.integers(0, 100, (count, 32, 32, 3)) + 20 * labels[:, None, None, None]
    return split_of(name, images.astype(np.uint8), labels, **columns)


def split_of(name, images, labels, **columns):
    return Split(name, images, labels, columns)


def dataset_of(train, val):
    return Dataset({"train": train, "val": val}, AFFECTNET_7, "small data", {})


def evaluation_of(trained, data, **options):
    """Evaluate a run on the validation split of its own data."""
    from jaxfer.evaluation.evaluate import evaluate

    return evaluate(trained, data, "val", **options)
