"""Ways to the gradient, against references by hand, on one device, a mesh, under pmap and in a whole run."""

import dataclasses
import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small_data import bright_faces, dataset_of

from jaxfer.config import AugmentConfig, Config, DataConfig, LossConfig, OptimizerConfig
from jaxfer.data.batches import Batches
from jaxfer.devices import OneDevice, Pmapped, Sharded
from jaxfer.models import BatchNorm, unit_range
from jaxfer.training import (
    Hyperparameters,
    Objective,
    Program,
    accumulate,
    create_state,
    fit,
    make_train_step,
    plain,
    sam,
)
from jaxfer.training.gradients import Found

RATE = 0.1


class Net(nn.Module):
    """A network of one convolution, with batch normalisation or without."""

    normed: bool = False
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images, *, train, mask):
        x = nn.Conv(8, (5, 5), strides=4)(unit_range(images))
        if self.normed:
            x = BatchNorm(momentum=0.5, axis_name=self.axis_name, name="norm")(x, train=train, mask=mask)
        return {"logits": nn.Dense(7)(nn.relu(x).mean((1, 2)))}


class FlaxNet(nn.Module):
    """The same with Flax's batch normalisation, which makes NaN of a batch of nothing but padding."""

    @nn.compact
    def __call__(self, images, *, train, mask):
        x = nn.Conv(8, (5, 5), strides=4)(unit_range(images))
        x = nn.BatchNorm(use_running_average=not train)(x, mask=None if mask is None else mask[:, None, None, None])
        return {"logits": nn.Dense(7)(nn.relu(x).mean((1, 2)))}


PLAIN, NORMED = Net(), Net(normed=True)
LOSS = Objective(l2=0.01)


@pytest.fixture(scope="module")
def data():
    return dataset_of(bright_faces(44, "train", 0), bright_faces(21, "val", 1))


@pytest.fixture(scope="module")
def batch(data):
    """14 rows, which neither four devices nor three parts divide, of which the last three are padding."""
    return rows_of(data, 14, 11)


def rows_of(data, rows, valid):
    made = Batches(data.train, rows, seed=0)[0]
    return made | {"mask": np.arange(rows) < valid}


def take(model, parallel, batch, gradient, hyper=None):
    """Return the gradient, by a step of plain SGD, statistics and metrics of a step on the host."""
    optimizer = optax.sgd(RATE)
    state = create_state(model, optimizer, seed=0, image_size=32)
    before = jax.device_get(state.params)
    step = make_train_step(model, optimizer, LOSS, parallel=parallel, gradient=gradient)
    state, metrics = step(parallel.place(state), batch, hyper)
    moved = jax.tree.map(lambda old, new: (old - new) / RATE, before, jax.device_get(state.params))
    return moved, jax.device_get(state.batch_stats), jax.device_get(metrics)


def reference(model, batch, params=None):
    """Return loss, statistics and gradient of the examples of a batch by `value_and_grad`, without jaxfer's step."""
    state = create_state(model, optax.sgd(RATE), seed=0, image_size=32)
    rows = {name: jnp.asarray(values[batch["mask"]]) for name, values in batch.items()}

    @jax.jit
    @jax.value_and_grad
    def loss(params):
        variables = {"params": params, "batch_stats": state.batch_stats}
        outputs, _ = model.apply(variables, rows["image"], train=True, mask=None, mutable=["batch_stats"])
        log_probabilities = jax.nn.log_softmax(outputs["logits"])
        squares = sum(jnp.square(leaf).sum() for leaf in jax.tree.leaves(params) if leaf.ndim > 1)
        return -log_probabilities[jnp.arange(len(rows["label"])), rows["label"]].mean() + 0.01 * squares

    params = state.params if params is None else params
    value, gradient = loss(params)
    return float(value), params, gradient


def assert_close(found, expected, atol=2e-6):
    """Compare gradients by their norms, which a factor would change, and element by element."""
    assert float(optax.tree.norm(found)) == pytest.approx(float(optax.tree.norm(expected)), rel=1e-5)
    chex.assert_trees_all_close(found, jax.device_get(expected), rtol=0, atol=atol)


# Sharpness-aware minimisation


def quadratic(matrix):
    """Return the loss x^T A x / 2 and its gradient, as a step evaluates them."""

    def evaluate(params, batch_stats, batch, key):
        loss, gradient = jax.value_and_grad(lambda x: x @ jnp.asarray(matrix, jnp.float32) @ x / 2)(params)
        return (loss, Found({"seen": params}, {"at": params}, jnp.int32(1))), gradient

    return evaluate


