"""The four contracts: a network, a transform, a head and a gradient of one's own, each through all that a run is.

Each is a few lines above the tests, and nothing of jaxfer knows of any of them.
"""

import dataclasses
import inspect
import json

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small_data import bright_faces, dataset_of

from jaxfer.config import Config, DataConfig, LossConfig, OptimizerConfig
from jaxfer.data.batches import Batches
from jaxfer.devices import OneDevice, Pmapped, Sharded
from jaxfer.errors import UserError
from jaxfer.evaluation.evaluate import evaluate
from jaxfer.evaluation.explain import grad_cam
from jaxfer.metrics import formulas
from jaxfer.metrics.scores import Measure
from jaxfer.models import Head, import_network, unit_range
from jaxfer.reports.finish import finish_run
from jaxfer.runs.folder import read_config
from jaxfer.runs.load import load_run
from jaxfer.sweeps import grid, sweep
from jaxfer.tasks import Task
from jaxfer.training import Callback, Objective, Program, create_state, fit, make_train_step

pytestmark = pytest.mark.usefixtures("blank_figures")


class Tiny(nn.Module):
    num_classes: int = 7

    @nn.compact
    def __call__(self, images, *, train, mask):
        x = nn.relu(nn.Conv(8, (5, 5), strides=4)(unit_range(images)))
        return {"logits": nn.Dense(self.num_classes)(x.mean((1, 2)))}


class Normed(nn.Module):
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images, *, train, mask):
        kept = None if mask is None else mask[:, None, None, None]
        x = nn.Conv(8, (5, 5), strides=4, use_bias=False)(unit_range(images))
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9, axis_name=self.axis_name)(x, mask=kept)
        return {"logits": nn.Dense(7)(nn.Dropout(0.1, deterministic=not train)(nn.relu(x).mean((1, 2))))}


def darken(key, batch):
    images = unit_range(batch["image"])
    return batch | {"image": images * jax.random.uniform(key, (len(images), 1, 1, 1), minval=0.5)}


class Glasses(Task):
    """Whether a face wears glasses: 1 or 0, NaN where the data does not say."""

    name = "glasses"
    head = Head("glasses", 1)
    columns = ("glasses",)
    measures = {"glasses_accuracy": Measure("accuracy", of="glasses", percent=True)}

    def loss(self, outputs, batch):
        known, logit = ~jnp.isnan(batch["glasses"]), outputs["glasses"][:, 0]
        losses = optax.sigmoid_binary_cross_entropy(logit, jnp.where(known, batch["glasses"], 0))
        return jnp.where(known, losses, 0)

    def terms(self, outputs, batch):
        known, says = ~jnp.isnan(batch["glasses"]), outputs["glasses"][:, 0] > 0
        return jnp.stack([known, known & (says == (batch["glasses"] == 1))], axis=-1).astype(jnp.float32)

    def scores(self, sums):
        n, right = np.moveaxis(np.asarray(sums), -1, 0)
        return {"glasses_examples": n, "glasses_accuracy": formulas.divide(right, n, empty=np.nan)}


class TwoHeads(nn.Module):
    @nn.compact
    def __call__(self, images, *, train, mask):
        x = nn.relu(nn.Conv(8, (5, 5), strides=4)(unit_range(images))).mean((1, 2))
        return {"logits": nn.Dense(7)(x), "glasses": nn.Dense(1)(x)}


def centred(evaluate):
    """Gradient centralisation (Yong et al. 2020): the gradient of each kernel less its mean over what goes in."""

    def gradient(params, batch_stats, batch, key):
        found, gradients = evaluate(params, batch_stats, batch, key)
        return found, jax.tree.map(less_mean, gradients)

    return gradient


def less_mean(kernel):
    return kernel - kernel.mean(tuple(range(kernel.ndim - 1)), keepdims=True) if kernel.ndim > 1 else kernel


# Plain SGD, as where the change of parameters is the gradient: Adam would hide a gradient of another size.
CONFIG = Config(
    data=DataConfig(image_size=32),
    loss=LossConfig(l2=0.001),
    optimizer=OptimizerConfig(optimizer="sgd", learning_rate=0.05),
    epochs=2,
    batch_size=16,
)

