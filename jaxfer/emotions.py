"""Class vocabularies and label orders: the one place that knows what index 3 means.

Readers translate whatever a folder uses into AffectNet's names at the door, so that no later room has to ask. A label
is an index into the classes that a config asks for: by default these names, in the order that their authors publish.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from jaxfer.errors import UserError

if TYPE_CHECKING:
    import numpy as np

AFFECTNET_8 = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
"""AffectNet's first eight codes, in its order. Codes 8 to 10 (none, uncertain, no face) name no expression."""

AFFECTNET_7 = AFFECTNET_8[:7]
"""AffectNet's order without contempt: the seven classes that most data sets share."""

FER2013 = ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The codes 0 to 6 of `fer2013.csv`, in its order."""

RAF_DB = ("surprise", "fear", "disgust", "happy", "sad", "anger", "neutral")
"""The codes 1 to 7 of RAF-DB's `list_patition_label.txt`, in its order."""

FER_PLUS = ("neutral", "happy", "surprise", "sad", "anger", "disgust", "fear", "contempt")
"""The first eight answers of FER+'s votes, in the order of its columns. The last two name none."""

LabelOrder = Literal["affectnet", "alphabetical", "fer2013", "raf-db"]
"""The keys of `LABEL_ORDERS`."""

LABEL_ORDERS = {
    "affectnet": AFFECTNET_8,
    "alphabetical": tuple(sorted(AFFECTNET_8)),
    "fer2013": FER2013,
    "raf-db": RAF_DB,
}
"""What a user may declare digits in folder names to mean. See `label_order` for seven-class alphabetical data."""

SPELLINGS = {
    "neutral": ("neutral", "neutrality"),
    "happy": ("happy", "happiness", "joy"),
    "sad": ("sad", "sadness"),
    "surprise": ("surprise", "surprised"),
    "fear": ("fear", "fearful", "afraid"),
    "disgust": ("disgust", "disgusted"),
    "anger": ("anger", "angry"),
    "contempt": ("contempt", "contemptuous"),
}
"""The words that data sets use for each class, in lower case."""

RELATED = {
    "neutral": ("natural", "normal", "calm", "plain", "no emotion", "no expression"),
    "happy": ("smile", "smiling", "laugh", "laughing", "joyful", "glad", "delighted", "pleased"),
    "sad": ("sorrow", "unhappy", "crying", "depressed", "grief"),
    "surprise": ("shock", "shocked", "astonished", "amazed", "wonder"),
    "fear": ("scared", "frightened", "terror", "terrified", "anxious", "horror"),
    "disgust": ("aversion", "revulsion"),
    "anger": ("mad", "rage", "furious", "irritated", "annoyed"),
    "contempt": ("disdain", "scorn"),
}
"""Words that are near a class, in lower case: whoever uses them is asked, since data sets differ in what they mean."""

_FORM = re.compile(r"(?:\d{1,2}[\s._-]+)?(.+?)(?:[\s._-]+(?:images?|imgs?|faces?|photos?|pictures?))?")
"""How a class's word is written: perhaps after a number, as in `0_angry`, or before what all are, as `anger_images`."""

_COPY = re.compile(r"[\s._-]*(?:copy|\(\d{1,3}\))$")
"""What systems write after the name of a copy, as in `anger (1)`."""

_CLASS_OF_WORD = {word: name for name, words in SPELLINGS.items() for word in words}
_NEAR = _CLASS_OF_WORD | {word: name for name, words in RELATED.items() for word in words}


def plain(word: str) -> str:
    """Return a data set's own word as words are compared: in lower case, accents in one form, without spaces around it.

    Systems write one letter as two, such as macOS in the names of files: a person who declares it sees no difference.

    >>> plain(" Cole\u0300re") == plain("COL\u00c8RE") == "col\u00e8re"
    True
    """
    return unicodedata.normalize("NFC", word).strip().lower()


def from_word(word: str) -> str | None:
    """Return the class that a word names, whatever its case and its number, or None if it names none.

    >>> from_word("Happiness"), from_word("01-Angry"), from_word("fear_images"), from_word("sleepy")
    ('happy', 'anger', 'fear', None)
    """
    form = _FORM.fullmatch(plain(word))
    return _CLASS_OF_WORD.get(form[1]) if form else None


def near(word: str) -> str | None:
    """Return the class that somebody who wrote a word may have meant, or None: nothing to rely on, but to ask about.

    >>> near("suprise"), near("mad"), near("fear (1)"), near("@eaDir")
    ('surprise', 'anger', 'fear', None)
    """
    # Comparing takes time with the square of its length.
    form = _FORM.fullmatch(_COPY.sub("", word.strip().lower()[:40]))
    close = difflib.get_close_matches(form[1], _NEAR, n=1, cutoff=0.8) if form else []
    return _NEAR[close[0]] if close else None


def _question(word: str) -> str:
    """Return the end of a sentence that asks whether a word means a class; "" where it is near none."""
    close = near(word)
    return f"; did you mean {close!r}?" if close else ""


NONE = "none"
"""What a data set's own word may be declared to mean where its faces are to be left out."""


