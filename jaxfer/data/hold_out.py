"""Hold images out of a training split, so that those which belong together stay on one side.

Together belong images with the same pixels, images that look alike, and those of one group: a person or a sequence.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from jaxfer.data.checking.duplicates import first_copies
from jaxfer.data.checking.looks import Gathering
from jaxfer.data.checking.near import groups_alike
from jaxfer.data.checking.perceptual import thumbnail
from jaxfer.data.copies import digest
from jaxfer.data.groups import Belonging
from jaxfer.errors import UserError

FAR = 2
"""By what factor the share of all images that is held out misses what is wanted where `notes` say so."""

LEAST = 0.25
"""The share of what is wanted of a class below which look-alikes may be on both sides."""


@dataclass(frozen=True)
class Alike:
    """Which of n images are alike: for each the index of the first one of its group, int [n].

    Attributes:
        copies: Of those with the same pixels.
        looks: Of those that look alike, directly or by way of others, copies among them.
    """

    copies: np.ndarray
    looks: np.ndarray


def find_alike(images: Iterable[np.ndarray]) -> Alike:
    """Return which images are alike, as `jaxfer.data.check` finds copies and look-alikes.

    Memory stays bounded by some 100 bytes an image, and disk by a temporary kilobyte an image.

    Args:
        images: Each uint8 [size, size, 3], RGB.

    Raises:
        UserError: There is no room for the temporary file.
    """
    gathering = Gathering()
    try:
        for image in images:
            gathering.add(digest(image), thumbnail(Image.fromarray(image)))
        looks = gathering.looks()
        return Alike(first_copies(looks.digests), groups_alike(looks))
    finally:
        gathering.thumbnails.close()


@dataclass(frozen=True)
class HeldOut:
    """Which of n images are held out, and what is known of how independent they are of the others.

    Attributes:
        rows: bool [n].
        notes: That in sentences.
    """

    rows: np.ndarray
    notes: tuple[str, ...]


def hold_out(
    names: Sequence[str], labels: Sequence[str], belonging: Belonging, alike: Alike, fraction: float
) -> HeldOut:
    """Return which images are held out: of each class about a share, of each group all or none.

    The same images have the same result in whatever order they come. Without groups and images that are alike, it is
    that share of each class exactly, at least one image and never all, chosen by a hash of their names, so that a few
    images more or less move hardly any other from one part to the other.

    Where look-alikes link so many images that hardly any of a class could be held out, or most of it had to be, they
    may be on both sides, and `notes` say so.

    Args:
        names: Those of n records.
        labels: Their classes.
        belonging: Their groups.
        alike: Which of them are copies of each other, or look alike.
        fraction: The share of each class.

    Raises:
        UserError: All images of a class belong together.
    """
    groups = belonging.groups
    identities = [group or name for group, name in zip(groups, names, strict=True)]
    together, without_looks = (_joined(groups, links) for links in (alike.looks, alike.copies))
    rows, apart = _choose(labels, identities, together, fraction), 0
    if misfits := _misfits(rows, labels, fraction):
        others = _choose(labels, identities, without_looks, fraction)
        if _misfits(others, labels, fraction) < misfits:
            rows, together = others, without_looks
            apart = int((rows & np.isin(alike.looks, alike.looks[~rows])).sum())
    of_held = {label for label, row in zip(labels, rows.tolist(), strict=True) if row}
    for label, count in Counter(labels).items():
        if label not in of_held and count > 1:
            first = labels.index(label)
            raise UserError(_all_together(label, count, groups[first], names[first]))
    return HeldOut(rows, _notes(rows, belonging, alike, apart, fraction))


def _joined(groups: Sequence[str], links: np.ndarray) -> np.ndarray:
    """Return for each of n images the index of the first one that it belongs together with, int [n].

    Args:
        groups: The name of each image's group, empty where there is none.
        links: For each image the index of the first one that it is like, int [n].
    """
    from scipy.sparse import coo_array  # these take long to import
    from scipy.sparse.csgraph import connected_components

    n, first_of = len(links), dict[str, int]()
    of_groups = [first_of.setdefault(group, index) if group else index for index, group in enumerate(groups)]
    joins = np.tile(np.arange(n), 2), np.concatenate([links, np.array(of_groups, np.int64)])
    _, part = connected_components(coo_array((np.ones(2 * n, bool), joins), shape=(n, n)), directed=False)
    _, first = np.unique(part, return_index=True)
    return first[part]


def _choose(labels: Sequence[str], identities: Sequence[str], together: np.ndarray, fraction: float) -> np.ndarray:
    """Return which images are held out, bool [n], whole groups in the order of the hashes of their first names.

    A group is taken where that brings the numbers of its classes nearer to what is wanted of them. Then a class of
    which there is none yet takes the group that exceeds what is wanted by the least.
    """
    total = Counter(labels)
    wanted = {label: _wanted(count, fraction) for label, count in total.items()}
    names: dict[int, str] = {}
    counts: dict[int, Counter[str]] = {}
    sizes, single = np.bincount(together), {label: Counter([label]) for label in total}  # one for all saves memory
    for group, label, identity in zip(together.tolist(), labels, identities, strict=True):
        if sizes[group] == 1:
            counts[group] = single[label]
        else:
            counts.setdefault(group, Counter())[label] += 1
        names[group] = min(names.get(group, identity), identity)
    order = sorted(counts, key=lambda group: _hash(names[group]))
    held: Counter[str] = Counter()
    taken: set[int] = set()

    def nearer(group: int) -> int:
        """Return by how many images, over its classes, taking a group would bring us nearer to what is wanted."""
        left = ((wanted[label] - held[label], count) for label, count in counts[group].items())
        return sum(abs(missing) - abs(missing - count) for missing, count in left)

    def take(group: int) -> None:
        taken.add(group)
        held.update(counts[group])

    def may_take(group: int) -> bool:
        return group not in taken and all(held[label] + n < total[label] for label, n in counts[group].items())

    for group in order:
        if nearer(group) > 0 and may_take(group):
            take(group)
    for label in sorted(total, key=lambda label: (total[label], label)):
        if not held[label]:
            fitting = [group for group in order if label in counts[group] and may_take(group)]
            if fitting:
                take(max(fitting, key=nearer))
    return np.isin(together, list(taken))


def _wanted(count: int, fraction: float) -> int:
    return min(max(1, round(fraction * count)), count - 1)


def _misfits(rows: np.ndarray, labels: Sequence[str], fraction: float) -> int:
    """Return of how many classes too few images are held out, or more than half where less is wanted."""
    total, held = Counter(labels), Counter(label for label, row in zip(labels, rows.tolist(), strict=True) if row)
    wanted = {label: _wanted(count, fraction) for label, count in total.items()}
    return sum(
        held[label] < LEAST * wanted[label] or held[label] > max(FAR * wanted[label], count / 2)
        for label, count in total.items()
    )


def _hash(name: str) -> bytes:
    return hashlib.blake2b(name.encode(errors="surrogateescape")).digest()


def _all_together(label: str, count: int, group: str, name: str) -> str:
    how = f"one of them, {name}, is of the group {group!r}" if group else f"one of them is {name}"
    return (
        f"none of the {count:,} images of {label} can be held out, since they belong together ({how}): add images of "
        "others or a validation split, or say by group_by (--group-by) what belongs together"
    )


def _notes(rows: np.ndarray, belonging: Belonging, alike: Alike, apart: int, fraction: float) -> tuple[str, ...]:
    """Return what a reader of scores on held-out images should know of them."""
    sizes = np.bincount(alike.looks)[alike.looks]
    held, linked = int(rows.sum()), int((sizes > 1).sum())
    share = held / max(len(rows), 1)
    sentences = [f"{held:,} of {len(rows):,} training images ({share:.1%}) are held out to validate on"]
    if not FAR * share > fraction > share / FAR:
        sentences[0] += f" rather than {fraction:.1%}, since what belongs together stays together"
    if apart:
        sentences.append(
            f"{apart:,} of them look like a training image: look-alikes link so many images that nothing could be held "
            "out without them, and scores are too high"
        )
    elif linked:
        sentences.append(f"{linked:,} images are copies of others or look like them; these stay on one side")
    named = len(set(filter(None, belonging.groups)))
    if belonging.known_by:
        sentences.append(f"{named:,} groups, by {belonging.known_by}, stay on one side")
    if belonging.unknown:
        of = "" if belonging.unknown == len(rows) else f" of {belonging.unknown:,} images"
        sentences.append(
            f"which person or sequence they show is not known{of}: where some show the same, scores are too high; "
            "group_by (--group-by) says it"
        )
    return tuple(sentences)
