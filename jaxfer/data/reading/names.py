"""What names in a data set mean: folders named by split, and classes named by words or by digits."""

import difflib
import itertools
import re
import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from jaxfer.data.reading.folder import Folder
from jaxfer.data.reading.record import ReadOptions, Split
from jaxfer.emotions import AFFECTNET_8, LABEL_ORDERS, NONE, declared, from_word, label_order, near, plain
from jaxfer.errors import UserError

SPLIT_NAMES: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation", "dev", "publictest"), "val"),
    # What some select on and others score on is never selected on.
    **dict.fromkeys(("test", "testing", "eval", "evaluation", "privatetest"), "test"),
}
"""Words for the splits, in lower case: FER2013's and https://huggingface.co/docs/hub/datasets-file-names-and-splits."""

SPLIT_COLUMNS = ("split", "usage", "set", "subset", "partition")
"""Names, in lower case, of a column that says of which split each row is."""

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
"""A word in a name such as `FER2013Train` or `train_afew`."""

_SPLIT_WORDS = (*SPLIT_NAMES, "public", "private")
"""Words that stand in names of splits."""

OTHER_WORDS = frozenset({"none", "uncertain", "unknown", "no face", "no_face", "no-face", "noface", "non-face"})
"""Names, in lower case, for faces without an expression; they are left out."""

LAST_CODE = 10
"""AffectNet's last code, no face."""

UNKNOWN = "-1"
"""The code by which people mark images of which they know no class."""


def split_named(name: str) -> Split | None:
    """Return the split that a folder's name means, whatever its case, or None if it means none or several.

    >>> split_named("Valid"), split_named("FER2013Train"), split_named("train_test"), split_named("train_happy")
    ('val', 'train', None, None)
    >>> split_named("PubilcTest") is None  # as a word of it may be meant for another
    True
    """
    if name.lower() in SPLIT_NAMES:
        return SPLIT_NAMES[name.lower()]
    words = [word.lower() for word in _WORD.findall(name)]
    splits: set[Split] = {SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES}
    # ESR's Training_Labeled and Training_Unlabeled hold numbered parts, which look as classes do.
    other = any(from_word(word) or word.endswith(("labeled", "labelled")) or misspelled(word) for word in words)
    return splits.pop() if len(splits) == 1 and not other else None


def refuse_splits(said: Iterable[str], column: str, place: Path) -> None:
    """Refuse a column that should say the split of each row, and says none: what it keeps apart would be mixed.

    Args:
        said: What it says, without the empty values.
        column: Its name.
        place: Whose column it is.

    Raises:
        UserError: Something is said, and none of it is the name of a split.
    """
    words = sorted(set(said))
    if words and not any(map(split_named, words)):
        raise UserError(
            f"{place} has a column {column}, in which no row says a split that jaxfer knows, but {words[0]!r:.44}: "
            "write train, val or test there, or take the column out"
        )


class OtherSplits:
    """Columns of other names that say splits all the same: what they keep apart must not be mixed without a word.

    Such a one has the names of two splits or more, or of a test split, and nothing else; or it is called as a flag is,
    such as `is_train`.

    Args:
        columns: Their names.
    """

    def __init__(self, columns: Iterable[str]) -> None:
        self._said: dict[str, set[Split]] = {column: set() for column in columns}
        self._flags = [column for column in self._said if _FLAG.fullmatch(column.strip().lower())]

    def add(self, column: str, value: str) -> None:
        """Take note of what a row has in a column."""
        if column in self._said and value:
            if split := split_named(value):
                self._said[column].add(split)
            else:
                del self._said[column]

    def refuse(self, place: Path, remedy: str) -> None:
        """Refuse data with such a column.

        Args:
            place: What has it.
            remedy: What to do, as a clause.

        Raises:
            UserError: There is one.
        """
        found = [
            *self._flags,
            *(column for column, splits in self._said.items() if len(splits) > 1 or splits == {"test"}),
        ]
        if found:
            raise UserError(
                f"{place} seems to say of which split each row is in {found[0]!r:.44}, a name that jaxfer does not "
                f"know for that: {remedy}"
            )


_FLAG = re.compile(r"is[\s_]?(train|training|val|valid|validation|test)")
"""Names, in lower case, of columns of yes and no that say a split; `is_valid` is fastai's."""


@lru_cache(maxsize=1024)
def misspelled(word: str) -> str:
    """Return the word for a split that a word in lower case may be meant for, "" where it is one or means another.

    >>> misspelled("vlaid"), misspelled("tran"), misspelled("valid"), misspelled("trained")
    ('valid', 'train', '', '')
    """
    if word in _SPLIT_WORDS:
        return ""
    close = difflib.get_close_matches(word, _SPLIT_WORDS, n=1, cutoff=0.85)
    return next((known for known in _SPLIT_WORDS if sorted(known) == sorted(word)), close[0] if close else "")


