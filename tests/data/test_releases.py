import pytest

from jaxfer.config import DataConfig
from jaxfer.data.releases import AFFECTNET_2017, AFFECTNET_2021, FER2013, RAF_DB, RELEASES, differences
from jaxfer.emotions import AFFECTNET_7, AFFECTNET_8

SEVEN, EIGHT = (DataConfig(num_classes=count).counted_as() for count in (7, 8))


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
@pytest.mark.parametrize("classes", [SEVEN, EIGHT], ids=len)
def test_the_release_itself_differs_in_nothing(release, classes):
    assert differences(release, release.counts, classes) == []


def test_the_release_itself_differs_in_nothing_where_classes_are_few_and_merged():
    config = DataConfig(classes=("sad", "dislike"), merge=("disgust=dislike", "contempt=dislike"))
    counts = {split: dict(found) for split, found in AFFECTNET_2021.counts.items()}
    for found in counts.values():
        found["dislike"] = found.pop("disgust") + found.pop("contempt")
    assert differences(AFFECTNET_2021, counts, config.counted_as()) == []
    counts["train"]["dislike"] -= 1
    (sentence,) = differences(AFFECTNET_2021, counts, config.counted_as())
    assert "(dislike 7,552 for 7,553)" in sentence


def test_a_smaller_copy_is_named_with_what_it_lacks():
    counts = {"train": dict.fromkeys(AFFECTNET_8, 3_750), "val": AFFECTNET_2021.counts["val"]}
    (sentence,) = differences(AFFECTNET_2021, counts, EIGHT)
    assert sentence.startswith("train has 30,000 images for the 287,651 of AffectNet, March 2021")
    assert "happy 3,750 for 134,415" in sentence
    assert "contempt" not in sentence, "of which it has all"


def test_contempt_does_not_matter_to_seven_classes():
    counts = {split: dict(AFFECTNET_2021.counts[split]) | {"contempt": 7} for split in ("train", "val")}
    assert differences(AFFECTNET_2021, counts, SEVEN) == []
    assert len(differences(AFFECTNET_2021, counts, EIGHT)) == 2


def test_releases_have_names_of_their_own():
    assert len({release.name for release in RELEASES}) == len(RELEASES)
