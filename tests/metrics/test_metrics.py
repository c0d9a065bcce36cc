import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax.sharding import NamedSharding, PartitionSpec

from jaxfer.metrics import formulas
from jaxfer.metrics.metrics import CALIBRATION_BINS, Metrics
from jaxfer.metrics.scores import ClassScores

NAMES = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger")
CLASSES = len(NAMES)
LARGE = 2.0**100
BATCH = 8
of_batch = jax.jit(Metrics.of_batch)


def draw(n, seed=0, scale=2.0, labels=range(CLASSES)):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, CLASSES)) * scale).astype(np.float32), rng.choice(labels, n).astype(np.int32)


def evaluate(logits, labels, batch=BATCH, padding=0.0, padding_label=0):
    """Merge the batches of the examples, the last one padded to full size."""
    metrics = Metrics.empty(CLASSES)
    for start in range(0, len(labels), batch):
        rows, classes = logits[start : start + batch], labels[start : start + batch]
        missing = batch - len(rows)
        rows = np.concatenate([rows, np.full((missing, CLASSES), padding, np.float32)])
        classes = np.concatenate([classes, np.full(missing, padding_label, np.int32)])
        metrics = metrics.merge(of_batch(rows, classes, np.arange(batch) < batch - missing))
    return metrics


def reference(logits, labels):
    """The same scores by scikit-learn, from float64 probabilities."""
    probabilities, predicted = scipy.special.softmax(logits.astype(np.float64), axis=1), logits.argmax(axis=1)
    one_hot = np.eye(CLASSES)[labels]
    kwargs = {"labels": range(CLASSES), "zero_division": 0}
    precision, recall, f1, support = sklearn.metrics.precision_recall_fscore_support(labels, predicted, **kwargs)
    present = np.unique(labels)
    return {
        "cross_entropy": sklearn.metrics.log_loss(labels, probabilities, labels=range(CLASSES)),
        "accuracy": sklearn.metrics.accuracy_score(labels, predicted),
        # balanced_accuracy_score itself warns where a class is predicted that does not occur.
        "balanced_accuracy": sklearn.metrics.recall_score(labels, predicted, labels=present, average="macro"),
        "macro_f1": sklearn.metrics.f1_score(labels, predicted, average="macro", **kwargs),
        "mse": sklearn.metrics.mean_squared_error(one_hot, probabilities),
        "r2": sklearn.metrics.r2_score(one_hot, probabilities) if len(labels) > 1 else math.nan,
        "per_class": list(zip(precision, recall, f1, support, strict=True)),
        "confusion_matrix": sklearn.metrics.confusion_matrix(labels, predicted, labels=range(CLASSES)).tolist(),
    }


def assert_equals_reference(scores, logits, labels):
    expected = reference(logits, labels)
    assert scores.examples == len(labels)
    assert scores.confusion_matrix == expected["confusion_matrix"]
    for name in ("cross_entropy", "accuracy", "balanced_accuracy", "macro_f1", "mse", "r2"):
        assert getattr(scores, name) == pytest.approx(expected[name], rel=1e-5, abs=1e-6, nan_ok=True), name
    got = [(s.precision, s.recall, s.f1, s.support) for s in scores.per_class.values()]
    np.testing.assert_allclose(got, expected["per_class"], rtol=1e-12)


@pytest.mark.parametrize("n", range(1, 2 * BATCH + 2))
def test_scores_equal_scikit_learn_for_every_remainder_of_a_batch(n):
    logits, labels = draw(n, seed=n)
    assert_equals_reference(evaluate(logits, labels).compute(NAMES), logits, labels)


def test_balanced_accuracy_is_scikit_learns_where_every_class_occurs():
    logits, labels = draw(200)
    expected = sklearn.metrics.balanced_accuracy_score(labels, logits.argmax(axis=1))
    assert evaluate(logits, labels).compute(NAMES).balanced_accuracy == pytest.approx(expected)


@pytest.mark.parametrize("labels", [[0], [6], [1, 3], [0, 2, 4, 5, 6]])
def test_classes_that_do_not_occur_score_as_in_scikit_learn(labels):
    logits, labels = draw(30, labels=labels)
    assert_equals_reference(evaluate(logits, labels).compute(NAMES), logits, labels)


def test_a_class_that_neither_occurs_nor_is_predicted_scores_zero():
    logits, labels = draw(30, labels=[0, 1])
    logits[:, 2:] = -20
    scores = evaluate(logits, labels).compute(NAMES)
    assert scores.per_class["anger"] == ClassScores(precision=0, recall=0, f1=0, support=0)
    assert_equals_reference(scores, logits, labels)


