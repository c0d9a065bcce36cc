"""Published data sets: how many images each class has, and how far a copy is from that.

`differences` says it of the classes that a network learns, `compare` which published data a copy is nearest to.
Published numbers are of AffectNet-8, its codes 0 to 7 (287,651 training images), or of AffectNet-7, without contempt
(283,901), on the release's validation split: its test split was never published.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from jaxfer.emotions import AFFECTNET_7, AFFECTNET_8

Counts = MappingProxyType[str, MappingProxyType[str, int]]


@dataclass(frozen=True)
class Release:
    """A published data set: for each split, the number of images of each class, without those of other classes."""

    name: str
    counts: Counts


def _release(name: str, classes: tuple[str, ...], **splits: tuple[int, ...]) -> Release:
    counts = {split: MappingProxyType(dict(zip(classes, n, strict=True))) for split, n in splits.items()}
    return Release(name, MappingProxyType(counts))


_AFFECTNET_TRAIN = (74874, 134415, 25459, 14090, 6378, 3803, 24882, 3750)

AFFECTNET_2017 = _release("AffectNet, 2017", AFFECTNET_8, train=_AFFECTNET_TRAIN, val=(500,) * 8)
"""The manually annotated images of the first release; http://mohammadmahoor.com/affectnet/ adds up both splits."""

AFFECTNET_2021 = _release("AffectNet, March 2021", AFFECTNET_8, train=_AFFECTNET_TRAIN, val=(*(500,) * 7, 499))
"""The same training images, cropped; one validation image of contempt is missing."""

FER2013 = _release(
    "FER2013",
    AFFECTNET_7,
    train=(4965, 7215, 4830, 3171, 4097, 436, 3995),
    val=(607, 895, 653, 415, 496, 56, 467),
    test=(626, 879, 594, 416, 528, 55, 491),
)
"""Training, PublicTest and PrivateTest of `fer2013.csv`."""

RAF_DB = _release(
    "RAF-DB",
    AFFECTNET_7,
    train=(2524, 4772, 1982, 1290, 281, 717, 705),
    test=(680, 1185, 478, 329, 74, 160, 162),
)
"""The basic expressions of `list_patition_label.txt`. http://www.whdeng.cn/RAF/model1.html"""

RELEASES = (AFFECTNET_2017, AFFECTNET_2021, FER2013, RAF_DB)
"""All of them."""


NEAR = 0.2
"""By which share a copy may be larger or smaller than published data to be taken for it, unless its layout tells."""

SMALL = 0.5
"""Below which share of the published images a copy is called another selection."""

NOT_COMPARABLE = "scores on it cannot be set beside published ones"

Classes = Mapping[str, int]


def differences(release: Release, counts: Mapping[str, Classes], counted_as: Mapping[str, str]) -> list[str]:
    """Return a sentence for each split with other numbers of images than a release of the data.

    Args:
        release: The one that counts are held against.
        counts: The number of images of each class in `train` and `val`.
        counted_as: The class that each expression counts as, as of `jaxfer.config.DataConfig.counted_as`.
    """
    sentences = []
    for split in sorted(counts.keys() & release.counts.keys()):
        published = dict.fromkeys(counted_as.values(), 0)
        for expression, name in counted_as.items():
            published[name] += release.counts[split].get(expression, 0)
        found = {name: counts[split].get(name, 0) for name in published}
        if found != published:
            each = [f"{name} {found[name]:,} for {n:,}" for name, n in published.items() if found[name] != n]
            sentences.append(
                f"{split} has {sum(found.values()):,} images for the {sum(published.values()):,} of {release.name} "
                f"({', '.join(each)})"
            )
    return sentences


@dataclass(frozen=True)
class Comparison:
    """How the usable images compare with those of a published data set.

    Attributes:
        name: Of the data set; None where none fits.
        fits: Whether each count is the published one, in every split that the data has.
        summary: All of this in words.
        published: For splits of the data, by their own names, the published number of images of each class. Splits that
            are used for the same are compared as one, under their joined names.
        differences: Likewise how many images there are beyond those, negative where some are missing; without zeros.
        absent: The uses of published splits that the data lacks.
    """

    name: str | None
    fits: bool
    summary: str
    published: Mapping[str, Classes] = field(default_factory=dict)
    differences: Mapping[str, Classes] = field(default_factory=dict)
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Part:
    """What a data set has for one use."""

    name: str
    classes: Classes


