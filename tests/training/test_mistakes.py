"""What a programmer gets wrong about the contracts ends in a sentence, and what is only unusual works."""

import dataclasses
from collections.abc import Sequence
from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special
from small_data import bright_faces, dataset_of, split_of
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from jaxfer.config import Config, DataConfig, LossConfig, OptimizerConfig
from jaxfer.data.batches import Batches
from jaxfer.devices import OneDevice, Pmapped, Sharded
from jaxfer.emotions import AFFECTNET_7
from jaxfer.errors import UserError
from jaxfer.evaluation import evaluate, summarize
from jaxfer.evaluation.explain import grad_cam
from jaxfer.evaluation.predict import predict_split
from jaxfer.metrics.scores import Measure
from jaxfer.models import Head, unit_range, variable_shapes
from jaxfer.reports import ProgressBar, TensorBoard, finish_run, write_evaluation
from jaxfer.runs import load_run
from jaxfer.tasks import Task
from jaxfer.training import Callback, Objective, create_state, fit, make_eval_step, make_train_step, plain, sam
from jaxfer.training.program import Program

pytestmark = pytest.mark.usefixtures("blank_figures")

CONFIG = Config(
    data=DataConfig(image_size=32),
    loss=LossConfig(l2=0.0),
    optimizer=OptimizerConfig(optimizer="sgd", learning_rate=0.05),
    epochs=1,
    batch_size=16,
)


class Says(nn.Module):
    """A network that says of images whatever `says` makes of their features [b, 8]."""

    says: object

    @nn.compact
    def __call__(self, images, *, train, mask):
        x = nn.relu(nn.Conv(8, (5, 5), strides=4)(unit_range(images)))
        return self.says(x.mean((1, 2)))


def logits(x):
    return {"logits": nn.Dense(7)(x)}


NET = Says(logits)


@pytest.fixture(scope="module")
def data():
    return dataset_of(bright_faces(44, "train", 0), bright_faces(21, "val", 1))


def step_of(model=NET, parallel=None, **options):
    optimizer, parallel = optax.sgd(0.1), parallel or OneDevice()
    state = parallel.place(create_state(model, optimizer, seed=0, image_size=32))
    step = make_train_step(model, optimizer, options.pop("objective", Objective()), parallel=parallel, **options)
    return lambda batch: step(state, batch)


WRONG = {
    "an array": (lambda x: nn.Dense(7)(x), "the network returned an array and so no logits: return a dict"),
    "a pair": (lambda x: (nn.Dense(7)(x), x), "the network returned tuple and so no logits: return a dict"),
    "no logits": (lambda x: {"scores": nn.Dense(7)(x)}, "returned a dict of scores and so no logits"),
    "logits of another rank": (lambda x: {"logits": nn.Dense(7)(x)[:, None]}, r"logits as float32 \[\d+, 1, 7\] for"),
    "logits of a batch": (lambda x: {"logits": nn.Dense(7)(x).mean(0)}, r"returned logits as float32 \[7\] for"),
    "short logits": (
        lambda x: {"logits": nn.Dense(7, dtype=jnp.bfloat16)(x)},
        r"logits as bfloat16 \[\d+, 7\] for .* the float32 logits",
    ),
    "classes": (lambda x: {"logits": nn.Dense(7)(x).argmax(1)}, r"returned logits as int32 \[\d+\] for"),
    "a head of no rows": (lambda x: logits(x) | {"age": x.mean()}, r"returned age as float32 \[\] for"),
}


@pytest.mark.parametrize(("says", "words"), WRONG.values(), ids=WRONG)
def test_a_network_that_breaks_its_contract_is_refused_by_all_who_use_it(data, says, words):
    model = Says(says)
    batch = Batches(data.train, 16, seed=0)[0]
    variables = create_state(model, optax.sgd(0.1), seed=0, image_size=32).variables
    for use in (
        lambda: fit(CONFIG, data, model=model),
        lambda: step_of(model)(batch),
        lambda: make_eval_step(model, Objective())(variables, batch),
        lambda: predict_split(model, variables, data.val, batch_size=16),
        lambda: grad_cam(model, variables, data.val.images[:2], np.arange(2)),
    ):
        with pytest.raises(UserError, match=words):
            use()


