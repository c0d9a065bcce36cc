"""Runs that are taught by other runs: what teachers say, who learns it, what is kept, and what is refused."""

import dataclasses
import shutil
from pathlib import Path

import chex
import flax.linen as nn
import jax
import numpy as np
import pytest
import scipy.special
from networks import Convolutional, Linear
from programs.small_run import CONFIG, assert_same_to_rounding, on_host, run, two, without_clock
from small_data import bright_faces, dataset_of, split_of

from jaxfer.config import AugmentConfig, DistillConfig, ModelConfig, OptimizerConfig, to_json
from jaxfer.data.batches import Batches
from jaxfer.data.transforms import show_views
from jaxfer.devices import OneDevice, Pmapped, Sharded
from jaxfer.devices.consensus import Agreement
from jaxfer.emotions import AFFECTNET_7
from jaxfer.errors import UserError
from jaxfer.models import unit_range
from jaxfer.models.pretrained import SHIPPED
from jaxfer.runs.load import load_run
from jaxfer.tasks import Votes
from jaxfer.training import Callback, HostFeed, Program, ResidentFeed, Run, fit, fit_together
from jaxfer.training import teachers as home
from jaxfer.training.teachers import load_teachers

MODEL = Linear(dropout=0.3)
TURNED = dataclasses.replace(CONFIG, augment=AugmentConfig(crop=2, flip=True, brightness=0.1))


def taught(folders, config=TURNED, **fields):
    folders = (folders,) if isinstance(folders, Path) else tuple(folders)
    return dataclasses.replace(config, distill=DistillConfig(teachers=folders, **fields))


@pytest.fixture(scope="module")
def teachers(data, tmp_path_factory):
    """Return the folders of two runs of a network with statistics, and of one of the network that learns."""
    folders = {}
    for name, model, seed in (("one", Convolutional(), 1), ("two", Convolutional(), 2), ("same", MODEL, 3)):
        folders[name] = tmp_path_factory.mktemp("runs") / name
        fit(dataclasses.replace(TURNED, seed=seed), data, run_dir=folders[name], model=model)
    return folders


def asked(folders, data, model, parallel=None, *, config=TURNED, places=3, heads=("logits",), folder=None, seen=None):
    """Return teachers, and what they say of the training images."""
    config = taught(folders, config, teacher_places=places)
    variant = f"{type(model).__module__}:{type(model).__qualname__}"
    config = dataclasses.replace(config, model=ModelConfig(variant=variant))
    found, parallel = load_teachers(config, data, model), parallel or OneDevice()
    options = {"batch_size": 13, "parallel": parallel, "agreement": Agreement(parallel), "folder": folder}
    watch = (lambda *_: None) if seen is None else (lambda *told: seen.append(told))
    return found, found.columns(data, heads, watch=watch, **options)


# What they say


@pytest.mark.long
def test_the_column_of_a_view_is_what_the_teacher_says_of_that_very_view(data, teachers):
    found, columns = asked(teachers["one"], data, Convolutional())
    assert {name: (rows.shape, rows.dtype) for name, rows in columns.items()} == {
        "teacher_logits": ((44, 18, 7), np.float16)
    }
    train = dataclasses.replace(data.train, columns=columns)
    batch = Batches(train, 44, seed=0)[0]
    shown = show_views(jax.random.key(1), batch, found.views)
    variables = load_run(teachers["one"], model=Convolutional()).variables
    logits = Convolutional().apply(variables, shown["image"])["logits"]
    # The digits of float16.
    np.testing.assert_allclose(shown["teacher_logits"], jax.nn.log_softmax(logits), rtol=2**-10)
    middle = Convolutional().apply(variables, data.train.images)["logits"]
    np.testing.assert_allclose(columns["teacher_logits"][:, 8], jax.nn.log_softmax(middle), rtol=2**-10)


def test_several_teachers_say_the_mean_of_their_log_probabilities(data, teachers):
    both = [teachers["one"], teachers["two"]]
    seen = []
    _, columns = asked(both, data, Convolutional(), seen=seen)
    assert seen[0] == (0, 88)
    assert seen[-1] == (88, 88)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    each = [asked(one, data, Convolutional())[1]["teacher_logits"].astype(np.float64) for one in both]
    assert not np.allclose(*each, atol=0.01)
    expected = scipy.special.log_softmax((each[0] + each[1]) / 2, axis=-1)
    np.testing.assert_allclose(columns["teacher_logits"], expected, rtol=2**-9)