def declared(names: Sequence[str]) -> dict[str, str]:
    """Return what a data set's own words mean, as a person has declared it.

    Args:
        names: WORD=CLASS each, CLASS in any spelling, or `NONE`.

    Returns:
        By word, in lower case, its class; "" for faces to leave out.

    Raises:
        UserError: A text has another form or names no class, or a word means two.

    >>> declared(["Suprise=surprise", "0_ang=angry", "sleepy=none"])
    {'suprise': 'surprise', '0_ang': 'anger', 'sleepy': ''}
    """
    found: dict[str, str] = {}
    for text in names:
        # From the right: a folder's name may have anything in it.
        word, _, meaning = text.rpartition("=")
        word, name = plain(word), "" if meaning.strip().lower() == NONE else from_word(meaning)
        if not word or name is None:
            raise UserError(
                f"class_names has {text!r}: pass WORD=CLASS (--class-names suprise=surprise), CLASS being "
                f"{', '.join(AFFECTNET_8)}, or {NONE} for faces to leave out{_question(meaning)}"
            )
        if found.setdefault(word, name) != name:
            raise UserError(f"class_names says two things of {word!r}: pass one")
    return found


def merged(merge: Sequence[str]) -> dict[str, str]:
    """Return what each expression counts as.

    Args:
        merge: OLD=NEW each: the expression OLD counts as NEW, which is another, or a name for several.

    Returns:
        By each of `AFFECTNET_8`, itself or its NEW.

    Raises:
        UserError: A text has another form, OLD is no expression or comes twice, NEW is merged itself, or is neither an
            expression nor a name for several.

    >>> found = merged(["contempt=disgust", "sad=low", "fear=low"])
    >>> found["contempt"], found["disgust"], found["sad"], found["fear"]
    ('disgust', 'disgust', 'low', 'low')
    """
    found = _merges(merge, AFFECTNET_8)
    for old, new in found.items():
        if new in found:
            raise UserError(f"merge has {old}={new} and {new}={found[new]}: say what {old} counts as in the end")
        if new not in AFFECTNET_8 and list(found.values()).count(new) < 2:
            raise UserError(
                f"merge has {old}={new}, and {new} is no expression and has no other part: name one{_question(new)}"
            )
    return {name: found.get(name, name) for name in AFFECTNET_8}


def merged_further(merge: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """Return what merges expressions where the classes that one merging has led to are merged again.

    Args:
        merge: The first merging, as `merged` takes it.
        more: The second one, OLD=NEW each: OLD is one of its classes, and so may be a name for several. What the first
            has merged already may be said again.

    Returns:
        The merging of expressions that both come to, as `merged` takes it.

    Raises:
        UserError: A text has another form, OLD is no class or comes twice, the first merging has OLD count as another
            class than NEW, or `merged` refuses what both come to.

    >>> merged_further(["fear=surprise"], ["surprise=happy"])
    ('surprise=happy', 'fear=happy')
    >>> merged_further(["sad=low", "fear=low"], ["low=neutral", "fear=low"])
    ('sad=neutral', 'fear=neutral')
    """
    counted = merged(merge)
    names = tuple(dict.fromkeys((*AFFECTNET_8, *counted.values())))
    further = {}
    for old, new in _merges(more, names).items():
        already = counted.get(old, old)
        if already not in (old, new):
            raise UserError(f"merge has {old}={new}, and {old} counts as {already} already: pass {already}={new}")
        if already == old:
            further[old] = new
    in_the_end = {name: further.get(of, of) for name, of in counted.items()}
    both = tuple(f"{name}={of}" for name, of in in_the_end.items() if name != of)
    merged(both)
    return both


def _merges(merge: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Return NEW by OLD of texts OLD=NEW, of which OLD is one of some names."""
    found: dict[str, str] = {}
    for text in merge:
        old, _, new = (part.strip() for part in text.partition("="))
        if old not in names or not new:
            raise UserError(
                f"merge has {text!r}: pass OLD=NEW (--merge contempt=disgust), OLD being {', '.join(names)}"
                f"{_question(old) if new else ''}"
            )
        if old in found:
            raise UserError(f"merge has {old} twice, as {found[old]} and as {new}: pass one")
        found[old] = new
    return found


def label_order(name: str, num_classes: int) -> tuple[str, ...]:
    """Return the class names, in order, that codes 0 to `num_classes - 1` stand for, or 1 to 7 in RAF-DB's own order.

    Seven alphabetical classes are the eight without contempt, so their codes differ from the eight's.

    Args:
        name: A key of `LABEL_ORDERS`.
        num_classes: 7 or 8.

    Raises:
        UserError: The name is unknown, or the order does not have that number of classes.

    >>> label_order("affectnet", 7)[3], label_order("alphabetical", 7)[3], label_order("alphabetical", 8)[3]
    ('surprise', 'happy', 'fear')
    """
    if name not in LABEL_ORDERS:
        close = difflib.get_close_matches(name, LABEL_ORDERS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise UserError(f"unknown label order {name!r}: pass one of {', '.join(LABEL_ORDERS)}{hint}")
    order = LABEL_ORDERS[name]
    if num_classes == 7:
        order = tuple(word for word in order if word != "contempt")
    if len(order) != num_classes:
        raise UserError(f"the label order {name!r} has {len(order)} classes, not {num_classes}")
    return order


def relabel(source: tuple[str, ...], target: tuple[str, ...]) -> np.ndarray:
    """Return the int32 array `codes` with `target[codes[i]] == source[i]`, or -1 where `target` lacks the class.

    >>> relabel(FER2013, AFFECTNET_7)
    array([6, 5, 4, 1, 2, 3, 0], dtype=int32)
    """
    # Imported here: `--help`, which names the classes, does without.
    import numpy as np

    position = {name: index for index, name in enumerate(target)}
    return np.array([position.get(name, -1) for name in source], np.int32)