def compare(splits: Mapping[str, tuple[str, Classes]], release: Release | None) -> Comparison:
    """Compare counts with those of published data; without contempt, with those of the other seven classes.

    Args:
        splits: By name, the use and the number of images of each class.
        release: What to compare with. By default that which the counts are nearest to: only data of the same classes
            and about the same size comes into question.
    """
    parts = _by_use(splits)
    held = {name for part in parts.values() for name, count in part.classes.items() if count}
    if not held:
        return Comparison(None, False, "There is no usable image to compare with published data.")
    if release:
        return _against(parts, _of_classes(release, held))
    same_classes = [each for each in (_of_classes(each, held) for each in RELEASES) if held == _classes(each)]
    total = sum(sum(part.classes.values()) for part in parts.values())
    near = [found for found in (_against(parts, each) for each in same_classes) if _is_near(found, total)]
    if near:
        return min(near, key=lambda found: (_distance(found), len(found.absent)))
    return Comparison(None, False, _fits_none(total, same_classes))


def _by_use(splits: Mapping[str, tuple[str, Classes]]) -> dict[str, _Part]:
    parts: dict[str, _Part] = {}
    for name, (use, classes) in splits.items():
        before = parts.get(use)
        if before:
            joined = {each: before.classes.get(each, 0) + classes.get(each, 0) for each in AFFECTNET_8}
            parts[use] = _Part(f"{before.name} and {name}", joined)
        else:
            parts[use] = _Part(name, classes)
    return {use: part for use, part in parts.items() if any(part.classes.values())}


def _of_classes(release: Release, held: set[str]) -> Release:
    """Return the release without contempt if that is what is held of it, which is what AffectNet-7 means."""
    if "contempt" in held or "contempt" not in _classes(release):
        return release
    counts = {
        use: MappingProxyType({name: count for name, count in classes.items() if name != "contempt"})
        for use, classes in release.counts.items()
    }
    return Release(f"{release.name}, without contempt", MappingProxyType(counts))


def _classes(release: Release) -> set[str]:
    return {name for classes in release.counts.values() for name in classes}


def _against(parts: Mapping[str, _Part], release: Release) -> Comparison:
    uses = _pair(set(parts), set(release.counts))
    published = {parts[ours].name: dict(release.counts[theirs]) for ours, theirs in uses.items()}
    differences = {}
    for ours, theirs in uses.items():
        found, expected = parts[ours].classes, release.counts[theirs]
        apart = {name: found.get(name, 0) - expected.get(name, 0) for name in AFFECTNET_8}
        differences[parts[ours].name] = {name: count for name, count in apart.items() if count}
    found = Comparison(
        name=release.name,
        fits=len(uses) == len(parts) and not any(differences.values()),
        summary="",
        published=published,
        differences={name: apart for name, apart in differences.items() if apart},
        absent=tuple(use for use in release.counts if use not in uses.values()),
    )
    total = sum(sum(part.classes.values()) for part in parts.values())
    return replace(found, summary=_in_words(found, total, sum(map(sum, (c.values() for c in release.counts.values())))))


def _pair(ours: set[str], theirs: set[str]) -> dict[str, str]:
    """Return the published use for each of ours: the same, or the one that is left where ours is called otherwise."""
    uses = {use: use for use in ("val", "test", "train") if use in ours & theirs}
    left, missing = ours - theirs, theirs - ours
    if len(left) == len(missing) == 1 and "train" not in left | missing:
        uses[left.pop()] = missing.pop()
    return uses


def _distance(found: Comparison) -> int:
    return sum(abs(count) for apart in found.differences.values() for count in apart.values())


def _is_near(found: Comparison, total: int) -> bool:
    published = sum(sum(classes.values()) for classes in found.published.values())
    return abs(total - published) <= NEAR * published


def _in_words(found: Comparison, total: int, published: int) -> str:
    absent = f" Its {' and '.join(found.absent)} split is not here." if found.absent else ""
    if found.fits:
        return f"Every count is that of {found.name}.{absent}"
    if total < SMALL * published:
        return (
            f"{total:,} images are {total / published:.1%} of the {published:,} of {found.name}: this is another, "
            f"smaller selection, and {NOT_COMPARABLE}.{absent}"
        )
    more, fewer = (
        sum(max(sign * count, 0) for apart in found.differences.values() for count in apart.values())
        for sign in (1, -1)
    )
    return f"Nearest to {found.name}, with {more:,} images more and {fewer:,} fewer than published.{absent}"


def _fits_none(total: int, same_classes: list[Release]) -> str:
    sizes = [(each.name, sum(sum(classes.values()) for classes in each.counts.values())) for each in same_classes]
    if not sizes:
        return "The counts fit no published data set: none has these classes."
    shown = ", ".join(f"{name} {size:,}" for name, size in sizes)
    return (
        f"{total:,} images fit no published data set of these classes ({shown}): this is another selection, and "
        f"{NOT_COMPARABLE}."
    )
