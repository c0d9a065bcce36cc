"""The temperature of a run: fitted when it ends, kept in its summary, applied where its network is evaluated."""

import json
import re
import shutil

import networks
import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

from jaxfer.config import Config, DataConfig, LossConfig, OptimizerConfig
from jaxfer.data import load
from jaxfer.evaluation import Predictions, evaluate, fitted_temperature
from jaxfer.metrics import Temperature, fit_temperature
from jaxfer.metrics.temperature import HIGHEST, LOWEST
from jaxfer.reports import finish_run
from jaxfer.reports.finished_run import read_run
from jaxfer.reports.run_page import render
from jaxfer.runs import load_run
from jaxfer.training import fit

pytestmark = pytest.mark.usefixtures("blank_figures")

NETWORK = networks.Convolutional()


@pytest.fixture(scope="module")
def ended(trained_runs, tmp_path_factory):
    """A run that has ended, on the data of the others."""
    run_dir = tmp_path_factory.mktemp("ended") / "run"
    config = Config(
        data=DataConfig(data_dir=trained_runs / "faces", image_size=32),
        loss=LossConfig(l2=0.0),
        optimizer=OptimizerConfig(learning_rate=0.1),
        epochs=3,
        batch_size=16,
    )
    data = load(config.data)
    state, history = fit(config, data, run_dir=run_dir, model=NETWORK)
    return run_dir, finish_run(run_dir, config, data, state, history, model=NETWORK), data


@pytest.fixture
def run_dir(ended, tmp_path):
    shutil.copytree(ended[0], tmp_path / "run")
    return tmp_path / "run"


def test_the_summary_has_it_with_what_it_does(ended):
    run_dir, summary, data = ended
    evaluation = evaluate(load_run(run_dir, "last", model=NETWORK), data)
    found, predictions = summary["temperature"], evaluation.predictions
    assert found["value"] == pytest.approx(fit_temperature(predictions.logits, predictions.labels), rel=1e-4)
    assert (found["split"], found["examples"]) == ("PublicTest", 35)
    assert found["before"] == {name: pytest.approx(summary["val"][name]) for name in ("cross_entropy", "ece")}
    assert found["after"]["cross_entropy"] < found["before"]["cross_entropy"]
    assert json.loads((run_dir / "summary.json").read_text())["temperature"] == found
    page = render(read_run(run_dir))
    words = f"With the temperature {found['value']:.3f}, fitted on PublicTest (n = 35), the calibration error is "
    assert words + f"{found['after']['ece']:.3f} in place of {found['before']['ece']:.3f}" in page


@pytest.mark.few(1)
@pytest.mark.parametrize(("split", "optimistic"), [("val", True), ("test", False)])
def test_evaluations_have_both_numbers_and_say_where_it_was_fitted(run_dir, ended, jaxfer, split, optimistic):
    code, printed, errors = jaxfer(run_dir, "--split", split, "--json")
    assert code == 0, errors
    (found,) = json.loads(printed)["evaluations"]
    known = ended[1]["temperature"]
    trained = load_run(run_dir, "last", model=NETWORK)
    predictions = evaluate(trained, ended[2], split).predictions.scaled(known["value"])
    scores = predictions.scores(ended[2].class_names)
    temperature = found["temperature"]
    assert (temperature["value"], temperature["split"], temperature["examples"]) == (known["value"], "PublicTest", 35)
    for name in ("cross_entropy", "ece"):
        assert temperature[name] == pytest.approx(getattr(scores, name), rel=1e-5)
        assert temperature[name] != found[name]
    low, high = temperature["intervals"]["cross_entropy"]
    assert low < temperature["cross_entropy"] < high
    chance = temperature["ece_by_chance"]
    assert 0 < chance["mean"] < chance["percentile_95"] < 1
    assert chance != found["ece_by_chance"]  # which is that of the confidences without it
    assert scores.accuracy == found["accuracy"]
    assert any("fitted on this very split" in note for note in found["notes"]) == optimistic
    printed = " ".join(jaxfer(run_dir, "--split", split)[1].split())
    words = f"With the temperature {known['value']:.3f}, fitted on PublicTest (n = 35), the calibration error is "
    words += f"{temperature['ece']:.3f} (by chance {chance['mean']:.3f}, 95% below {chance['percentile_95']:.3f})"
    assert words in printed
    (folder,) = (run_dir / "evaluations").iterdir()
    assert words in (folder / "evaluation.html").read_text()


