"""The bridge to Optuna: what a study is told, and what it ends."""

import dataclasses
import json

import pytest
from programs.small_run import CONFIG, MODEL

from jaxfer.errors import Diverged, UserError
from jaxfer.sweeps import LogUniform, Uniform, optuna_objective
from jaxfer.training import Program, fit

optuna = pytest.importorskip("optuna")
optuna.logging.set_verbosity(optuna.logging.ERROR)
PLAIN = dataclasses.replace(CONFIG, augment=type(CONFIG.augment)())


@pytest.fixture(scope="module")
def program(data):
    return Program(PLAIN, data, model=MODEL)


@pytest.fixture(autouse=True)
def small_network(program, monkeypatch):
    monkeypatch.setattr("jaxfer.sweeps.optuna.Program", lambda *_, **__: program)


def test_a_study_gets_the_accuracy_of_each_epoch_and_of_the_run(data, program, tmp_path):
    fields = {"learning_rate": LogUniform(1e-3, 1e-1), "seed": Uniform(0, 9)}
    train = optuna_objective(PLAIN, fields, data, folder=tmp_path)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(train, n_trials=2)
    for trial in study.trials:
        config = json.loads((tmp_path / f"trial-{trial.number:04}" / "config.json").read_text())
        assert config["optimizer"]["learning_rate"] == trial.params["optimizer.learning_rate"]
        assert config["seed"] == trial.params["seed"]
        optimizer = dataclasses.replace(PLAIN.optimizer, learning_rate=trial.params["optimizer.learning_rate"])
        config = dataclasses.replace(PLAIN, optimizer=optimizer, seed=trial.params["seed"])
        _, rows = fit(config, data, program=program)
        assert trial.intermediate_values == {row["epoch"]: row["val_accuracy"] for row in rows}
        assert trial.value == rows[-1]["val_accuracy"]


def test_a_pruner_ends_a_run_after_an_epoch_and_a_diverged_one_ends_no_study(data, tmp_path):
    train = optuna_objective(PLAIN, {"learning_rate": (0.01, 1e30)}, data, folder=tmp_path)
    pruner = optuna.pruners.ThresholdPruner(lower=2.0)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    for rate in (0.01, 1e30):
        study.enqueue_trial({"optimizer.learning_rate": rate})
    study.optimize(train, n_trials=2, catch=(Diverged,))
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "FAIL"]
    assert list(study.trials[0].intermediate_values) == [1]
    assert len((tmp_path / "trial-0000" / "metrics.jsonl").read_text().splitlines()) == 1


def test_fields_that_cannot_change_are_refused(data):
    with pytest.raises(UserError, match="no field 'rate'"):
        optuna_objective(PLAIN, {"rate": (1,)}, data)
    with pytest.raises(UserError, match=r"data\.image_size decides which images there are"):
        optuna_objective(PLAIN, {"image_size": (32, 64)}, data)
