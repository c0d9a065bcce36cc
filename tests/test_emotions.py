from typing import get_args

import numpy as np
import pytest

from jaxfer import emotions
from jaxfer.emotions import AFFECTNET_7, AFFECTNET_8, FER2013, LABEL_ORDERS, RAF_DB, SPELLINGS, LabelOrder
from jaxfer.errors import UserError

AFFECTNET_CODES = ["neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt"]
FER2013_CODES = ["anger", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
RAF_DB_CODES = ["surprise", "fear", "disgust", "happy", "sad", "anger", "neutral"]


def test_codes_0_to_7_mean_what_affectnets_authors_publish():
    assert list(AFFECTNET_8) == list(emotions.label_order("affectnet", 8)) == AFFECTNET_CODES


def test_the_label_orders_that_a_config_allows_are_those_there_are():
    assert get_args(LabelOrder) == tuple(LABEL_ORDERS)


def test_the_orders_of_seven_classes_are_the_published_ones():
    assert list(AFFECTNET_7) == list(emotions.label_order("affectnet", 7)) == AFFECTNET_CODES[:7]
    assert list(FER2013) == list(emotions.label_order("fer2013", 7)) == FER2013_CODES
    assert list(RAF_DB) == list(emotions.label_order("raf-db", 7)) == RAF_DB_CODES


def test_seven_alphabetical_classes_are_the_eight_without_contempt():
    eight = ["anger", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
    assert list(emotions.label_order("alphabetical", 8)) == eight
    eight.remove("contempt")
    assert list(emotions.label_order("alphabetical", 7)) == eight


@pytest.mark.parametrize(("name", "word"), [(name, word) for name, words in SPELLINGS.items() for word in words])
def test_every_spelling_in_any_case_names_its_class(name, word):
    assert {emotions.from_word(w) for w in (word, word.upper(), word.title(), f" {word}\n")} == {name}


def test_every_class_is_its_own_spelling_and_no_word_names_two():
    words = [word for words in SPELLINGS.values() for word in words]
    assert len(words) == len(set(words))
    assert set(SPELLINGS) == set(AFFECTNET_8) <= set(words)


@pytest.mark.parametrize(
    ("word", "name"),
    {
        **{"0_angry": "anger", "01-Angry": "anger", "7 contempt": "contempt", "3.happy": "happy"},
        **{"anger_images": "anger", "Sad faces": "sad", "2_fear-img": "fear"},
    }.items(),
)
def test_a_number_before_a_word_and_what_all_are_after_it_say_nothing(word, name):
    assert emotions.from_word(word) == name


@pytest.mark.parametrize(
    ("word", "name"),
    {
        **{"suprise": "surprise", "netural": "neutral", "4_angray": "anger", "Happyness": "happy"},
        **{"mad": "anger", "scared": "fear", "smile": "happy", "natural": "neutral", "unhappy": "sad"},
        **dict.fromkeys(["@eaDir", "lost+found", "enojo", "an", "sleepy", ""]),
    }.items(),
)
def test_who_writes_a_near_spelling_or_a_related_word_is_asked_about_its_class(word, name):
    assert emotions.from_word(word) is None
    assert emotions.near(word) == name


def test_no_related_word_is_of_two_classes_or_names_one():
    words = [word for words in emotions.RELATED.values() for word in words]
    assert len(words) == len(set(words))
    assert not any(map(emotions.from_word, words))
    assert set(emotions.RELATED) == set(AFFECTNET_8)


@pytest.mark.parametrize("word", ["", "none", "uncertain", "no-face", "3", "sleepy", "3_", "_images", "12 34 happy"])
def test_other_words_name_no_class(word):
    assert emotions.from_word(word) is None


@pytest.mark.parametrize("source", LABEL_ORDERS)
@pytest.mark.parametrize("target", LABEL_ORDERS)
def test_relabelling_keeps_the_meaning_and_round_trips(source, target):
    source, target = emotions.label_order(source, 7), emotions.label_order(target, 7)
    codes = emotions.relabel(source, target)
    assert codes.dtype == np.int32
    assert [target[code] for code in codes] == list(source)
    np.testing.assert_array_equal(emotions.relabel(target, source)[codes], np.arange(7))


def test_relabelling_marks_a_class_that_the_target_lacks():
    np.testing.assert_array_equal(emotions.relabel(AFFECTNET_8, AFFECTNET_7), [0, 1, 2, 3, 4, 5, 6, -1])


def test_an_unknown_order_is_refused_with_the_choices_and_a_suggestion():
    with pytest.raises(
        UserError, match=r"'afectnet'.*affectnet, alphabetical, fer2013, raf-db.*did you mean 'affectnet'"
    ):
        emotions.label_order("afectnet", 7)
    with pytest.raises(UserError, match=r"pass one of affectnet, alphabetical, fer2013, raf-db$"):
        emotions.label_order("zzz", 7)


@pytest.mark.parametrize(
    ("name", "num_classes"), [("fer2013", 8), ("raf-db", 8), ("affectnet", 6), ("alphabetical", 11)]
)
def test_a_number_of_classes_that_the_order_lacks_is_refused(name, num_classes):
    with pytest.raises(UserError, match=f"{name}.* classes, not {num_classes}"):
        emotions.label_order(name, num_classes)