def test_several_views_are_said_to_be_other_than_what_it_was_fitted_to(run_dir, jaxfer):
    _, printed, _ = jaxfer(run_dir, "--views", "flip", "--json")
    (found,) = json.loads(printed)["evaluations"]
    assert any("without further views" in note for note in found["notes"])


def test_other_checkpoints_and_older_summaries_have_none(run_dir, jaxfer):
    file = run_dir / "summary.json"
    summary = json.loads(file.read_text())
    changes = [{"temperature": None}, {"checkpoint": summary["checkpoint"] | {"step": 1}}]
    older = {name: value for name, value in summary.items() if name != "temperature"}
    for content in (older, *(summary | change for change in changes)):
        file.write_text(json.dumps(content))
        code, printed, errors = jaxfer(run_dir)
        assert code == 0, errors
        assert "temperature" not in printed
        (folder,) = (run_dir / "evaluations").iterdir()
        assert json.loads((folder / "evaluation.json").read_text())["temperature"] is None
        shutil.rmtree(folder)
    file.write_text(json.dumps(older))
    assert "With the temperature" not in render(read_run(run_dir))


@pytest.mark.parametrize("text", ["{", "[]", '{"temperature": {"value": 1}, "checkpoint": {"step": STEP}}', "value"])
def test_a_damaged_summary_ends_in_a_sentence(run_dir, jaxfer, text):
    file = run_dir / "summary.json"
    summary = json.loads(file.read_text())
    if text == "value":
        text = json.dumps(summary | {"temperature": summary["temperature"] | {"value": "warm"}})
    file.write_text(text.replace("STEP", str(summary["checkpoint"]["step"])))
    code, _, errors = jaxfer(run_dir)
    assert code == 2
    (line,) = errors.strip().splitlines()
    assert re.search(r"summary\.json is damaged where it says the temperature \(.*\): move it away", line)
    assert not (run_dir / "evaluations").exists()


def test_predictions_scale_in_python(ended):
    run_dir, summary, data = ended
    trained = load_run(run_dir, "last", model=NETWORK)
    evaluation = evaluate(trained, data, "test")
    value = summary["temperature"]["value"]
    shares = evaluation.predictions.scaled(trained.temperature.value).probabilities
    expected = evaluation.predictions.probabilities.astype(np.float64) ** (1 / value)
    np.testing.assert_allclose(shares, expected / expected.sum(axis=1, keepdims=True), rtol=1e-4)


def test_it_calibrates_and_says_what_it_did():
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, (40_000, 7)).astype(np.float32)
    gumbel = random.gumbel(size=logits.shape)  # the largest of these sums is drawn from the softmax
    labels = (logits / 2.5 + gumbel).argmax(axis=1).astype(np.int32)
    predictions = Predictions(logits, labels)
    names = tuple("abcdefg")
    found = fitted_temperature(predictions, names, "val")
    assert (found.split, found.examples) == ("val", len(labels))
    for scores, temperature in ((found.before, 1.0), (found.after, found.value)):
        shares = scipy.special.log_softmax(logits.astype(np.float64) / temperature, axis=1)
        nats = -shares[np.arange(len(labels)), labels]
        assert scores["cross_entropy"] == pytest.approx(nats.mean(), rel=1e-5)
    assert found.value == pytest.approx(2.5, rel=0.03)
    assert found.before["ece"] == predictions.scores(names).ece > 0.1
    assert found.after["ece"] < 0.01
    assert Temperature.from_dict(found.to_dict()) == found


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_run_that_diverged_has_none(value):
    predictions = Predictions(np.full((3, 7), value, np.float32), np.zeros(3, np.int32))
    assert fitted_temperature(predictions, tuple("abcdefg"), "val") is None


@given(st.integers(0, 2**32 - 1), st.floats(LOWEST, HIGHEST))
def test_scaled_predictions_have_the_same_classes(seed, temperature):
    random = np.random.default_rng(seed)
    logits = random.normal(0, 10 ** random.uniform(-3, 3), (50, 3)).astype(np.float32)
    logits[:, 1] = np.nextafter(logits[:, 0], np.float32(np.inf))  # as close as two can be
    predictions = Predictions(logits, np.zeros(50, np.int32))
    scaled = predictions.scaled(temperature)
    np.testing.assert_array_equal(scaled.predicted, predictions.predicted)
    expected = scipy.special.softmax(logits.astype(np.float64) / np.float32(temperature), axis=1)
    np.testing.assert_allclose(scaled.probabilities, expected, rtol=1e-3, atol=1e-6)