ADDED = {
    "a network": {"model": Tiny()},
    "a transform, and a network with Flax's batch normalisation": {"model": Normed(), "transforms": [darken]},
    "a head and a gradient": {"model": TwoHeads(), "tasks": [Glasses()], "gradient": centred},
}


def glasses(count):
    """Half of the bright faces wear them; of every fifth face it is not known."""
    worn = (np.arange(count) % 7 > 3).astype(np.float32)
    worn[::5] = np.nan
    return worn


@pytest.fixture(scope="module")
def data():
    """Return 44 faces to train on and 21 to validate on; batches of 16 leave a partial one of 12."""
    return dataset_of(
        bright_faces(44, "train", 0, glasses=glasses(44)), bright_faces(21, "val", 1, glasses=glasses(21))
    )


@pytest.fixture(scope="module", params=ADDED)
def run(request, data, tmp_path_factory):
    """Return what was added, the folder of a finished run with it, and what `fit` returned."""
    added, run_dir = ADDED[request.param], tmp_path_factory.mktemp("runs") / "run"
    state, rows = fit(CONFIG, data, run_dir=run_dir, **added)
    passed = {name: added[name] for name in ("model", "tasks") if name in added}
    return added, passed, run_dir, state, rows


def without_clock(rows):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def on_host(state):
    return jax.device_get(state.replace(key=jax.random.key_data(state.key)))


class Stopped(Exception):
    pass


class StopAt(Callback):
    def __init__(self, last):
        self.last = last

    def step(self, step, loss):
        if step == self.last:
            raise Stopped


@pytest.mark.parametrize("added", [Tiny, Normed, darken, Glasses, TwoHeads, centred])
def test_each_takes_few_lines(added):
    assert len(inspect.getsource(added).splitlines()) < 30
    assert len(inspect.getsource(Tiny).splitlines()) <= 10


def test_a_run_learns(run):
    *_, rows = run
    assert [row["step"] for row in rows] == [3, 6]
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_a_run_that_is_stopped_goes_on_to_the_same_bits(run, data, tmp_path):
    added, _, _, state, rows = run
    with pytest.raises(Stopped):
        fit(CONFIG, data, run_dir=tmp_path / "run", callbacks=[StopAt(5)], **added)
    resumed, resumed_rows = fit(CONFIG, data, run_dir=tmp_path / "run", resume=True, **added)
    chex.assert_trees_all_equal(on_host(resumed), on_host(state))
    assert without_clock(resumed_rows) == without_clock(rows)


@pytest.mark.few(2)
def test_a_run_is_loaded_summarised_evaluated_and_explained(run, data, tmp_path):
    _, passed, run_dir, state, rows = run
    summary = finish_run(run_dir, CONFIG, data, state, rows, **passed)
    assert json.loads((run_dir / "summary.json").read_text())["val"] == summary["val"]
    page = (run_dir / "report.html").read_text()
    assert all(measure.title in page for task in passed.get("tasks", ()) for measure in task.measures.values())
    trained = load_run(run_dir, "last", **passed)
    chex.assert_trees_all_equal(jax.device_get(trained.variables), jax.device_get(state.variables))
    evaluation = evaluate(trained, data)
    measured = {name.removeprefix("val_"): rows[-1][name] for name in rows[-1] if name.startswith("val_")}
    for name, value in measured.items():
        assert summary["val"][name] == pytest.approx(value, rel=1e-5, abs=1e-6), name
        if name != "loss":
            assert evaluation.scores[name] == pytest.approx(value, rel=1e-5, abs=1e-6), name
    assert set(evaluation.measures) >= set(measured) - {"loss"}
    for name in {"accuracy", "cross_entropy", "mse", "glasses_accuracy"} & set(evaluation.measures):
        low, high = evaluation.scores["intervals"][name]
        assert low < evaluation.scores[name] < high, name
    maps = grad_cam(trained.model, trained.variables, data.val.images[:7], np.arange(7))
    assert maps.shape == (7, 8, 8)
    assert np.isfinite(maps).all()
    assert maps.min() >= 0 < maps.max()


