"""What is kept of a network that ships: the folder, and numbers that its own predictions give again."""

import json
import runpy
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from formats import fer2013

from jaxfer import UserError, finish_run, fit, load, load_model
from jaxfer.config import Config, DataConfig, ModelConfig
from jaxfer.data.layouts.fer2013.votes import CHOICES
from jaxfer.emotions import from_word
from jaxfer.models import MODELS, ResNetFER

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def with_votes(path):
    """Give the faces of an npz votes: 6 to 4, 5 to 5, 10 for no face, 4 to 3 to 3, one each, or none, by chance."""
    with np.load(path) as file:
        arrays = dict(file)
    votes = np.zeros((len(arrays["labels"]), 10), np.uint8)
    some = ([6, 4], [0, 5, 5], [*[0] * 9, 10], [4, 0, 3, 3], [1] * 10, [0])
    random = np.random.default_rng(0)
    for counts in votes:
        chosen = some[random.integers(len(some))]
        counts[: len(chosen)] = chosen
    np.savez(path, **arrays, ferplus_votes=votes)


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    root = tmp_path_factory.mktemp("weights")
    fer2013.npz(root, 6)
    (root / "results").mkdir()
    with_votes(root / "fer2013.npz")
    config = Config(
        data=DataConfig(data_dir=root / "fer2013.npz", image_size=32),
        model=ModelConfig(gray=True, heads=("votes",)),
        epochs=1,
        batch_size=42,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "published", lambda **fields: ResNetFER(width=8, stage_sizes=(), **fields))
        data = load(config.data)
        state, history = fit(config, data, run_dir=root / "run")
        finish_run(root / "run", config, data, state, history)
        patch.syspath_prepend(BENCHMARKS)
        patch.setattr(sys, "argv", ["", str(root / "run"), str(root / "model"), str(root / "results" / "found.json")])
        runpy.run_path(str(BENCHMARKS / "collect_weights.py"), run_name="__main__")
        model = load_model(root / "model")
    return data, model, (root / "results" / "found.json").read_text()


@pytest.mark.long
@pytest.mark.parametrize("views", ["one", "ten"])
def test_its_accuracies_are_those_of_the_folder(collected, views):
    data, model, found = collected
    predicted = model.probabilities(data.val.images, "expression", views).argmax(1)
    said = json.loads(found)["views"][views]
    assert said["accuracy"] == pytest.approx((predicted == data.val.labels).mean())
    assert (said["split"], said["examples"], said["without_copies"]["copies"]) == ("PublicTest", 42, 0)


@pytest.mark.long
def test_what_most_people_saw_is_told_by_both_rules(collected):
    data, model, found = collected
    predicted = np.array(model.names("votes"))[model.probabilities(data.val.images, "votes").argmax(1)]
    votes = np.nan_to_num(data.val.columns["votes"])
    said = json.loads(found)["votes"]["network"]
    for rule, kept in (("majority", votes.max(1) == 6), ("plurality", np.isin(votes.max(1), (1, 4, 5, 6)))):
        seen = [from_word(CHOICES[row.argmax()]) for row in votes[kept]]
        assert said[rule]["examples"] == kept.sum() > 5
        assert said[rule]["accuracy"] == pytest.approx(np.mean(predicted[kept] == seen))
        labels = np.array(data.class_names)[data.val.labels[kept]]
        assert json.loads(found)["votes"]["label"][rule]["accuracy"] == pytest.approx(np.mean(labels == seen))
        assert sum(one["examples"] for one in said[rule]["recall"].values()) == kept.sum()
    kept = np.where(votes > 1, votes, 0)[:, :8]
    known, answers = kept.any(1), model.probabilities(data.val.images, "votes").argmax(1)
    # In FER+'s order, which is not that of a model's names.
    order = [model.names("votes").index(from_word(choice)) for choice in CHOICES[:8]]
    people = kept[np.arange(len(kept)), np.argsort(order)[answers]] / np.maximum(kept.sum(1), 1)
    share = json.loads(found)["votes"]["share"]
    assert share["examples"] == known.sum()
    assert share["people"] == pytest.approx(people[known].mean())
    assert share["said"] == pytest.approx(model.probabilities(data.val.images, "votes").max(1)[known].mean(), rel=1e-5)


@pytest.mark.long
def test_nothing_of_the_machine_is_in_it(collected, tmp_path):
    _, model, found = collected
    for text in (found, json.dumps(dict(model.notes))):
        assert str(tmp_path.parent) not in text
    said = json.loads(found)
    assert said["network"]["parameters"] == sum(leaf.size for leaf in jax.tree.leaves(model.variables["params"]))
    assert said["float16"]["images"] == 42


def test_a_network_has_the_runs_of_that_which_it_began_with_and_of_no_other(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    runs_before = runpy.run_path(str(BENCHMARKS / "collect_weights.py"))["_runs_before"]
    first = tmp_path / "first.json"
    first.write_text(json.dumps({"file": {"sha256": "ab"}, "runs": [{"epochs": 1}, {"epochs": 2}]}))
    assert runs_before(["ab"], [first]) == [{"epochs": 1}, {"epochs": 2}]
    assert runs_before([], []) == []
    for begun, files in ((["ac"], [first]), (["ab"], []), ([], [first])):
        with pytest.raises(UserError, match="began with other weights"):
            runs_before(begun, files)