def test_sam_descends_a_quadratic_as_by_hand():
    matrix, rho, rate = np.array([[3.0, 1.0], [1.0, 2.0]]), 0.3, 0.1
    step = jax.jit(lambda x: sam(rho)(quadratic(matrix))(x, {}, {}, jax.random.key(0)))
    found = jnp.array([1.0, -2.0])
    for _ in range(20):
        x = np.asarray(found, np.float64)
        slope = matrix @ x
        expected = matrix @ (x + rho * slope / np.linalg.norm(slope))
        (loss, aux), gradient = step(found)
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)
        # Loss, outputs and statistics are those of the parameters themselves.
        assert float(loss) == pytest.approx(x @ matrix @ x / 2, rel=1e-4)
        np.testing.assert_array_equal(aux.outputs["seen"], found)
        np.testing.assert_array_equal(aux.batch_stats["at"], found)
        found -= rate * gradient
    assert np.linalg.norm(x) < 0.2


def test_sam_where_nothing_slopes_is_the_plain_gradient():
    (loss, _), gradient = sam(0.3)(quadratic(np.eye(2)))(jnp.zeros(2), {}, {}, jax.random.key(0))
    assert float(loss) == 0
    np.testing.assert_array_equal(gradient, np.zeros(2))


@pytest.mark.parametrize("model", [PLAIN, pytest.param(NORMED, marks=pytest.mark.slow)], ids=["plain", "batch norm"])
def test_sam_is_two_gradients_of_a_network(model, batch):
    rho = 0.5
    value, params, first = reference(model, batch)
    scale = rho / float(optax.tree.norm(first))
    beside = jax.tree.map(lambda p, g: p + scale * g, params, first)
    _, _, expected = reference(model, batch, beside)
    found, statistics, metrics = take(model, OneDevice(), batch, sam(rho))
    assert_close(found, expected)
    assert float(optax.tree.norm(jax.tree.map(jnp.subtract, expected, first))) > 0.01  # it is another gradient
    usual, usual_statistics, _ = take(model, OneDevice(), batch, plain)
    assert_close(usual, first)
    chex.assert_trees_all_close(statistics, usual_statistics, rtol=0, atol=1e-6)
    assert float(metrics.loss) / 11 == pytest.approx(value, rel=1e-5)


# Part by part


@pytest.mark.few(3)
@pytest.mark.parametrize(("rows", "valid", "parts"), [(14, 14, 2), (14, 11, 3), (16, 3, 4), (14, 14, 20)])
def test_parts_of_a_batch_add_up_to_the_whole(data, rows, valid, parts):
    batch = rows_of(data, rows, valid)
    expected, _, whole = take(PLAIN, OneDevice(), batch, plain)
    found, _, metrics = take(PLAIN, OneDevice(), batch, accumulate(parts))
    assert_close(found, expected)
    chex.assert_trees_all_close(metrics, whole, rtol=1e-5, atol=1e-5)


def test_a_part_of_nothing_but_padding_counts_for_nothing_even_where_it_is_not_a_number(data):
    # Rows 0 and 1 are examples: parts 2 and 3 of four have none, and Flax's mean over none is NaN.
    batch = rows_of(data, 8, 2)
    found, statistics, metrics = take(FlaxNet(), OneDevice(), batch, accumulate(4))
    expected, *_ = take(FlaxNet(), OneDevice(), rows_of(data, 2, 2), accumulate(2))
    assert_close(found, expected)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((statistics, metrics.loss)))


def test_the_statistics_of_batch_normalisation_move_once_a_part(data):
    batch = rows_of(data, 14, 14)
    _, found, _ = take(NORMED, OneDevice(), batch, accumulate(2))
    state = create_state(NORMED, optax.sgd(RATE), seed=0, image_size=32)
    kernel = state.params["Conv_0"]
    mean = np.zeros(8)
    for part in (batch["image"][::2], batch["image"][1::2]):
        x = nn.Conv(8, (5, 5), strides=4).apply({"params": kernel}, unit_range(part))
        mean = 0.5 * mean + 0.5 * np.asarray(x).mean((0, 1, 2))
    np.testing.assert_allclose(found["norm"]["mean"], mean, rtol=1e-4, atol=1e-6)