def refuse_misspelled(folder: Folder) -> None:
    """Refuse a folder beside splits whose name may be meant for one: left out as no data, it would be missed.

    Raises:
        UserError: There is one.
    """
    for name in folder.folders:
        whole = difflib.get_close_matches(name.lower(), SPLIT_NAMES, n=1, cutoff=0.75)
        close = next(
            filter(None, (misspelled(word.lower()) for word in _WORD.findall(name))), whole[0] if whole else ""
        )
        if close and not (split_named(name) or from_word(name)) and name.lower() not in _SPLIT_WORDS:
            raise UserError(
                f"{folder.path / name} is of no split that jaxfer knows; did you mean {close!r}? Rename it, "
                "take it out of the data, or pass the folder of each split by itself (--val-dir, --test-dir)"
            )


def as_code(text: str) -> str:
    """Return a code as it is meant where it was written as a number with a point, and any other text as it is.

    >>> as_code("3.0"), as_code("3"), as_code("3.5"), as_code("-1.0")
    ('3', '3', '3.5', '-1')
    """
    number = re.fullmatch(r"(-?[0-9]{1,4})\.0*", text)
    return number[1] if number else text


class Codes:
    """The codes of a whole data set, by which it is noticed that somebody has counted the classes from another number.

    Each of them would name the class beside its own.
    """

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self._first: dict[int, str] = {}

    def add(self, code: int, where: str, count: int = 1) -> None:
        """Take note of a code.

        Args:
            code: The code.
            where: What has it, in words.
            count: How many have it.
        """
        self.counts[code] += count
        self._first.setdefault(code, where)

    def refuse_shifted(self, classes: int, first: int = 0, unknown: int | None = -1) -> None:
        """Refuse codes that look as if they were counted from another number than the format's.

        There is then a code before or behind all others, and more often than that of the class at the other end. Where
        most of the classes are missing, nothing is said: a damaged label among few may be anything.

        Args:
            classes: How many classes the format has.
            first: The code of its first class.
            unknown: The code by which people mark images of which they know no class, None where they use none.

        Raises:
            UserError: They look so.
        """
        last = first + classes - 1
        if 2 * sum(first <= code <= last for code in self.counts) < classes:
            return
        for shift, lacking, beyond in ((1, first, last + 1), (-1, last, first - 1)):
            marked = beyond == unknown and (self.counts[lacking] or not {*range(beyond, last)} <= self.counts.keys())
            if self.counts[beyond] > self.counts[lacking] and not marked:
                remedy = "take 1 from each if they are one more" if shift > 0 else "add 1 to each if they are one less"
                raise UserError(
                    f"{self._first[beyond]} has the code {beyond}, as {self.counts[beyond]:,} have, and "
                    f"{self.counts[lacking]:,} have {lacking}, as where classes are counted from {first + shift}: here "
                    f"their codes are {first} to {last}, so {remedy}, or correct those of {beyond}"
                )


def is_code(name: str) -> bool:
    """Return whether a name is a number that can be a class's."""
    return name.isdecimal() and len(name) <= 4 and int(name) <= LAST_CODE


def meanings(names: Iterable[str], options: ReadOptions, place: Path) -> dict[str, str]:
    """Return the class that each name stands for, "" for faces without an expression; other names are not in it.

    Names are those that somebody has declared, and words in any of the spellings that `jaxfer.emotions` knows. Where
    none of them is, they are digits.

    Args:
        names: Those of a data set's classes.
        options: What somebody has declared that names and digits mean.
        place: Where the names come from, for messages.

    Raises:
        UserError: They are digits, and the label order is None or gives them no meaning or several, or there is -1
            among them, from which on they may be counted.
    """
    names = [*names]
    said = declared(options.class_names)
    words = {name: _word(name, said) for name in names}
    words = {name: word for name, word in words.items() if word is not None}
    codes = {name: int(name) for name in names if is_code(name)}
    if any(words.values()) or not codes:
        return words
    meaning = _meaning(place, set(codes.values()), options.label_order)
    shifted = {0, *(code + 1 for code in codes.values())}
    whole = [set(range(len(of))) for first, of in _countings(options.label_order or "") if first == 0 and all(of)]
    if UNKNOWN in names and UNKNOWN not in said and shifted in whole:
        raise UserError(
            f"{place} has the code {UNKNOWN} beside {min(codes.values())} to {max(codes.values())}, which may mark "
            "images of no known class, or the first of classes that are counted from there: add 1 to each code in that "
            f"case, else say that it means none (--class-names={UNKNOWN}={NONE})"
        )
    return {name: meaning[code] for name, code in codes.items()} | words


def refuse_counted_apart(names: Mapping[str, Collection[str]], options: ReadOptions, place: Path) -> None:
    """Refuse digits that count the classes from 0 in one split and from 1 in another: no order fits both.

    Args:
        names: Those of the classes in each split, by what the data calls it.
        options: What somebody has declared that names mean.
        place: Where the names come from, for messages.

    Raises:
        UserError: They look so: there are two splits, and each digit of one is that of the other and one more.
    """
    said = declared(options.class_names)
    codes = {
        split: {int(name) for name in of if is_code(name) and _word(name, said) is None} for split, of in names.items()
    }
    for (one, first), (other, second) in itertools.permutations(codes.items(), 2):
        if len(first) > 1 and min(first) == 0 and second == {code + 1 for code in first}:
            raise UserError(
                f"{place} names its classes by the digits 0 to {max(first)} in {one} and by 1 to {max(second)} in "
                f"{other}, as where they are counted from 0 here and from 1 there: count them alike, or name them by "
                "words"
            )


