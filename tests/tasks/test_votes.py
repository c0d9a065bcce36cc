"""The votes of FER+: the loss and the measures against SciPy, and a network that learns them in a run."""

import dataclasses

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics
from small_data import bright_faces, dataset_of

from jaxfer.config import Config, DataConfig, LossConfig, ModelConfig, OptimizerConfig
from jaxfer.data.batches import Batches
from jaxfer.devices import OneDevice, Pmapped, Sharded
from jaxfer.errors import UserError
from jaxfer.evaluation.evaluate import evaluate
from jaxfer.evaluation.intervals import intervals
from jaxfer.evaluation.predict import Predictions
from jaxfer.models import unit_range
from jaxfer.runs.load import load_run
from jaxfer.tasks import TASKS, Votes, make_network, sums_of, tasks_of
from jaxfer.training import Objective, create_state, fit, make_train_step

VOTES = Votes()


def some(n, seed=0, unknown=0.2):
    """Return logits and votes of n faces, ten a face; of some faces there are none."""
    random = np.random.default_rng(seed)
    votes = random.multinomial(10, random.dirichlet(np.ones(10), n)).astype(np.float32)
    votes[random.uniform(size=n) < unknown] = np.nan
    return {"votes": random.normal(0, 2, (n, 10)).astype(np.float32)}, {"votes": votes}


def by_hand(outputs, batch):
    """Return cross entropy, divergence and whether the first is met of each face that has votes."""
    found = []
    for logits, votes in zip(outputs["votes"], batch["votes"], strict=True):
        if not np.isnan(votes).any() and (votes > 1).any():
            counted = np.where(votes == 1, 0, votes)
            shares, predicted = counted / counted.sum(), scipy.special.softmax(logits.astype(np.float64))
            cross_entropy = scipy.stats.entropy(shares) + scipy.stats.entropy(shares, predicted)
            met = shares.argmax() == predicted.argmax()
            found.append((cross_entropy, scipy.stats.entropy(shares, predicted), met))
    return np.array(found)


def test_measures_are_those_of_scipy():
    outputs, batch = some(200)
    expected = by_hand(outputs, batch)
    found = VOTES.scores(np.asarray(VOTES.terms(outputs, batch), np.float64).sum(axis=0))
    assert 140 < len(expected) < 180
    assert found["votes_examples"] == len(expected)
    assert found["votes_cross_entropy"] == pytest.approx(expected[:, 0].mean(), rel=1e-5)
    assert found["votes_kl"] == pytest.approx(expected[:, 1].mean(), rel=1e-5)
    assert found["votes_accuracy"] == pytest.approx(expected[:, 2].mean())


def test_where_all_agree_the_cross_entropy_is_that_of_scikit_learn():
    outputs, _ = some(50)
    answers = np.arange(50) % 10
    batch = {"votes": 10 * np.eye(10, dtype=np.float32)[answers]}
    found = VOTES.scores(np.asarray(VOTES.terms(outputs, batch), np.float64).sum(axis=0))
    probabilities = scipy.special.softmax(outputs["votes"].astype(np.float64), axis=1)
    expected = sklearn.metrics.log_loss(answers, probabilities, labels=range(10))
    assert found["votes_cross_entropy"] == found["votes_kl"] == pytest.approx(expected, rel=1e-5)
    assert found["votes_accuracy"] == sklearn.metrics.accuracy_score(answers, probabilities.argmax(1))


def test_golden_values():
    # Of even logits every answer costs log 10; shares are 6/9 and 3/9 once the single vote is dropped.
    votes = np.array([[6, 3, 1, 0, 0, 0, 0, 0, 0, 0]], np.float32)
    (terms,) = np.asarray(VOTES.terms({"votes": np.zeros((1, 10), np.float32)}, {"votes": votes}))
    np.testing.assert_allclose(terms, [1, 2.302585, 0.636514, 1], rtol=1e-5)


