"""Valence and arousal: the measures against their definitions, and a network that learns them, up to its pages."""

import csv
import dataclasses
import json
import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

from jaxfer.config import Config, DataConfig, LossConfig, ModelConfig, OptimizerConfig
from jaxfer.data.batches import columns
from jaxfer.data.dataset import Dataset, Split
from jaxfer.devices import OneDevice, Pmapped, Sharded
from jaxfer.emotions import AFFECTNET_7
from jaxfer.errors import UserError
from jaxfer.evaluation.evaluate import compare, evaluate
from jaxfer.evaluation.intervals import intervals
from jaxfer.evaluation.predict import Predictions, predict_split
from jaxfer.evaluation.summary import summarize
from jaxfer.models import MODELS, ResNetFER
from jaxfer.reports import figures, paper_figures
from jaxfer.reports.evaluation_page import write_evaluation
from jaxfer.reports.finished_run import read_run
from jaxfer.reports.run_page import render
from jaxfer.runs.load import load_run
from jaxfer.tasks import Affect
from jaxfer.training import Objective, create_state, fit, make_eval_step, make_train_step
from jaxfer.training.optimizers import make_optimizer

CONFIG = Config(
    data=DataConfig(image_size=32),
    model=ModelConfig(heads=("affect",)),
    loss=LossConfig(l2=0.0, head_weight=4.0),
    optimizer=OptimizerConfig(learning_rate=0.003),
    epochs=20,
    batch_size=16,
)
AFFECT = Affect()


def predictions(n, seed=0, share_known=0.8):
    random = np.random.default_rng(seed)
    actual = random.uniform(-1, 1, (n, 2)).astype(np.float32)
    guess = np.clip(0.6 * actual + random.normal(0.1, 0.3, (n, 2)), -1, 1).astype(np.float32)
    actual[random.uniform(size=(n, 2)) > share_known] = np.nan
    return predicted(guess, actual)


def predicted(guess, actual):
    """Return predictions of valence and arousal [n, 2], of faces whose data says `actual` [n, 2]."""
    known = {"valence": actual[:, 0], "arousal": actual[:, 1]}
    logits, labels = np.zeros((len(guess), 7), np.float32), np.zeros(len(guess), np.int32)
    return Predictions(logits, labels, {"affect": guess}, known, (AFFECT,))


def actual_of(made):
    """Return what the data says of the valence and the arousal of predicted faces, [n, 2]."""
    return np.stack([actual for _, actual in made.pairs.values()], axis=1)


def scores_of(made):
    return made.scores(AFFECTNET_7).tasks


def faces(n, seed):
    """Faces whose brightness is their valence and whose redness is their arousal; a third of them says neither."""
    random = np.random.default_rng(seed)
    valence, arousal = random.uniform(-0.9, 0.9, (2, n)).astype(np.float32)
    images = np.full((n, 32, 32, 3), 128.0) + 60 * valence[:, None, None, None]
    images[..., 0] += 60 * arousal[:, None, None]
    images = np.clip(images + random.normal(0, 4, images.shape), 0, 255).astype(np.uint8)
    unknown = np.arange(n) % 3 == 0
    valence[unknown] = arousal[unknown] = np.nan
    return Split(f"split {seed}", images, (np.arange(n) % 7).astype(np.int32), {"valence": valence, "arousal": arousal})


@pytest.fixture(scope="module")
def data():
    return Dataset({"train": faces(140, 1), "val": faces(63, 2)}, AFFECTNET_7, "bright and red squares", {})