def test_a_network_of_other_classes_than_the_data_is_refused(data):
    with pytest.raises(UserError, match=r":Says has 8 logits, and small data has 7 classes: give it one for each"):
        fit(CONFIG, data, model=Says(lambda x: {"logits": nn.Dense(8)(x)}))


def refused(words, data, tmp_path, **pieces):
    """Check that `fit` refuses pieces in one sentence, and has begun nothing."""
    with pytest.raises(UserError, match=words) as caught:
        fit(CONFIG, data, run_dir=tmp_path / "run", **pieces)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


class Maskless(nn.Module):
    """A network that has never heard of padding."""

    @nn.compact
    def __call__(self, images, *, train):
        return {"logits": nn.Dense(7)(unit_range(images).mean((1, 2)))}


class Widths(nn.Module):
    """A network with a field that can be a list, as in Flax's own introduction."""

    widths: Sequence[int]

    @nn.compact
    def __call__(self, images, *, train, mask):
        features = unit_range(images).mean((1, 2))
        for width in self.widths:
            features = nn.relu(nn.Dense(width)(features))
        return {"logits": nn.Dense(7)(features)}


class Counting(nn.Module):
    """A network that keeps more than parameters and running statistics."""

    @nn.compact
    def __call__(self, images, *, train, mask):
        self.variable("cache", "images", jnp.zeros, ())
        return {"logits": nn.Dense(7)(unit_range(images).mean((1, 2)))}


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            Maskless(),
            r":Maskless cannot be called with images, train and mask \(.*'mask'\): let it be .*__call__\(images",
        ),
        (Says, r"the network \S+:Says is a class: pass an instance of it, such as Says\(\)"),
        (Widths([8, 8]), ":Widths has a field that cannot be hashed, such as a list: pass a tuple in its place"),
        (Counting(), r":Counting needs the collection 'cache', and training keeps params and batch_stats alone: keep"),
        ("small", r"str was passed for a network: pass a linen module whose __call__\(images, \*, train, mask\)"),
    ],
)
def test_what_cannot_be_called_as_a_network_is_refused_and_nothing_is_begun(data, tmp_path, model, words):
    refused(words, data, tmp_path, model=model)


@pytest.mark.parametrize(("model", "words"), [(Maskless(), "cannot be called"), (Says, "is a class: pass an instance")])
def test_what_cannot_be_called_as_a_network_is_refused_where_a_run_is_loaded(model, words):
    with pytest.raises(UserError, match=words):
        variable_shapes(model, 32)


class Age(Task):
    name, head, columns, measures = "age", Head("age", 1), ("age",), {}

    def loss(self, outputs, batch):
        return jnp.square(outputs["age"][:, 0] - batch["age"])

    def terms(self, outputs, batch):
        return jnp.square(outputs["age"] - batch["age"][:, None])

    def scores(self, sums):
        return {}


class Broadcast(Age):
    def loss(self, outputs, batch):
        return jnp.square(outputs["age"] - batch["age"][:, None])


class Mean(Age):
    def loss(self, outputs, batch):
        return super().loss(outputs, batch).mean()


class Summed(Age):
    def terms(self, outputs, batch):
        return super().terms(outputs, batch).sum(0)


AGED = Says(lambda x: logits(x) | {"age": nn.Dense(1)(x)})


def test_a_task_whose_head_the_network_lacks_is_refused():
    data = dataset_of(bright_faces(44, "train", 0, age=np.ones(44, np.float32)), bright_faces(21, "val", 1))
    with pytest.raises(UserError, match=r":Says has no head 'age', which it is to learn: let it return one"):
        fit(CONFIG, data, model=NET, tasks=[Age()])


class Measured(Age):
    """A task whose scores are those that it is made with."""

    measures = {"age_mae": Measure("mean error", of="age")}

    def __init__(self, scores):
        self.scores = scores


class Columnless(Task):
    name, measures = "age", {}


