"""The loop in one process: what it returns, what it writes, and what it refuses."""

import dataclasses
import json
import shutil
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import Convolutional, Linear

from jaxfer.config import Config, DataConfig, LossConfig, OptimizerConfig, to_json
from jaxfer.errors import UserError
from jaxfer.evaluation.summary import summarize
from jaxfer.runs.checkpoints import Checkpoints
from jaxfer.runs.folder import changed
from jaxfer.runs.load import load_run
from jaxfer.training import Callback, Objective, Program, evaluate_split, fit, make_eval_step

CONFIG = Config(data=DataConfig(image_size=32), loss=LossConfig(l2=0.001), epochs=2, batch_size=16)
"""Three steps an epoch, of 16, 16 and 12 examples."""
MODEL = Convolutional()


def with_rate(learning_rate, **changes):
    return dataclasses.replace(CONFIG, optimizer=OptimizerConfig(learning_rate=learning_rate), **changes)


@pytest.fixture(scope="module")
def program(data):
    """Return the program of all runs that differ from `CONFIG` in numbers alone."""
    return Program(CONFIG, data, model=MODEL)


@pytest.fixture(scope="module")
def finished(data, program, tmp_path_factory):
    """Return the folder of a finished run of `CONFIG`, which no test changes, its final state and its rows."""
    run_dir = tmp_path_factory.mktemp("runs") / "finished"
    return run_dir, *fit(CONFIG, data, program=program, run_dir=run_dir)


@pytest.fixture
def run_dir(tmp_path):
    """Return a folder that is not there yet."""
    return tmp_path / "run"


@pytest.fixture
def copy(finished, run_dir):
    """Return a copy of the finished run's folder."""
    return shutil.copytree(finished[0], run_dir)


def test_the_history_holds_what_the_final_state_scores(data, program, finished):
    run_dir, state, history = finished
    assert [(row["epoch"], row["step"]) for row in history] == [(1, 3), (2, 6)]
    assert history == [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert (run_dir / "config.json").read_text() == to_json(program.config_of(CONFIG))
    step = make_eval_step(MODEL, Objective(l2=0.001))
    scores = evaluate_split(step, jax.device_get(state.variables), data.val, batch_size=5).compute(data.class_names)
    for name in ("loss", "accuracy", "macro_f1", "mse", "r2"):
        assert history[-1][f"val_{name}"] == pytest.approx(getattr(scores, name), rel=1e-5, abs=1e-6)


def test_a_callback_is_told_what_the_network_is_and_what_always_answering_one_class_scores(data, program):
    begun = []

    class Begins(Callback):
        def begin(self, run):
            begun.append(run)

    fit(CONFIG, data, program=program, callbacks=[Begins()])
    assert begun[0].config == program.config_of(CONFIG)
    shares = [np.bincount(split.labels).max() / len(split) for split in (data.train, data.val)]
    assert begun[0].chance == tuple(shares)


def test_the_same_config_and_seed_give_the_same_numbers_and_another_seed_does_not(data, program):
    first, again, other = (fit(dataclasses.replace(CONFIG, seed=s), data, program=program) for s in (1, 1, 2))
    chex.assert_trees_all_equal(jax.device_get(first[0].params), jax.device_get(again[0].params))
    assert first[1][-1]["loss"] != other[1][-1]["loss"]


def test_soft_labels_are_learnt_in_place_of_the_labels(data, finished):
    def with_targets(targets):
        train, val = (dataclasses.replace(s, columns={"soft_label": targets(s.labels)}) for s in (data.train, data.val))
        return fit(CONFIG, dataclasses.replace(data, splits={"train": train, "val": val}), model=MODEL)

    _, _, plain = finished
    _, certain = with_targets(lambda labels: np.eye(7, dtype=np.float32)[labels])
    for name in ("loss", "val_loss", "val_mse"):
        assert certain[-1][name] == pytest.approx(plain[-1][name], rel=1e-3)
    _, history = with_targets(lambda labels: np.full((len(labels), 7), 1 / 7, np.float32))
    assert all(row["loss"] >= np.log(7) for row in history), "no cross entropy is below the entropy of its targets"


def test_sampling_decides_what_an_epoch_trains_on(data):
    few = (data.train.labels[:30] != 0) | (np.arange(30) == 0)
    train = dataclasses.replace(data.train, images=data.train.images[:30][few], labels=data.train.labels[:30][few])
    data = dataclasses.replace(data, splits={"train": train, "val": data.val})
    uniform, _ = fit(CONFIG, data, model=MODEL)
    sampled = dataclasses.replace(CONFIG, data=dataclasses.replace(CONFIG.data, sampling="balanced"))
    balanced, _ = fit(sampled, data, model=MODEL)
    assert not np.array_equal(uniform.params["head"]["kernel"], balanced.params["head"]["kernel"])


def test_a_shorter_run_at_a_constant_rate_is_a_prefix_of_a_longer_one(data, program, copy):
    longer = dataclasses.replace(CONFIG, epochs=3)
    state, history = fit(longer, data, program=program)
    extended, rows = fit(longer, data, program=program, run_dir=copy, resume=True)
    chex.assert_trees_all_equal(jax.device_get(extended.params), jax.device_get(state.params))
    assert [row["loss"] for row in rows] == [row["loss"] for row in history]


def test_a_finished_run_resumes_to_itself(data, program, finished, copy):
    _, state, history = finished
    again, rows = fit(CONFIG, data, program=program, run_dir=copy, resume=True)
    chex.assert_trees_all_equal(jax.device_get(again.params), jax.device_get(state.params))
    assert rows == history


def test_parameters_that_the_last_step_of_an_epoch_ruined_are_not_saved(data, tmp_path):
    # One step an epoch: its loss is that before the update, and the first step of the next epoch would be too late.
    optimizer = OptimizerConfig(optimizer="sgd", learning_rate=1e38)
    config = dataclasses.replace(CONFIG, optimizer=optimizer, batch_size=len(data.train), epochs=2)
    words = r"the validation loss became (nan|inf) at step 1; no checkpoint was saved yet\. Lower --learning-rate"
    with pytest.raises(UserError, match=words):
        fit(config, data, model=Linear(), run_dir=tmp_path / "run")
    assert not [path for path in (tmp_path / "run" / "checkpoints").iterdir() if path.name.isdigit()]


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(data, program, copy):
    with Checkpoints(copy / "checkpoints") as checkpoints:
        last = checkpoints.latest

    class Poisoned(Convolutional):
        def __call__(self, images, *, train=False, mask=None):
            return {"logits": jnp.nan * super().__call__(images, train=train, mask=mask)["logits"]}

    with pytest.raises(UserError, match=r"the loss became nan at step 1; no checkpoint was saved yet\. Lower"):
        fit(CONFIG, data, model=Poisoned(), run_dir=copy.with_name("poisoned"))
    with pytest.raises(UserError, match=r"the loss became (nan|inf) at step \d+; no checkpoint"):
        fit(with_rate(1e30), data, program=program, run_dir=copy.with_name("diverged"))
    with Checkpoints(copy / "checkpoints") as checkpoints:
        assert checkpoints.latest == last


@pytest.mark.parametrize("link", ["checkpoints", "checkpoints/6"])
def test_checkpoints_are_neither_written_nor_removed_through_a_link(data, program, copy, tmp_path, link):
    (copy / link).rename(tmp_path / "theirs")
    (copy / link).symlink_to(tmp_path / "theirs")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "theirs").rglob("*")}
    with pytest.raises(UserError, match=f"{link} is a link"):
        fit(dataclasses.replace(CONFIG, epochs=3), data, program=program, run_dir=copy, resume=True)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "theirs").rglob("*")} == before


