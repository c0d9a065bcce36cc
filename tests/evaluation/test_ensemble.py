"""Several runs as one network: the mean of their log-probabilities, by hand and by the command."""

import dataclasses
import json

import networks
import numpy as np
import pytest
import scipy.special

from jaxfer.config import DataConfig, ModelConfig
from jaxfer.data import load
from jaxfer.errors import UserError
from jaxfer.evaluation import Predictions, ensemble, evaluate, mcnemar
from jaxfer.evaluation.ensemble import mean_prediction
from jaxfer.runs import load_run
from jaxfer.tasks import tasks_of

NETWORK = networks.Convolutional()


@pytest.fixture(scope="module")
def evaluations(trained_runs):
    data = load(DataConfig(data_dir=trained_runs / "faces", image_size=32))
    return [evaluate(load_run(trained_runs / f"seed-{seed}", "last", model=NETWORK), data) for seed in (0, 1)]


def test_its_log_probabilities_are_the_means_normalised():
    random = np.random.default_rng(0)
    labels = random.integers(0, 5, 30).astype(np.int32)
    logits = [(spread * random.normal(size=(30, 5))).astype(np.float32) for spread in (1, 4, 0.3)]
    found = mean_prediction([Predictions(each, labels) for each in logits])
    mean = np.mean([scipy.special.log_softmax(each.astype(np.float64), axis=1) for each in logits], axis=0)
    np.testing.assert_allclose(found.log_probabilities, scipy.special.log_softmax(mean, axis=1), rtol=1e-5, atol=1e-6)
    assert found.logits.dtype == np.float32
    np.testing.assert_array_equal(found.labels, labels)
    arithmetic = np.mean([scipy.special.softmax(each, axis=1) for each in logits], axis=0)
    assert np.abs(found.probabilities - arithmetic).max() > 0.01


def test_what_one_says_is_what_a_crowd_of_it_says():
    logits = np.random.default_rng(1).normal(size=(20, 4)).astype(np.float32)
    one = Predictions(logits, np.zeros(20, np.int32))
    np.testing.assert_allclose(mean_prediction([one] * 3).probabilities, one.probabilities, rtol=1e-5)
    undefined = dataclasses.replace(one, logits=np.where(np.arange(20)[:, None] == 3, np.nan, logits))
    assert np.isnan(mean_prediction([one, undefined]).probabilities).any(axis=1).tolist() == [x == 3 for x in range(20)]


def test_heads_that_all_have_are_averaged_and_scored():
    (task,) = tasks_of(ModelConfig(heads=("affect",)))
    labels, logits = np.zeros(4, np.int32), np.zeros((4, 3), np.float32)
    columns = {"valence": np.linspace(-1, 1, 4, dtype=np.float32)}
    heads = [np.full((4, 2), value, np.float32) for value in (0.25, 0.75)]
    both = [Predictions(logits, labels, {"affect": head, "own": head}, columns, (task,)) for head in heads]
    found = mean_prediction([both[0], dataclasses.replace(both[1], heads={"affect": heads[1]})])
    assert found.heads.keys() == {"affect"}
    np.testing.assert_array_equal(found.heads["affect"], 0.5)
    assert found.tasks == (task,)
    assert mean_prediction([both[0], dataclasses.replace(both[1], heads={})]).tasks == ()


@pytest.mark.long
def test_the_command_scores_it_beside_its_runs(runs, jaxfer, evaluations):
    code, printed, errors = jaxfer(runs / "seed-0", runs / "seed-1", "--ensemble", "--json")
    assert code == 0, errors
    found = json.loads(printed)
    together = found["ensemble"]
    expected = ensemble(evaluations)
    assert together["run"] == "ensemble of seed-0, seed-1"
    assert [one["run"] for one in together["members"]] == ["seed-0", "seed-1"]
    assert together["accuracy"] == expected.scores["accuracy"]
    assert together["intervals"]["accuracy"] == expected.scores["intervals"]["accuracy"]
    assert "checkpoint" not in together
    assert [one["run"] for one in found["evaluations"]] == ["seed-0", "seed-1"]
    best = max(evaluations, key=lambda one: one.scores["accuracy"])
    (test,) = together["comparison"]["mcnemar"]
    assert (test["first"], test["second"]) == ("ensemble", best.name)
    assert test["p_value"] == mcnemar(expected.predictions.correct, best.predictions.correct).p_value
    assert test["difference"] == pytest.approx(together["accuracy"] - best.scores["accuracy"])
    assert len(found["comparison"]["mcnemar"]) == 1, "the runs are compared with each other as without it"
    assert any("best single run" in note for note in together["notes"])
    (folder,) = (runs / "seed-0" / "evaluations").glob("PublicTest-ensemble2-*")
    page = " ".join((folder / "evaluation.html").read_text().replace("\u00a0", " ").split())
    assert "the means of the log-probabilities of 2 runs, normalised" in page
    assert "PublicTest, n = 35, 2 runs" in page
    assert "What the network looks at" not in page
    code, printed, _ = jaxfer(runs / "seed-0", runs / "seed-1", "--ensemble")
    printed = " ".join(printed.split())
    assert "ensemble of seed-0, seed-1: validation split PublicTest, n = 35, 7 classes, 2 runs" in printed
    assert f"ensemble less {best.name}: accuracy" in printed
    assert len(list((runs / "seed-0" / "evaluations").iterdir())) == 2, "the same evaluations replace themselves"


def test_what_makes_no_ensemble_is_refused(evaluations, trained_runs):
    first, second = evaluations
    data = first.data
    fewer = dataclasses.replace(data, class_names=data.class_names[::-1])
    smaller = load(DataConfig(data_dir=trained_runs / "faces", image_size=36))
    cases = [
        ([first], "an ensemble is of two runs or more, and there is 1"),
        ([], "and there is 0"),
        (
            [first, dataclasses.replace(second, data=fewer)],
            "their classes are neutral, .* Pass runs of the same classes",
        ),
        (
            [first, dataclasses.replace(second, data=smaller, split=smaller.val)],
            "'PublicTest' that they see are not the",
        ),
        ([first, dataclasses.replace(second, split=data.split("test"))], "that they see are not the same"),
        ([first, dataclasses.replace(second, views="ten")], "their views are one and ten"),
    ]
    for given, words in cases:
        with pytest.raises(UserError, match=words):
            ensemble(given)


def test_one_run_alone_is_refused_before_anything_is_read(runs, jaxfer):
    code, _, errors = jaxfer(runs / "seed-0", "--ensemble")
    assert code == 2
    assert "an ensemble is of two runs or more: pass their folders" in " ".join(errors.split())
    assert not (runs / "seed-0" / "evaluations").exists()


def test_an_image_that_any_run_has_learnt_from_counts_as_a_copy(evaluations):
    copied = [np.arange(35) < 3, np.arange(35) > 32]
    both = [dataclasses.replace(one, copied=rows) for one, rows in zip(evaluations, copied, strict=True)]
    assert ensemble(both).without_copies["copies"] == 5
    assert ensemble([both[0], evaluations[1]]).without_copies is None, "what is not known of one is not known"