@pytest.fixture(scope="module", autouse=True)
def narrow():
    """Have the network that the config names be a narrow one, which learns as well and is compiled sooner."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "published", partial(ResNetFER, width=8, stage_sizes=(1,)))
        yield


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("affect") / "run"
    return run_dir, *fit(CONFIG, data, run_dir=run_dir)


@pytest.fixture(scope="module")
def evaluation(finished, data):
    trained = load_run(finished[0], "last")
    names = tuple(f"face {row}" for row in range(len(data.val)))
    groups = {"half": np.where(np.arange(63) < 30, "first", "second")}
    val = dataclasses.replace(data.val, names=names, read_groups=lambda: groups)
    return evaluate(trained, dataclasses.replace(data, splits={"train": data.train, "val": val}), by="half")


@pytest.mark.parametrize("seed", range(5))
def test_measures_are_those_of_their_definitions(seed):
    made = predictions(200, seed)
    found = scores_of(made)
    for affect in ("valence", "arousal"):
        guess, actual = made.pairs[affect]
        known = ~np.isnan(actual)
        x, y = np.float64(guess[known]), np.float64(actual[known])
        assert found[f"{affect}_examples"] == known.sum() < 200
        correlation = np.corrcoef(x, y)[0, 1]
        ccc = 2 * correlation * x.std() * y.std() / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
        assert found[f"{affect}_ccc"] == pytest.approx(ccc, abs=1e-9)
        assert found[f"{affect}_pearson"] == pytest.approx(correlation, abs=1e-9)
        # Shrout and Fleiss's ICC(3,1), from the sums of squares of two raters and n faces.
        both = np.stack([x, y], axis=1)
        rows, columns_ = both.mean(1, keepdims=True), both.mean(0, keepdims=True)
        between = 2 * np.square(rows - both.mean()).sum() / (len(x) - 1)
        error = np.square(both - rows - columns_ + both.mean()).sum() / (len(x) - 1)
        assert found[f"{affect}_icc"] == pytest.approx((between - error) / (between + error), abs=1e-9)
        assert found[f"{affect}_rmse"] == pytest.approx(sklearn.metrics.root_mean_squared_error(y, x), abs=1e-9)
        assert found[f"{affect}_sign_agreement"] == np.mean(np.sign(x) == np.sign(y))


def test_concordance_falls_with_a_shift_and_a_scale_that_correlation_does_not_see():
    actual = actual_of(predictions(300, share_known=1))
    exact, halved, shifted, opposite = (
        scores_of(predicted(guess, actual))["valence_ccc"] for guess in (actual, actual / 2, actual + 0.3, -actual)
    )
    assert exact == pytest.approx(1)
    assert halved < 0.85
    assert shifted < 0.9
    assert opposite < -0.9


def test_intervals_hold_the_measure_and_shrink_with_more_faces():
    few, many = (intervals(predictions(n)) for n in (60, 6000))
    scores = scores_of(predictions(6000))
    for name in AFFECT.measures:
        low, high = many[name]
        assert low < scores[name] < high
        assert high - low < (few[name][1] - few[name][0]) / 4
    assert not set(AFFECT.measures) & set(intervals(Predictions(np.zeros((3, 7)), np.zeros(3, int))))


def test_what_the_data_never_says_has_no_score():
    made = predictions(20)
    assert scores_of(dataclasses.replace(made, columns={}, tasks=())) == {}
    nothing = np.full((20, 2), np.nan, np.float32)
    found = scores_of(predicted(made.heads["affect"], nothing))
    assert found["valence_examples"] == 0
    assert all(np.isnan(found[name]) for name in AFFECT.measures)
    constant = np.full((20, 2), 0.1, np.float32)
    found = scores_of(predicted(constant, constant))
    assert np.isnan(found["valence_ccc"]), "of one constant, concordance is not defined"
    assert found["valence_rmse"] == 0
    assert np.isnan(found["valence_icc"])
    varied = predicted(np.full((3, 2), 0.3, np.float32), np.array([[0.1, 0.2], [0.5, 0.3], [-0.2, 0.4]], np.float32))
    assert np.isnan(scores_of(varied)["valence_pearson"]), (
        "of a prediction that never varies, correlation is not defined"
    )
    assert scores_of(varied)["valence_icc"] == 0


def test_correlations_forgive_what_they_are_said_to():
    actual = actual_of(predictions(300, share_known=1))
    exact, halved, shifted = (scores_of(predicted(guess, actual)) for guess in (actual, actual / 2, actual + 0.3))
    for found in (exact, halved, shifted):
        assert found["valence_pearson"] == pytest.approx(1)
    assert exact["valence_icc"] == pytest.approx(1)
    assert halved["valence_icc"] == pytest.approx(2 * 0.5 / (1 + 0.25))
    assert shifted["valence_icc"] == pytest.approx(1)


def test_unknown_values_add_nothing_to_the_loss_nor_to_its_gradient():
    guess = jnp.array([[0.5, -0.5], [0.2, 0.4]])
    batch = {"valence": jnp.array([0.25, jnp.nan]), "arousal": jnp.full(2, jnp.nan)}
    batch |= {"label": jnp.zeros(2, jnp.int32), "mask": jnp.array([True, True])}
    objective = Objective(tasks=(AFFECT,), head_weight=2.0)

    def losses(guess):
        certain = jnp.array([[200.0, 0.0], [200.0, 0.0]])  # of the expression, whose loss is 0
        return objective.losses({"logits": certain, "affect": guess}, batch)

    np.testing.assert_allclose(AFFECT.loss({"affect": guess}, batch), [0.25**2, 0])
    np.testing.assert_allclose(losses(guess), [2 * 0.25**2, 0])
    np.testing.assert_allclose(jax.grad(lambda x: losses(x).sum())(guess), [[2 * 2 * 0.25, 0], [0, 0]])


# Slow: a network is compiled for one device and for four.
@pytest.mark.slow
@pytest.mark.parametrize("way", [Sharded, Pmapped])
def test_every_way_takes_the_step_of_one_device(data, way):
    model = ResNetFER(width=8, stage_sizes=(1,), heads=(AFFECT.head,))
    known = columns(data.train)
    actual = np.stack([known["valence"], known["arousal"]], axis=1)[:11]
    batch = {name: values[:14] for name, values in known.items()} | {"mask": np.arange(14) < 11}
    objective = Objective(tasks=(AFFECT,))
    optimizer, taken = make_optimizer(OptimizerConfig(optimizer="sgd"), lambda _: 0.1), []
    for parallel in (OneDevice(), way()):
        state = parallel.place(create_state(model, optimizer, seed=0, image_size=32))
        state, metrics = make_train_step(model, optimizer, objective, parallel=parallel)(state, batch)
        scored = make_eval_step(model, objective, tasks=(AFFECT,), parallel=parallel)(state.variables, batch)
        taken.append(jax.device_get((state.params, metrics.loss, scored.tasks["affect"] / scored.count)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-5), *taken)
    assert np.abs(taken[0][0]["affect_head"]["kernel"]).max() > 0
    known = ~np.isnan(actual)
    np.testing.assert_allclose(taken[0][2][:, 0], known.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(taken[0][2][:, 2], np.where(known, actual, 0).mean(axis=0), rtol=1e-5)


def test_the_network_without_it_is_the_same_as_before():
    images = np.zeros((1, 32, 32, 3), np.uint8)
    networks = (ResNetFER(heads=heads) for heads in ((), (AFFECT.head,)))
    plain, both = (network.init(jax.random.key(0), images)["params"] for network in networks)
    assert set(both) - set(plain) == {"affect_head"}
    jax.tree.map(np.testing.assert_array_equal, plain, {name: both[name] for name in plain})


# Slow: jaxfer's own network is compiled for training and evaluation, and trained until it has learnt.
@pytest.mark.long
def test_a_network_learns_them_and_its_summary_says_how_well(finished, data):
    _, state, history = finished
    summary = summarize(CONFIG, data, state, history)
    assert summary["train"]["valence_ccc"] > 0.5
    assert summary["train"]["arousal_ccc"] > 0.5
    assert summary["val"]["valence_examples"] == 42
    assert summary["val"]["loss"] == pytest.approx(history[-1]["val_loss"], rel=1e-5)
    for name in AFFECT.measures:  # of sums in float32 that add up over batches, as against float64
        assert history[-1][f"val_{name}"] == pytest.approx(summary["val"][name], abs=1e-5)
    low, high = summary["val"]["intervals"]["valence_ccc"]
    assert low < summary["val"]["valence_ccc"] < high


@pytest.mark.long
def test_the_report_shows_them_by_epoch(finished, data):
    run_dir, state, history = finished
    run = read_run(run_dir, json.dumps(summarize(CONFIG, data, state, history)))
    page = render(run)
    valence, arousal = (f"{history[-1][f'val_{affect}_ccc']:.3f}" for affect in ("valence", "arousal"))
    assert f"Concordance of valence and arousal by epoch. At epoch 20: valence {valence}, arousal {arousal}." in page
    # In their own row: other numbers of the page may have the same three digits.
    row = rf'<tr><th scope="row">20</th>(<td>[^<]*</td>)*<td>{valence}</td><td>{arousal}</td>(<td>[^<]*</td>){{2}}</tr>'
    assert len(re.findall(row, page)) == 1
    (axes,) = paper_figures.of_run(run)["concordance"](ink="#000000").axes
    assert [len(line.get_xdata()) for line in axes.lines] == [20, 20]


@pytest.mark.long
def test_flipping_averages_both_predictions(finished, data):
    trained = load_run(finished[0], "last")
    mirrored = dataclasses.replace(data.val, images=data.val.images[:, :, ::-1])
    options = {"batch_size": 16, "parallel": Pmapped(), "tasks": trained.tasks}
    plain, other = (predict_split(trained.model, trained.variables, s, **options) for s in (data.val, mirrored))
    flipped = predict_split(trained.model, trained.variables, data.val, **options, views="flip")
    both = [one.heads["affect"] for one in (plain, other)]
    np.testing.assert_allclose(flipped.heads["affect"], sum(both) / 2, atol=1e-5)
    for name, (_, actual) in plain.pairs.items():
        np.testing.assert_array_equal(actual, columns(data.val)[name])
    assert plain.pairs.keys() == {"valence", "arousal"}


@pytest.mark.long
def test_the_evaluation_has_them_in_numbers_predictions_groups_and_page(evaluation):
    assert set(AFFECT.measures) < set(evaluation.measures)
    assert all(group["valence_ccc"] is not None for group in evaluation.groups.values())
    folder = write_evaluation(evaluation)
    text = (folder / "evaluation.html").read_text(encoding="utf-8")
    assert "Valence, CCC" in text
    assert "n\u00a0=\u00a042" in text
    with (folder / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    guess, truth = evaluation.predictions.heads["affect"], actual_of(evaluation.predictions)
    np.testing.assert_allclose([float(row["predicted_valence"]) for row in rows], guess[:, 0], rtol=1e-5)
    said = [float(row["actual_arousal"] or "nan") for row in rows]
    np.testing.assert_allclose(said, truth[:, 1], rtol=1e-5)
    assert "Predicted by actual arousal of 42 images, whose concordance is" in text


def test_the_figure_counts_the_images_where_they_were_predicted_and_are():
    (axes,) = figures.predicted_by_actual(np.array([-0.95, 0.95, 0.95]), np.array([0.95, -1, -0.95])).axes
    counts = axes.images[0].get_array()  # rows are predicted values, from the lowest
    assert counts[-1, 0] == 1
    assert counts[0, -1] == 2
    assert counts.sum() == 3


@pytest.mark.long
def test_seeds_are_averaged(evaluation):
    found = compare([evaluation, dataclasses.replace(evaluation)])["over_runs"]
    assert found["valence_ccc"]["mean"] == pytest.approx(evaluation.scores["valence_ccc"])
    assert found["valence_ccc"]["std"] == 0


def test_data_without_them_is_refused(data, tmp_path):
    train = dataclasses.replace(data.train, columns={})
    silent = dataclasses.replace(data, splits={"train": train, "val": data.val})
    words = r"says nothing .* that the head 'affect' could learn \(valence or arousal\): leave it out"
    with pytest.raises(UserError, match=words):
        fit(CONFIG, silent, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()
