"""Numbers that are arguments of the compiled steps: one program for many runs, each the run it would be alone."""

import dataclasses
import gc
import weakref

import chex
import flax.linen as nn
import jax
import numpy as np
import optax
import pytest
from networks import Convolutional, Linear
from programs.small_run import CONFIG, MODEL, on_host, two, without_clock

from jaxfer.config import AugmentConfig, Config, LossConfig, OptimizerConfig
from jaxfer.devices import OneDevice, Pmapped, Sharded
from jaxfer.tasks import Affect
from jaxfer.training import (
    HostFeed,
    Hyperparameters,
    Program,
    ResidentFeed,
    fit,
    make_objective,
    make_optimizer,
    make_schedule,
)
from jaxfer.training.hyperparameters import structure

compiled = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, _, **__: compiled.append(event) if event.endswith("backend_compile_duration") else None
)

SGD = dataclasses.replace(CONFIG.optimizer, weight_decay=0.01, clip_norm=2.0)
ADAMW = OptimizerConfig(optimizer="adamw", weight_decay=0.1, clip_norm=1.0, schedule="step", step_epochs=(1,))
WITH_ALL = dataclasses.replace(CONFIG, optimizer=SGD, loss=LossConfig(l2=0.001, label_smoothing=0.1))

QUICK = dataclasses.replace(CONFIG, augment=AugmentConfig(), epochs=1)
"""Without random numbers, which take longest to compile."""


def replaced(config, section, **values):
    return dataclasses.replace(config, **{section: dataclasses.replace(getattr(config, section), **values)})


OTHERS = [
    dataclasses.replace(WITH_ALL, seed=5),
    dataclasses.replace(WITH_ALL, epochs=1),
    replaced(WITH_ALL, "optimizer", learning_rate=0.02),
    replaced(WITH_ALL, "optimizer", weight_decay=0.2),
    replaced(WITH_ALL, "optimizer", clip_norm=0.1),
    replaced(WITH_ALL, "loss", label_smoothing=0.3),
    replaced(WITH_ALL, "loss", l2=0.1),
]


def test_runs_that_differ_in_numbers_compile_once_and_are_bit_for_bit_what_they_are_alone(data):
    model = Convolutional(dropout=0.3)
    program = Program(WITH_ALL, data, model=model)
    first, _ = fit(WITH_ALL, data, program=program)
    compiled.clear()
    together = [fit(config, data, program=program) for config in OTHERS]
    assert not compiled
    for state, _ in together:
        assert not np.array_equal(state.params["head"]["kernel"], first.params["head"]["kernel"]), "it did nothing"
    for index in (0, 2, 5):
        alone, rows = fit(OTHERS[index], data, model=model)
        chex.assert_trees_all_equal(on_host(together[index][0]), on_host(alone))
        assert without_clock(together[index][1]) == without_clock(rows)


def copied(data):
    """Return the same data in arrays of its own."""
    return dataclasses.replace(data, splits={key: whole(data.split(key)) for key in ("train", "val")})


def whole(split):
    return dataclasses.replace(split, images=np.array(split.images), labels=np.array(split.labels))


@pytest.mark.parametrize(
    ("way", "feed"),
    [
        (OneDevice, ResidentFeed(steps=2)),
        *(pytest.param(way, HostFeed(), marks=pytest.mark.slow) for way in (Sharded, Pmapped)),
    ],
    ids=str,
)
def test_a_second_fit_of_a_network_and_config_compiles_nothing_and_holds_no_data(data, way, feed):
    config = replaced(QUICK, "optimizer", statistics_images=20)
    options = {"model": MODEL, "parallel": two(way), "feed": feed}
    first, rows = fit(config, data, **options)
    compiled.clear()
    again = copied(data)
    held = [weakref.ref(split.images) for split in (again.train, again.val)]
    second, same = fit(config, again, **options)
    assert not compiled
    chex.assert_trees_all_equal(on_host(first), on_host(second))
    assert without_clock(rows) == without_clock(same)
    fit(replaced(dataclasses.replace(config, seed=5, epochs=2), "optimizer", learning_rate=0.02), again, **options)
    assert not compiled, "other numbers are no other program"
    del again
    gc.collect()
    assert not any(reference() for reference in held)


