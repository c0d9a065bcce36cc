"""What training minimises: the loss of the expression, those of other heads, and the L2 term."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import sklearn.metrics
from networks import Linear
from sklearn.utils.class_weight import compute_class_weight

from jaxfer.config import Config, LossConfig
from jaxfer.models import ResNetFER
from jaxfer.tasks import Affect, Expression, Votes, balanced_class_weights
from jaxfer.training import Hyperparameters, Objective, make_objective

CLASSES = 7
WEIGHTS = (0.5, 1.0, 2.0, 0.25, 3.0, 1.5, 0.75)
random = np.random.default_rng(0)
LOGITS = jnp.asarray(3 * random.normal(size=(40, CLASSES)), jnp.float32)
LABELS = jnp.asarray(random.integers(0, CLASSES, 40), jnp.int32)
NETWORK = ResNetFER(width=4, stage_sizes=(1,), num_classes=CLASSES)


def losses_of(expression, logits=LOGITS, **batch):
    """Return the loss of each example, of `LABELS` where the batch is not said."""
    return expression.loss({"logits": logits}, {"label": LABELS} | batch)


def smoothed(share):
    """Return the cross entropy with label smoothing in float64, [b]."""
    targets = (1 - share) * np.eye(CLASSES)[LABELS] + share / CLASSES
    return -(targets * scipy.special.log_softmax(np.asarray(LOGITS, np.float64), axis=1)).sum(1)


def ones(model):
    """Parameters of a network, all 1."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))["params"]
    return jax.tree.map(lambda leaf: jnp.ones(leaf.shape), shapes)


# The expression


