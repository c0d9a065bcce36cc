"""Reading a run back: which checkpoint it is, and what a damaged folder ends in."""

import dataclasses
import json
import os
import pickle
import random
import shutil
from functools import partial

import flax.linen as nn
import numpy as np
import pytest
import tensorstore
from networks import Linear

from jaxfer.config import Config, DataConfig, LossConfig, ModelConfig, to_json
from jaxfer.data import load
from jaxfer.errors import UserError
from jaxfer.models import MODELS, ResNetFER, unit_range
from jaxfer.runs.checkpoints import Checkpoints
from jaxfer.runs.load import load_run
from jaxfer.training import fit

CONFIG = Config(
    data=DataConfig(drawn_train=28, drawn_val=14, image_size=32),
    model=ModelConfig(gray=True, standardize=True, squeeze=8),
    loss=LossConfig(l2=0.0),
    epochs=2,
    batch_size=14,
)


@pytest.fixture(scope="module", autouse=True)
def published():
    """Have the published network be a small one, which compiles in a moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "published", partial(ResNetFER, width=32, stage_sizes=(1,)))
        yield


@pytest.fixture(scope="module")
def finished(published, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / "first"
    data = load(CONFIG.data)
    state, _ = fit(CONFIG, data, run_dir=run_dir)
    return run_dir, np.asarray(state.params["head"]["kernel"]), data.fingerprint


@pytest.fixture
def run_dir(finished, tmp_path):
    return shutil.copytree(finished[0], tmp_path / "copy")


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_checkpoint_says_when_it_was_saved_why_it_was_chosen_and_on_what_it_was_trained(finished, run_dir):
    before = contents(run_dir)
    trained = load_run(run_dir, "last")
    assert trained.checkpoint == {"epoch": 2, "step": 4, "ends_epoch": True, "chosen": "last"}
    assert (trained.name, trained.config, trained.fingerprint) == ("copy", CONFIG, finished[2])
    np.testing.assert_array_equal(trained.variables["params"]["head"]["kernel"], finished[1])
    assert (trained.model.gray, trained.model.standardize, trained.model.squeeze) == (True, True, 8)
    assert load_run(run_dir, 2).chosen == "epoch 2"
    assert load_run(run_dir).checkpoint == trained.checkpoint, "by default that whose numbers the summary has"
    assert "Array" not in repr(trained)
    again = pickle.loads(pickle.dumps(trained))
    assert (again.model, again.checkpoint) == (trained.model, trained.checkpoint)
    np.testing.assert_array_equal(again.variables["params"]["head"]["kernel"], finished[1])
    assert contents(run_dir) == before


def test_a_run_that_still_goes_on_is_read_and_left_alone(run_dir):
    with (run_dir / "metrics.jsonl").open("a") as log:
        log.write('{"kind": "epo')
    unfinished = run_dir / "checkpoints" / "6.orbax-checkpoint-tmp"
    unfinished.mkdir()
    assert load_run(run_dir, "last").step == 4
    assert unfinished.exists()


def test_a_checkpoint_within_an_epoch_says_so(run_dir):
    first, *_ = (run_dir / "metrics.jsonl").read_text().splitlines()
    (run_dir / "metrics.jsonl").write_text(first + "\n")
    trained = load_run(run_dir, "last")
    assert (trained.epoch, trained.step, trained.ends_epoch) == (1, 4, False)


def test_an_epoch_that_is_not_kept_names_those_that_are(run_dir):
    with pytest.raises(UserError, match=r"keeps no checkpoint of epoch 9, only of .*epoch 2: pass one of these"):
        load_run(run_dir, 9)


@pytest.mark.parametrize("left", [[], ["config.json"], ["config.json", "checkpoints"]])
def test_an_incomplete_folder_is_a_sentence_and_stays_as_it_is(left, tmp_path):
    if "config.json" in left:
        (tmp_path / "config.json").write_text(to_json(CONFIG))
    if "checkpoints" in left:
        (tmp_path / "checkpoints").mkdir()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match="has no checkpoint yet" if left else "holds no run"):
        load_run(tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_a_config_that_is_no_text_and_lines_that_are_no_rows_are_met(run_dir):
    log, config = run_dir / "metrics.jsonl", run_dir / "config.json"
    rows = log.read_text()
    for line in ("[]", "3", "{}", '{"kind": "epoch", "step": "4"}', "[" * 100_000, "\udcff"):
        log.write_text(rows + line + "\n", errors="surrogateescape")
        assert load_run(run_dir, "last").step == 4
    config.write_bytes(b"\xff" + config.read_bytes())
    with pytest.raises(UserError, match=r"config\.json is damaged: it is not text; copy the run again"):
        load_run(run_dir)


def read_kernel(run_dir):
    """Return the last kernel of a run, or the sentence that it ends in."""
    try:
        return np.asarray(load_run(run_dir, 2).variables["params"]["head"]["kernel"])
    except UserError as error:
        return str(error)


def test_a_network_of_other_classes_than_the_checkpoint_is_refused(run_dir):
    config = json.loads((run_dir / "config.json").read_text())
    for group, field, value in (("data", "num_classes", 8), ("model", "variant", "resnet18"), ("model", "gray", False)):
        changed = config | {group: config[group] | {field: value}}
        (run_dir / "config.json").write_text(json.dumps(changed))
        assert "damaged, or of another network" in read_kernel(run_dir)


class More(nn.Module):
    """A network that has two layers, or the first alone."""

    both: bool

    @nn.compact
    def __call__(self, images, *, train=False, mask=None):
        x = nn.Dense(7, name="head")(unit_range(images).mean((1, 2)))
        return {"logits": x + nn.Dense(7, name="second")(x) if self.both else x}


def test_a_network_with_fewer_layers_than_were_saved_is_refused(tmp_path):
    run_dir = str(tmp_path / "both")  # a str serves as a path does
    config = dataclasses.replace(CONFIG, model=ModelConfig())
    fit(config, load(config.data), run_dir=run_dir, model=More(both=True))
    assert load_run(run_dir, model=More(both=True)).step == 4
    with pytest.raises(
        UserError, match=r"damaged, or of another network \(that alone has params/second/bias\)\. Pass the network that"
    ):
        load_run(run_dir, model=More(both=False))
    words = (
        r"both was begun with the network \S+:More, and this is networks:Linear \(that alone has params/second/bias\)"
    )
    with pytest.raises(UserError, match=words):
        load_run(run_dir, model=Linear())
    words = (
        r"another network \(that alone has opt_state/\S+\)\. Continue with the network, its sizes, and the optimizer"
    )
    with pytest.raises(UserError, match=words):
        fit(config, load(config.data), run_dir=run_dir, model=More(both=False), resume=True)


def test_a_pipe_in_the_place_of_a_file_of_a_checkpoint_is_not_waited_for(run_dir):
    for path in sorted(path for path in (run_dir / "checkpoints/4").rglob("*") if path.is_file()):
        content = path.read_bytes()
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(UserError, match=r"cannot be read.* a pipe, not a file"):
            Checkpoints(run_dir / "checkpoints", read_only=True)
        path.unlink()
        path.write_bytes(content)


@pytest.mark.parametrize("form", [{"shape": [10**7, 10**7]}, {"chunk": [2**17, 2**17]}, {"dtype": "float64"}])
def test_an_array_of_another_form_is_refused_before_there_is_memory_for_it(run_dir, form):
    base = f"{(run_dir / 'checkpoints/4/state').as_uri()}/"
    store = {"driver": "zarr3", "kvstore": {"driver": "ocdbt", "base": base, "path": "state.params.head.kernel/"}}
    shape = tensorstore.open(store, open=True).result().shape
    chunk = {"name": "regular", "configuration": {"chunk_shape": form.get("chunk", form.get("shape", shape))}}
    shown = {"shape": form.get("shape", shape), "chunk_grid": chunk, "data_type": form.get("dtype", "float32")}
    tensorstore.open(store | {"metadata": shown}, create=True, delete_existing=True).result()
    assert "cannot be read: it is damaged, or of another network" in read_kernel(run_dir)


def test_a_file_of_a_checkpoint_that_is_read_whole_is_not_read_where_it_is_huge(run_dir):
    with (run_dir / "checkpoints/4/state/manifest.ocdbt").open("r+b") as file:
        file.truncate(2**34)  # which takes no room on the disk
    with pytest.raises(UserError, match=r"manifest\.ocdbt cannot be read: more than 256 MiB"):
        Checkpoints(run_dir / "checkpoints", read_only=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [("seconds", [1]), ("config", {}), ("fingerprint", 3), ("checksums", {"a": "b"}), ("checksums", 1)],
)
def test_notes_of_a_checkpoint_of_other_kinds_are_damage(run_dir, name, value):
    notes = run_dir / "checkpoints/4/_CHECKPOINT_METADATA"
    content = json.loads(notes.read_text())
    content["custom_metadata"][name] = value
    notes.write_text(json.dumps(content))
    damage = pytest.raises(UserError, match="checkpoints/4 cannot be read: it is damaged")
    with Checkpoints(run_dir / "checkpoints", read_only=True) as checkpoints, damage:
        checkpoints.notes(4)


@pytest.mark.parametrize("content", ["[]", '{"val_accuracy": "high", "kept": false}', '{"val_accuracy": 1, "kept": 3}'])
def test_what_a_checkpoint_says_of_its_accuracy_is_validated(run_dir, content):
    (run_dir / "checkpoints/4/metrics/metrics").write_text(content)
    with pytest.raises(UserError, match=r"checkpoints/4/metrics/metrics\S* .*is damaged: expected"):
        Checkpoints(run_dir / "checkpoints", read_only=True)


def damage(path, kind, dice):
    content = path.read_bytes()
    if kind == "deleted":
        path.unlink()
    elif kind == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        changed = bytearray(content)
        for _ in range(20):
            changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
        path.write_bytes(changed)


@pytest.mark.long
def test_a_damaged_checkpoint_is_a_sentence_and_nothing_else_or_is_read_as_it_was_saved(
    finished, run_dir, tmp_path, capfd
):
    files = sorted(path for path in (run_dir / "checkpoints/4").rglob("*") if path.is_file())
    largest, notes = max(files, key=lambda path: path.stat().st_size), run_dir / "checkpoints/4/_CHECKPOINT_METADATA"
    assert notes in files
    dice = random.Random(0)
    for kind in ("cut", "deleted", "flipped"):
        for path in [*files, *[largest] * (kind == "flipped")]:
            copy = shutil.copytree(run_dir, tmp_path / "damaged")
            damage(copy / path.relative_to(run_dir), kind, dice)
            found = read_kernel(copy)
            if isinstance(found, str):
                assert "cannot be read" in found
            else:
                assert path not in (largest, notes)
                np.testing.assert_array_equal(found, finished[1])
            shutil.rmtree(copy)
            printed = capfd.readouterr()
            # Of a file that is missing altogether Orbax itself says so; a run that goes on may just have removed it.
            if (kind, path) != ("deleted", notes):
                assert printed == ("", "")