def by_hand(sums):
    return {"age_mae": sums[..., 1] / sums[..., 0], "age_examples": sums[..., 0]}


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ([Broadcast()], r"`loss` of the task 'age' returns \[11, 1\]: return the losses of the b rows, \[b\]"),
        ([Mean()], r"`loss` of the task 'age' returns \[\]: return the losses of the b rows"),
        ([Summed()], r"`terms` of the task 'age' returns \[1\]: return the terms of each of the b rows, \[b, ...\]"),
        ([Measured(by_hand)], r"`scores` of the task 'age' fails of sums \[1\] \(IndexError: .*\): see what it does"),
        (
            [Measured(lambda sums: {"age_examples": sums[..., 0]})],
            r"`scores` of the task 'age' returns age_examples and no 'age_mae', which its measures need",
        ),
        (
            [Measured(lambda sums: {"age_mae": sums[..., 0]})],
            r"`scores` of the task 'age' returns age_mae and no 'age_examples', which its measures need",
        ),
        (
            [Measured(lambda sums: {"age_mae": sums.sum(), "age_examples": sums[..., 0]})],
            r"`scores` of the task 'age' returns age_mae as \[\] of sums \[2, 1\]: return \[2\], further axes",
        ),
        ([Measured(lambda sums: None)], "`scores` of the task 'age' returns NoneType: return a dict"),
        ([Age], r"the task \S+:Age is a class: pass an instance of it, Age\(\)"),
        ([Columnless()], r"the task \S+:Columnless has no columns: give it one"),
        (Age(), r"tasks is a Age and no list: pass \[Age\(\)\]"),
    ],
)
def test_a_task_that_breaks_its_contract_is_refused_by_name_and_nothing_is_begun(tmp_path, tasks, words):
    known = (
        bright_faces(count, name, 0, age=np.ones(count, np.float32)) for count, name in ((44, "train"), (21, "val"))
    )
    refused(words, dataset_of(*known), tmp_path, model=AGED, tasks=tasks)


def test_a_task_without_its_column_is_to_be_left_out_where_it_was_passed(data, tmp_path):
    words = r"says nothing of its faces in train that the head 'age' could learn \(age\): leave it out of `tasks`, or"
    refused(words, data, tmp_path, model=AGED, tasks=[Age()])


@pytest.mark.parametrize("task", [Broadcast(), Mean()], ids=["a column", "a mean"])
def test_a_loss_of_a_task_that_would_broadcast_is_refused(data, task):
    batch = Batches(data.train, 16, seed=0)[0] | {"age": np.ones(16, np.float32)}
    with pytest.raises(AssertionError, match=r"the loss of the task age is not \[b\]"):
        step_of(AGED, objective=Objective(tasks=(task,)))(batch)


def test_terms_of_a_task_that_are_summed_already_are_refused(data):
    batch = Batches(data.train, 16, seed=0)[0] | {"age": np.ones(16, np.float32)}
    variables = create_state(AGED, optax.sgd(0.1), seed=0, image_size=32).variables
    with pytest.raises(AssertionError, match=r"the terms of the task age are not \[b, ...\]"):
        make_eval_step(AGED, Objective(), tasks=(Summed(),))(variables, batch)


@pytest.mark.parametrize(
    "changes",
    [
        {"label": lambda batch: batch["label"][:, None]},
        {"label": lambda batch: np.eye(7, dtype=np.float32)[batch["label"]]},
        {"label": lambda batch: batch["label"].astype(np.float32)},
        {"label": lambda batch: batch["label"][:8]},
        {"mask": lambda batch: batch["mask"].astype(np.float32)},
        {"mask": lambda batch: batch["mask"][:, None]},
        {"image": lambda batch: batch["image"][0]},
        {"soft_label": lambda batch: np.ones((16, 8), np.float32) / 8},
    ],
    ids=["rank", "one-hot", "float", "too few", "a mask of numbers", "a mask of another rank", "one image", "classes"],
)
def test_a_batch_of_other_shapes_or_dtypes_is_refused(data, changes):
    batch = Batches(data.train, 16, seed=0)[0]
    with pytest.raises(AssertionError, match=r"Assertion assert_\w+ failed"):
        step_of()(batch | {name: change(batch) for name, change in changes.items()})