def test_a_head_is_logged_scored_and_has_intervals(data, tmp_path):
    options = {"model": TwoHeads(), "tasks": [Glasses()]}
    state, rows = fit(CONFIG, data, run_dir=tmp_path / "run", **options)
    evaluation = evaluate(load_run(tmp_path / "run", "last", **options), data)
    logits = TwoHeads().apply(state.variables, data.val.images, train=False, mask=None)["glasses"][:, 0]
    worn = glasses(21)
    known = ~np.isnan(worn)
    expected = ((np.asarray(logits) > 0) == (worn == 1))[known].mean()
    assert evaluation.scores["glasses_examples"] == known.sum() == 16
    assert evaluation.scores["glasses_accuracy"] == rows[-1]["val_glasses_accuracy"] == pytest.approx(expected)
    assert evaluation.predictions.measures == Glasses.measures


def test_a_head_weighs_in_the_loss_as_the_config_says(data):
    configs = [
        dataclasses.replace(CONFIG, loss=LossConfig(l2=0.0, head_weight=weight), batch_size=44, epochs=1)
        for weight in (1.0, 2.0, 3.0)
    ]
    program = Program(configs[0], data, model=TwoHeads(), tasks=[Glasses()])
    one, two, three = (fit(config, data, program=program)[1][0]["loss"] for config in configs)
    # Linear in the weight: what each unit adds is the loss of the head.
    assert three - two == pytest.approx(two - one, rel=1e-5)
    assert two > one


def test_data_that_says_nothing_of_a_head_is_refused_before_anything_is_written(tmp_path):
    silent = dataset_of(bright_faces(44, "train", 0), bright_faces(21, "val", 1))
    with pytest.raises(UserError, match=r"says nothing of its faces in train .* 'glasses' could learn \(glasses\)"):
        fit(CONFIG, silent, run_dir=tmp_path / "run", model=TwoHeads(), tasks=[Glasses()])
    assert not (tmp_path / "run").exists()


def test_other_answers_of_a_head_are_refused_on_resuming(data, tmp_path):
    options = {"model": TwoHeads(), "tasks": [Glasses()], "run_dir": tmp_path / "run"}
    fit(dataclasses.replace(CONFIG, epochs=1), data, **options)
    others = dataset_of(bright_faces(44, "train", 0, glasses=1 - glasses(44)), data.val)
    with pytest.raises(UserError, match="was trained on other images or labels than these"):
        fit(CONFIG, others, resume=True, **options)


def one_step(model, data, parallel, **options):
    """Return parameters before and after a step of plain SGD on a partial batch."""
    optimizer, batch = optax.sgd(0.1), Batches(data.train, 16, seed=0)[2]
    state = create_state(model, optimizer, seed=0, image_size=32)
    before = jax.device_get(state.params)
    step = make_train_step(model, optimizer, Objective(), parallel=parallel, **options)
    state, metrics = step(parallel.place(state), batch)
    return before, jax.device_get(state.params), jax.device_get(state.batch_stats), metrics


def test_a_gradient_is_what_the_step_takes(data):
    before, plain, *_ = one_step(Tiny(), data, OneDevice())
    _, found, *_ = one_step(Tiny(), data, OneDevice(), gradient=centred)
    expected = jax.tree.map(lambda old, new: old + less_mean(new - old), before, plain)
    chex.assert_trees_all_close(found, expected, rtol=0, atol=1e-6)
    assert abs(found["Conv_0"]["kernel"] - plain["Conv_0"]["kernel"]).max() > 1e-4


def test_a_transform_is_what_the_network_sees(data):
    seen = []

    def black(key, batch):
        seen.append(batch["image"].shape)
        return batch | {"image": jnp.zeros_like(batch["image"])}

    before, after, *_ = one_step(Tiny(), data, OneDevice(), transform=black)
    assert seen == [(16, 32, 32, 3)]
    # A black image moves no kernel of the first layer.
    chex.assert_trees_all_equal(after["Conv_0"]["kernel"], before["Conv_0"]["kernel"])
    assert (after["Dense_0"]["bias"] != before["Dense_0"]["bias"]).any()


@pytest.mark.few(1)
@pytest.mark.parametrize("way", [Sharded, Pmapped])
def test_every_way_takes_the_step_of_one_device(data, way):
    (before, one, *_), (_, many, *_) = (one_step(TwoHeads(), data, p, gradient=centred) for p in (OneDevice(), way()))
    norms = [float(optax.tree.norm(jax.tree.map(np.subtract, after, before))) for after in (one, many)]
    assert norms[1] == pytest.approx(norms[0], rel=1e-5)
    chex.assert_trees_all_close(many, one, rtol=0, atol=1e-6)


