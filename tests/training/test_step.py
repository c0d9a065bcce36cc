"""One step function behind one device, jit over a mesh, and pmap: the same numbers, the same state."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from networks import Linear

from jaxfer.data.batches import Batches
from jaxfer.data.dataset import Split
from jaxfer.devices import OneDevice, Pmapped, Sharded, choose_parallel
from jaxfer.models import ResNetFER, ResNetFER18
from jaxfer.tasks import Expression
from jaxfer.training import Objective, create_state, make_eval_step, make_train_step

EXPRESSION = Expression(label_smoothing=0.1, class_weights=(1.0, 2.0, 0.5, 1.0, 1.0, 3.0, 1.0))
LOSS = Objective(EXPRESSION, l2=0.01)
WAYS = [OneDevice, Sharded, Pmapped]
RESNET, STEM = (ResNetFER(width=8, stage_sizes=sizes) for sizes in ((1, 1), ()))
"""A network with all there is, and one of a convolution and its statistics, which compiles in a third of the time."""


def start(model, optimizer, parallel, **options):
    return parallel.place(create_state(model, optimizer, seed=0, image_size=32, **options))


def copy_to_host(tree):
    return jax.tree.map(np.array, tree)


def run(model, optimizer, parallel, batches, steps, **options):
    state = start(model, optimizer, parallel, ema="ema" in options)
    step = make_train_step(model, optimizer, LOSS, parallel=parallel, **options)
    metrics = []
    for k in range(steps):
        state, batch_metrics = step(state, batches[k])
        metrics.append(copy_to_host(batch_metrics))
    return state, metrics


# Slow: the third network is compiled for one device and for four.
@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("way", "model", "batch_size"),
    [
        *((way, STEM, size) for size in (14, 16) for way in WAYS[1:]),
        *(pytest.param(way, RESNET, 14, marks=pytest.mark.slow) for way in WAYS[1:]),
    ],
)
def test_every_way_gives_the_gradients_and_parameters_of_one_device(data, way, model, batch_size):
    # Plain SGD: the change of the parameters is the gradient, which Adam would hide behind its scaling. The third
    # and the fourth batch are partial ones. Each step starts from the same state, so that rounding has no time to grow.
    batches, optimizer = Batches(data.train, batch_size, seed=0), optax.sgd(0.05)
    steps = [(p, make_train_step(model, optimizer, LOSS, parallel=p)) for p in (OneDevice(), way())]
    state = start(model, optimizer, OneDevice())
    for k in range(6):
        begin = copy_to_host(state.params)
        taken = [step(p.place(jax.tree.map(jnp.copy, state)), batches[k]) for p, step in steps]
        (state, one_metrics), (_, many_metrics) = taken
        one, many = [copy_to_host((s.params, s.batch_stats)) for s, _ in taken]
        change = [jax.tree.map(np.subtract, params, begin) for params, _ in (one, many)]
        norms = [float(optax.tree.norm(c)) for c in change]
        assert norms[1] == pytest.approx(norms[0], rel=1e-5)
        chex.assert_trees_all_close(many, one, rtol=0, atol=1e-5)
        chex.assert_trees_all_close(many_metrics, one_metrics, rtol=1e-5, atol=1e-5)


@pytest.mark.few(2)
@pytest.mark.parametrize("way", WAYS)
def test_padding_changes_no_number(data, way):
    split = Split("train", data.train.images[:10], data.train.labels[:10])
    exact, padded = Batches(split, 10, seed=0), Batches(split, 16, seed=0)
    reference, reference_metrics = run(STEM, optax.sgd(0.05), OneDevice(), exact, 3)
    state, metrics = run(STEM, optax.sgd(0.05), way(), padded, 3)
    chex.assert_trees_all_close(copy_to_host(state.params), copy_to_host(reference.params), rtol=0, atol=1e-5)
    chex.assert_trees_all_close(metrics, reference_metrics, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_a_step_keeps_structure_dtypes_and_shardings_and_is_traced_once(data, way):
    traces = []

    class Counting(Expression):
        def loss(self, outputs, batch):
            traces.append(1)
            return super().loss(outputs, batch)

    model, batches, optimizer, parallel = Linear(), Batches(data.train, 16, seed=0), optax.adam(1e-3), way()
    state = start(model, optimizer, parallel, ema=True)
    before = jax.tree.map(lambda x: (x.shape, x.dtype, x.sharding), state)
    step = make_train_step(model, optimizer, Objective(Counting()), parallel=parallel, ema=0.9)
    for k in range(4):
        state, _ = step(state, batches[k])
    assert jax.tree.map(lambda x: (x.shape, x.dtype, x.sharding), state) == before
    assert int(state.step) == 4
    assert len(traces) == 1


@pytest.mark.few(2)
@pytest.mark.parametrize("way", WAYS)
def test_evaluation_covers_every_example_once_however_it_is_run(data, way):
    model, parallel = STEM, way()
    state = start(model, optax.sgd(0.1), parallel)
    step = make_eval_step(model, LOSS, parallel=parallel)
    batch = Batches(data.train, 14, seed=0)[3]  # 2 examples and 12 rows of padding
    logits = model.apply(jax.device_get(state.variables), batch["image"][:2])["logits"]
    expected = EXPRESSION.loss({"logits": logits}, {"label": batch["label"][:2]}).mean() + LOSS.penalty(state.params)
    metrics = step(state.variables, batch)
    assert int(metrics.count) == 2
    assert float(metrics.loss) / 2 == pytest.approx(float(expected), rel=1e-5)


def test_one_compiled_step_serves_all_hyper_parameters(data):
    traces, batches, parallel = [], Batches(data.train, 16, seed=0), OneDevice()

    def optimizer(rate):
        traces.append(1)
        return optax.sgd(rate)

    step = make_train_step(Linear(), optimizer, lambda rate: Objective(l2=rate), parallel=parallel)
    for rate in (0.5, 0.25):
        state = start(Linear(), optax.sgd(rate), parallel)
        expected, _ = make_train_step(Linear(), optax.sgd(rate), Objective(l2=rate))(
            start(Linear(), optax.sgd(rate), parallel), batches[0]
        )
        found, _ = step(state, batches[0], jnp.float32(rate))
        chex.assert_trees_all_close(found.params, expected.params, rtol=1e-6, atol=1e-7)
    assert len(traces) == 1


@pytest.mark.long
def test_sixteen_images_are_learned_by_heart(data):
    sixteen = Split("train", data.train.images[:16], np.arange(16, dtype=np.int32)[::-1] % 7)
    model, optimizer, parallel = ResNetFER(width=16, stage_sizes=(1, 1)), optax.adam(3e-3), Sharded()
    _, metrics = run(model, optimizer, parallel, Batches(sixteen, 16, seed=0), 80)
    assert np.trace(metrics[-1].confusion_matrix) == 16


def test_the_average_follows_the_parameters_and_is_what_is_evaluated(data):
    model, optimizer, batches = Linear(), optax.sgd(0.1), Batches(data.train, 16, seed=0)
    first = copy_to_host(start(model, optimizer, OneDevice()).params)
    state, _ = run(model, optimizer, OneDevice(), batches, 1, ema=0.75)
    expected = jax.tree.map(lambda old, new: 0.75 * old + 0.25 * np.asarray(new), first, state.params)
    chex.assert_trees_all_close(copy_to_host(state.ema), expected, rtol=1e-5, atol=1e-7)
    assert state.variables["params"] is state.ema


def test_the_decay_of_the_average_can_rise(data):
    model, optimizer, batches = Linear(), optax.sgd(0.1), Batches(data.train, 16, seed=0)
    state = start(model, optimizer, OneDevice(), ema=True)
    step = make_train_step(model, optimizer, LOSS, ema=0.75, ema_warmup=True)
    # (1 + t) / (10 + t) is 0.1 in the first step, and above 0.75 from the 27th on.
    for t, decay in enumerate([0.1, 2 / 11, 3 / 12, *[None] * 23, 27 / 36, 0.75, 0.75]):
        before = copy_to_host(state.ema)
        state, _ = step(state, batches[t])
        if decay is not None:
            mixed = jax.tree.map(lambda old, new, k=decay: k * old + (1 - k) * np.asarray(new), before, state.params)
            chex.assert_trees_all_close(copy_to_host(state.ema), mixed, rtol=1e-5, atol=1e-7)


def test_randomness_is_a_function_of_key_and_step(data):
    model, optimizer = Linear(dropout=0.5), optax.sgd(0.1)
    batches = Batches(data.train, 16, seed=0)

    def noisy(key, batch):
        images = batch["image"] / 255
        return batch | {"image": images + 0.1 * jax.random.normal(key, images.shape)}

    runs = [run(model, optimizer, OneDevice(), batches, 2, transform=noisy)[0] for _ in range(2)]
    chex.assert_trees_all_equal(copy_to_host(runs[0].params), copy_to_host(runs[1].params))
    step = make_train_step(model, optimizer, Objective(), transform=noisy)
    losses = []
    for at in (0, 1):
        state = start(model, optimizer, OneDevice())
        state = OneDevice().place(state.replace(step=jnp.asarray(at, jnp.int32)))
        losses.append(float(step(state, batches[0])[1].loss))
    assert losses[0] != losses[1]


def test_pmapped_devices_do_not_share_their_noise(data):
    model, optimizer, parallel = Linear(), optax.sgd(0.0), Pmapped()
    seen = []

    def record(key, batch):
        jax.debug.callback(lambda k: seen.append(tuple(np.asarray(k))), jax.random.key_data(key))
        return batch

    step = make_train_step(model, optimizer, Objective(), parallel=parallel, transform=record)
    jax.block_until_ready(step(start(model, optimizer, parallel), Batches(data.train, 16, seed=0)[0]))
    jax.effects_barrier()
    assert len(set(seen)) == len(parallel.devices)


def test_a_large_network_trains_on_one_device_of_a_cpu():
    assert len(choose_parallel(32, ResNetFER()).devices) == 4
    assert len(choose_parallel(32, ResNetFER18()).devices) == 1
    assert len(choose_parallel(32).devices) == 4
    assert len(choose_parallel(8, ResNetFER()).devices) == 1


class Fixed(nn.Module):
    """A network that takes images of one size alone."""

    @nn.compact
    def __call__(self, images, *, train=False, mask=None):
        assert images.shape[1:3] == (32, 32)
        return {"logits": nn.Dense(7)(images.reshape(len(images), -1))}


def test_a_network_for_one_size_of_images_is_asked_with_that_size():
    assert len(choose_parallel(32, Fixed(), 32).devices) == 4


def test_an_optimizer_that_gives_out_its_own_key_starts_twice(data):
    model, batch = Linear(), Batches(data.train, 16, seed=0)[0]
    optimizer = optax.chain(optax.add_noise(0.01, 0.5, key=jax.random.key(3)), optax.sgd(0.1))
    step = make_train_step(model, optimizer, Objective())
    first, second = (step(start(model, optimizer, OneDevice()), batch)[0].params for _ in range(2))
    chex.assert_trees_all_equal(first, second)