@pytest.mark.few(1)
@pytest.mark.parametrize("way", [Sharded, Pmapped])
def test_they_say_the_same_on_several_devices(data, teachers, way):
    one, many = (asked(teachers["one"], data, Convolutional(), kind)[1] for kind in (OneDevice(), way()))
    np.testing.assert_allclose(many["teacher_logits"], one["teacher_logits"], rtol=2**-9)


def test_streamed_images_are_seen_too(data, teachers):
    class Streamed:
        shape = data.train.images.shape

        def __getitem__(self, rows):
            return data.train.images[rows]

    streamed = dataset_of(split_of("train", Streamed(), data.train.labels), data.val)
    found = [asked(teachers["one"], images, Convolutional())[1]["teacher_logits"] for images in (data, streamed)]
    np.testing.assert_array_equal(*found)


# Who learns it


@pytest.mark.long
def test_a_network_agrees_with_its_teacher_more_than_one_that_was_not_taught(tmp_path):
    # Labels that say the next class: whatever the teacher has learnt of them, the student's own labels do not say.
    train, val = bright_faces(140, "train", 0), bright_faces(140, "val", 1)
    turned = [split_of(split.name, split.images, (split.labels + 1) % 7) for split in (train, val)]
    rule = OptimizerConfig(optimizer="adam", learning_rate=0.05)
    config = dataclasses.replace(CONFIG, augment=AugmentConfig(flip=True), optimizer=rule, epochs=15, batch_size=35)
    fit(config, dataset_of(*turned), run_dir=tmp_path / "teacher", model=Linear())
    student = taught(tmp_path / "teacher", config, teacher_weight=1.0, teacher_temperature=2.0)
    notes = []

    class Notes(Callback):
        def begin(self, run):
            notes.extend(run.notes)

    states = [fit(one, dataset_of(train, val), model=Linear(), callbacks=[Notes()])[0] for one in (student, config)]
    says = [load_run(tmp_path / "teacher", model=Linear()).variables, *(state.variables for state in states)]
    said = [np.asarray(Linear().apply(v, val.images)["logits"]).argmax(axis=1) for v in says]
    agreement = [(said[0] == other).mean() for other in said[1:]]
    assert agreement[0] > 0.6 > 0.3 > agreement[1], agreement
    (note,) = notes
    assert note.startswith(f"the teacher {tmp_path / 'teacher'} was trained on other images or labels than these")


@pytest.fixture(scope="module")
def learnt(data, teachers):
    """Return the outcome of a run that is taught, batches from the host on one device."""
    return run(taught(teachers["same"]), data, model=MODEL)


@pytest.mark.slow
def test_validation_has_the_plain_loss_and_training_its_own(data, teachers, learnt):
    still = dataclasses.replace(TURNED, optimizer=OptimizerConfig(optimizer="sgd", learning_rate=1e-30))
    _, (plain, *_) = run(still, data, model=Linear())
    _, (row, *_) = run(taught(teachers["same"], still), data, model=Linear())
    assert row["val_loss"] == pytest.approx(plain["val_loss"], rel=1e-6)
    assert row["loss"] != pytest.approx(plain["loss"], rel=0.01)


def test_a_share_of_nothing_is_no_distillation(data, teachers):
    chex.assert_trees_all_equal(
        run(taught(teachers["same"], teacher_weight=0.0), data, model=MODEL), run(TURNED, data, model=MODEL)
    )


def test_weight_and_temperature_are_numbers_of_one_program(data, teachers, learnt):
    config = taught(teachers["same"])
    program = Program(config, data, model=MODEL)
    other = taught(teachers["same"], teacher_weight=0.2, teacher_temperature=1.0)
    assert program.serves(other, data)
    assert not program.serves(taught(teachers["same"], teacher_places=1), data)
    assert not program.serves(TURNED, data)
    chex.assert_trees_all_equal(run(config, data, program=program), learnt)
    found = run(other, data, program=program)
    assert not np.array_equal(found[0].params["head"]["kernel"], learnt[0].params["head"]["kernel"])
    chex.assert_trees_all_equal(found, run(other, data, model=MODEL))