def test_a_transform_that_returns_no_batch_is_refused(data):
    batch = Batches(data.train, 16, seed=0)[0]
    with pytest.raises(UserError, match=r"the transform \S+:\S+ returned None in place of a batch: return the batch"):
        step_of(transform=lambda key, batch: None)(batch)
    words = r"the transform \S+test_mistakes:\S+ returned a batch of other shapes than image .* return these"
    with pytest.raises(UserError, match=words):
        step_of(transform=lambda key, batch: batch | {"image": batch["image"][0]})(batch)


def without_labels(key, batch):
    return {name: values for name, values in batch.items() if name != "label"}


def enlarged(key, batch):
    return batch | {"image": batch["image"].repeat(2, axis=1)}


@pytest.mark.parametrize(
    ("transforms", "words"),
    [
        ([without_labels], r"the transform \S+:without_labels returned a batch without 'label': return all of its"),
        ([enlarged], r"the transform \S+:enlarged made images of 64x32 pixels of those of 32x32, .*: return images of"),
        ([lambda key, batch: None], r"the transform \S+:\S+ returned None in place of a batch: return the batch"),
        (
            [lambda key, batch: batch | {"soft_label": jax.nn.one_hot(batch["label"], 8)}],
            r"the transform \S+:\S+ returned soft_label as float32 \[16, 8\]: return float32 \[16, 7\]",
        ),
        (
            [lambda key, batch: batch | {"soft_label": batch["label"]}],
            r"returned soft_label as int32 \[16\]: return float32 \[16, 7\]",
        ),
        (without_labels, r"transforms is a function and no list: pass \[without_labels\]"),
        (["flip"], r"'flip' is among the transforms: pass functions of a key and a batch"),
    ],
)
def test_a_transform_that_breaks_its_contract_is_refused_by_name_and_nothing_is_begun(
    data, tmp_path, transforms, words
):
    refused(words, data, tmp_path, model=NET, transforms=transforms)


def gradients_alone(evaluate):
    return lambda *arguments: evaluate(*arguments)[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"gradient": gradients_alone}, r"the gradient \S+:gradients_alone did not return loss and outputs beside the"),
        (
            {"gradient": lambda evaluate: lambda *them: (evaluate(*them)[0], ())},
            r"the gradient \S+ returned gradients of another structure than the parameters: return \(\(loss, found\)",
        ),
        ({"gradient": lambda evaluate: None}, r"the gradient \S+ returned NoneType in place of a function"),
        ({"gradient": 0.05}, r"gradient is 0.05 and no function: pass one such as jaxfer.training.sam\(0.05\)"),
        ({"optimizer": "lion"}, r"optimizer is 'lion' and no optimizer of Optax: pass one, such as optax.sgd\(0.1\)"),
        ({"optimizer": optax.constant_schedule(0.1)}, r"optimizer is a function and no optimizer of Optax"),
    ],
)
def test_a_gradient_or_an_optimizer_that_is_none_is_refused_and_nothing_is_begun(data, tmp_path, options, words):
    refused(words, data, tmp_path, model=NET, **options)


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        (
            {"model": AGED},
            "model was passed beside a program, which has its own: leave it out, or make a Program with it",
        ),
        ({"transforms": [without_labels]}, "transforms was passed beside a program"),
        (
            {"gradient": plain, "callbacks": [Callback]},
            r"the callback Callback is a class: pass an instance of it, Cal",
        ),
        ({"callbacks": Callback()}, r"callbacks is <\S+Callback object at \w+> and no list: pass a list of them"),
        ({"callbacks": None}, "callbacks is None and no list: pass a list of them"),
        (
            {"callbacks": [print]},
            "the callback <built-in function print> has no begin: derive its class from jaxfer.Callback",
        ),
    ],
)
def test_what_a_program_has_already_and_what_is_no_callback_are_refused(data, tmp_path, pieces, words):
    refused(words, data, tmp_path, program=Program(CONFIG, data, model=NET), **pieces)


def test_a_gradient_that_returns_gradients_alone_is_refused_by_the_step_as_well(data):
    with pytest.raises(UserError, match=r"the gradient \S+:gradients_alone did not return loss and outputs"):
        step_of(gradient=gradients_alone)(Batches(data.train, 16, seed=0)[0])


