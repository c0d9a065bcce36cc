"""The faces on the page of an evaluation: the most confident errors, and where the network looked."""

from collections.abc import Iterable

import matplotlib as mpl
import numpy as np
from PIL import Image

from jaxfer.evaluation.evaluate import Evaluation
from jaxfer.evaluation.explain import grad_cam
from jaxfer.reports.markup import percent
from jaxfer.reports.page import escape
from jaxfer.reports.page.picture import data_uri

ERRORS = 24
"""How many of the most confident errors are shown."""

EXPLAINED_ERRORS, EXPLAINED_HITS = 8, 4
"""How many errors and how many correct predictions are explained where no rows are named: the most confident ones."""

SIDE = 168
"""Width and height of the pictures, at most, in pixels: twice what the page shows, for screens of that density."""


def errors(evaluation: Evaluation) -> str:
    """Return the contact sheet of the most confident errors."""
    rows = most_confident(evaluation, correct=False, count=ERRORS)
    if not len(rows):
        return "<p>There is no error.</p>"
    wrong = len(evaluation.predictions) - int(evaluation.predictions.correct.sum())
    images = evaluation.split.images[rows]
    figures = (
        _figure([(picture, "")], _caption(evaluation, row), name=evaluation.split.names[row])
        for row, picture in zip(rows.tolist(), images, strict=True)
    )
    return (
        f"<p>{len(rows)} of {wrong:,} errors, the surest first. Among them are usually wrong labels, and faces that "
        f'people disagree on.</p><div class="sheet">{"".join(figures)}</div>'
    )


def explained(evaluation: Evaluation) -> str:
    """Return chosen faces, each beside what spoke for the predicted class and, of an error, for the actual one."""
    rows = _chosen(evaluation)
    predictions, split = evaluation.predictions, evaluation.split
    images, names = split.images[rows], evaluation.data.class_names
    model, variables = evaluation.trained.model, evaluation.trained.variables
    asked = {"predicted": predictions.predicted[rows], "actual": predictions.labels[rows]}
    maps = {what: grad_cam(model, variables, images, classes) for what, classes in asked.items()}
    figures = ""
    for index, row in enumerate(rows.tolist()):
        shown = [(images[index], "the image")]
        for what in ["predicted"] if predictions.correct[row] else ["predicted", "actual"]:
            overlaid = overlay(images[index], maps[what][index])
            shown.append((overlaid, f"what speaks for {names[asked[what][index]]} ({what})"))
        figures += _figure(shown, _caption(evaluation, row), name=evaluation.split.names[row])
    mirror = " The maps are those of the image as it is, without its mirror image." if evaluation.flip else ""
    return (
        "<p>Beside each image, in bright colours, the places that speak for the predicted class, and of an error then "
        "those that speak for the actual one: Grad-CAM (Selvaraju et al. 2017) of the last block, whose map has "
        f"{maps['actual'].shape[1]} x {maps['actual'].shape[2]} places. Each map is scaled to its own maximum; one "
        f"that is dark all over has no place that speaks for the class.{mirror}</p>"
        f'<div class="sheet wide">{figures}</div>'
    )


def most_confident(evaluation: Evaluation, *, correct: bool, count: int) -> np.ndarray:
    """Return the rows of the most confident errors or hits, int [at most count]; equals in the order of the split."""
    predictions = evaluation.predictions
    rows = np.flatnonzero(predictions.correct == correct)
    return rows[np.argsort(-predictions.confidence[rows], kind="stable")][:count]


def overlay(image: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Return a face darkened where its map is low and coloured where it is high, uint8 [h, w, 3].

    image: uint8 [h, w, 3]. strength: float [h', w'] of at least 0, stretched to the image and scaled by its maximum.
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


def _caption(evaluation: Evaluation, row: int) -> str:
    predictions, names = evaluation.predictions, evaluation.data.class_names
    actual, predicted = (names[labels[row]] for labels in (predictions.labels, predictions.predicted))
    share = percent(float(predictions.confidence[row]))
    verdict = f"{actual}: {share} sure" if actual == predicted else f"{actual}, taken for {predicted}: {share} sure"
    return f"{verdict} (row {row})"


def _figure(pictures: Iterable[tuple[np.ndarray, str]], caption: str, *, name: str) -> str:
    images = ""
    for picture, what in pictures:
        text = escape(f"{what} of {name}" if what else f"{name}, {caption}")
        images += f'<img src="{data_uri(Image.fromarray(picture), SIDE)}" alt="{text}" title="{text}">'
    return f'<figure><div class="faces">{images}</div><figcaption>{escape(caption)}</figcaption></figure>'