def test_the_parts_drop_features_each_in_its_own_way(data):
    class Dropped(nn.Module):
        @nn.compact
        def __call__(self, images, *, train, mask):
            x = nn.Dropout(0.5, deterministic=not train)(jnp.ones((len(images), 32)))
            return {"logits": nn.Dense(7)(x)}

    state, seen = create_state(Dropped(), optax.sgd(RATE), seed=0, image_size=32), []

    def outputs(evaluate):
        def at(*arguments):
            (loss, found), gradients = accumulate(2)(evaluate)(*arguments)
            jax.debug.callback(lambda logits: seen.append(np.asarray(logits)), found.outputs["logits"])
            return (loss, found), gradients

        return at

    jax.block_until_ready(
        make_train_step(Dropped(), optax.sgd(RATE), LOSS, gradient=outputs)(state, rows_of(data, 4, 4))
    )
    jax.effects_barrier()
    assert len({row.tobytes() for row in seen[0]}) == 4


# Every way to run a step


CASES = {
    "sam": (NORMED, sam(0.5)),
    "accumulate": (PLAIN, accumulate(3)),
    "accumulate with batch norm": (NORMED, accumulate(2)),
    "both": (PLAIN, lambda evaluate: sam(0.5)(accumulate(3)(evaluate))),
}


@pytest.fixture(scope="module")
def alone(batch):
    """Return what one device takes in each case."""
    return functools.cache(lambda case: take(CASES[case][0], OneDevice(), batch, CASES[case][1]))


@pytest.mark.few(2)
@pytest.mark.parametrize("case", [*CASES][::-1])
@pytest.mark.parametrize("way", [Sharded, pytest.param(Pmapped, marks=pytest.mark.slow)])
def test_every_way_takes_the_gradient_of_one_device(batch, alone, way, case):
    # Four devices get 4, 4, 4 and 2 rows, of which 4, 4, 3 and 0 are examples: each would weigh its parts otherwise.
    model, gradient = CASES[case]
    one, one_statistics, one_metrics = alone(case)
    many, many_statistics, many_metrics = take(model, way(), batch, gradient)
    assert_close(many, one)
    chex.assert_trees_all_close(many_statistics, one_statistics, rtol=0, atol=1e-6)
    chex.assert_trees_all_close(many_metrics, one_metrics, rtol=1e-5, atol=1e-5)


# In a run


CONFIG = Config(
    data=DataConfig(image_size=32),
    loss=LossConfig(l2=0.01),
    optimizer=OptimizerConfig(optimizer="sgd", momentum=0.0, learning_rate=RATE),
    epochs=1,
    batch_size=44,
)


def moved(config, data, **options):
    """Return the gradient of a run of one step."""
    state, _ = fit(config, data, **{"model": PLAIN} | options)
    before = create_state(PLAIN, optax.sgd(RATE), seed=0, image_size=32).params
    return jax.tree.map(lambda old, new: (np.asarray(old) - np.asarray(new)) / RATE, before, state.params)


def test_a_config_asks_for_both(data):
    batch = Batches(data.train, 44, seed=0)[0]
    _, params, first = reference(PLAIN, batch)
    optimizer = dataclasses.replace(CONFIG.optimizer, sam=0.5, accumulate=2)
    config = dataclasses.replace(CONFIG, optimizer=optimizer)
    scale = 0.5 / float(optax.tree.norm(first))
    _, _, expected = reference(PLAIN, batch, jax.tree.map(lambda p, g: p + scale * g, params, first))
    assert_close(moved(config, data, parallel=Pmapped()), expected)


def test_rho_is_a_number_of_the_run_and_parts_are_of_the_program(data):
    def config(**changes):
        return dataclasses.replace(CONFIG, optimizer=dataclasses.replace(CONFIG.optimizer, **changes))

    program = Program(config(sam=0.05), data, model=PLAIN)
    assert Hyperparameters.of(config(sam=0.05)).sam == np.float32(0.05)
    assert program.serves(config(sam=0.5), data)
    assert not program.serves(config(), data)
    assert not program.serves(config(sam=0.05, accumulate=2), data)
    assert_close(moved(config(sam=0.5), data, program=program, model=None), moved(config(sam=0.5), data))


@pytest.mark.long
def test_a_run_with_both_goes_on_to_the_same_bits(data, tmp_path):
    optimizer = OptimizerConfig(sam=0.05, accumulate=2, ema=0.9)
    augment = AugmentConfig(alternate_flip=True, mixup=0.2)
    config = dataclasses.replace(CONFIG, optimizer=optimizer, augment=augment, batch_size=16)
    two = dataclasses.replace(config, epochs=2)
    program = Program(two, data, model=NORMED)
    fit(config, data, run_dir=tmp_path / "run", program=program)
    resumed, rows = fit(two, data, run_dir=tmp_path / "run", resume=True, program=program)
    whole, _ = fit(two, data, program=program)
    assert len(rows) == 2
    on_host = [jax.device_get(state.replace(key=jax.random.key_data(state.key))) for state in (resumed, whole)]
    chex.assert_trees_all_equal(*on_host)
