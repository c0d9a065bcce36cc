"""Some of a network's classes compared alone, as on data that lacks the others."""

import dataclasses
import json

import networks
import numpy as np
import pytest
from formats import encoded, face, put
from scipy.special import softmax

from jaxfer.cli.evaluate import Evaluate
from jaxfer.config import DataConfig
from jaxfer.data import load
from jaxfer.errors import UserError
from jaxfer.evaluation.ensemble import ensemble
from jaxfer.evaluation.evaluate import compare, evaluate
from jaxfer.metrics.temperature import Temperature
from jaxfer.reports import evaluation_faces
from jaxfer.runs.load import load_run

NETWORK = networks.Convolutional()
SOME = ("sad", "happy", "anger")


@pytest.fixture
def trained(runs):
    return load_run(runs / "seed-0", "last", model=NETWORK)


def test_the_network_chooses_among_the_classes_that_are_compared(trained):
    whole = load(trained.config.data)
    some = load(trained.config.data.of_classes(SOME), only="val")
    assert (some.class_names, len(some.val)) == (SOME, 15)
    fitted = dataclasses.replace(trained, temperature=Temperature(2.0, "val", 35, {}, {}))
    all_of_them, found = evaluate(fitted, whole), evaluate(fitted, some)
    rows = [whole.val.names.index(name) for name in some.val.names]
    columns = [whole.class_names.index(name) for name in SOME]
    np.testing.assert_array_equal(found.predictions.logits, all_of_them.predictions.logits[rows][:, columns])
    assert found.scores["class_names"] == list(SOME)
    assert found.scores["accuracy"] == np.mean(found.predictions.logits.argmax(1) == some.val.labels)
    words = (
        "Compared are sad, happy, anger alone: the answer is the likeliest of these 3 of the network's 7 classes, "
        "without neutral, surprise, fear, disgust."
    )
    assert found.notes()[0] == words
    assert not any("Compared are" in note for note in all_of_them.notes())
    assert (found.with_temperature, all_of_them.with_temperature["value"]) == (None, 2.0)


def test_classes_that_count_as_one_have_the_sum_of_their_probabilities(trained):
    merge = ("disgust=anger", "sad=low", "fear=low")
    whole = load(trained.config.data)
    config = Evaluate(runs=(trained.run_dir,), merge=merge)._data_config(trained)
    data = load(config, only="val")
    assert data.class_names == ("neutral", "happy", "low", "surprise", "anger")
    fitted = dataclasses.replace(trained, temperature=Temperature(2.0, "val", 35, {}, {}))
    found, all_of_them = evaluate(fitted, data, merge=merge), evaluate(fitted, whole)
    assert len(found.predictions.labels) == len(whole.val) == 35
    before = softmax(all_of_them.predictions.logits, axis=1)
    columns = {name: before[:, index] for index, name in enumerate(whole.class_names)}
    expected = [columns["neutral"], columns["happy"], columns["sad"] + columns["fear"], columns["surprise"]]
    expected = np.stack([*expected, columns["disgust"] + columns["anger"]], axis=1)
    np.testing.assert_allclose(softmax(found.predictions.logits, axis=1), expected, rtol=1e-5)
    assert found.with_temperature is None
    assert found.notes()[0].startswith("Merged are disgust=anger, sad=low, fear=low: the probabilities")
    assert not any("Compared are" in note for note in found.notes())
    with pytest.raises(UserError, match="tells neutral, happy, sad, surprise, fear, disgust, anger, and not low"):
        evaluate(trained, data)


def test_what_a_run_has_merged_may_be_merged_again_and_further(trained):
    config = dataclasses.replace(trained.config.data, merge=("contempt=disgust",))
    run = dataclasses.replace(trained, config=dataclasses.replace(trained.config, data=config))
    merge = ("contempt=disgust", "disgust=anger")
    asked = Evaluate(runs=(run.run_dir,), merge=merge)._data_config(run)
    assert asked.merge == ("disgust=anger", "contempt=anger")
    assert asked.vocabulary == ("neutral", "happy", "sad", "surprise", "fear", "anger")
    plainly = Evaluate(runs=(run.run_dir,), merge=merge[1:])._data_config(trained)
    found, expected = evaluate(run, load(asked), merge=merge), evaluate(trained, load(plainly), merge=merge[1:])
    np.testing.assert_array_equal(found.predictions.logits, expected.predictions.logits)
    assert found.scores["per_class"] == expected.scores["per_class"]
    with pytest.raises(UserError, match="contempt=sad, and contempt counts as disgust already: pass disgust=sad"):
        Evaluate(runs=(run.run_dir,), merge=("contempt=sad",))._data_config(run)


