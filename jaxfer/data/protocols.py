"""AffectNet-7 and AffectNet-8: what the two names promise, and whether given data keeps the promise."""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxfer.data.published import Release
from jaxfer.emotions import AFFECTNET_7, AFFECTNET_8


@dataclass(frozen=True)
class Protocol:
    """How a number on AffectNet is made.

    class_names: the classes, in the order of the labels.
    rows: which rows of the data count.
    validation: what the number is measured on.
    """

    name: str
    class_names: tuple[str, ...]
    rows: str
    validation: str

    def differences(self, release: Release, counts: Mapping[str, Mapping[str, int]]) -> list[str]:
        """Return a sentence for each split with other numbers of images than a release of the data.

        counts: the number of images of each class in `train` and `val`.
        """
        sentences = []
        for split in sorted(counts.keys() & release.counts.keys()):
            found = {name: counts[split].get(name, 0) for name in self.class_names}
            published = {name: release.counts[split].get(name, 0) for name in self.class_names}
            if found != published:
                each = [f"{name} {found[name]:,} for {n:,}" for name, n in published.items() if found[name] != n]
                sentences.append(
                    f"{split} has {sum(found.values()):,} images for the {sum(published.values()):,} of {release.name} "
                    f"({', '.join(each)})"
                )
        return sentences


_VALIDATION = "the release's validation split; its test split was never published"

AFFECTNET7 = Protocol("AffectNet-7", AFFECTNET_7, "codes 0 to 6, manually annotated", _VALIDATION)
"""Seven classes: 283,901 training and 3,500 validation images."""

AFFECTNET8 = Protocol("AffectNet-8", AFFECTNET_8, "codes 0 to 7, manually annotated", _VALIDATION)
"""Eight classes: 287,651 training images, and 4,000 validation images in 2017 or 3,999 in March 2021."""

PROTOCOLS = {len(protocol.class_names): protocol for protocol in (AFFECTNET7, AFFECTNET8)}
"""By the number of classes, as in `DataConfig.num_classes`."""