def test_the_files_of_a_run_are_not_written_through_a_link(data, program, run_dir, tmp_path):
    run_dir.mkdir()
    (tmp_path / "theirs").write_text("{}\n")
    for name in ("config.json.partial", "metrics.jsonl.partial", "metrics.jsonl"):
        (run_dir / name).symlink_to(tmp_path / "theirs")
    with pytest.raises(UserError, match=r"metrics\.jsonl is a link"):
        fit(CONFIG, data, program=program, run_dir=run_dir)
    (run_dir / "metrics.jsonl").unlink()
    fit(CONFIG, data, program=program, run_dir=run_dir, resume=True)
    assert (tmp_path / "theirs").read_text() == "{}\n"


def test_a_folder_that_holds_a_run_is_not_overwritten(data, program, copy):
    before = (copy / "metrics.jsonl").read_text()
    with pytest.raises(UserError, match="already holds a run: continue it with --resume"):
        fit(CONFIG, data, program=program, run_dir=copy)
    (copy / "config.json").unlink()
    with pytest.raises(UserError, match=r"the checkpoints of a run whose config\.json is gone: put that back"):
        fit(CONFIG, data, program=program, run_dir=copy)
    assert (copy / "metrics.jsonl").read_text() == before


def test_a_run_is_not_continued_with_another_configuration(data, program, copy):
    with pytest.raises(UserError, match=r"another configuration \(learning_rate 0\.001, now 0\.01\)"):
        fit(with_rate(0.01), data, program=program, run_dir=copy, resume=True)
    cosine = dataclasses.replace(CONFIG, optimizer=OptimizerConfig(schedule="cosine"))
    # A cosine depends on the number of epochs, a run of which is not compiled here for being refused.
    begun = json.loads((copy / "config.json").read_text())
    begun["optimizer"]["schedule"] = "cosine"
    (copy / "config.json").write_text(json.dumps(begun))
    with pytest.raises(UserError, match=r"another configuration \(epochs 2, now 9\)"):
        fit(dataclasses.replace(cosine, epochs=9), data, model=MODEL, run_dir=copy, resume=True)