def test_a_first_fit_traces_its_network_no_more_than_it_must(data):
    network, traced = Linear(dropout=0.25), []

    def count(following, args, kwargs, context):
        traced.extend(["one"] if isinstance(context.module, Linear) and context.method_name == "__call__" else [])
        return following(*args, **kwargs)

    with nn.intercept_methods(count):
        fit(QUICK, data, model=network, parallel=OneDevice())
    # To check what it returns, to make its variables, to train it and to evaluate it: a second each where it is large.
    assert len(traced) == 4


def test_runs_that_compute_something_else_have_programs_of_their_own(data):
    heads = [
        fit(config, data, model=MODEL, parallel=OneDevice(), **more)[0].params["head"]["kernel"]
        for config, more in (
            (QUICK, {}),
            (QUICK, {"transforms": [lambda key, batch: {**batch, "image": batch["image"] // 2}]}),
            (QUICK, {"optimizer": optax.sgd(0.01)}),
            (replaced(QUICK, "loss", class_weights="balanced"), {}),
        )
    ]
    assert len({np.asarray(head).tobytes() for head in heads}) == len(heads)


def test_class_weights_are_those_of_the_data_at_hand(data):
    config, rows = replaced(CONFIG, "loss", class_weights="balanced"), np.arange(len(data.train)) != 0
    fewer = dataclasses.replace(
        data.train, images=data.train.images[rows], labels=data.train.labels[rows], names=data.train.names[1:]
    )
    other = dataclasses.replace(data, splits={"train": fewer, "val": data.val})
    programs = [Program(config, each, model=MODEL) for each in (data, other, copied(data))]
    weights = [program._recipe.objective(Hyperparameters()).expression.class_weights for program in programs]
    assert weights[0] == weights[2] != weights[1]
    assert programs[0]._recipe == programs[2]._recipe != programs[1]._recipe


def test_what_a_transform_of_ones_own_holds_goes_with_its_run(data):
    class Pixels:
        def __call__(self, key, batch):
            return batch

    transform = Pixels()
    held = weakref.ref(transform)
    fit(QUICK, data, model=MODEL, parallel=OneDevice(), transforms=[transform])
    del transform
    gc.collect()
    assert held() is None


def traced(values):
    """Return the numbers as a step has them: arrays that are no constants of its program."""
    return jax.tree.map(jax.numpy.asarray, values)


def test_a_configs_numbers_are_float32_and_what_is_0_is_none():
    numbers = Hyperparameters.of(WITH_ALL)
    fields = {**vars(WITH_ALL.loss), **vars(WITH_ALL.distill), **vars(WITH_ALL.optimizer)}
    for name, value in vars(numbers).items():
        assert value is None if not fields[name] else value == np.float32(fields[name])
        assert value is None or value.dtype == np.float32
    none = {name for name, value in vars(numbers).items() if value is None}
    assert none == {"momentum", "sam", "logit_adjustment", "backbone_rate", "layer_decay"}
    assert Hyperparameters.of(replaced(CONFIG, "optimizer", sam=0.05)).sam == np.float32(0.05)


@pytest.mark.parametrize("config", [SGD, ADAMW, OptimizerConfig()], ids=["sgd", "adamw", "adam"])
def test_an_optimizer_of_traced_numbers_is_that_of_constants_to_rounding(config):
    random = np.random.default_rng(0)
    params = {"kernel": random.normal(size=(20, 3)).astype(np.float32), "bias": np.ones(3, np.float32)}
    numbers = Hyperparameters.of(Config(optimizer=config))

    def train(hyper, gradients):
        peak = None if hyper is None else hyper.learning_rate
        schedule = make_schedule(config, steps_per_epoch=2, epochs=4, peak=peak)
        optimizer = make_optimizer(config, schedule, hyper)
        state, moved = optimizer.init(params), params
        for gradient in gradients:
            updates, state = optimizer.update(gradient, state, moved)
            moved = optax.apply_updates(moved, updates)
        return moved

    steps = [{name: random.normal(size=p.shape).astype(np.float32) for name, p in params.items()} for _ in range(5)]
    constant = jax.jit(lambda gradients: train(None, gradients))(steps)
    chex.assert_trees_all_close(jax.jit(train)(traced(numbers), steps), constant, rtol=1e-5, atol=1e-6)


def test_an_objective_of_traced_numbers_is_that_of_constants_to_rounding():
    random = np.random.default_rng(0)
    outputs = {"logits": random.normal(size=(9, 7)).astype(np.float32), "affect": np.full((9, 2), 0.5, np.float32)}
    batch = {"label": np.arange(9, dtype=np.int32) % 7, "mask": np.arange(9) < 8}
    batch |= {"valence": np.linspace(-1, 1, 9, dtype=np.float32)}
    params = {name: {"kernel": random.normal(size=(5, 4)).astype(np.float32)} for name in ("stem_conv", "head")}
    config = replaced(WITH_ALL, "loss", head_weight=0.5)

    def losses(hyper):
        objective = make_objective(config.loss, MODEL, (Affect(),), batch["label"], 7, hyper)
        return objective.losses(outputs, batch), objective.penalty(params)

    numbers = Hyperparameters.of(config)
    chex.assert_trees_all_close(jax.jit(losses)(traced(numbers)), losses(numbers), rtol=1e-6)


@pytest.mark.parametrize(
    ("way", "feed"),
    [
        (OneDevice, ResidentFeed(steps=2)),
        *(pytest.param(way, HostFeed(), marks=pytest.mark.slow) for way in (Sharded, Pmapped)),
    ],
    ids=str,
)
def test_numbers_reach_every_device_however_images_do(data, way, feed):
    still = replaced(CONFIG, "optimizer", learning_rate=1e-30, ema=None)
    moving = replaced(CONFIG, "optimizer", learning_rate=0.05, ema=None)
    program = Program(moving, data, model=MODEL, parallel=two(way), feed=feed)
    begun = on_host(program.start(still)[0])
    moved, _ = fit(moving, data, program=program)
    stood, _ = fit(still, data, program=program)
    chex.assert_trees_all_close(on_host(stood).params, begun.params, rtol=0, atol=1e-20)
    assert not np.array_equal(moved.params["head"]["kernel"], begun.params["head"]["kernel"])


def test_what_a_program_leaves_out_or_computes_otherwise_is_no_number(data):
    assert structure(WITH_ALL) == structure(OTHERS[0]) == structure(OTHERS[2])
    cosine = replaced(CONFIG, "optimizer", schedule="cosine")
    others = [
        dataclasses.replace(CONFIG, batch_size=7),
        replaced(CONFIG, "loss", l2=0.0),
        replaced(CONFIG, "optimizer", clip_norm=1.0),
        replaced(CONFIG, "optimizer", ema=0.5),
        replaced(CONFIG, "model", variant="resnet18"),
        cosine,
        dataclasses.replace(cosine, epochs=9),
    ]
    assert len({structure(config) for config in [CONFIG, *others]}) == 1 + len(others)
    assert Hyperparameters.of(others[1]).l2 is None
    program = Program(CONFIG, data)
    assert program.serves(CONFIG, data)
    for config in others:
        assert not program.serves(config, data)
    with pytest.raises(ValueError, match="differ from this one in more than numbers"):
        fit(others[0], data, program=program)
    assert not program.serves(CONFIG, dataclasses.replace(data)), "other images"