@pytest.mark.parametrize(
    ("votes", "same"),
    [
        ([6, 3, 1, 0, 0, 0, 0, 0, 0, 0], [6, 3, 0, 0, 0, 0, 0, 0, 0, 0]),
        ([8, 1, 1, 0, 0, 0, 0, 0, 0, 0], [10, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ([2, 2, 2, 2, 1, 1, 0, 0, 0, 0], [5, 5, 5, 5, 0, 0, 0, 0, 0, 0]),
    ],
)
def test_a_single_vote_is_an_outlier_and_is_dropped(votes, same):
    outputs, _ = some(1)
    terms = [VOTES.terms(outputs, {"votes": np.array([each], np.float32)}) for each in (votes, same)]
    np.testing.assert_allclose(*terms, rtol=1e-6)


@pytest.mark.parametrize("nothing", [[np.nan] * 10, [1] * 10, [0] * 10], ids=["unknown", "outliers", "no votes"])
def test_a_face_without_votes_adds_nothing_and_moves_nothing(nothing):
    outputs, batch = some(4, unknown=0)
    batch["votes"][2] = nothing
    np.testing.assert_array_equal(np.asarray(VOTES.terms(outputs, batch))[2], np.zeros(4))
    gradient = jax.grad(lambda logits: VOTES.loss({"votes": logits}, batch).sum())(jnp.asarray(outputs["votes"]))
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[2], np.zeros(10))
    assert (abs(np.asarray(gradient)[[0, 1, 3]]).max(axis=1) > 0).all()


def test_the_gradient_is_what_is_predicted_less_what_was_voted():
    outputs, batch = some(6, unknown=0)
    gradient = jax.grad(lambda logits: VOTES.loss({"votes": logits}, batch).sum())(jnp.asarray(outputs["votes"]))
    counted = np.where(batch["votes"] > 1, batch["votes"], 0)
    expected = scipy.special.softmax(outputs["votes"], axis=1) - counted / counted.sum(1, keepdims=True)
    np.testing.assert_allclose(gradient, expected, atol=1e-6)


def test_padding_adds_nothing():
    outputs, batch = some(8, unknown=0)
    mask = np.arange(8) < 5
    found = sums_of(VOTES, outputs, batch | {"mask": mask})
    np.testing.assert_allclose(found, np.asarray(VOTES.terms(outputs, batch))[:5].sum(0), rtol=1e-6)


def test_without_a_face_that_has_votes_the_scores_are_unknown():
    found = VOTES.scores(np.zeros(4))
    assert found.pop("votes_examples") == 0
    assert np.isnan(list(found.values())).all()
    assert set(found) == set(VOTES.measures)


def test_intervals_contain_the_scores_and_shrink_with_the_examples():
    lengths = []
    for n in (60, 600):
        outputs, batch = some(n)
        random = np.random.default_rng(2)
        logits, labels = random.normal(size=(n, 7)).astype(np.float32), random.integers(0, 7, n).astype(np.int32)
        predictions = Predictions(logits, labels, outputs, batch, (VOTES,))
        scores, found = predictions.scores(tuple("abcdefg")).tasks, intervals(predictions)
        assert set(VOTES.measures) <= set(found)
        for name in VOTES.measures:
            low, high = found[name]
            assert low < scores[name] < high, name
        # The deviation of a mean is that of one face, over the root of how many there are.
        deviation = by_hand(outputs, batch)[:, 0].std() / np.sqrt(scores["votes_examples"])
        low, high = found["votes_cross_entropy"]
        assert high - low == pytest.approx(2 * 1.96 * deviation, rel=0.1)
        lengths.append(high - low)
    assert lengths[0] > 2 * lengths[1]


# In a step and in a run


def votes_of(count, seed=0):
    """Return votes that the brightness of a face tells as its class does; every fifth face has none."""
    random = np.random.default_rng(seed)
    shares = 0.75 * np.eye(10)[np.arange(count) % 7] + 0.025
    votes = random.multinomial(10, shares).astype(np.float32)
    votes[::5] = np.nan
    return votes


@pytest.fixture(scope="module")
def data():
    train, val = bright_faces(44, "train", 0, votes=votes_of(44)), bright_faces(21, "val", 1, votes=votes_of(21, 1))
    return dataset_of(train, val)


class Net(nn.Module):
    @nn.compact
    def __call__(self, images, *, train, mask):
        x = nn.relu(nn.Conv(8, (5, 5), strides=4)(unit_range(images))).mean((1, 2))
        return {"logits": nn.Dense(7)(x), "votes": nn.Dense(10, name="votes_head")(x)}


NETWORK = Net()


def test_every_way_takes_the_step_of_one_device(data):
    batch = Batches(data.train, 14, seed=0)[0] | {"mask": np.arange(14) < 11}
    optimizer, found = optax.sgd(0.1), []
    objective = Objective(tasks=(VOTES,), head_weight=2.0)
    for parallel in (OneDevice(), Sharded(), Pmapped()):
        state = create_state(NETWORK, optimizer, seed=0, image_size=32)
        before = jax.device_get(state.params)
        state, metrics = make_train_step(NETWORK, optimizer, objective, parallel=parallel)(parallel.place(state), batch)
        after = jax.device_get(state.params)
        found.append((after, jax.tree.map(np.subtract, after, before), jax.device_get(metrics)))
    (one, change, metrics), *others = found
    assert np.abs(change["votes_head"]["kernel"]).max() > 1e-3
    for other, other_change, other_metrics in others:
        assert float(optax.tree.norm(other_change)) == pytest.approx(float(optax.tree.norm(change)), rel=1e-5)
        chex.assert_trees_all_close(other, one, rtol=0, atol=1e-5)
        chex.assert_trees_all_close(other_metrics, metrics, rtol=1e-5, atol=1e-5)


CONFIG = Config(
    data=DataConfig(image_size=32),
    model=ModelConfig(heads=("votes",)),
    loss=LossConfig(l2=0.0, head_weight=2.0),
    optimizer=OptimizerConfig(learning_rate=0.003),
    epochs=2,
    batch_size=16,
)


def test_a_config_names_them():
    assert TASKS["votes"].name == "votes"
    assert tasks_of(CONFIG.model) == (TASKS["votes"],)
    network = make_network(CONFIG.model, 7)
    images = jnp.zeros((3, 32, 32, 3))
    shapes = jax.eval_shape(lambda: network.init_with_output(jax.random.key(0), images)[0])
    assert {name: head.shape for name, head in shapes.items()} == {"logits": (3, 7), "votes": (3, 10)}
    with pytest.raises(UserError, match="heads names 'smile': pass some of affect, votes"):
        tasks_of(ModelConfig(heads=("votes", "smile")))


def test_a_run_learns_logs_and_scores_them(data, tmp_path):
    _, rows = fit(CONFIG, data, run_dir=tmp_path / "run", model=NETWORK)
    assert set(VOTES.measures) == {name.removeprefix("val_") for name in rows[0] if name.startswith("val_votes")}
    assert rows[-1]["val_votes_kl"] < rows[-1]["val_votes_cross_entropy"]
    trained = load_run(tmp_path / "run", "last", model=NETWORK)
    evaluation = evaluate(trained, data)
    outputs = {"votes": evaluation.predictions.heads["votes"]}
    expected = by_hand(outputs, {"votes": votes_of(21, 1)})
    assert evaluation.scores["votes_examples"] == len(expected) == 16
    assert evaluation.scores["votes_kl"] == pytest.approx(expected[:, 1].mean(), rel=1e-4)
    assert rows[-1]["val_votes_cross_entropy"] == pytest.approx(expected[:, 0].mean(), rel=1e-4)
    assert evaluation.predictions.measures == VOTES.measures


def test_data_without_votes_is_refused(data, tmp_path):
    silent = dataset_of(bright_faces(44, "train", 0), data.val)
    with pytest.raises(UserError, match=r"says nothing of its faces in train that the head 'votes' could learn"):
        fit(CONFIG, silent, run_dir=tmp_path / "run", model=NETWORK)
    assert not (tmp_path / "run").exists()


def test_other_votes_are_refused_on_resuming(data, tmp_path):
    options = {"run_dir": tmp_path / "run", "model": NETWORK}
    fit(dataclasses.replace(CONFIG, epochs=1), data, **options)
    others = dataset_of(bright_faces(44, "train", 0, votes=votes_of(44, 9)), data.val)
    with pytest.raises(UserError, match="was trained on other images or labels than these"):
        fit(CONFIG, others, resume=True, **options)