@pytest.mark.few(1)
@pytest.mark.parametrize(("way", "feed"), [(OneDevice, ResidentFeed(steps=2)), (Sharded, HostFeed())], ids=str)
def test_resident_images_and_a_mesh_give_the_numbers_of_one_device(data, teachers, learnt, way, feed):
    assert_same_to_rounding(run(taught(teachers["same"]), data, parallel=two(way), feed=feed, model=MODEL), learnt)


@pytest.mark.few(1)
@pytest.mark.parametrize("way", [Sharded, Pmapped])
def test_every_way_gives_the_same_where_nothing_is_drawn(data, teachers, way):
    # Under pmap each device draws its own views: one view alone leaves nothing to draw.
    config = taught(teachers["same"], dataclasses.replace(CONFIG, augment=AugmentConfig()))
    one = run(config, data, model=Linear())
    assert_same_to_rounding(run(config, data, parallel=two(way), model=Linear()), one)


@pytest.mark.slow
def test_pmap_learns_the_same_from_resident_images(data, teachers):
    config = taught(teachers["same"])
    found = [run(config, data, parallel=two(Pmapped), feed=feed, model=MODEL) for feed in (HostFeed(), ResidentFeed())]
    assert_same_to_rounding(*found)


@pytest.mark.slow
def test_runs_side_by_side_are_taught_as_alone(data, teachers):
    configs = [taught(teachers["same"]), dataclasses.replace(taught(teachers["same"], teacher_weight=0.2), seed=4)]
    program = Program(configs[0], data, model=MODEL, parallel=OneDevice(), feed=ResidentFeed(steps=2))
    together = fit_together([Run(config=config) for config in configs], program)
    for config, (state, rows) in zip(configs, together, strict=True):
        assert_same_to_rounding((on_host(state), without_clock(rows)), run(config, data, program=program))


def test_a_transform_of_ones_own_that_writes_the_column_is_a_teacher(data, teachers):
    config = dataclasses.replace(CONFIG, augment=AugmentConfig())
    variables = load_run(teachers["same"], model=MODEL).variables

    def teacher(key, batch):
        return batch | {"teacher_logits": MODEL.apply(variables, batch["image"])["logits"]}

    found = run(config, data, model=Linear(), transforms=[teacher])
    expected = run(taught(teachers["same"], config), data, model=Linear())
    # Those of a run that names it are float16.
    chex.assert_trees_all_close(found[0].params, expected[0].params, rtol=0, atol=1e-4)
    assert found[1][-1]["loss"] == pytest.approx(expected[1][-1]["loss"], rel=1e-3)


@pytest.mark.slow
def test_turns_mixup_and_accumulation_go_with_teachers(data, teachers):
    augment = AugmentConfig(crop=2, alternate_flip=True, mixup=0.2)
    rule = dataclasses.replace(CONFIG.optimizer, accumulate=2)
    config = dataclasses.replace(CONFIG, augment=augment, optimizer=rule, batch_size=14)
    host, resident = (
        run(taught(teachers["same"], config), data, feed=feed, parallel=OneDevice(), model=MODEL)
        for feed in (HostFeed(), ResidentFeed(steps=2))
    )
    assert_same_to_rounding(resident, host)
    assert all(np.isfinite(row["loss"]) for row in host[1])


class Voting(nn.Module):
    """A network with the head of FER+'s votes, and perhaps without."""

    votes: bool = True

    @nn.compact
    def __call__(self, images, *, train=False, mask=None):
        x = nn.avg_pool(unit_range(images), (8, 8), (8, 8)).reshape(len(images), -1)
        outputs = {"logits": nn.Dense(7, name="head")(x)}
        return outputs | ({"votes": nn.Dense(10, name="votes")(x)} if self.votes else {})


