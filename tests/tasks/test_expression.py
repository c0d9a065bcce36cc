"""The expression's loss against scikit-learn and Keras' definition, smoothed, weighted and with soft labels."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special
import sklearn.metrics
import sklearn.utils.class_weight
from small_data import bright_faces

from jaxfer.data.batches import Batches
from jaxfer.devices import OneDevice, Pmapped, Sharded
from jaxfer.errors import UserError
from jaxfer.models import unit_range
from jaxfer.tasks import Expression, balanced_class_weights, class_log_shares
from jaxfer.training import Objective, create_state, make_train_step

WEIGHTS = (1.0, 2.0, 0.5, 1.0, 1.0, 3.0, 1.0)
RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(0, 2, (30, 7)).astype(np.float32)
LABELS = (np.arange(30) % 7).astype(np.int32)
SHARES = RANDOM.dirichlet(np.ones(7), 30).astype(np.float32)
LOG_PROBABILITIES = np.log(scipy.special.softmax(LOGITS.astype(np.float64), axis=1))


class Net(nn.Module):
    @nn.compact
    def __call__(self, images, *, train, mask):
        x = nn.relu(nn.Conv(8, (5, 5), strides=4)(unit_range(images))).mean((1, 2))
        return {"logits": nn.Dense(7)(x)}


def losses(expression, **columns):
    return np.asarray(expression.loss({"logits": LOGITS}, {"label": LABELS} | columns))


def test_it_is_the_cross_entropy_of_scikit_learn():
    found = losses(Expression())
    assert found.shape == (30,)
    assert found.mean() == pytest.approx(sklearn.metrics.log_loss(LABELS, np.exp(LOG_PROBABILITIES)), rel=1e-6)


def test_golden_values():
    outputs = {"logits": jnp.array([[2.0, 0.0], [0.0, 1.0]])}
    batch = {"label": jnp.array([0, 0])}
    np.testing.assert_allclose(Expression().loss(outputs, batch), [0.126928, 1.313262], rtol=1e-5)
    np.testing.assert_allclose(Expression(0.2).loss(outputs, batch), [0.326928, 1.213262], rtol=1e-5)
    np.testing.assert_allclose(
        Expression(class_weights=(3.0, 9.0)).loss(outputs, batch), [0.380784, 3.939785], rtol=1e-5
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_smoothing_spreads_a_share_of_each_target_over_all_classes(smoothing):
    one_hot = np.eye(7)[LABELS]
    expected = -((1 - smoothing) * one_hot + smoothing / 7) * LOG_PROBABILITIES
    np.testing.assert_allclose(losses(Expression(smoothing)), expected.sum(1), rtol=1e-5)


def test_a_weight_is_a_factor_of_each_example_of_its_class():
    expected = losses(Expression(0.1)) * np.array(WEIGHTS)[LABELS]
    np.testing.assert_allclose(losses(Expression(0.1, WEIGHTS)), expected, rtol=1e-6)
    mean = sklearn.metrics.log_loss(LABELS, np.exp(LOG_PROBABILITIES), sample_weight=np.array(WEIGHTS)[LABELS])
    # scikit-learn divides by the sum of the weights, and Keras by the number of examples.
    share = np.array(WEIGHTS)[LABELS].sum() / 30
    assert losses(Expression(class_weights=WEIGHTS)).mean() == pytest.approx(mean * share, rel=1e-5)


def test_soft_labels_take_the_place_of_labels_and_average_the_weights_of_their_classes():
    plain = -(SHARES * LOG_PROBABILITIES).sum(1)
    np.testing.assert_allclose(losses(Expression(), soft_label=SHARES), plain, rtol=1e-5)
    weights = SHARES @ np.array(WEIGHTS, np.float32)
    np.testing.assert_allclose(losses(Expression(0.0, WEIGHTS), soft_label=SHARES), plain * weights, rtol=1e-5)
    hard = np.eye(7, dtype=np.float32)[LABELS]
    for expression in (Expression(), Expression(0.1, WEIGHTS)):
        np.testing.assert_allclose(losses(expression, soft_label=hard), losses(expression), rtol=1e-6)


def test_numbers_of_it_are_leaves():
    expression = Expression(0.1, WEIGHTS)
    assert jax.tree.leaves(expression) == [0.1, *WEIGHTS]
    traced = jax.jit(lambda expression: expression.loss({"logits": LOGITS}, {"label": LABELS}))
    np.testing.assert_allclose(traced(expression), losses(expression), rtol=1e-6)
    np.testing.assert_allclose(traced(Expression(0.3, WEIGHTS)), losses(Expression(0.3, WEIGHTS)), rtol=1e-6)
    assert traced._cache_size() == 1


def test_balanced_weights_are_those_of_scikit_learn():
    labels = np.repeat(np.arange(7), [5, 3, 9, 1, 2, 4, 4])
    expected = sklearn.utils.class_weight.compute_class_weight("balanced", classes=np.arange(7), y=labels)
    np.testing.assert_allclose(balanced_class_weights(labels, 7), expected)


def test_a_class_without_images_has_no_balanced_weight():
    with pytest.raises(UserError, match="there is none of class 2"):
        balanced_class_weights(np.array([0, 1, 1, 0]), 3)


def test_logit_adjustment_is_the_cross_entropy_of_logits_with_the_priors_added():
    counts = np.array([9, 1, 4, 4, 4, 4, 4])
    labels = np.repeat(np.arange(7), counts)
    np.testing.assert_allclose(class_log_shares(labels, 7), np.log(counts / 30), rtol=1e-6)
    roots = np.sqrt(counts)
    np.testing.assert_allclose(class_log_shares(labels, 7, "sqrt"), np.log(roots / roots.sum()), rtol=1e-6)
    for tau in (0.5, 1.0):
        # Menon et al. 2021, equation 10, as it is written there: the logarithm of one plus a sum over other classes.
        priors, f = (counts / 30) ** tau, LOGITS.astype(np.float64)
        others = [
            sum(priors[k] / priors[y] * np.exp(row[k] - row[y]) for k in range(7) if k != y)
            for row, y in zip(f, LABELS, strict=True)
        ]
        found = losses(Expression(adjustment=tau * class_log_shares(labels, 7)))
        np.testing.assert_allclose(found, np.log1p(others), rtol=1e-4)
    soft = losses(Expression(0.1, WEIGHTS, np.log(counts / 30)), soft_label=np.eye(7, dtype=np.float32)[LABELS])
    np.testing.assert_allclose(soft, losses(Expression(0.1, WEIGHTS, np.log(counts / 30))), rtol=1e-6)


def test_logit_adjustment_is_for_training_alone():
    outputs, batch = {"logits": LOGITS}, {"label": LABELS, "mask": np.ones(30, bool)}
    objective = Objective(Expression(0.1, WEIGHTS, np.log(np.arange(1, 8) / 28)))
    assert not np.allclose(objective.losses(outputs, batch), losses(Expression(0.1, WEIGHTS)))
    np.testing.assert_allclose(objective.evaluated().losses(outputs, batch), losses(Expression(0.1, WEIGHTS)))


def test_a_class_without_images_has_no_share_to_adjust_logits_by():
    with pytest.raises(UserError, match=r"none of class 2: pass data that has them all, or 0 \(--logit-adjustment 0\)"):
        class_log_shares(np.array([0, 1, 1, 0]), 3)


@pytest.mark.parametrize(
    ("outputs", "batch"),
    [
        ({"logits": LOGITS[0]}, {"label": LABELS}),
        ({"logits": LOGITS}, {"label": LABELS[:1]}),
        ({"logits": LOGITS}, {"label": LABELS, "soft_label": SHARES[:, :6]}),
        ({"logits": LOGITS}, {"label": LABELS, "soft_label": SHARES[:1]}),
    ],
    ids=["rank", "rows", "classes", "one row for all"],
)
def test_what_would_broadcast_is_refused(outputs, batch):
    with pytest.raises(AssertionError, match=r"Assertion .* failed"):
        Expression(0.1).loss(outputs, batch)


def test_every_way_takes_the_step_of_one_device():
    train = bright_faces(44, "train", 0, soft_label=RANDOM.dirichlet(np.ones(7), 44).astype(np.float32))
    batch = Batches(train, 14, seed=0)[0] | {"mask": np.arange(14) < 11}
    assert "soft_label" in batch
    model, optimizer, found = Net(), optax.sgd(0.1), []
    objective = Objective(Expression(0.1, WEIGHTS), l2=0.01)
    for parallel in (OneDevice(), Sharded(), Pmapped()):
        state = create_state(model, optimizer, seed=0, image_size=32)
        before = jax.device_get(state.params)
        state, metrics = make_train_step(model, optimizer, objective, parallel=parallel)(parallel.place(state), batch)
        after = jax.device_get(state.params)
        found.append((after, jax.tree.map(np.subtract, after, before), jax.device_get(metrics)))
    (one, change, metrics), *others = found
    for other, other_change, other_metrics in others:
        assert float(optax.tree.norm(other_change)) == pytest.approx(float(optax.tree.norm(change)), rel=1e-5)
        chex.assert_trees_all_close(other, one, rtol=0, atol=1e-5)
        chex.assert_trees_all_close(other_metrics, metrics, rtol=1e-5, atol=1e-5)
