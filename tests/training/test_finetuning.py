"""Networks that start from other weights: what of them is trained, when, and how fast."""

import dataclasses
import json
from functools import partial
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import Convolutional, drawn
from small_data import bright_faces, dataset_of

from jaxfer.config import Config, DataConfig, LossConfig, ModelConfig, OptimizerConfig
from jaxfer.errors import UserError
from jaxfer.inference import FaceModel, save_model
from jaxfer.models import MODELS, ResNetFER
from jaxfer.models.resnet import standard_norm
from jaxfer.runs.folder import read_config, read_rows
from jaxfer.tasks import Expression
from jaxfer.training import Freezing, Objective, Program, Tuning, create_state, fit, make_optimizer, make_train_step

NETWORK = ResNetFER(width=4, stage_sizes=(1, 1), use_bias=False, norm=standard_norm)
SPLIT = bright_faces(14, "train", 0)
DATA = dataset_of(SPLIT, bright_faces(7, "val", 1))
BATCH = {"image": SPLIT.images, "label": SPLIT.labels, "mask": np.ones(14, bool)}
SGD = OptimizerConfig(optimizer="sgd", momentum=0.0, learning_rate=0.1)


@pytest.fixture(scope="module")
def variables():
    return drawn(NETWORK, SPLIT.images)


def parts(tree, start):
    """Return the arrays of the parts whose names begin so."""
    return {name: value for name, value in tree.items() if name.startswith(start)}


def differ(one, other):
    """Return whether each array of two trees differs."""
    return [not np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)]


def trained(config, variables, steps, **numbers):
    """Return the state after each step on the same batch, as config and numbers train it."""
    tuning = Tuning.of(config, NETWORK, variables["params"], 1)
    optimizer = make_optimizer(config, config.learning_rate, tuning=tuning)
    state = create_state(NETWORK, optimizer, seed=0, image_size=32)
    params, statistics = (jax.tree.map(jnp.array, variables[name]) for name in ("params", "batch_stats"))
    state = dataclasses.replace(state, params=params, batch_stats=statistics, opt_state=optimizer.init(params))
    freezing = tuning and tuning.freezing
    step, found = make_train_step(NETWORK, optimizer, Objective(Expression()), freezing=freezing, **numbers), []
    for _ in range(steps):
        state, _ = step(state, BATCH)
        found.append(jax.device_get({"params": state.params, "batch_stats": state.batch_stats}))
    return found


@pytest.mark.parametrize("optimizer", ["sgd", pytest.param("adamw", marks=pytest.mark.slow)])
def test_what_is_frozen_keeps_weights_and_statistics_and_the_rest_is_trained(optimizer, variables):
    config = OptimizerConfig(optimizer=optimizer, learning_rate=0.01, weight_decay=0.1, clip_norm=1.0)
    config = dataclasses.replace(config, freeze=("stem", "stage1*conv1", "stage1_block1/norm"))
    (after,) = trained(config, variables, 1)
    for collection in ("params", "batch_stats"):
        assert not any(differ(parts(after[collection], "stem"), parts(variables[collection], "stem")))
        assert all(differ(parts(after[collection], "stage2"), parts(variables[collection], "stage2")))
        one, other = (tree[collection]["stage1_block1"] for tree in (after, variables))
        assert not any(differ(parts(one, "norm"), parts(other, "norm")))
    one, other = (tree["params"]["stage1_block1"] for tree in (after, variables))
    assert not any(differ(one["conv1"], other["conv1"]))
    assert all(differ(one["conv2"], other["conv2"]))
    assert all(differ(after["params"]["head"], variables["params"]["head"]))