def _word(name: str, said: Mapping[str, str]) -> str | None:
    """Return the class that a name means by itself, "" for faces without an expression; None where it means nothing."""
    key = plain(name)
    return said.get(key, "" if key in OTHER_WORDS else from_word(name))


def refuse_unknown(names: Mapping[str, str], meaning: Mapping[str, str]) -> None:
    """Refuse classes whose names stand for nothing.

    Args:
        names: Each name, by what has it, and where, in words.
        meaning: What `meanings` says of them.

    Raises:
        UserError: A name is not in `meaning`.
    """
    nothing = {subject: word for subject, word in names.items() if word not in meaning}
    if not nothing:
        return
    shown = ((subject, near(word)) for subject, word in itertools.islice(nothing.items(), SHOWN))
    listed = ", ".join(f"{subject} (did you mean {hint!r}?)" if hint else subject for subject, hint in shown)
    more = f" and {len(nothing) - SHOWN:,} more" if len(nothing) > SHOWN else ""
    verb, them = ("are", "them") if len(nothing) > 1 else ("is", "it")
    raise UserError(
        f"{listed}{more} {verb} named after no expression that jaxfer knows. "
        f"Name {them} {', '.join(AFFECTNET_8[:-1])} or {AFFECTNET_8[-1]}, take {them} out of the data, or "
        f"{how_to_declare(nothing.values())}"
    )


def how_to_declare(words: Iterable[str]) -> str:
    """Return how to say what words mean, as the end of a sentence, with the flag for the first of them.

    >>> how_to_declare(["suprise", "enojo"])
    'say what each means with class_names (--class-names suprise=surprise,enojo=CLASS), none leaving faces out'
    """
    first = dict.fromkeys(itertools.islice(words, SHOWN))
    said = shlex.quote(",".join(f"{word}={near(word) or 'CLASS'}" for word in first))
    return f"say what each means with class_names (--class-names {said}), {NONE} leaving faces out"


SHOWN = 12
"""How many unknown names an error shows."""


def _meaning(place: Path, codes: set[int], order: str | None) -> dict[int, str]:
    choices = {name: _readings(name, codes) for name in LABEL_ORDERS}
    readings = choices.get(order or "", [])
    if len(readings) == 1:
        return readings[0]
    digits = f"the digits {min(codes)} to {max(codes)} in {place}"
    if readings:
        choices = {order: readings}
        what = (
            f"{digits} fit the label order {order!r} in {len(readings)} ways. Name the classes by words or, where they "
            "are folders, add an empty one for each class that is missing, to say which it is:"
        )
    elif not any(choices.values()):
        what = f"{digits} fit no label order that jaxfer knows: name the classes by words"
    elif order is None:
        what = (
            f"{place} names its classes by digits, which carry no order of their own. "
            "Declare what they mean with label_order (--label-order), one of:"
        )
    else:
        what = f"the label order {order!r} does not fit {digits}. Declare another (--label-order), one of:"
    raise UserError(what + "".join(f"\n  {name}: {_listed(one)}" for name, ways in choices.items() for one in ways))


def _listed(reading: dict[int, str]) -> str:
    return ", ".join(f"{code} {word or 'no expression'}" for code, word in reading.items())


def _readings(order: str, codes: set[int]) -> list[dict[int, str]]:
    """Return each meaning that codes can have in a label order.

    Some people count from 0 and some from 1, and seven alphabetical classes are not the first seven of eight. So an
    incomplete set of codes, or one that counts from 1, may be read in several ways: 1 to 7 in AffectNet's order are
    its seven classes without contempt for those who count from 1, and its codes without neutral for all others.
    """
    readings = []
    for first, classes in _countings(order):
        meaning = dict(enumerate(classes, start=first))
        if first == 0 and codes == set(meaning):
            return [meaning]
        reading = {code: meaning[code] for code in sorted(codes) if code in meaning}
        if len(reading) == len(codes) and reading not in readings:
            readings.append(reading)
    return readings


def _countings(order: str) -> list[tuple[int, tuple[str, ...]]]:
    """Return the first code and the classes, in order, of each way to count the classes of a label order."""
    sizes = (7, 8) if len(LABEL_ORDERS[order]) == 8 else (7,)
    ways = [(first, label_order(order, size)) for first in (0, 1) for size in sizes]
    if order == "affectnet":
        # Codes 8 to 10, for faces without an expression, exist in this order only.
        ways.append((0, AFFECTNET_8 + ("",) * (LAST_CODE + 1 - len(AFFECTNET_8))))
    return ways
