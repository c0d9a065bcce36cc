"""Labels that are no class and pixels of another range: refused where the host sees them, else masked and counted."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from networks import Convolutional, Linear
from small_data import bright_faces, dataset_of, split_of

from jaxfer.config import AugmentConfig, Config, DataConfig, LossConfig, OptimizerConfig
from jaxfer.data import transforms
from jaxfer.data.batches import Batches
from jaxfer.devices import OneDevice, Pmapped, Sharded
from jaxfer.errors import UserError
from jaxfer.evaluation import Predictions
from jaxfer.evaluation.predict import predict_split
from jaxfer.metrics import Metrics, fit_temperature
from jaxfer.tasks import balanced_class_weights, class_log_shares
from jaxfer.training import Objective, create_state, fit, make_eval_step, make_train_step

NET = Convolutional()
CONFIG = Config(
    data=DataConfig(image_size=32),
    loss=LossConfig(l2=0.0),
    optimizer=OptimizerConfig(optimizer="sgd", learning_rate=0.05),
    epochs=1,
    batch_size=16,
)


@pytest.fixture(scope="module")
def data():
    return dataset_of(bright_faces(44, "train", 0), bright_faces(21, "val", 1))


def state_of(parallel=None):
    return (parallel or OneDevice()).place(create_state(NET, optax.sgd(0.1), seed=0, image_size=32))


def batch_of(data, rows=(), label=7):
    batch = Batches(data.train, 16, seed=0)[0]
    labels = batch["label"].copy()
    labels[list(rows)] = label
    return {**batch, "label": labels}


@pytest.mark.few(1)
@pytest.mark.parametrize("label", [7, -1, 99])
def test_a_label_that_is_no_class_is_refused_by_all_who_see_it(data, label):
    batch, words = batch_of(data, [3], label), f"has the label {label}: pass indices into its class names, 0 to 6"
    train, val = (
        make(NET, *more, Objective()) for make, more in ((make_train_step, [optax.sgd(0.1)]), (make_eval_step, []))
    )
    logits = np.zeros((16, 7), np.float32)
    near = {name: jnp.asarray(values) for name, values in batch.items()}  # in the memory of the host still
    for use in (
        lambda: train(state_of(), batch),
        lambda: train(state_of(), near),
        lambda: val(state_of().variables, batch),
        lambda: Metrics.of_batch(logits, batch["label"], batch["mask"]),
        lambda: Predictions(logits, batch["label"]),
        lambda: fit_temperature(logits, batch["label"]),
        lambda: balanced_class_weights(batch["label"], 7),
        lambda: class_log_shares(batch["label"], 7),
        lambda: fit(CONFIG, dataset_of(split_of("train", batch["image"], batch["label"]), data.val), model=NET),
    ):
        with pytest.raises(UserError, match=words):
            use()
    padding = batch | {"mask": np.arange(16) != 3}  # may hold anything
    assert int(train(state_of(), padding)[1].count) == int(val(state_of().variables, padding).count) == 15


@pytest.mark.few(3)
@pytest.mark.parametrize(("way", "label"), [(OneDevice, -1), (OneDevice, 7), (Sharded, 7), (Pmapped, 7)])
def test_on_a_device_an_example_without_a_label_is_padding_and_counted(data, way, label):
    parallel = way()

    def spoilt(key, batch):
        return {**batch, "label": jnp.where(jnp.arange(len(batch["label"])) % 4 == 1, label, batch["label"])}

    def left_out(key, batch):
        return {**batch, "mask": batch["mask"] & (jnp.arange(len(batch["label"])) % 4 != 1)}

    found = [
        make_train_step(NET, optax.sgd(0.1), Objective(), parallel=parallel, transform=one)(
            state_of(parallel), batch_of(data)
        )
        for one in (spoilt, left_out)
    ]
    (state, metrics), (expected, without) = jax.device_get(found)
    chex.assert_trees_all_equal(state.params, expected.params)
    chex.assert_trees_all_equal(state.batch_stats, expected.batch_stats)
    assert (int(metrics.unlabelled), int(metrics.count), int(without.unlabelled)) == (4, 12, 0)
    chex.assert_trees_all_equal(metrics.replace(unlabelled=without.unlabelled), without)
    names = data.class_names
    assert metrics.compute(names).unlabelled == metrics.compute(names).to_dict()["unlabelled_examples"] == 4
    assert "unlabelled_examples" not in without.compute(names).to_dict()


def test_in_evaluation_it_counts_for_nothing_else(data):
    def measured(batch):
        step = make_eval_step(NET, Objective())
        return jax.jit(lambda batch: step(variables, batch))(batch)  # which the host does not see

    variables = state_of().variables
    found = measured(batch_of(data, [0, 5], -1))
    expected = measured(batch_of(data) | {"mask": ~np.isin(np.arange(16), [0, 5])})
    assert int(found.unlabelled) == 2
    chex.assert_trees_all_close(found.replace(unlabelled=expected.unlabelled), expected, rtol=1e-6)


def test_a_batch_without_a_single_label_changes_no_parameter(data):
    def spoilt(key, batch):
        return {**batch, "label": batch["label"] * 0 - 1}

    before = create_state(Linear(), optax.sgd(0.1), seed=0, image_size=32)
    state, metrics = make_train_step(Linear(), optax.sgd(0.1), Objective(), transform=spoilt)(
        jax.tree.map(jnp.copy, before), batch_of(data)
    )
    assert (int(metrics.count), int(metrics.unlabelled), float(metrics.loss)) == (0, 16, 0)
    chex.assert_trees_all_equal(jax.device_get(state.params), jax.device_get(before.params))


@pytest.mark.parametrize("spoilt", [1, 16])
def test_a_run_whose_transforms_make_labels_that_are_no_class_ends_before_it_saves(data, tmp_path, spoilt):
    def transform(key, batch):
        return {**batch, "label": jnp.where(jnp.arange(len(batch["label"])) < spoilt, 7, batch["label"])}

    with pytest.raises(UserError, match=r"transforms have given \d+ examples labels that are no class: let them"):
        fit(CONFIG, data, model=NET, transforms=[transform], run_dir=tmp_path)
    assert not [path for path in (tmp_path / "checkpoints").iterdir() if path.name.isdigit()]


@pytest.mark.parametrize(("low", "high"), [(0.0, 255.0), (-1.0, 1.0), (0.0, np.nan)])
def test_floats_beyond_0_and_1_are_refused_by_all_who_see_them(data, low, high):
    images = np.linspace(low, 1, data.val.images.size, dtype=np.float32).reshape(data.val.images.shape)
    images[-1, 0, 0, 0] = high
    val = split_of("val", images, data.val.labels)
    batch = {"image": images, "label": data.val.labels, "mask": np.ones(21, bool)}
    for use in (
        lambda: fit(CONFIG, dataset_of(data.train, val), model=NET),
        lambda: predict_split(NET, state_of().variables, val, batch_size=16),
        lambda: make_train_step(NET, optax.sgd(0.1), Objective())(state_of(), batch),
        lambda: make_eval_step(NET, Objective())(state_of().variables, batch),
    ):
        with pytest.raises(UserError, match=r"images of float32 have values from .* pass integers from 0 to 255, or"):
            use()


def test_floats_from_0_to_1_are_the_images_that_integers_are(data):
    # As of a resize: a little beyond.
    images = (data.val.images / np.float32(255)) * np.float32(1.0005)
    val = split_of("val", images, data.val.labels)
    found, expected = (predict_split(NET, state_of().variables, one, batch_size=16).logits for one in (val, data.val))
    np.testing.assert_allclose(found, expected, atol=1e-2)
    batch = batch_of(data)
    one, other = (
        make_train_step(NET, optax.sgd(0.1), Objective())(state_of(), batch | {"image": images})[0].params
        for images in (batch["image"], batch["image"] / np.float32(255))
    )
    chex.assert_trees_all_close(one, other, rtol=1e-5, atol=1e-7)


CHANGES = {
    "brightness": lambda key, images: transforms.change_brightness(key, images, 0.3),
    "contrast": lambda key, images: transforms.change_contrast(key, images, 0.5),
    "colour": lambda key, images: transforms.change_colour(key, images, saturation=0.5, hue=20),
    "erase": lambda key, images: transforms.erase(key, images, 1.0),
    "erase by the mean": lambda key, images: transforms.erase(key, images, 1.0, fill="mean"),
    "move": lambda key, images: transforms.move(key, images, shift=0.1, rotate=10, scale=0.1),
    "augment": lambda key, images: transforms.augment(key, images, AugmentConfig(flip=True, brightness=0.2, shift=0.1)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changes_of_pixels_take_images_as_batches_hold_them(data, change):
    images, key = data.val.images[:4], jax.random.key(0)
    found, expected = change(key, images), change(key, images / np.float32(255))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == jnp.float32
    assert 0 <= found.min() <= found.max() <= 1 + 1e-6
    assert len(np.unique(found)) > 10
