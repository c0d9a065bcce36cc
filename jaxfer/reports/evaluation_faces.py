"""The faces on the page of an evaluation: the most confident errors, and where the network looked."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from PIL import Image

from jaxfer.evaluation.evaluate import Evaluation
from jaxfer.evaluation.explain import grad_cam
from jaxfer.reports.html import picture
from jaxfer.reports.words import percent

ERRORS = 24
"""How many of the most confident errors are shown."""

EXPLAINED_ERRORS, EXPLAINED_HITS = 8, 4
"""How many errors and how many correct predictions are explained where no rows are named: the most confident ones."""

SIDE = 168
"""Width and height of the pictures, at most, in pixels: twice what the page shows, for screens of that density."""


class Face(NamedTuple):
    """Pictures of one face for a contact sheet: data URIs, each with words for it, and the lines of their caption."""

    pictures: Sequence[tuple[str, str]]
    lines: Sequence[str]


def errors(evaluation: Evaluation) -> list[Face]:
    """Return the most confident errors, the surest first."""
    rows = most_confident(evaluation, correct=False, count=ERRORS)
    faces = []
    for row, image in zip(rows.tolist(), evaluation.split.images[rows], strict=True):
        lines = _caption(evaluation, row)
        faces.append(Face([(picture(image, SIDE), ", ".join(lines))], lines))
    return faces


def explained(evaluation: Evaluation) -> tuple[list[Face], tuple[int, int]]:
    """Return chosen faces, each beside what spoke for the predicted class and, of an error, for the actual one.

    Returns:
        The faces, and how many places a map has, down and across.
    """
    rows = _chosen(evaluation)
    predictions, split = evaluation.predictions, evaluation.split
    images, names = split.images[rows], evaluation.data.class_names
    model, variables = evaluation.trained.model, evaluation.trained.variables
    asked = {"predicted": predictions.predicted[rows], "actual": predictions.labels[rows]}
    logits = np.array(evaluation.logits or range(len(names)))
    maps = {what: grad_cam(model, variables, images, logits[classes]) for what, classes in asked.items()}
    faces = []
    for index, row in enumerate(rows.tolist()):
        name = evaluation.split.names[row]
        pictures = [(picture(images[index], SIDE), f"the image of {name}")]
        for what in ["predicted"] if predictions.correct[row] else ["predicted", "actual"]:
            overlaid = picture(overlay(images[index], maps[what][index]), SIDE)
            pictures.append((overlaid, f"what speaks for {names[asked[what][index]]} ({what}) of {name}"))
        faces.append(Face(pictures, _caption(evaluation, row)))
    _, down, across = maps["actual"].shape
    return faces, (down, across)


def most_confident(evaluation: Evaluation, *, correct: bool, count: int) -> np.ndarray:
    """Return the rows of the most confident errors or hits.

    Args:
        evaluation: Of a checkpoint on a split.
        correct: Whether hits are asked for, and not errors.
        count: How many rows, at most.

    Returns:
        int64 [at most count], the surest first, equals in the order of the split.
    """
    predictions = evaluation.predictions
    rows = np.flatnonzero(predictions.correct == correct)
    return rows[np.argsort(-predictions.confidence[rows], kind="stable")][:count]


def overlay(image: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Return a face darkened where its map is low and coloured where it is high, uint8 [h, w, 3].

    Args:
        image: uint8 [h, w, 3].
        strength: Float [h', w'] of at least 0, stretched to the image and scaled by its maximum.
    """
    size = image.shape[1], image.shape[0]
    smooth = np.asarray(Image.fromarray(strength.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
    share = smooth / max(float(strength.max()), 1e-12)  # [h, w]
    colour = mpl.colormaps["inferno"](share)[..., :3]
    gray = image.mean(axis=2, keepdims=True) / 255
    return np.rint(255 * (0.45 * gray + 0.55 * colour)).astype(np.uint8)


def _chosen(evaluation: Evaluation) -> np.ndarray:
    if evaluation.images is not None:
        return np.array(evaluation.images, int)
    wrong = most_confident(evaluation, correct=False, count=EXPLAINED_ERRORS)
    return np.concatenate([wrong, most_confident(evaluation, correct=True, count=EXPLAINED_HITS)])


def _caption(evaluation: Evaluation, row: int) -> list[str]:
    """Return the name of an image, and what it was taken for."""
    predictions, names = evaluation.predictions, evaluation.data.class_names
    actual, predicted = (names[labels[row]] for labels in (predictions.labels, predictions.predicted))
    share = percent(float(predictions.confidence[row]))
    verdict = f"{actual}: {share} sure" if actual == predicted else f"{actual}, taken for {predicted}: {share} sure"
    return [evaluation.split.names[row], f"{verdict} (row {row})"]