def test_flax_batch_normalisation_is_exact_on_a_mesh_and_shares_its_axis_under_pmap(data):
    whole = Batches(data.train, 16, seed=0)[0]
    model, optimizer, found = Normed(), optax.sgd(0.1), []
    for parallel in (OneDevice(), Sharded(), Pmapped()):
        state = parallel.place(create_state(model, optimizer, seed=0, image_size=32))
        # Dropout draws for each device of pmap anew: without noise there.
        state, _ = make_train_step(Quiet(), optimizer, Objective(), parallel=parallel)(state, whole)
        found.append(jax.device_get((state.params, state.batch_stats)))
    chex.assert_trees_all_close(found[1], found[0], rtol=0, atol=1e-6)
    chex.assert_trees_all_close(found[2], found[0], rtol=0, atol=1e-6)


class Quiet(nn.Module):
    """`Normed` without dropout, under its names."""

    axis_name: str | None = None

    @nn.compact
    def __call__(self, images, *, train, mask):
        kept = None if mask is None else mask[:, None, None, None]
        x = nn.Conv(8, (5, 5), strides=4, use_bias=False)(unit_range(images))
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9, axis_name=self.axis_name)(x, mask=kept)
        return {"logits": nn.Dense(7)(nn.relu(x).mean((1, 2)))}


# A network's name


def test_the_folder_names_the_class_and_without_the_object_a_sentence_says_what_is_missing(run, data):
    added, _, run_dir, *_ = run
    name = f"{Tiny.__module__}:{type(added['model']).__qualname__}"
    assert json.loads((run_dir / "config.json").read_text())["model"]["variant"] == name
    with pytest.raises(UserError, match=f"the network {name} is not one of jaxfer's .*: pass it as an object"):
        load_run(run_dir)


def test_a_run_goes_on_with_the_config_of_its_folder_and_the_object(data, tmp_path):
    fit(dataclasses.replace(CONFIG, epochs=1), data, run_dir=tmp_path / "run", model=Tiny())
    config = dataclasses.replace(read_config(tmp_path / "run"), epochs=2)
    _, rows = fit(config, data, run_dir=tmp_path / "run", resume=True, model=Tiny())
    assert len(rows) == 2
    with pytest.raises(UserError, match=r"is not one of jaxfer's .*: pass it as an object"):
        fit(config, data, run_dir=tmp_path / "run", resume=True)


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A module of the user's own, with what may and what may not be named as a network."""
    source = inspect.getsource(Tiny)
    text = f"import flax.linen as nn\nfrom jaxfer.models import unit_range\n\n{source}\n"
    text += "made = Tiny(num_classes=8)\nnumber = 3\nclass Places:\n    Inner = Tiny\n"
    text += "def make(num_classes):\n    return Tiny(num_classes)\ndef other():\n    return Tiny()\n"
    text += "def wrong(num_classes):\n    return 'a network'\n"
    (tmp_path / "own_networks.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return "own_networks"


@pytest.mark.parametrize(("attribute", "classes"), [("Tiny", 7), ("make", 7), ("made", 8), ("Places.Inner", 7)])
def test_a_network_is_imported_as_a_class_a_factory_or_an_instance(own_module, attribute, classes):
    network = import_network(f"{own_module}:{attribute}", 7)
    assert isinstance(network, nn.Module)
    assert network.num_classes == classes


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("own_networks:nothing", "cannot be imported .*: pass module:attribute"),
        ("no_such_module:Tiny", "cannot be imported .*: pass module:attribute"),
        ("own_networks", r"own_networks names a module alone \(no colon\): pass module:attribute, as own_networks:"),
        (":Tiny", "cannot be imported .*: pass module:attribute"),
        (".own_networks:Tiny", "cannot be imported .*: pass module:attribute"),
        ("own_networks:number", "own_networks:number is no network but int: pass a linen module"),
        ("own_networks:wrong", "own_networks:wrong is no network but str: pass a linen module"),
        ("own_networks:other", "own_networks:other cannot be called with num_classes=7"),
    ],
)
def test_what_is_no_network_is_refused(own_module, name, words):
    with pytest.raises(UserError, match=words):
        import_network(name, 7)


