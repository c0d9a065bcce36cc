import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxfer.config import OptimizerConfig
from jaxfer.training.optimizers import make_optimizer, make_schedule

ALL = [
    OptimizerConfig(),
    OptimizerConfig(optimizer="adamw", weight_decay=0.1),
    OptimizerConfig(optimizer="sgd", weight_decay=0.1),
]
NAMES = [config.optimizer for config in ALL]


def params():
    random = np.random.default_rng(1)
    shapes = {"kernel": (3, 4), "bias": (4,), "scale": (4,)}
    return {name: jnp.asarray(random.normal(size=shape), jnp.float32) for name, shape in shapes.items()}


def gradients(steps, scale):
    """Return the gradients of each step, of magnitudes from 0.01 to 100 times `scale`."""
    random = np.random.default_rng(2)
    sizes = scale * 10 ** random.uniform(-2, 2, (steps, 20))
    rows = (sizes * random.choice([-1, 1], sizes.shape)).astype(np.float32)
    return [{"kernel": row[:12].reshape(3, 4), "bias": row[12:16], "scale": row[16:]} for row in rows]


def run(optimizer, steps, *, values=None, state=None) -> tuple[Any, Any]:
    """Return the parameters and the state after a step on each of the gradients `steps`."""
    values = params() if values is None else values
    state = optimizer.init(values) if state is None else state
    update = jax.jit(optimizer.update)
    for gradient in steps:
        updates, state = update(gradient, state, values)
        values = optax.apply_updates(values, updates)
    return values, state


def keras_adam(steps, rate, epsilon):
    """Adam as Keras writes it, in float64: returns by how much each parameter changes."""
    moved = {}
    for name in steps[0]:
        p, m, v = 0.0, 0.0, 0.0
        for t, gradient in enumerate((step[name].astype(np.float64) for step in steps), start=1):
            m = 0.9 * m + 0.1 * gradient
            v = 0.999 * v + 0.001 * gradient**2
            p = p - rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + epsilon)
        moved[name] = p
    return moved


def zeros():
    return jax.tree.map(jnp.zeros_like, params())


def assert_close(tree, other, **tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), tree, other)


def norm(tree):
    return float(np.sqrt(sum(np.square(leaf.astype(np.float64)).sum() for leaf in jax.tree.leaves(tree))))


# Adam


@pytest.mark.parametrize("scale", [1e-8, 1e-6, 1.0])
@pytest.mark.parametrize("epsilon", [1e-7, 1e-4])
def test_adam_is_keras_adam(scale, epsilon):
    steps = gradients(10, scale)
    moved, _ = run(make_optimizer(OptimizerConfig(epsilon=epsilon), 0.01), steps, values=zeros())
    assert_close(moved, keras_adam(steps, 0.01, epsilon), rtol=2e-4)


def test_adams_epsilon_is_not_where_optax_puts_it():
    steps = gradients(10, 1e-6)
    theirs, _ = run(optax.adam(0.01, eps=1e-7), steps, values=zeros())
    ratios = jax.tree.map(lambda a, b: np.abs(a / b - 1), theirs, keras_adam(steps, 0.01, 1e-7))
    assert max(ratio.max() for ratio in jax.tree.leaves(ratios)) > 0.1


# Decay, momentum, clipping


