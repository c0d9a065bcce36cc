"""The votes of FER+: ten people labelled each face of FER2013 again, and did not always agree.

What counts as a choice follows the authors: Barsoum et al. 2016, https://arxiv.org/abs/1608.01041, and the code beside
their votes, https://github.com/microsoft/FERPlus. A single vote counts as an outlier there and is dropped.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from jaxfer.data.reading.names import as_code
from jaxfer.data.reading.record import OTHER_CLASS, UNLABELLED, Record
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


def counted(texts: Sequence[str]) -> list[int] | None:
    """Return counts of people as text as numbers, None where one of them is none; longer numbers are none either.

    >>> counted(["10", "0.0", "2."]), counted(["1", "0.5"])
    ([10, 0, 2], None)
    """
    codes = [as_code(text) for text in texts]
    whole = all(code.isdecimal() and len(code) < 4 for code in codes)
    return [int(code) for code in codes] if whole else None


def label_of(counts: Sequence[int], where: str) -> tuple[str, str, str]:
    """Return the class that most people chose, or "", then the reason to leave the face out and the detail."""
    chosen = majority(counts)
    if chosen is None:
        return "", UNLABELLED, f"no choice has most of its votes in {where}"
    label = from_word(chosen)
    return (label, "", "") if label else ("", OTHER_CLASS, f"{chosen} in {where}")


def agrees(label: str, counts: Sequence[int]) -> bool | None:
    """Return whether what most people chose is FER2013's label, None where nobody knows.

    Args:
        label: That label, in AffectNet's words, or "".
        counts: The votes for each of `CHOICES`.
    """
    votes = expression_votes(counts)
    return AFFECTNET_8[votes.index(max(votes))] == label if votes and label else None


def refuse_others(where: str, faces: Sequence[Record], voted: Sequence[Record]) -> None:
    """Refuse votes that are of other faces, as where rows were removed or shuffled: nothing else tells the rows.

    What most people chose is FER2013's own label in 62% of the faces as published, and in 18% in a random order, or of
    the face before. It may be so from one row to another only, so that each part of a split is looked at, too.

    Args:
        where: The file with the votes, for the sentence.
        faces: The faces with FER2013's own labels, in the order of the file.
        voted: The same with their votes.

    Raises:
        UserError: In a split of `ENOUGH` faces of which it is known, or `PART` of these after one another, the share
            that has the label is less than `AGREE` of what is usual with such labels.
    """
    known: dict[str, list[tuple[str, float, bool]]] = {}
    for face, one in zip(faces, voted, strict=True):
        if one.agrees is not None:
            known.setdefault(one.split_name, []).append((one.name, USUAL[face.label], one.agrees))
    for split, found in known.items():
        names, usual, same = zip(*found, strict=True)
        for count in (len(found), PART):
            if not ENOUGH <= count <= len(found):
                continue
            shares, wanted = _sliding_means(same, count), _sliding_means(usual, count)
            if len(wrong := np.flatnonzero((shares < AGREE * wanted) & (wanted >= TELLING))):
                at = int(wrong[0])
                around = f" around {names[at + count // 2]}" if count < len(found) else ""
                raise UserError(
                    f"{where} has votes of other faces: what most people chose is FER2013's label in "
                    f"{shares[at]:.0%} of {count:,} faces of {split}{around}, where {wanted[at]:.0%} are usual; "
                    "the rows of both have to be in their original order, so copy both as they were published"
                )


def _sliding_means(values: Sequence[float], count: int) -> np.ndarray:
    """Return the mean of each `count` values that follow on one another, float64 [n - count + 1]."""
    sums = np.cumsum([0.0, *values])
    return (sums[count:] - sums[:-count]) / count


USUAL = {
    "neutral": 0.87,
    "happy": 0.92,
    "sad": 0.41,
    "surprise": 0.80,
    "fear": 0.13,
    "disgust": 0.34,
    "anger": 0.47,
}
"""In what share of the faces with each label of FER2013 the votes agree, as published (Training and PublicTest)."""

ENOUGH, PART = 50, 200
"""How many faces tell something, all of a split and a part of it: of 200 as published at least 51% agree, shifted by a
row 28% at most."""

AGREE, TELLING = 0.64, 0.3
"""The share of what is usual that is refused, and what has to be usual: of fear alone, both orders may be alike."""


class Agreement:
    """How often the votes of FER+ agree with FER2013's label, in the records that have passed so far."""

    def __init__(self) -> None:
        self._known = self._same = 0

    def counted(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records, and count them."""
        for record in records:
            self._known += record.agrees is not None
            self._same += bool(record.agrees)
            yield record

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the labels should know, a sentence or none, without its full stop."""
        if not self._known:
            return ()
        share = f"{self._same / self._known:.0%} of {self._known:,} rows"
        return (f"FER+'s votes agree with FER2013's label in {share}, where 62% are usual",)


def _without_outliers(counts: Sequence[int]) -> list[int]:
    return [count if count > 1 else 0 for count in counts]