def test_a_run_is_not_continued_on_other_images(data, copy):
    images = data.train.images.copy()
    images[0, 0, 0, 0] ^= 1
    train = dataclasses.replace(data.train, images=images)
    other = dataclasses.replace(data, splits={"train": train, "val": data.val})
    with pytest.raises(UserError, match="was trained on other images or labels"):
        fit(CONFIG, other, model=MODEL, run_dir=copy, resume=True)


def test_a_run_that_knows_no_groups_goes_on_with_its_images_and_else_hears_why_not(data, program, copy):
    config = json.loads((copy / "config.json").read_text())
    del config["data"]["group_by"]
    (copy / "config.json").write_text(json.dumps(config))
    for path in copy.glob("checkpoints/*/_CHECKPOINT_METADATA"):
        notes = json.loads(path.read_text())
        notes["custom_metadata"]["config"] = json.dumps(config)
        path.write_text(json.dumps(notes))
    assert len(fit(CONFIG, data, program=program, run_dir=copy, resume=True)[1]) == 2
    other = dataclasses.replace(data, splits={"train": data.val, "val": data.train})
    with pytest.raises(UserError, match=r"held images out by their names, .* so that it can only begin anew"):
        fit(CONFIG, other, model=MODEL, run_dir=copy, resume=True)


def test_the_list_of_groups_may_lie_elsewhere_since_the_fingerprint_tells():
    begun = dataclasses.replace(
        CONFIG, data=DataConfig(data_dir=Path("a"), group_by="a/people.csv:who", table=Path("a/t.csv"))
    )
    moved = dataclasses.replace(
        CONFIG, data=DataConfig(data_dir=Path("b"), group_by="b/people.csv:who", table=Path("b/t.csv"))
    )
    assert not changed(begun, moved)


def test_a_run_is_not_resumed_with_fewer_epochs_than_it_has(data, program, copy):
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    fewer = dataclasses.replace(CONFIG, epochs=1)
    with pytest.raises(UserError, match=r"trained beyond epoch 1, its last one now: pass at least 2 epochs, or begin"):
        fit(fewer, data, program=program, run_dir=copy, resume=True)
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_resuming_what_does_not_exist_says_so(data, tmp_path):
    with pytest.raises(UserError, match=r"holds no run \(no config\.json\)"):
        fit(CONFIG, data, run_dir=tmp_path, resume=True)
    with pytest.raises(UserError, match="pass --run-dir"):
        fit(CONFIG, data, resume=True)


def test_the_best_and_the_last_checkpoint_are_kept_and_load_for_prediction(data, program, run_dir):
    config = dataclasses.replace(with_rate(0.003), epochs=4)
    _, history = fit(config, data, program=program, run_dir=run_dir)
    best = max(history, key=lambda row: (row["val_accuracy"], row["step"]))
    kept = sorted(int(path.name) for path in (run_dir / "checkpoints").iterdir())
    assert kept == sorted({best["step"], history[-1]["step"]})
    for which, row in (("best", best), ("last", history[-1])):
        trained = load_run(run_dir, which, model=MODEL)
        assert (trained.epoch, trained.step, trained.chosen) == (row["epoch"], row["step"], which)
        correct = trained.model.apply(trained.variables, data.val.images)["logits"].argmax(-1) == data.val.labels
        assert float(correct.mean()) == pytest.approx(row["val_accuracy"])
    (run_dir.parent / "empty").mkdir()
    (run_dir.parent / "empty" / "config.json").write_text(to_json(config))
    with pytest.raises(UserError, match="has no checkpoint yet"):
        load_run(run_dir.parent / "empty")


def test_a_summary_names_split_count_checkpoint_and_versions(data, program, finished):
    _, state, history = finished
    summary = json.loads(json.dumps(summarize(CONFIG, data, state, history, model=MODEL)))
    for name, split in (("train", data.train), ("val", data.val)):
        assert summary[name]["split"] == split.name
        assert summary[name]["examples"] == len(split) == np.sum(summary[name]["confusion_matrix"])
        assert summary[name]["class_names"] == list(data.class_names)
        keys = {"loss", "accuracy", "macro_f1", "mse", "r2", "balanced_accuracy", "ece", "per_class"}
        assert keys <= summary[name].keys()
    assert summary["val"]["accuracy"] == pytest.approx(history[-1]["val_accuracy"])
    assert summary["checkpoint"] == {"epoch": 2, "step": 6, "chosen": "last"}
    assert summary["config"] == json.loads(to_json(program.config_of(CONFIG)))
    assert summary["data"]["fingerprint"] == data.fingerprint
    assert {"jaxfer", "jax", "flax", "optax", "python", "device", "devices"} <= summary["environment"].keys()
