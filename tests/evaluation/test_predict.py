"""Predictions of whole splits, on every way to use the devices, and the scores that they have."""

import dataclasses

import networks
import numpy as np
import pytest
import scipy.special

from jaxfer.data.dataset import Split
from jaxfer.devices import OneDevice, Pmapped, Sharded
from jaxfer.emotions import AFFECTNET_7
from jaxfer.evaluation.predict import Predictions, predict_split
from jaxfer.models import ResNetFER
from jaxfer.tasks import Expression
from jaxfer.training import Objective, evaluate_split, make_eval_step

CONVOLUTIONAL, LINEAR = networks.Convolutional(), networks.Linear()
N = 21


@pytest.fixture(scope="module")
def split():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (N, 32, 32, 3), np.uint8)
    return Split("val", images, random.integers(0, 7, N).astype(np.int32))


@pytest.fixture(scope="module")
def logits(split):
    """The network's variables, and its logits of all images at once."""
    variables = networks.drawn(CONVOLUTIONAL, split.images)
    return variables, np.asarray(networks.logits(CONVOLUTIONAL, variables, split.images))


@pytest.mark.few(3)
@pytest.mark.parametrize("parallel", [OneDevice, Sharded, Pmapped])
@pytest.mark.parametrize("batch_size", [1, 6, 32])
def test_every_example_is_predicted_once_and_in_order(split, logits, parallel, batch_size):
    variables, expected = logits
    found = predict_split(CONVOLUTIONAL, variables, split, batch_size=batch_size, parallel=parallel())
    assert np.ptp(expected, axis=0).min() > 0.01, "images that are all alike have no order"
    np.testing.assert_allclose(found.logits, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found.labels, split.labels)
    np.testing.assert_allclose(found.probabilities, scipy.special.softmax(expected, axis=1), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("parallel", [OneDevice, Pmapped])
def test_flipping_averages_the_probabilities_of_the_image_and_its_mirror(split, parallel):
    variables = networks.drawn(LINEAR, split.images)
    found = predict_split(LINEAR, variables, split, batch_size=6, parallel=parallel(), views="flip")
    both = [
        scipy.special.softmax(networks.logits(LINEAR, variables, x), axis=1)
        for x in (split.images, split.images[:, :, ::-1])
    ]
    assert np.abs(both[0] - both[1]).max() > 0.01
    np.testing.assert_allclose(found.probabilities, (both[0] + both[1]) / 2, rtol=1e-5, atol=1e-7)
    mirrored = dataclasses.replace(split, images=split.images[:, :, ::-1])
    again = predict_split(LINEAR, variables, mirrored, batch_size=6, views="flip")
    np.testing.assert_allclose(again.probabilities, found.probabilities, rtol=1e-4, atol=1e-6)


def test_predictions_score_as_the_evaluation_step_does(split):
    loss, model = Objective(Expression(label_smoothing=0.1), l2=0.01), ResNetFER(width=4, stage_sizes=(1,))
    variables = networks.drawn(model, split.images)
    step = make_eval_step(model, loss)
    expected = evaluate_split(step, variables, split, batch_size=6).compute(AFFECTNET_7).to_dict()
    found = predict_split(model, variables, split, batch_size=6).scores(AFFECTNET_7, expected["loss"]).to_dict()
    assert found["confusion_matrix"] == expected["confusion_matrix"]
    for name in ("examples", "loss", "cross_entropy", "accuracy", "balanced_accuracy", "macro_f1", "mse", "r2", "ece"):
        assert found[name] == pytest.approx(expected[name], rel=1e-5), name


def test_more_predictions_than_are_scored_at_a_time_count_once_each():
    random = np.random.default_rng(1)
    logits, labels = random.normal(size=(2500, 7)).astype(np.float32), random.integers(0, 7, 2500).astype(np.int32)
    predictions = Predictions(logits, labels)
    scores = predictions.scores(AFFECTNET_7)
    assert scores.examples == np.sum(scores.confusion_matrix) == 2500
    assert scores.accuracy == np.mean(logits.argmax(axis=1) == labels)
    nats = -scipy.special.log_softmax(logits.astype(np.float64), axis=1)[np.arange(2500), labels]
    assert scores.cross_entropy == pytest.approx(nats.mean(), rel=1e-5)
    some = predictions.take(labels == 3)
    assert len(some) == some.scores(AFFECTNET_7).examples == np.sum(labels == 3)
    assert predictions.take(np.array([], int)).scores(AFFECTNET_7).to_dict()["accuracy"] is None