def test_adamw_shrinks_kernels_and_neither_biases_nor_scales():
    steps, rate, decay = gradients(1, 1.0), 0.01, 0.1
    adamw = make_optimizer(OptimizerConfig(optimizer="adamw", weight_decay=decay), rate)
    start, (plain, _), (decayed, _) = params(), run(make_optimizer(OptimizerConfig(), rate), steps), run(adamw, steps)
    for name in ("bias", "scale"):
        np.testing.assert_array_equal(decayed[name], plain[name])
    np.testing.assert_allclose(decayed["kernel"], plain["kernel"] - rate * decay * start["kernel"], atol=1e-6)

    # Without a gradient Adam stands still, and the decay alone is left.
    still, _ = run(adamw, [jax.tree.map(jnp.zeros_like, steps[0])] * 5)
    np.testing.assert_allclose(still["kernel"], start["kernel"] * (1 - rate * decay) ** 5, rtol=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_sgd_is_nesterov_momentum_with_decay_in_the_gradient(decay):
    steps, rate, momentum = gradients(6, 0.1), 0.05, 0.8
    config = OptimizerConfig(optimizer="sgd", momentum=momentum, weight_decay=decay)
    ours, _ = run(make_optimizer(config, rate), steps)
    for name, start in params().items():
        p, velocity = np.asarray(start, np.float64), 0.0
        for step in steps:
            gradient = step[name] + (decay * p if name == "kernel" else 0)
            velocity = momentum * velocity + gradient
            p = p - rate * (gradient + momentum * velocity)
        np.testing.assert_allclose(ours[name], p, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("limit", [0.5, 1.0, 1e6])
def test_clipping_scales_all_gradients_to_the_limit_together(limit):
    (gradient,) = gradients(1, 1.0)
    config = OptimizerConfig(optimizer="sgd", momentum=0.0, clip_norm=limit)
    moved, _ = run(make_optimizer(config, 1.0), [gradient], values=zeros())
    factor = min(1, limit / norm(gradient))
    assert_close(moved, jax.tree.map(lambda leaf: -factor * leaf, gradient), rtol=1e-5)


@pytest.mark.parametrize("config", ALL, ids=NAMES)
def test_clipping_comes_before_the_rule(config):
    steps = gradients(5, 1.0)
    factors = [min(1, 0.5 / norm(step)) for step in steps]
    clipped_steps = [{k: f * leaf for k, leaf in step.items()} for f, step in zip(factors, steps, strict=True)]
    clipped = dataclasses.replace(config, clip_norm=0.5)
    ours, _ = run(make_optimizer(clipped, 0.01), steps)
    reference, _ = run(make_optimizer(config, 0.01), clipped_steps)
    assert_close(ours, reference, rtol=1e-4, atol=1e-6)


# Schedules

STEPS, EPOCHS = 10, 6


def rates(**fields):
    """Return the learning rate at every step of six epochs of ten, and at the one after, float64 [61]."""
    schedule = make_schedule(OptimizerConfig(learning_rate=0.5, **fields), steps_per_epoch=STEPS, epochs=EPOCHS)
    return np.array([schedule(step) for step in range(STEPS * EPOCHS + 1)], np.float64)


def test_the_constant_rate_is_constant():
    np.testing.assert_array_equal(rates(), 0.5)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "step"])
@pytest.mark.parametrize("warmup", [0.5, 1, 2.5])
def test_warm_up_rises_in_a_straight_line_from_zero_to_the_peak(schedule, warmup):
    steps = round(warmup * STEPS)
    np.testing.assert_allclose(
        rates(schedule=schedule, warmup_epochs=warmup)[: steps + 1], np.linspace(0, 0.5, steps + 1), rtol=1e-6
    )


@pytest.mark.parametrize("warmup", [0, 1, 2.5])
def test_the_cosine_falls_from_the_peak_to_zero_at_the_end(warmup):
    steps = round(warmup * STEPS)
    falling = rates(schedule="cosine", warmup_epochs=warmup)[steps:]
    assert falling[0] == 0.5
    assert (np.diff(falling) < 0).all()
    np.testing.assert_allclose(falling, 0.25 * (1 + np.cos(np.linspace(0, np.pi, len(falling)))), atol=1e-6)


@pytest.mark.parametrize("warmup", [0, 1.5, 2])
def test_the_step_schedule_divides_by_ten_exactly_after_its_epochs(warmup):
    falling = rates(schedule="step", warmup_epochs=warmup, step_epochs=(2, 5))
    steps = np.arange(round(warmup * STEPS), len(falling))
    reference = 0.5 * 0.1 ** ((steps >= 2 * STEPS).astype(int) + (steps >= 5 * STEPS))
    np.testing.assert_allclose(falling[steps], reference, rtol=1e-6)


def test_a_warm_up_as_long_as_the_run_never_exceeds_the_peak():
    np.testing.assert_allclose(rates(schedule="cosine", warmup_epochs=EPOCHS), np.linspace(0, 0.5, 61), rtol=1e-6)


@pytest.mark.parametrize("config", ALL, ids=NAMES)
def test_a_resumed_run_takes_the_rates_and_updates_that_it_would_have_taken(config):
    steps = gradients(8, 1.0)

    stepped = dataclasses.replace(config, schedule="step", warmup_epochs=1, step_epochs=(3,))

    def rebuilt():
        return make_optimizer(stepped, make_schedule(stepped, steps_per_epoch=2, epochs=4))

    through, _ = run(rebuilt(), steps)
    values, state = run(rebuilt(), steps[:5])
    resumed, _ = run(rebuilt(), steps[5:], values=values, state=state)
    jax.tree.map(np.testing.assert_array_equal, resumed, through)