@pytest.mark.long
def test_a_head_of_votes_is_taught_by_the_teachers_that_have_it(tmp_path, monkeypatch):
    def voted(count, name, seed):
        return bright_faces(count, name, seed, votes=np.random.default_rng(seed).multinomial(10, [0.1] * 10, count))

    data = dataset_of(voted(44, "train", 0), voted(21, "val", 1))
    for name, votes in (("both", True), ("classes", False)):
        config = dataclasses.replace(CONFIG, seed=int(votes))
        fit(config, data, run_dir=tmp_path / name, model=Voting(votes), tasks=[Votes()] if votes else [])
    heads = ("logits", "votes")
    _, columns = asked(tmp_path / "both", data, Voting(), heads=heads)
    assert columns["teacher_votes"].shape == (44, 18, 10)
    _, columns = asked(tmp_path / "classes", data, Voting(votes=False), heads=heads)
    assert set(columns) == {"teacher_logits"}
    # Of several, those that have the head: as load_run would return them for networks of jaxfer's own.
    networks = {name: load_run(tmp_path / name, model=Voting(name == "both")) for name in ("both", "classes")}
    monkeypatch.setattr(home, "load_run", lambda folder, model: networks[folder.name])
    _, alone = asked(tmp_path / "both", data, Voting(), heads=heads)
    _, mixed = asked([tmp_path / "both", tmp_path / "classes"], data, Voting(), heads=heads)
    np.testing.assert_array_equal(mixed["teacher_votes"], alone["teacher_votes"])
    assert not np.array_equal(mixed["teacher_logits"], alone["teacher_logits"])
    # Twice the loss of votes that a teacher has no part in.
    still = dataclasses.replace(CONFIG, augment=AugmentConfig(), optimizer=OptimizerConfig(learning_rate=1e-30))
    options = {"model": Voting(), "tasks": [Votes()]}
    of_both, of_classes = (
        run(taught(tmp_path / name, still, teacher_weight=1.0, teacher_temperature=1.0), data, **options)[1][0]["loss"]
        for name in ("both", "classes")
    )
    assert of_both != pytest.approx(of_classes, rel=0.01)


# What is kept


class StopAt(Callback):
    def __init__(self, last):
        self._last = last

    def step(self, step, loss):
        if step == self._last:
            raise KeyboardInterrupt


class Teaching(Callback):
    def __init__(self):
        self.told = []

    def teach(self, done, images):
        self.told.append((done, images))