def darker(key, batch):
    return batch | {"image": batch["image"] // 2}


def test_a_run_goes_on_with_pieces_of_the_same_names_alone(data, tmp_path):
    longer = dataclasses.replace(CONFIG, epochs=CONFIG.epochs + 1)
    own = {"transforms": [darker], "optimizer": optax.sgd(0.01), "gradient": sam(0.05)}
    fit(CONFIG, data, run_dir=tmp_path, model=NET, **own)
    for others in (
        {},
        {**own, "transforms": []},
        {**own, "transforms": [partial(darker), darker]},
        {**own, "gradient": plain},
    ):
        with pytest.raises(
            UserError, match=r"was made of other pieces of your own than these \(transforms \S+:darker;"
        ):
            fit(longer, data, run_dir=tmp_path, resume=True, model=NET, **others)
    again = own | {"transforms": [partial(darker)]}
    _, rows = fit(longer, data, run_dir=tmp_path, resume=True, model=NET, **again)
    assert len(rows) == longer.epochs


def test_an_optimizer_may_go_by_the_loss(data):
    _, rows = fit(CONFIG, data, model=NET, optimizer=optax.polyak_sgd(max_learning_rate=0.1))
    assert all(np.isfinite(row["val_loss"]) for row in rows)


def test_a_learning_rate_that_an_optimizer_of_ones_own_does_not_use_is_told_nowhere(data, tmp_path):
    observers = [TensorBoard(tmp_path), ProgressBar()]
    state, rows = fit(CONFIG, data, model=NET, optimizer=optax.sgd(1e-9), run_dir=tmp_path, callbacks=observers)
    assert all("learning_rate" not in row for row in rows)
    assert "learning_rate" not in (tmp_path / "metrics.jsonl").read_text()
    events = EventAccumulator(str(tmp_path / "tensorboard/train"))
    events.Reload()
    assert events.Tags()["scalars"] == ["loss", "accuracy"]
    finish_run(tmp_path, CONFIG, data, state, rows, model=NET)
    page = (tmp_path / "report.html").read_text()
    assert "<h2>Speed</h2>" in page
    assert "Learning rate" not in page
    assert load_run(tmp_path, model=NET).step == 3


def test_a_state_of_another_network_is_not_summarised(data):
    state, rows = fit(CONFIG, data, model=NET)
    with pytest.raises(UserError, match=r"of another network than jaxfer\.models\.resnet:ResNetFER, which the config"):
        summarize(CONFIG, data, state, rows)


@pytest.mark.parametrize("label", [7, -1])
def test_a_label_without_a_class_is_refused(data, label):
    val = split_of("val", data.val.images, np.where(data.val.labels == 3, label, data.val.labels).astype(np.int32))
    with pytest.raises(UserError, match=f"val of small data has the label {label}: pass indices .*, 0 to 6"):
        fit(CONFIG, dataset_of(data.train, val), model=NET)


def test_balanced_weights_need_every_class(data):
    few = split_of("train", data.train.images, np.minimum(data.train.labels, 5))
    config = dataclasses.replace(CONFIG, loss=LossConfig(l2=0.0, class_weights="balanced"))
    with pytest.raises(UserError, match=r"there is none of class 6: pass data that has them all"):
        fit(config, dataset_of(few, data.val), model=NET)


@pytest.mark.parametrize(
    ("section", "fields", "words"),
    [
        ("data", {"sampling": "balanced"}, "train of small data has no image of anger, and --sampling balanced needs"),
        ("data", {"sampling": "sqrt"}, "train of small data has no image of anger, and --sampling sqrt needs"),
        ("augment", {"mixup": 0.2}, "has no image of anger, and --mixup needs some of every class: pass data that"),
        ("augment", {"cutmix": 1.0}, "has no image of anger, and --cutmix needs some of every class: pass data that"),
        ("loss", {"logit_adjustment": 1.0}, "there is none of class 6: pass data that has them all, or 0"),
        ("loss", {"class_weights": "balanced"}, "there is none of class 6: pass data that has them all"),
    ],
)
def test_a_class_without_images_is_refused_where_it_is_needed_and_nothing_is_begun(
    data, tmp_path, section, fields, words
):
    few = split_of("train", data.train.images, np.minimum(data.train.labels, 5))
    fit(CONFIG, dataset_of(few, data.val), model=NET)
    config = dataclasses.replace(CONFIG, **{section: dataclasses.replace(getattr(CONFIG, section), **fields)})
    with pytest.raises(UserError, match=words) as caught:
        fit(config, dataset_of(few, data.val), model=NET, run_dir=tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_logits_adjusted_for_training_are_evaluated_as_they_are(data):
    labels = np.where(np.arange(44) % 4 > 0, 0, data.train.labels).astype(np.int32)
    uneven = dataset_of(split_of("train", data.train.images, labels), data.val)
    # A rate at which nothing moves: the first epoch's losses are those of the network as it began.
    still = dataclasses.replace(CONFIG, optimizer=OptimizerConfig(optimizer="sgd", learning_rate=1e-30))
    adjusted = dataclasses.replace(still, loss=LossConfig(l2=0.0, logit_adjustment=1.0))
    (state, (plain,)), (_, (other,)) = (fit(config, uneven, model=NET) for config in (still, adjusted))
    assert other["val_loss"] == pytest.approx(plain["val_loss"], rel=1e-6)
    found = np.asarray(NET.apply(state.variables, uneven.train.images, train=False, mask=None)["logits"])
    found = found + np.log(np.bincount(labels, minlength=7) / 44)
    expected = -scipy.special.log_softmax(found, axis=1)[np.arange(44), labels].mean()
    assert other["loss"] == pytest.approx(expected, rel=1e-5)


# What is unusual


@pytest.mark.few(1)
@pytest.mark.parametrize("batch_size", [13, 100], ids=["prime", "more than there are"])
def test_any_size_of_a_batch_trains_the_same_on_all_devices(data, batch_size):
    config = dataclasses.replace(CONFIG, batch_size=batch_size)
    found = [fit(config, data, model=NET, parallel=way()) for way in (OneDevice, Sharded, Pmapped)]
    one, *others = (jax.device_get(state.params) for state, _ in found)
    for other in others:
        chex.assert_trees_all_close(other, one, rtol=0, atol=1e-5)
    assert all(rows[0]["step"] == -(-44 // batch_size) for _, rows in found)


def test_a_batch_of_one_class_and_one_of_one_example_are_learnt_from(data):
    for labels in (np.full(16, 3, np.int32), np.arange(16, dtype=np.int32) % 7):
        batch = Batches(data.train, 16, seed=0)[0] | {"label": labels}
        for mask in (np.ones(16, bool), np.arange(16) < 1):
            state, metrics = step_of()(batch | {"mask": mask})
            assert int(metrics.count) == mask.sum()
            assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int16])
def test_labels_of_any_whole_number_are_the_same(data, dtype):
    batch = Batches(data.train, 16, seed=0)[0]
    losses = [float(step_of()(batch | {"label": batch["label"].astype(kind)})[1].loss) for kind in (np.int32, dtype)]
    assert losses[0] == losses[1]


def test_a_module_that_is_called_twice_is_explained_by_its_last_map(data):
    class Twice(nn.Module):
        @nn.compact
        def __call__(self, images, *, train, mask):
            conv = nn.Conv(3, (3, 3))
            x = nn.relu(conv(unit_range(images)))
            return {"logits": nn.Dense(7)(conv(nn.avg_pool(x, (2, 2), (2, 2))).mean((1, 2)))}

    model, images, classes = Twice(), data.val.images[:7], np.arange(7)
    variables = create_state(model, optax.sgd(0.1), seed=0, image_size=32).variables
    maps = grad_cam(model, variables, images, classes)
    # The class activation map of the last features: behind them there is a mean and a dense layer.
    x = nn.Conv(3, (3, 3)).apply({"params": variables["params"]["Conv_0"]}, images / np.float32(255))
    x = nn.avg_pool(nn.relu(x), (2, 2), (2, 2))
    last = np.asarray(nn.Conv(3, (3, 3)).apply({"params": variables["params"]["Conv_0"]}, x))
    weights = np.asarray(variables["params"]["Dense_0"]["kernel"]).T[classes]
    expected = np.maximum((last * weights[:, None, None, :]).sum(-1), 0) / (16 * 16)
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-6)


class Shade(Task):
    """How bright a face is, by a name and a measure that may be taken."""

    head = Head("shade", 1)
    columns = ("shade",)
    measures = {"shade_mae": Measure("mean error", of="shade")}

    def __init__(self, name="shade", measure="shade_mae"):
        self.name, self.measures = name, {measure: Measure("mean error", of=name)}


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ([Shade("logits")], "the name of a task, 'logits', is taken already"),
        ([Shade("mask")], "the name of a task, 'mask', is taken already"),
        ([Shade(), Shade(measure="other")], "the name of a task, 'shade', is taken already"),
        ([Shade(measure="accuracy")], "the name of a measure, 'accuracy', is taken already"),
        ([Shade(), Shade("other")], "the name of a measure, 'shade_mae', is taken already"),
    ],
)
def test_a_name_that_would_mean_two_things_is_refused(data, tasks, words):
    with pytest.raises(UserError, match=words):
        fit(CONFIG, data, model=NET, tasks=tasks)


