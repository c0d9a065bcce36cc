"""How many images each class of a published data set has, as its authors or its files say."""

from dataclasses import dataclass
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