def test_the_mean_is_scikit_learns_log_loss():
    losses = losses_of(Expression())
    assert (losses.dtype, losses.shape) == (jnp.float32, (40,))
    probabilities = scipy.special.softmax(np.asarray(LOGITS, np.float64), axis=1)
    reference = sklearn.metrics.log_loss(LABELS, probabilities, labels=range(CLASSES))
    assert float(losses.mean()) == pytest.approx(reference, rel=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_label_smoothing_spreads_its_share_over_all_classes(share):
    losses = losses_of(Expression(label_smoothing=share))
    np.testing.assert_allclose(losses, smoothed(share), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_class_weights_multiply_each_example_and_are_not_divided_out(share):
    losses = losses_of(Expression(label_smoothing=share, class_weights=WEIGHTS))
    np.testing.assert_allclose(losses, smoothed(share) * np.array(WEIGHTS)[LABELS], rtol=1e-5, atol=1e-6)


def test_distributions_for_targets_weigh_the_losses_of_their_classes():
    shares = np.random.default_rng(1).dirichlet(np.ones(CLASSES), 40).astype(np.float32)
    losses = losses_of(Expression(class_weights=WEIGHTS), soft_label=jnp.asarray(shares))
    plain = -(shares * scipy.special.log_softmax(np.asarray(LOGITS, np.float64), axis=1)).sum(1)
    np.testing.assert_allclose(losses, plain * (shares @ np.array(WEIGHTS)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("expression", [Expression(), Expression(label_smoothing=0.1, class_weights=WEIGHTS)])
def test_a_distribution_that_is_all_one_class_is_its_label(expression):
    certain = jax.nn.one_hot(LABELS, CLASSES)
    np.testing.assert_array_equal(losses_of(expression, soft_label=certain), losses_of(expression))


def test_huge_logits_give_finite_losses():
    logits = jnp.array([[1e4, 0.0, -1e4]])
    losses = [float(losses_of(Expression(), logits, label=jnp.array([label]))[0]) for label in range(3)]
    assert losses == pytest.approx([0, 1e4, 2e4])


def test_balanced_weights_are_scikit_learns():
    labels = np.repeat(np.arange(CLASSES), [5, 1, 9, 2, 2, 30, 4])
    reference = compute_class_weight("balanced", classes=np.arange(CLASSES), y=labels)
    np.testing.assert_allclose(balanced_class_weights(labels, CLASSES), reference, rtol=1e-12)


# All heads together


def test_losses_of_heads_are_added_by_their_weight_where_the_network_has_them_and_the_batch_says_what_is_right():
    affect, valence = jnp.full((40, 2), 0.5), jnp.linspace(-1, 1, 40)
    outputs, batch = {"logits": LOGITS, "affect": affect}, {"label": LABELS, "mask": jnp.arange(40) < 30}
    objective = Objective(tasks=(Affect(), Votes()), head_weight=3.0)
    expected = jnp.where(batch["mask"], losses_of(Expression()), 0)
    np.testing.assert_array_equal(objective.losses(outputs, batch), expected)
    np.testing.assert_array_equal(objective.losses({"logits": LOGITS}, batch | {"valence": valence}), expected)
    found = objective.losses(outputs, batch | {"valence": valence})
    np.testing.assert_allclose(found, expected + batch["mask"] * 3 * (0.5 - valence) ** 2, rtol=1e-5)


@pytest.mark.parametrize("l2", [0.5, None])
def test_padding_has_no_loss_whatever_the_network_says_of_it(l2):
    logits = LOGITS.at[30:].set(jnp.nan)
    losses = Objective(l2=l2).losses({"logits": logits}, {"label": LABELS, "mask": jnp.arange(40) < 30})
    np.testing.assert_array_equal(losses[30:], 0)
    np.testing.assert_array_equal(losses[:30], losses_of(Expression())[:30])


# The L2 term


def test_the_penalty_is_the_sum_of_squares_of_the_stems_and_the_heads_kernels():
    params = jax.tree.map(lambda leaf: 3 * leaf, ones(NETWORK))
    objective = Objective(l2=0.5, kernels=NETWORK.l2_kernels)
    assert float(objective.penalty(params)) == 0.5 * 9 * (7 * 7 * 3 * 4 + 4 * CLASSES)
    assert float(objective.replace(l2=0.0).penalty(params)) == 0
    assert float(objective.replace(l2=None).penalty(params)) == 0


def test_the_penalty_pulls_on_no_other_parameter():
    penalty = Objective(l2=0.5, kernels=NETWORK.l2_kernels).penalty
    gradients, _ = jax.tree.flatten_with_path(jax.grad(penalty)(ones(NETWORK)))
    pulled = {jax.tree_util.keystr(path, simple=True, separator="/") for path, leaf in gradients if leaf.any()}
    assert pulled == {"stem_conv/kernel", "head/kernel"}


def test_of_a_network_that_names_none_it_takes_all_kernels():
    model = Linear()
    objective = make_objective(LossConfig(l2=0.5), model, (), np.asarray(LABELS), CLASSES, numbers(LossConfig(l2=0.5)))
    kernel = ones(model)["head"]["kernel"]
    assert float(objective.penalty(ones(model))) == float(Objective(l2=0.5).penalty(ones(model))) == 0.5 * kernel.size


# A config's


def numbers(config):
    return Hyperparameters.of(Config(loss=config))


def test_a_config_makes_the_objective_it_describes():
    labels, tasks = np.asarray(LABELS), (Affect(),)

    def made(config):
        objective = make_objective(config, NETWORK, tasks, labels, CLASSES, numbers(config))
        assert objective.tasks == tasks
        assert objective.kernels(ones(NETWORK)) is not None
        return SimpleNamespace(**vars(objective), **vars(objective.expression))

    plain = made(LossConfig())
    assert (plain.l2, plain.head_weight) == (np.float32(0.01), 1)
    assert (plain.label_smoothing, plain.class_weights) == (0, None)
    config = LossConfig(label_smoothing=0.1, class_weights="balanced", l2=0.0, head_weight=0.5)
    other = made(config)
    assert (other.l2, other.head_weight, other.label_smoothing) == (None, 0.5, np.float32(0.1))
    assert other.class_weights == balanced_class_weights(labels, CLASSES)