@pytest.mark.parametrize("column", ["image", "label", "mask"])
def test_a_column_by_a_name_that_every_batch_has_is_refused(column):
    data = dataset_of(bright_faces(44, "train", 0, **{column: np.zeros(44, np.float32)}), bright_faces(21, "val", 1))
    with pytest.raises(UserError, match=f"the name of a column, '{column}', is taken already"):
        fit(CONFIG, data, model=NET)


def test_data_of_other_classes_than_the_config_says_is_refused(data):
    for asked, named in (
        (DataConfig(image_size=32, num_classes=8), "neutral, .*, anger, contempt"),
        (DataConfig(image_size=32, classes=AFFECTNET_7[::-1]), "anger, .*, neutral"),
    ):
        words = (
            f"small data has the classes neutral, .*, anger, and the config says {named}: pass data of these, in this"
        )
        with pytest.raises(UserError, match=words):
            fit(dataclasses.replace(CONFIG, data=asked), data, model=NET)


@pytest.mark.few(1)
@pytest.mark.parametrize("way", [Sharded, Pmapped])
def test_a_transform_that_makes_nan_of_padding_changes_no_number(way):
    def standardize(key, batch):
        images = unit_range(batch["image"])
        mean, deviation = images.mean((1, 2, 3), keepdims=True), images.std((1, 2, 3), keepdims=True)
        return {**batch, "image": (images - mean) / deviation}

    data = dataset_of(bright_faces(15, "train", 0), bright_faces(21, "val", 1))
    config = dataclasses.replace(CONFIG, batch_size=15)
    losses = [
        fit(config, data, model=NET, transforms=[standardize], parallel=parallel)[1][-1]["val_loss"]
        for parallel in (OneDevice(), way())
    ]
    assert np.isfinite(losses).all()
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


