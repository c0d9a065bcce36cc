"""The votes of FER+: ten people labelled each face of FER2013 again, and did not always agree.

What counts as a choice follows the authors: Barsoum et al. 2016, https://arxiv.org/abs/1608.01041, and the code beside
their votes, https://github.com/microsoft/FERPlus. A single vote counts as an outlier there and is dropped.
"""

from collections.abc import Iterable, Iterator, Sequence

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
    """Return counts of people as text as numbers, None where one of them is none; longer numbers are none either."""
    whole = all(text.isdecimal() and len(text) < 4 for text in texts)
    return [int(text) for text in texts] if whole else None


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


def refuse_others(where: str, records: Iterable[Record]) -> None:
    """Refuse votes that are of other faces, as where rows were removed or shuffled: nothing else tells the rows.

    What most people chose is FER2013's own label in 62% of the faces as published, and in 18% in a random order.

    Args:
        where: The file with the votes, for the sentence.
        records: The faces with their votes.

    Raises:
        UserError: In a split of `ENOUGH` faces of which it is known, less than `AGREE` of them have the label.
    """
    same: dict[str, list[bool]] = {}
    for record in records:
        if record.agrees is not None:
            same.setdefault(record.split_name, []).append(record.agrees)
    for split, found in same.items():
        if len(found) >= ENOUGH and sum(found) < AGREE * len(found):
            raise UserError(
                f"{where} has votes of other faces: what most people chose is FER2013's label in "
                f"{sum(found) / len(found):.0%} of {len(found):,} faces of {split}, where 62% are usual; "
                "the rows of both have to be in their original order, so copy both as they were published"
            )


ENOUGH, AGREE = 50, 0.4


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
