import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import sklearn.metrics
from jaxfer.training.losses import CrossEntropy, balanced_class_weights, make_loss
from sklearn.utils.class_weight import compute_class_weight

from jaxfer.config import LossConfig
from jaxfer.models import ResNetFER

CLASSES = 7
WEIGHTS = (0.5, 1.0, 2.0, 0.25, 3.0, 1.5, 0.75)
random = np.random.default_rng(0)
LOGITS = jnp.asarray(3 * random.normal(size=(40, CLASSES)), jnp.float32)
LABELS = jnp.asarray(random.integers(0, CLASSES, 40), jnp.int32)


def smoothed(share):
    """Return the cross entropy with label smoothing in float64, [b]."""
    targets = (1 - share) * np.eye(CLASSES)[LABELS] + share / CLASSES
    return -(targets * scipy.special.log_softmax(np.asarray(LOGITS, np.float64), axis=1)).sum(1)


@pytest.fixture
def ones():
    """Parameters of a small network, all 1."""
    model = ResNetFER(width=4, stage_sizes=(1,), num_classes=CLASSES)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))["params"]
    return jax.tree.map(lambda leaf: jnp.ones(leaf.shape), shapes)


def test_the_mean_is_scikit_learns_log_loss():
    losses = CrossEntropy().per_example(LOGITS, LABELS)
    assert (losses.dtype, losses.shape) == (jnp.float32, (40,))
    probabilities = scipy.special.softmax(np.asarray(LOGITS, np.float64), axis=1)
    reference = sklearn.metrics.log_loss(LABELS, probabilities, labels=range(CLASSES))
    assert float(losses.mean()) == pytest.approx(reference, rel=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_label_smoothing_spreads_its_share_over_all_classes(share):
    losses = CrossEntropy(label_smoothing=share).per_example(LOGITS, LABELS)
    np.testing.assert_allclose(losses, smoothed(share), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_class_weights_multiply_each_example_and_are_not_divided_out(share):
    losses = CrossEntropy(label_smoothing=share, class_weights=WEIGHTS).per_example(LOGITS, LABELS)
    np.testing.assert_allclose(losses, smoothed(share) * np.array(WEIGHTS)[LABELS], rtol=1e-5, atol=1e-6)


def test_distributions_for_targets_weigh_the_losses_of_their_classes():
    shares = np.random.default_rng(1).dirichlet(np.ones(CLASSES), 40).astype(np.float32)
    losses = CrossEntropy(class_weights=WEIGHTS).per_example(LOGITS, jnp.asarray(shares))
    plain = -(shares * scipy.special.log_softmax(np.asarray(LOGITS, np.float64), axis=1)).sum(1)
    np.testing.assert_allclose(losses, plain * (shares @ np.array(WEIGHTS)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("loss", [CrossEntropy(), CrossEntropy(label_smoothing=0.1, class_weights=WEIGHTS)])
def test_a_distribution_that_is_all_one_class_is_its_label(loss):
    certain = jax.nn.one_hot(LABELS, CLASSES)
    np.testing.assert_array_equal(loss.per_example(LOGITS, certain), loss.per_example(LOGITS, LABELS))


def test_huge_logits_give_finite_losses():
    logits = jnp.array([[1e4, 0.0, -1e4]])
    losses = [float(CrossEntropy().per_example(logits, jnp.array([label]))[0]) for label in range(3)]
    assert losses == pytest.approx([0, 1e4, 2e4])


def test_the_penalty_is_the_sum_of_squares_of_the_stems_and_the_heads_kernels(ones):
    params = jax.tree.map(lambda leaf: 3 * leaf, ones)
    assert float(CrossEntropy(l2=0.5).penalty(params)) == 0.5 * 9 * (7 * 7 * 3 * 4 + 4 * CLASSES)
    assert float(CrossEntropy(l2=0.0).penalty(params)) == 0


def test_the_penalty_pulls_on_no_other_parameter(ones):
    gradients, _ = jax.tree.flatten_with_path(jax.grad(CrossEntropy(l2=0.5).penalty)(ones))
    pulled = {jax.tree_util.keystr(path, simple=True, separator="/") for path, leaf in gradients if leaf.any()}
    assert pulled == {"stem_conv/kernel", "head/kernel"}


def test_balanced_weights_are_scikit_learns():
    labels = np.repeat(np.arange(CLASSES), [5, 1, 9, 2, 2, 30, 4])
    reference = compute_class_weight("balanced", classes=np.arange(CLASSES), y=labels)
    np.testing.assert_allclose(balanced_class_weights(labels, CLASSES), reference, rtol=1e-12)


def test_a_config_makes_the_loss_it_describes():
    labels = np.asarray(LABELS)
    assert make_loss(LossConfig(), labels, CLASSES) == CrossEntropy(l2=0.01)
    config = LossConfig(label_smoothing=0.1, class_weights="balanced", l2=0.0)
    weights = balanced_class_weights(labels, CLASSES)
    assert make_loss(config, labels, CLASSES) == CrossEntropy(label_smoothing=0.1, class_weights=weights)