class Kernels(nn.Module):
    """A network with a field of its own called as one of jaxfer's."""

    kernels: tuple = (5, 3)

    @nn.compact
    def __call__(self, images, *, train, mask):
        return {"logits": nn.Dense(7)(nn.Conv(4, self.kernels, strides=4)(unit_range(images)).mean((1, 2)))}


def test_a_field_of_ones_own_called_kernels_stays(data):
    _, rows = fit(CONFIG, data, model=Kernels())
    assert np.isfinite(rows[-1]["val_loss"])


class Flat(nn.Module):
    """A network without a feature map."""

    @nn.compact
    def __call__(self, images, *, train, mask):
        return {"logits": nn.Dense(7, name="head")(unit_range(images).mean((1, 2)))}


def test_a_network_without_a_feature_map_is_evaluated_on_a_page_that_says_so(tmp_path):
    faces = bright_faces(44, "train", 0), bright_faces(21, "val", 1)
    names = (tuple(str(row) for row in range(len(split))) for split in faces)
    data = dataset_of(*(dataclasses.replace(split, names=own) for split, own in zip(faces, names, strict=True)))
    fit(CONFIG, data, model=Flat(), run_dir=tmp_path / "run")
    trained = load_run(tmp_path / "run", model=Flat())
    page = write_evaluation(evaluate(trained, data)) / "evaluation.html"
    assert "has no feature map on which Grad-CAM could show it" in page.read_text()
    with pytest.raises(UserError, match="the network has no feature map"):
        write_evaluation(evaluate(trained, data, images=(3,)))
