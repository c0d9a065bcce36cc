"""The votes of FER+: ten people labelled each face of FER2013 again, and did not always agree.

Both functions follow the authors: Barsoum et al. 2016, https://arxiv.org/abs/1608.01041, and the code beside their
votes, https://github.com/microsoft/FERPlus. A single vote counts as an outlier there and is dropped.
"""

from collections.abc import Iterable, Sequence

from jaxfer.emotions import AFFECTNET_8, from_word
from jaxfer.errors import UserError

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


def refuse_others(where: str, rows: Iterable[tuple[str, str, Sequence[int]]]) -> None:
    """Refuse votes that are of other faces, as where rows were removed or shuffled: nothing else tells the rows.

    What most people chose is FER2013's own label in 62% of the faces as published, and in 18% in a random order.

    Args:
        where: The file with the votes, for the sentence.
        rows: Split, FER2013's label in AffectNet's words, and counts of votes of the faces that have all three.

    Raises:
        UserError: In a split of `ENOUGH` faces with a choice, less than `AGREE` of them have the label.
    """
    same: dict[str, list[bool]] = {}
    for split, label, counts in rows:
        votes = expression_votes(counts)
        if votes:
            same.setdefault(split, []).append(AFFECTNET_8[votes.index(max(votes))] == label)
    for split, found in same.items():
        if len(found) >= ENOUGH and sum(found) < AGREE * len(found):
            raise UserError(
                f"{where} has votes of other faces: what most people chose is FER2013's label in "
                f"{sum(found) / len(found):.0%} of {len(found):,} faces of {split}, where 62% are usual; "
                "the rows of both have to be in their original order, so copy both as they were published"
            )


ENOUGH, AGREE = 50, 0.4


def _without_outliers(counts: Sequence[int]) -> list[int]:
    return [count if count > 1 else 0 for count in counts]