@pytest.fixture(scope="module")
def stopped(data, teachers, tmp_path_factory):
    """Return the folder of a run that was ended in its second epoch."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.raises(KeyboardInterrupt):
        fit(taught(teachers["same"]), data, run_dir=folder, model=MODEL, callbacks=[StopAt(6)])
    return folder


@pytest.mark.parametrize("what", ["kept", "damaged", "lost"])
def test_a_run_resumes_to_the_same_bits_and_asks_again_only_where_the_file_is_not_whole(
    data, teachers, learnt, stopped, tmp_path, what
):
    folder = shutil.copytree(stopped, tmp_path / "run")
    (file,) = folder.glob("teachers-*.npz")
    if what == "damaged":
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    if what == "lost":
        file.unlink()
    watching = Teaching()
    found = run(taught(teachers["same"]), data, model=MODEL, run_dir=folder, resume=True, callbacks=[watching])
    assert bool(watching.told) == (what != "kept")
    chex.assert_trees_all_equal(found[0], learnt[0])
    assert found[1] == learnt[1]


def test_a_run_finds_the_file_of_another_with_the_same_teachers_and_views(data, teachers, learnt, stopped, tmp_path):
    (file,) = stopped.glob("teachers-*.npz")
    (tmp_path / "run").mkdir()
    shutil.copy(file, tmp_path / "run")
    watching = Teaching()
    found = run(taught(teachers["same"]), data, model=MODEL, run_dir=tmp_path / "run", callbacks=[watching])
    assert not watching.told
    chex.assert_trees_all_equal(found, learnt)


def test_an_interruption_before_the_first_step_leaves_a_run_to_resume(data, teachers, learnt, tmp_path):
    class Stop(Callback):
        ended = False

        def teach(self, done, images):
            if done > 20:
                raise KeyboardInterrupt

        def end(self):
            self.ended = True

    stop = Stop()
    with pytest.raises(KeyboardInterrupt):
        fit(taught(teachers["same"]), data, model=MODEL, run_dir=tmp_path / "run", callbacks=[stop])
    assert stop.ended
    found = run(taught(teachers["same"]), data, model=MODEL, run_dir=tmp_path / "run", resume=True)
    chex.assert_trees_all_equal(found, learnt)


def test_the_file_is_of_these_teachers_and_views_alone(data, teachers, tmp_path):
    for index, (folders, places) in enumerate([("one", 3), ("two", 3), ("one", 1)], 1):
        seen = []
        _, found = asked(teachers[folders], data, Convolutional(), places=places, folder=tmp_path, seen=seen)
        assert seen
        assert len(list(tmp_path.glob("teachers-*.npz"))) == index
        again = []
        _, read = asked(teachers[folders], data, Convolutional(), places=places, folder=tmp_path, seen=again)
        assert not again
        chex.assert_trees_all_equal(read, found)


def test_teachers_may_move_and_no_others_may_take_their_place(data, teachers, learnt, stopped, tmp_path):
    moved = shutil.copytree(teachers["same"], tmp_path / "moved")
    folder = shutil.copytree(stopped, tmp_path / "run")
    before = {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}
    fit(dataclasses.replace(TURNED, seed=9), data, run_dir=tmp_path / "other", model=MODEL)
    for others, words in (
        (
            tmp_path / "other",
            r"was taught by other teachers than these: pass the runs it began with, .*--teachers",
        ),
        ((teachers["same"], tmp_path / "other"), "was begun with another configuration .teachers"),
        ((), "was begun with another configuration .teachers"),
    ):
        with pytest.raises(UserError, match=words):
            fit(taught(others), data, model=MODEL, run_dir=folder, resume=True)
        after = {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}
        assert after == before, "its config.json still names its own teachers"
    chex.assert_trees_all_equal(run(taught(moved), data, model=MODEL, run_dir=folder, resume=True), learnt)


# What is refused


def changed(folder, target, section, **fields):
    """Return a copy of a run whose config says something else."""
    copy = shutil.copytree(folder, target)
    config = load_run(folder, model=MODEL).config
    config = dataclasses.replace(config, **{section: dataclasses.replace(getattr(config, section), **fields)})
    (copy / "config.json").write_text(to_json(config))
    return copy


def test_teachers_that_are_none_are_refused_in_a_sentence_and_nothing_is_begun(data, teachers, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    begun = tmp_path / "begun"
    begun.mkdir()
    shutil.copy(teachers["same"] / "config.json", begun)
    same = teachers["same"]
    classes = changed(same, tmp_path / "eight", "data", num_classes=8)
    order = changed(same, tmp_path / "order", "data", classes=AFFECTNET_7[::-1])
    size = changed(same, tmp_path / "large", "data", image_size=64)
    ours = changed(same, tmp_path / "ours", "model", variant="published")
    unfinished = shutil.copytree(same, tmp_path / "unfinished")
    (unfinished / "config.json").write_text(to_json(dataclasses.replace(load_run(same, model=MODEL).config, epochs=50)))
    for folder, words in {
        tmp_path / "nowhere": r"nowhere holds no run \(no config\.json\): pass the folder of a finished run",
        empty: r"empty holds no run \(no config\.json\): pass the folder of a finished run \(--teachers\)",
        SHIPPED["small"]: r"small holds no run but a model that was saved: pass the folder of .* \(--teachers\)",
        unfinished: r"has finished 2 of its 50 epochs: resume it first, or pass finished runs \(--teachers\)",
        begun: "has no checkpoint yet: train it for at least one epoch",
        classes: "tells neutral, .*, anger, contempt, and noise has neutral, .*, anger: pass teachers of the same",
        order: "tells anger, .*, neutral, and noise has neutral, .*, anger: pass teachers of the same classes in",
        size: r"learnt from images of 64 pixels, and these have 32: pass .* \(--image-size\)",
        teachers["one"]: "has the network networks:Convolutional, which is neither jaxfer's nor that of this run",
        ours: "it is damaged, or of another network",
    }.items():
        with pytest.raises(UserError, match=words) as caught:
            fit(taught((same, folder)), data, model=MODEL, run_dir=tmp_path / "run")
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "run").exists()
