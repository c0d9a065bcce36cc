"""What is known of each face beside its label: the columns of a split, from its records."""

from collections.abc import Sequence

import numpy as np

from jaxfer.data.layouts.fer2013.votes import CHOICES
from jaxfer.data.reading.record import Record


def columns_of(
    records: Sequence[Record], labels: np.ndarray, *, soft_labels_of: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Return the columns that n records fill, as `jaxfer.data.dataset.Split` describes them.

    Args:
        records: Those of a split.
        labels: int32 [n], their labels.
        soft_labels_of: The `codes` of `make_soft_labels` for the column `soft_label`; None leaves it out.
    """
    columns = {name: np.array([getattr(r, name) for r in records], np.float32) for name in ("valence", "arousal")}
    columns = {name: values for name, values in columns.items() if not np.isnan(values).all()}
    if soft_labels_of is not None:
        columns["soft_label"] = make_soft_labels([record.votes for record in records], labels, soft_labels_of)
    if any(record.answers for record in records):
        unknown = (np.nan,) * len(CHOICES)
        columns["votes"] = np.array([record.answers or unknown for record in records], np.float32)
    return columns


def make_soft_labels(votes: Sequence[Sequence[float] | None], labels: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return each face's share of the votes for the classes in use: what a network can learn in place of one label.

    Votes for what is left out do not count, and those for what is merged are added.

    Args:
        votes: For each face, those for each of `jaxfer.emotions.AFFECTNET_8`, or None. A face without votes for any
            class in use has all its weight on its label.
        labels: int32 [n].
        codes: int [8], the label that each of these expressions counts as, -1 where it is left out.

    Returns:
        float32 [n, c], rows that sum to 1, the labels being 0 to c - 1.

    >>> codes = np.array([0, 1, 2, 2, 2, 2, 2, -1])
    >>> make_soft_labels([(4, 2, 1, 0, 0, 1, 0, 4), None], np.array([0, 2]), codes)
    array([[0.5 , 0.25, 0.25],
           [0.  , 0.  , 1.  ]], dtype=float32)
    """
    given = np.array([(0.0,) * 8 if row is None else row for row in votes])
    counts = np.stack([given[:, codes == label].sum(axis=1) for label in range(codes.max() + 1)], axis=1)  # [n, c]
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.where(totals > 0, counts / np.maximum(totals, 1e-12), np.eye(counts.shape[1])[labels])
    return shares.astype(np.float32)