def test_the_same_classes_in_another_order_give_the_same_numbers(trained):
    data = load(trained.config.data)
    other = load(trained.config.data.of_classes(data.class_names[::-1]), only="val")
    one, two = evaluate(trained, data), evaluate(trained, other)
    assert two.scores["class_names"] == one.scores["class_names"][::-1]
    assert two.scores["per_class"] == dict(reversed(one.scores["per_class"].items()))
    assert two.scores["confusion_matrix"] == [row[::-1] for row in one.scores["confusion_matrix"][::-1]]
    assert not any("Compared are" in note for note in two.notes())


def test_what_speaks_for_a_class_is_asked_of_its_own_logit(trained, monkeypatch):
    asked = []

    def explain(model, variables, images, classes):
        asked.append(classes)
        return np.ones((len(images), 2, 2), np.float32)

    monkeypatch.setattr(evaluation_faces, "grad_cam", explain)
    found = evaluate(trained, load(trained.config.data.of_classes(SOME), only="val"), images=(0, 1, 2, 3, 4))
    evaluation_faces.explained(found)
    actual = [SOME[label] for label in found.predictions.labels[:5]]
    assert [trained.class_names[logit] for logit in asked[1]] == actual


def test_runs_are_compared_on_some_classes_alone(runs):
    both = [load_run(runs / name, "last", model=NETWORK) for name in ("seed-0", "seed-1")]
    data = load(both[0].config.data.of_classes(SOME), only="val")
    evaluations = [evaluate(one, data) for one in both]
    assert compare(evaluations)["runs"][0]["accuracy"] == evaluations[0].scores["accuracy"]
    together = ensemble(evaluations)
    assert together.predictions.logits.shape == (15, 3)
    assert together.notes()[0].startswith("Compared are sad, happy, anger alone")


def test_the_command_compares_what_data_without_neutral_has(runs, jaxfer, tmp_path):
    faces = tmp_path / "CK+"
    for name in ("happy", "sad", "surprise", "fear", "disgust", "anger", "contempt"):
        for number in range(2):
            put(faces / "val" / name / f"{number}.png", encoded(face(name, number)))
    code, _, errors = jaxfer(runs / "seed-0", "--data", faces)
    assert code == 2
    assert "no image of neutral in 'val', but the network knows 7 classes" in " ".join(errors.split())
    classes = "happy,sad,surprise,fear,disgust,anger"
    assert f"or compare the others alone (--classes {classes})" in errors
    code, printed, errors = jaxfer(runs / "seed-0", "--data", faces, "--json", "--classes", classes)
    assert code == 0, errors
    (found,) = json.loads(printed)["evaluations"]
    assert found["class_names"] == classes.split(",")
    assert found["examples"] == 12
    assert found["data"]["left_out"] == {"contempt": 2}
    assert found["data"]["own"] is False
    assert "without neutral." in found["notes"][0]


def test_classes_that_the_network_does_not_tell_are_refused_before_the_data_is_read(runs, jaxfer, tmp_path):
    code, _, errors = jaxfer(runs / "seed-0", "--data", tmp_path / "nowhere", "--classes", "happy,sad,contempt")
    assert code == 2
    words = (
        "the network of seed-0 tells neutral, happy, sad, surprise, fear, disgust, anger, and not contempt: pass data"
    )
    assert words in errors
    assert "or compare those that it knows alone (--classes happy,sad)" in errors


def test_data_of_as_many_other_classes_is_refused(trained):
    config = DataConfig(classes=("happy", "sad", "surprise", "fear", "disgust", "anger", "contempt"), image_size=32)
    data = load(dataclasses.replace(config, drawn_train=7, drawn_val=7))
    with pytest.raises(UserError, match=r"tells neutral, .*, anger, and not contempt: .*--classes happy,"):
        evaluate(trained, data)
