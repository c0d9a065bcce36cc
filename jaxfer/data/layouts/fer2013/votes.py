"""The votes of FER+: ten people labelled each face of FER2013 again, and did not always agree.

Both functions follow the authors: Barsoum et al. 2016, https://arxiv.org/abs/1608.01041, and the code beside their
votes, https://github.com/microsoft/FERPlus. A single vote counts as an outlier there and is dropped.
"""

from collections.abc import Sequence

from jaxfer.emotions import AFFECTNET_8, from_word

CHOICES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
"""What people could vote for, in the order of FER+'s columns; NF is no face."""


def expression_votes(counts: Sequence[int]) -> tuple[float, ...] | None:
    """Return the votes for each of `AFFECTNET_8`, without outliers, given those for each of `CHOICES`.

    None where no expression has two votes.

    >>> expression_votes([4, 0, 0, 1, 3, 2, 0, 0, 0, 0])
    (4.0, 0.0, 0.0, 0.0, 0.0, 2.0, 3.0, 0.0)
    """
    votes = dict(zip(map(from_word, CHOICES), _without_outliers(counts), strict=True))
    chosen = tuple(float(votes[name]) for name in AFFECTNET_8)
    return chosen if any(chosen) else None


def majority(counts: Sequence[int]) -> str | None:
    """Return which of `CHOICES` has more than half of the votes that are no outliers, None where none has.

    >>> majority([4, 0, 0, 1, 5, 0, 0, 0, 0, 0])
    'anger'
    >>> majority([4, 0, 0, 1, 4, 0, 0, 0, 0, 1])
    """
    votes = _without_outliers(counts)
    top = max(votes)
    return CHOICES[votes.index(top)] if 2 * top > sum(votes) else None


def _without_outliers(counts: Sequence[int]) -> list[int]:
    return [count if count > 1 else 0 for count in counts]