def test_r2_of_a_constant_column_is_one_only_where_it_is_predicted_exactly():
    labels = np.zeros(4, np.int32)
    certain = np.full((4, CLASSES), -200, np.float32)
    certain[:, 0] = 0
    assert evaluate(certain, labels).compute(NAMES).r2 == 1
    doubtful = np.zeros((4, CLASSES), np.float32)
    assert evaluate(doubtful, labels).compute(NAMES).r2 == 0


@given(
    # XLA takes subnormal numbers for zero, which can decide between equals.
    logits=hnp.arrays(np.float32, (11, CLASSES), elements=st.floats(-LARGE, LARGE, width=32, allow_subnormal=False)),
    labels=st.permutations([*range(CLASSES), 0, 0, 3, 6]),
)
@settings(max_examples=60, deadline=None)
def test_logits_of_any_finite_size_score_as_in_float64(logits, labels):
    labels = np.array(labels, np.int32)
    scores = evaluate(logits, labels).compute(NAMES)
    expected = reference(logits, labels)
    nats = -scipy.special.log_softmax(logits.astype(np.float64), axis=1)[np.arange(11), labels].mean()
    assert scores.cross_entropy == pytest.approx(nats, rel=1e-5, abs=1e-6)
    assert scores.mse == pytest.approx(expected["mse"], rel=1e-4, abs=1e-6)
    assert scores.r2 == pytest.approx(expected["r2"], rel=1e-4, abs=1e-5)
    assert scores.confusion_matrix == expected["confusion_matrix"]
    assert 0 <= scores.ece <= 1


def test_calibration_error_is_the_weighted_gap_between_confidence_and_accuracy():
    logits, labels = draw(500, scale=1.5)
    scores = evaluate(logits, labels).compute(NAMES)
    confidence, correct = scipy.special.softmax(logits, axis=1).max(axis=1), logits.argmax(axis=1) == labels
    gaps = []
    for low, high, found in zip(
        np.arange(CALIBRATION_BINS) / CALIBRATION_BINS,
        np.arange(1, CALIBRATION_BINS + 1) / CALIBRATION_BINS,
        scores.calibration,
        strict=True,
    ):
        inside = (confidence > low) & (confidence <= high)
        assert found.examples == inside.sum()
        if inside.any():
            assert found.confidence == pytest.approx(confidence[inside].mean(), rel=1e-5)
            assert found.accuracy == pytest.approx(correct[inside].mean())
            gaps.append(inside.mean() * abs(correct[inside].mean() - confidence[inside].mean()))
    assert scores.ece == pytest.approx(sum(gaps), rel=1e-4)


def test_a_certain_and_correct_model_is_calibrated_and_a_certain_and_wrong_one_is_not():
    logits = np.full((5, CLASSES), -100, np.float32)
    logits[:, 2] = 100
    assert evaluate(logits, np.full(5, 2, np.int32)).compute(NAMES).ece == 0
    assert evaluate(logits, np.full(5, 3, np.int32)).compute(NAMES).ece == 1


@pytest.mark.parametrize("padding", [np.nan, np.inf, -np.inf, 1e38])
@pytest.mark.parametrize("label", [0, -1, 6, 99])
def test_padding_contributes_nothing_whatever_it_holds(padding, label):
    logits, labels = draw(BATCH + 3)
    padded = evaluate(logits, labels, padding=padding, padding_label=label)
    assert padded.compute(NAMES) == evaluate(logits, labels).compute(NAMES)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_of_an_example_that_are_not_finite_leave_no_score(bad):
    logits, labels = draw(5)
    logits[3, 1] = bad
    scores = evaluate(logits, labels).compute(NAMES)
    kinds = ("loss", "cross_entropy", "accuracy", "balanced_accuracy", "macro_f1", "mse", "r2", "ece")
    assert all(math.isnan(getattr(scores, name)) for name in kinds)
    for of in scores.per_class.values():
        assert all(map(math.isnan, (of.precision, of.recall, of.f1)))
    assert scores.examples == sum(of.support for of in scores.per_class.values()) == np.sum(scores.confusion_matrix)
    assert all(math.isnan(item.confidence) == math.isnan(item.accuracy) for item in scores.calibration)
    assert json.loads(json.dumps(scores.to_dict(), allow_nan=False))["accuracy"] is None


def test_formulas_of_sums_that_are_no_numbers_are_none():
    confusion, sums = np.full((2, 3, 3), np.nan), np.full((2, 3), np.nan)
    for values in (
        *(formula(confusion) for formula in (formulas.accuracy, formulas.balanced_accuracy, formulas.macro_f1)),
        *(formulas.f1(confusion), formulas.ece(sums, 3), formulas.r2(sums, np.ones((2, 3)))),
        *(formulas.r2(np.ones((2, 3)), sums), formulas.ccc(*sums.T, *sums.T)),
    ):
        assert np.isnan(values).all()


def test_an_infinitely_improbable_label_has_infinite_cross_entropy():
    logits, labels = draw(5)
    logits[3, labels[3]] = -np.inf
    scores = evaluate(logits, labels).compute(NAMES)
    assert scores.cross_entropy == math.inf
    assert math.isfinite(scores.mse)