def test_a_frozen_normalisation_normalises_as_in_evaluation(variables):
    everything = Freezing(("stem", "stage"), (None, None))
    expected = NETWORK.apply(variables, SPLIT.images, train=False)["logits"]
    with everything.applied(jnp.array(0)):
        found, updates = NETWORK.apply(variables, SPLIT.images, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(found["logits"], expected, rtol=0, atol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, updates["batch_stats"], variables["batch_stats"])
    outside, _ = NETWORK.apply(variables, SPLIT.images, train=True, mutable=["batch_stats"])
    assert np.abs(outside["logits"] - expected).max() > 1e-2


@pytest.mark.long
def test_parts_are_unfrozen_from_the_last_on_as_if_they_had_never_been_frozen(variables):
    config = OptimizerConfig(optimizer="adamw", freeze=("stem", "stage1", "stage2"), unfreeze_epochs=(1, 2))
    states = [variables, *trained(config, variables, 3)]

    def moved(part):
        kept = [[parts(tree[collection], part) for collection in variables] for tree in states]
        return [all(differ(*pair)) for pair in pairwise(kept)]

    found = {part: moved(part) for part in ("stem", "stage1", "stage2", "head")}
    assert found == {
        "stem": [False, False, False],
        "stage1": [False, False, True],
        "stage2": [False, True, True],
        "head": [True, True, True],
    }
    # Adam's first step is as long as its rate, whenever it comes.
    changes = np.concatenate(
        [
            np.abs(b - a).ravel()
            for a, b in zip(*(jax.tree.leaves(parts(states[n]["params"], "stage2")) for n in (1, 2)), strict=True)
        ]
    )
    assert np.quantile(changes, 0.5) == pytest.approx(config.learning_rate, rel=0.05)


@pytest.mark.slow
def test_rates_fall_from_the_heads_to_the_images(variables):
    (plain,) = trained(SGD, variables, 1)
    (slow,) = trained(dataclasses.replace(SGD, backbone_rate=0.1), variables, 1)
    (falling,) = trained(dataclasses.replace(SGD, layer_decay=0.5), variables, 1)
    (both,) = trained(dataclasses.replace(SGD, backbone_rate=0.1, layer_decay=0.5), variables, 1)
    factors = {
        "head": (1, 1, 1),
        "stage2": (0.1, 0.5, 0.05),
        "stage1": (0.1, 0.25, 0.025),
        "stem": (0.1, 0.125, 0.0125),
    }
    for part, expected in factors.items():
        old, whole, *others = (parts(tree["params"], part) for tree in (variables, plain, slow, falling, both))
        change = jax.tree.map(np.subtract, whole, old)
        for other, factor in zip(others, expected, strict=True):
            wanted = jax.tree.map(lambda o, c, factor=factor: o + factor * c, old, change)
            jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7), other, wanted)


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (OptimizerConfig(freeze=("stem", "layer1")), "freeze names 'layer1', and no part .* head, stage1_block1, "),
        (OptimizerConfig(freeze=("s", "head")), "leaves nothing to train"),
    ],
)
def test_parts_that_are_not_there_are_sentences(config, complaint, variables):
    with pytest.raises(UserError, match=complaint):
        Tuning.of(config, NETWORK, variables["params"], 1)


def test_a_network_that_does_not_say_its_layers_can_be_frozen_and_has_one_rate():
    model = Convolutional()
    params = drawn(model, SPLIT.images)["params"]
    assert Tuning.of(OptimizerConfig(freeze=("conv",)), model, params, 1).freezing.thaw("conv/kernel") is None
    with pytest.raises(UserError, match=r"Convolutional does not say .*: give it a method layers\(\)"):
        Tuning.of(OptimizerConfig(backbone_rate=0.1), model, params, 1)


# Runs


@pytest.fixture(scope="module")
def tiny():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "published", partial(ResNetFER, width=4, stage_sizes=(1,)))
        yield MODELS["published"]()


@pytest.fixture(scope="module")
def saved(tiny, tmp_path_factory):
    found = drawn(tiny, SPLIT.images)
    model = FaceModel(tiny, found, DATA.class_names, 32, 1.0, ModelConfig(), {})
    return save_model(model, tmp_path_factory.mktemp("weights") / "begun")


def config_of(weights, **optimizer):
    fields = {"optimizer": "sgd", "learning_rate": 0.01} | optimizer
    return Config(
        data=DataConfig(image_size=32),
        model=ModelConfig(pretrained=weights),
        loss=LossConfig(l2=0.0),
        optimizer=OptimizerConfig(**fields),
        epochs=1,
        batch_size=7,
    )


