"""Distillation against NumPy: the divergence, its share of each head's loss, and where there is none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from jaxfer.tasks import Affect, Distillation, Expression, Votes
from jaxfer.training import Objective

RANDOM = np.random.default_rng(0)
STUDENT, TEACHER = (RANDOM.normal(0, 3, (9, 7)).astype(np.float32) for _ in range(2))
LABELS = (np.arange(9) % 7).astype(np.int32)
MASK = np.arange(9) < 8
OWN = RANDOM.uniform(0, 3, 9).astype(np.float32)


def divergence(student, teacher, temperature):
    """Return KL(teacher || student) at a temperature in float64, [b]."""
    p, q = (scipy.special.softmax(x.astype(np.float64) / temperature, axis=-1) for x in (teacher, student))
    return (p * np.log(p / q)).sum(axis=-1)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0, 0.5])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_it_is_the_divergence_by_hand_in_a_share_of_the_loss(weight, temperature):
    found = Distillation(weight, temperature).loss(OWN, STUDENT, TEACHER)
    expected = (1 - weight) * OWN + weight * temperature**2 * divergence(STUDENT, TEACHER, temperature)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_who_says_the_same_as_the_teacher_has_nothing_left_to_learn():
    loss = lambda logits: Distillation(1.0, 4.0).loss(OWN, logits, TEACHER).sum()  # noqa: E731
    value, gradient = jax.value_and_grad(loss)(TEACHER + 5)  # logits are logits up to a constant
    np.testing.assert_allclose(value, 0, atol=1e-4)
    np.testing.assert_allclose(gradient, 0, atol=1e-5)
    log_probabilities = scipy.special.log_softmax(TEACHER, axis=-1)
    both = [Distillation(0.5, 4.0).loss(OWN, STUDENT, one) for one in (TEACHER, log_probabilities)]
    np.testing.assert_allclose(*both, rtol=1e-4)


def test_the_gradient_is_that_of_the_paper_at_a_high_temperature():
    # Hinton et al., equation 4: (z - v) / (N T^2) for logits of mean zero, times the factor T^2.
    student, teacher = (x - x.mean(axis=-1, keepdims=True) for x in (STUDENT, TEACHER))
    gradient = jax.grad(lambda logits: Distillation(1.0, 1000.0).loss(OWN, logits, teacher).sum())(student)
    np.testing.assert_allclose(gradient, (student - teacher) / 7, atol=0.01)


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(AssertionError, match="assert_equal_shape failed"):
        Distillation(0.5, 1.0).loss(OWN, STUDENT, TEACHER[:1])


def outputs_and_batch(**columns):
    votes = RANDOM.normal(size=(9, 10)).astype(np.float32)
    batch = {"label": LABELS, "mask": MASK, "votes": np.tile(np.arange(10, dtype=np.float32), (9, 1))}
    affect = np.full((9, 2), 0.5, np.float32)
    return {"logits": STUDENT, "votes": votes, "affect": affect}, batch | {"valence": OWN - 1} | columns


def test_each_head_that_has_a_teacher_learns_from_it_and_the_others_from_their_annotation():
    said = RANDOM.normal(size=(9, 10)).astype(np.float32)
    outputs, batch = outputs_and_batch(teacher_logits=TEACHER, teacher_votes=said)
    term, tasks = Distillation(0.6, 2.0), (Affect(), Votes())
    objective = Objective(Expression(0.1), tasks, head_weight=0.5, distillation=term)
    expression = Expression(0.1).loss(outputs, batch)
    affect, votes = (task.loss(outputs, batch) for task in tasks)

    def blended(own, logits, teacher):
        return 0.4 * own + 0.6 * 4 * divergence(logits, teacher, 2.0)

    expected = blended(expression, STUDENT, TEACHER) + 0.5 * (affect + blended(votes, outputs["votes"], said))
    np.testing.assert_allclose(objective.losses(outputs, batch), np.where(MASK, expected, 0), rtol=1e-4, atol=1e-5)
    del batch["teacher_votes"]
    expected = blended(expression, STUDENT, TEACHER) + 0.5 * (affect + votes)
    np.testing.assert_allclose(objective.losses(outputs, batch), np.where(MASK, expected, 0), rtol=1e-4, atol=1e-5)


def test_without_their_columns_as_in_validation_the_loss_is_the_plain_one():
    outputs, batch = outputs_and_batch()
    plain = Objective(Expression(0.1), (Votes(),)).losses(outputs, batch)
    taught = Objective(Expression(0.1), (Votes(),), distillation=Distillation(0.6, 2.0)).losses(outputs, batch)
    np.testing.assert_array_equal(taught, plain)


def test_its_numbers_are_leaves():
    assert jax.tree.leaves(Distillation(0.6, 2.0)) == [0.6, 2.0]
    traced = jax.jit(lambda term: term.loss(OWN, STUDENT, TEACHER))
    for term in (Distillation(jnp.float32(0.6), jnp.float32(2.0)), Distillation(jnp.float32(0.2), jnp.float32(3.0))):
        np.testing.assert_allclose(traced(term), term.loss(OWN, STUDENT, TEACHER), rtol=1e-5)
    assert traced._cache_size() == 1