def test_the_objective_is_weighted_by_the_valid_examples_of_its_batch():
    logits, labels = draw(2 * BATCH)
    full = of_batch(logits[:BATCH], labels[:BATCH], np.full(BATCH, True), jnp.float32(2.0))
    partial = of_batch(logits[BATCH:], labels[BATCH:], np.arange(BATCH) < 2, jnp.float32(7.0))
    scores = full.merge(partial).compute(NAMES)
    assert scores.loss == pytest.approx((2.0 * BATCH + 7.0 * 2) / (BATCH + 2))
    assert scores.cross_entropy == pytest.approx(
        evaluate(logits[: BATCH + 2], labels[: BATCH + 2]).compute(NAMES).cross_entropy
    )


def test_without_an_objective_the_loss_is_the_cross_entropy():
    scores = evaluate(*draw(20)).compute(NAMES)
    assert scores.loss == scores.cross_entropy


def test_a_batch_without_valid_examples_is_the_identity():
    nothing = of_batch(np.full((BATCH, CLASSES), np.nan), np.zeros(BATCH, np.int32), np.full(BATCH, False), jnp.nan)
    jax.tree.map(np.testing.assert_array_equal, nothing, Metrics.empty(CLASSES))
    jax.tree.map(lambda a, b: np.testing.assert_equal(a.dtype, b.dtype), nothing, Metrics.empty(CLASSES))


def test_no_examples_have_no_scores():
    scores = Metrics.empty(CLASSES).compute(NAMES)
    assert scores.examples == 0
    assert all(math.isnan(getattr(scores, name)) for name in ("loss", "accuracy", "macro_f1", "mse", "r2", "ece"))
    assert math.isnan(scores.balanced_accuracy)
    assert json.loads(json.dumps(scores.to_dict(), allow_nan=False))["loss"] is None


def assert_close(left, right):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), left, right)


@given(seeds=st.tuples(*[st.integers(0, 1000)] * 3), sizes=st.tuples(*[st.integers(0, 2 * BATCH)] * 3))
@settings(max_examples=30, deadline=None)
def test_merging_is_associative_and_commutative_with_empty_as_identity(seeds, sizes):
    a, b, c = (evaluate(*draw(n, seed=s)) for n, s in zip(sizes, seeds, strict=True))
    assert_close(a.merge(b).merge(c), a.merge(b.merge(c)))
    assert_close(a.merge(b), b.merge(a))
    jax.tree.map(np.testing.assert_array_equal, a.merge(Metrics.empty(CLASSES)), a)
    jax.tree.map(np.testing.assert_array_equal, Metrics.empty(CLASSES).merge(a), a)


@pytest.mark.parametrize("batch", [1, 5, 8, 64])
def test_neither_the_order_of_the_examples_nor_the_batch_size_matters(batch):
    logits, labels = draw(37)
    order = np.random.default_rng(1).permutation(37)
    assert_close(evaluate(logits[order], labels[order], batch=batch), evaluate(logits, labels))


def padded_batch():
    logits, labels = draw(12)
    mask = np.arange(12) < 9
    logits[~mask] = np.nan
    return logits, labels, mask


def test_a_batch_sharded_over_a_mesh_has_the_sums_of_one_device():
    mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    batch = padded_batch()
    sharded = jax.device_put(batch, NamedSharding(mesh, PartitionSpec("data")))
    replicated = NamedSharding(mesh, PartitionSpec())
    assert_close(jax.jit(Metrics.of_batch, out_shardings=replicated)(*sharded), of_batch(*batch))


def test_the_sums_of_shards_add_up_with_psum():
    mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))

    @jax.jit
    @jax.shard_map(mesh=mesh, in_specs=PartitionSpec("data"), out_specs=PartitionSpec())
    def total(logits, labels, mask):
        return jax.lax.psum(Metrics.of_batch(logits, labels, mask), "data")

    batch = padded_batch()
    assert_close(total(*batch), of_batch(*batch))


def test_counts_stay_exact_where_float32_would_not():
    million = jax.tree.map(lambda x: x * 0 + 2**24, Metrics.empty(CLASSES))
    one = of_batch(*padded_batch())
    assert million.merge(one).count == 2**24 + 9
    assert million.merge(one).confusion_matrix.dtype == jnp.int32


def test_scores_survive_json():
    scores = evaluate(*draw(40)).compute(NAMES).to_dict()
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores
    assert list(scores["per_class"]) == list(NAMES)
    assert set(scores["per_class"]["fear"]) == {"precision", "recall", "f1", "support"}


def test_the_class_names_must_fit_the_confusion_matrix():
    with pytest.raises(ValueError, match="zip"):
        evaluate(*draw(4)).compute(NAMES[:-1])
