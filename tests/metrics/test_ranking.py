"""AUC, average precision, top-2 and Cohen's kappa: by their definitions, by scikit-learn, and by hand."""

import itertools
import math

import numpy as np
import pytest
import scipy.special
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxfer.evaluation import Predictions
from jaxfer.metrics import formulas, ranking

NAMES = ("a", "b", "c", "d")


def draw(n, seed=0, levels=None):
    """Return probabilities with many equal ones where they have so many levels, and labels."""
    random = np.random.default_rng(seed)
    scores = random.random((n, 4)) if levels is None else random.integers(0, levels, (n, 4)) / levels
    return scores, random.integers(0, 4, n)


def auc_by_pairs(scores, is_class):
    pairs = list(itertools.product(scores[is_class], scores[~is_class]))
    return np.mean([1.0 if inside > outside else 0.5 * (inside == outside) for inside, outside in pairs])


def precision_by_thresholds(scores, is_class):
    total, recall = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        taken = scores >= threshold
        precision, reached = is_class[taken].mean(), is_class[taken].sum() / is_class.sum()
        total, recall = total + (reached - recall) * precision, reached
    return total


@pytest.mark.parametrize("levels", [None, 3, 1], ids=["all differ", "many equal", "all equal"])
def test_auc_and_average_precision_are_those_of_their_definitions_and_of_scikit_learn(levels):
    scores, labels = draw(60, levels=levels)
    areas, precisions = ranking.auc(scores, labels), ranking.average_precision(scores, labels)
    for one in range(4):
        is_class, own = labels == one, scores[:, one]
        assert areas[one] == pytest.approx(auc_by_pairs(own, is_class))
        assert areas[one] == pytest.approx(sklearn.metrics.roc_auc_score(is_class, own))
        assert precisions[one] == pytest.approx(precision_by_thresholds(own, is_class))
        assert precisions[one] == pytest.approx(sklearn.metrics.average_precision_score(is_class, own))


def test_they_are_those_by_hand():
    scores, labels = np.array([[0.1], [0.4], [0.35], [0.8]]), np.array([1, 1, 0, 0])
    # 0.8 is above both others, 0.35 above one of the two.
    assert ranking.auc(scores, labels).tolist() == [3 / 4]
    # The first taken is right, the second is not, the third is: 1/2 (1/1) + 1/2 (2/3).
    assert ranking.average_precision(scores, labels) == pytest.approx([5 / 6])
    perfect = ranking.auc(np.eye(3), np.arange(3)), ranking.average_precision(np.eye(3), np.arange(3))
    assert np.concatenate(perfect).tolist() == [1.0] * 6


def test_they_are_undefined_without_what_they_compare():
    scores, labels = draw(10)[0], np.array([0, 1] * 5)
    areas, precisions = ranking.auc(scores, labels), ranking.average_precision(scores, labels)
    assert np.isnan(areas).tolist() == np.isnan(precisions).tolist() == [False, False, True, True]
    alone = np.zeros(10, int)
    assert np.isnan(ranking.auc(scores, alone)).all()
    assert ranking.average_precision(scores, alone)[0] == 1
    scores[3, 0] = np.nan
    assert np.isnan(ranking.auc(scores, labels)).tolist() == [True, False, True, True]
    for of in (ranking.auc, ranking.average_precision):
        assert np.isnan(of(np.zeros((0, 4)), np.zeros(0, int))).all()


@given(hnp.arrays(np.float64, (12, 4), elements=st.floats(0, 1)), st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_the_label_is_among_the_first_as_in_a_stable_sort(scores, k):
    labels = np.arange(12) % 4
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    expected = (order == labels[:, None]).any(axis=1)
    np.testing.assert_array_equal(ranking.among_first(k, scores, labels), expected)


@pytest.mark.parametrize("n", [1, 30, 300])
def test_kappa_is_scikit_learns(n):
    scores, labels = draw(n, seed=n)
    confusion = sklearn.metrics.confusion_matrix(labels, scores.argmax(1), labels=range(4))
    with np.errstate(invalid="ignore"):
        expected = sklearn.metrics.cohen_kappa_score(labels, scores.argmax(1), labels=range(4)) if n > 1 else 0
    assert float(formulas.kappa(confusion)) == pytest.approx(expected, abs=1e-12)


def test_kappa_by_hand_and_where_it_is_undefined():
    # Cohen's example of 50 cases: 35 agree, 26 would by chance.
    assert float(formulas.kappa(np.array([[20, 5], [10, 15]]))) == pytest.approx((0.7 - 0.5) / (1 - 0.5))
    assert float(formulas.kappa(np.diag([3, 4, 5]))) == 1
    for nothing in (np.diag([7, 0]), np.zeros((2, 2)), np.full((2, 2), np.nan)):
        assert math.isnan(formulas.kappa(nothing))


def test_predictions_have_them_all_with_intervals_and_json():
    random = np.random.default_rng(2)
    logits, labels = random.normal(size=(90, 4)).astype(np.float32), random.integers(0, 3, 90).astype(np.int32)
    found = Predictions(logits, labels).scores(NAMES)
    probabilities = scipy.special.softmax(logits.astype(np.float64), axis=1)
    for name, is_class, own in zip(NAMES[:3], labels == np.arange(3)[:, None], probabilities.T, strict=False):
        assert found.per_class[name].auc == pytest.approx(sklearn.metrics.roc_auc_score(is_class, own))
        assert found.per_class[name].average_precision == pytest.approx(
            sklearn.metrics.average_precision_score(is_class, own)
        )
    assert found.top2_accuracy == sklearn.metrics.top_k_accuracy_score(labels, probabilities, k=2, labels=range(4))
    assert found.to_dict()["per_class"]["d"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0} | {
        "precision": found.per_class["d"].precision,
        "auc": None,
        "average_precision": None,
    }


def test_probabilities_that_are_one_in_float32_are_told_apart():
    logits = np.array([[40, 0], [60, 0], [50, 0]], np.float32)
    assert Predictions(logits, np.array([1, 0, 0], np.int32)).scores(("a", "b")).per_class["a"].auc == 1


def test_a_prediction_that_is_no_number_and_none_at_all_leave_no_score():
    logits = np.array([[0.0, np.nan], [1.0, 0.0]], np.float32)
    for one in (Predictions(logits, np.array([0, 1], np.int32)), Predictions(logits[:0], np.zeros(0, np.int32))):
        found = one.scores(("a", "b"))
        numbers = [
            found.kappa,
            found.top2_accuracy,
            *(getattr(of, name) for of in found.per_class.values() for name in ("auc", "average_precision")),
        ]
        assert all(map(math.isnan, numbers))