def test_a_run_of_an_imported_network_is_read_back_by_its_name(own_module, data, tmp_path):
    config = dataclasses.replace(CONFIG, epochs=1)
    state, _ = fit(config, data, run_dir=tmp_path / "run", model=import_network(f"{own_module}:Tiny", 7))
    name = read_config(tmp_path / "run").model.variant
    assert name == "own_networks:Tiny"
    trained = load_run(tmp_path / "run", model=import_network(name, 7))
    chex.assert_trees_all_equal(jax.device_get(trained.variables), jax.device_get(state.variables))


@pytest.mark.parametrize("fields", [{"gray": True}, {"standardize": True}, {"squeeze": 8}], ids=str)
def test_a_config_that_says_what_a_network_of_ones_own_decides_is_refused(data, fields):
    config = dataclasses.replace(CONFIG, model=dataclasses.replace(CONFIG.model, **fields))
    with pytest.raises(UserError, match=rf"{next(iter(fields))} is .*: pass .* with a network of your own .*:Tiny"):
        fit(config, data, model=Tiny())


@pytest.mark.parametrize("fields", [{"dropout": 0.5}, {"dtype": "bfloat16"}], ids=str)
def test_a_config_that_says_what_a_network_of_ones_own_does_not_know_is_refused_where_a_run_begins(
    data, fields, tmp_path
):
    ((name, value),) = fields.items()
    config = dataclasses.replace(CONFIG, model=dataclasses.replace(CONFIG.model, **fields), epochs=1)
    with pytest.raises(UserError, match=rf"{name} is {value} in the config, and .*:Tiny has no field {name}"):
        fit(config, data, model=Tiny(), run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    # As releases before began it: it is read and goes on.
    program = Program(config, data, model=Tiny())
    fit(config, data, program=program, run_dir=tmp_path / "run")
    assert getattr(load_run(tmp_path / "run", model=Tiny()).config.model, name) == value
    longer = dataclasses.replace(config, epochs=2)
    _, rows = fit(longer, data, model=Tiny(), run_dir=tmp_path / "run", resume=True)
    assert len(rows) == 2


# One program for many runs


def test_a_program_serves_runs_of_other_numbers_and_none_of_another_network(data):
    program = Program(CONFIG, data, model=Tiny())
    other = dataclasses.replace(CONFIG, optimizer=dataclasses.replace(CONFIG.optimizer, learning_rate=0.1), seed=3)
    assert program.serves(other, data)
    dropout = dataclasses.replace(CONFIG, model=dataclasses.replace(CONFIG.model, dropout=0.5))
    named = Program(CONFIG, data)
    assert named.serves(other, data)
    for config in (dropout, dataclasses.replace(CONFIG, model=dataclasses.replace(CONFIG.model, variant="resnet18"))):
        assert not named.serves(config, data)
    assert not program.serves(dropout, data)
    shared, _ = fit(other, data, program=program)
    alone, _ = fit(other, data, model=Tiny())
    chex.assert_trees_all_equal(on_host(shared), on_host(alone))


@pytest.mark.long
def test_a_sweep_trains_all_of_them(data, tmp_path):
    added = {"model": TwoHeads(), "tasks": [Glasses()], "transforms": [darken], "gradient": centred}
    search = grid(CONFIG, {"learning_rate": (0.05, 0.1), "epochs": (1, 2)})
    sweep(search, tmp_path / "sweep", load=lambda _: data, **added)
    runs = sorted((tmp_path / "sweep" / "cells").iterdir())
    assert len(runs) == 2
    for run_dir, rate in zip(runs, (0.05, 0.1), strict=True):
        config = dataclasses.replace(
            CONFIG, optimizer=dataclasses.replace(CONFIG.optimizer, learning_rate=rate), epochs=2
        )
        _, rows = fit(config, data, **added)
        summary = json.loads((run_dir / "summary.json").read_text())
        assert summary["val"]["glasses_accuracy"] == pytest.approx(rows[-1]["val_glasses_accuracy"])
        trained = load_run(run_dir, "last", model=TwoHeads(), tasks=[Glasses()])
        assert evaluate(trained, data).scores["accuracy"] == pytest.approx(rows[-1]["val_accuracy"])
