import pytest

from jaxfer.data.releases import (
    AFFECTNET7,
    AFFECTNET8,
    AFFECTNET_2017,
    AFFECTNET_2021,
    FER2013,
    PROTOCOLS,
    RAF_DB,
    RELEASES,
)
from jaxfer.emotions import AFFECTNET_7, AFFECTNET_8


def total(release, split, classes=AFFECTNET_8):
    return sum(release.counts[split].get(name, 0) for name in classes)


def test_the_published_counts_add_up_to_the_published_sums():
    assert total(AFFECTNET_2021, "train") == total(AFFECTNET_2017, "train") == 287_651
    assert total(AFFECTNET_2021, "train", AFFECTNET_7) == 283_901
    assert (total(AFFECTNET_2021, "val"), total(AFFECTNET_2021, "val", AFFECTNET_7)) == (3_999, 3_500)
    assert total(AFFECTNET_2017, "val") == 4_000
    assert [total(FER2013, split) for split in ("train", "val", "test")] == [28_709, 3_589, 3_589]
    assert [total(RAF_DB, split) for split in ("train", "test")] == [12_271, 3_068]


@pytest.mark.parametrize("release", [AFFECTNET_2017, AFFECTNET_2021], ids=lambda release: release.name)
@pytest.mark.parametrize("protocol", [AFFECTNET7, AFFECTNET8], ids=lambda protocol: protocol.name)
def test_the_release_itself_differs_in_nothing(release, protocol):
    assert protocol.differences(release, release.counts) == []


def test_a_smaller_copy_is_named_with_what_it_lacks():
    counts = {"train": dict.fromkeys(AFFECTNET_8, 3_750), "val": AFFECTNET_2021.counts["val"]}
    (sentence,) = AFFECTNET8.differences(AFFECTNET_2021, counts)
    assert sentence.startswith("train has 30,000 images for the 287,651 of AffectNet, March 2021")
    assert "happy 3,750 for 134,415" in sentence
    assert "contempt" not in sentence, "of which it has all"


def test_contempt_does_not_matter_to_seven_classes():
    counts = {split: dict(AFFECTNET_2021.counts[split]) | {"contempt": 7} for split in ("train", "val")}
    assert AFFECTNET7.differences(AFFECTNET_2021, counts) == []
    assert len(AFFECTNET8.differences(AFFECTNET_2021, counts)) == 2


def test_protocols_are_found_by_their_number_of_classes():
    assert {count: protocol.class_names for count, protocol in PROTOCOLS.items()} == {7: AFFECTNET_7, 8: AFFECTNET_8}
    assert len({release.name for release in RELEASES}) == len(RELEASES)