def test_a_run_starts_from_weights_says_so_and_resumes_with_the_same_alone(tiny, saved, tmp_path):
    config = config_of(saved, freeze=("stem",), backbone_rate=0.5)
    state, _ = fit(config, DATA, run_dir=tmp_path / "run")
    assert read_config(tmp_path / "run") == config
    begun = drawn(tiny, SPLIT.images)["params"]
    rounded = np.float32(np.float16(begun["stem_conv"]["kernel"]))
    np.testing.assert_array_equal(state.params["stem_conv"]["kernel"], rounded)
    note, row = read_rows(tmp_path / "run")
    assert (note["kind"], note["missing"]) == ("pretrained", [])  # it goes on with the same classes
    assert note["source"] == str(saved / "model.safetensors")
    assert row["kind"] == "epoch"
    longer = dataclasses.replace(config, epochs=2)
    fit(longer, DATA, run_dir=tmp_path / "run", resume=True)
    assert [row["kind"] for row in read_rows(tmp_path / "run")] == ["pretrained", "epoch", "epoch"]
    other = FaceModel(tiny, drawn(tiny, SPLIT.images, seed=1), DATA.class_names, 32, 1.0, ModelConfig(), {})
    moved = dataclasses.replace(longer, epochs=3, model=ModelConfig(pretrained=save_model(other, tmp_path / "other")))
    with pytest.raises(UserError, match=r"was begun from other weights than these: pass the file it began with"):
        fit(moved, DATA, run_dir=tmp_path / "run", resume=True)
    # A run is a place to start from, too: its best network.
    again = Program(config_of(tmp_path / "run"), DATA)
    assert again.loaded.source == str(tmp_path / "run")
    assert again.notes[0].startswith(f"{len(again.loaded.loaded)} arrays are from {tmp_path / 'run'}, jaxfer's own")
    start, _, _ = again.start(again._config)
    jax.tree.map(np.testing.assert_array_equal, start.params["stem_conv"], state.params["stem_conv"])


def test_a_run_begins_with_the_last_layers_of_the_same_classes_alone(tiny, saved):
    drawn_head = create_state(tiny, make_optimizer(SGD, 0.1), seed=0, image_size=32).params["head"]["kernel"]
    began = drawn(tiny, SPLIT.images)["params"]["head"]["kernel"]
    turned = DATA.class_names[::-1]
    for names, expected in ((DATA.class_names, began), (turned, drawn_head)):
        config = config_of(saved)
        config = dataclasses.replace(config, data=config.data.of_classes(names))
        program = Program(config, dataclasses.replace(DATA, class_names=names))
        start, _, _ = program.start(program._config)
        np.testing.assert_allclose(start.params["head"]["kernel"], expected, rtol=1e-3, atol=1e-4)
        assert bool(program.loaded.missing) == (names is turned)


def test_sparing_drawn_weights_or_ones_own_optimizer_is_refused(tiny, saved):
    with pytest.raises(UserError, match="this network's weights are drawn: pass those to start from"):
        Program(config_of(None, freeze=("stem",)), DATA)
    with pytest.raises(UserError, match="are of the optimizers that a config names"):
        Program(config_of(saved, backbone_rate=0.1), DATA, optimizer=make_optimizer(SGD, 0.1))
    with pytest.raises(UserError, match=r"the weights none\.pth cannot be read \(No such file or directory\)"):
        Program(config_of(Path("none.pth")), DATA)


def test_a_models_config_has_no_place_of_weights(tiny, saved, tmp_path):
    fit(config_of(saved), DATA, run_dir=tmp_path / "run")
    from jaxfer.runs import load_run

    folder = save_model(FaceModel.of_run(load_run(tmp_path / "run")), tmp_path / "model")
    said = json.loads((folder / "config.json").read_text())
    assert said["network"]["pretrained"] is None
    assert said["notes"]["made"]["config"]["model"]["pretrained"] is None
    assert str(tmp_path) not in (folder / "config.json").read_text()
