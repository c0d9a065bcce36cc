"""The training step and the evaluation step: one function each behind every way to run them."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial, reduce
from typing import Any, cast

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.core import Tracer

from jaxfer.data.batches import WHOLE, Batch, Shard, evaluation_batches
from jaxfer.data.dataset import Split
from jaxfer.data.transforms import Transform
from jaxfer.devices.placement import OneDevice, Parallel
from jaxfer.errors import UserError
from jaxfer.metrics import Metrics
from jaxfer.metrics.labels import check_labels, is_class
from jaxfer.models import Network, check_range, checked_outputs, compiled_for, count_classes
from jaxfer.tasks import Task, sums_of
from jaxfer.training.finetuning import Freezing
from jaxfer.training.gradients import Evaluate, Found, Gradient, plain
from jaxfer.training.objective import Objective
from jaxfer.training.state import TrainState

Maker = Callable[[Any], Any]


def make_train_step(
    model: Network,
    optimizer: optax.GradientTransformation | Maker,
    objective: Objective | Maker,
    *,
    parallel: Parallel | None = None,
    transform: Transform | None = None,
    gradient: Gradient = plain,
    ema: float | None = None,
    ema_warmup: bool = False,
    freezing: Freezing | None = None,
) -> Callable[..., tuple[TrainState, Metrics]]:
    """Return a compiled `step(state, batch, hyper=None) -> (state, metrics)`.

    Args:
        model: The network. Its outputs are `logits`, float32 [b, c], and perhaps further heads.
        optimizer: An Optax optimizer, or a function that makes one from `hyper`.
        objective: What to minimise, or a function that makes it from `hyper`.
        parallel: How to use the devices; by default one.
        transform: Changes each batch on the device, before the network sees it; None leaves it as it is. Images come as
            the batch has them: `jaxfer.models.unit_range` makes integers from 0 to 255 floating point from 0 to 1.
        gradient: The way to the gradient (`jaxfer.training.gradients`).
        ema: Decay of the moving average in `state.ema`, which must then exist.
        ema_warmup: Whether the decay rises: in step t, counted from 0, it is at most (1 + t) / (10 + t), so that the
            average soon forgets the parameters it began with.
        freezing: Which parameters and statistics stay as they are, and until when; None for none. Their gradients are
            zero, and the optimizer has to leave them alone otherwise, as that of `make_optimizer` does.

    Returns:
        The step.

        - `state`: A `TrainState`, placed with `parallel.place`. Its memory is reused: use the state that comes out.
        - `batch`: The global batch: `image` uint8 [b, h, w, c] or floating point from 0 to 1, `label` int32 [b], `mask`
          bool [b], and the columns of the objective's tasks. Rows with a False mask are padding and change no number.
          Images of another range, and labels that are no class, are refused with a `UserError` where the batch lies in
          the memory of the host. On an accelerator they are not looked at: rows whose label is no class, also after the
          transform, are taken for padding, and counted in `metrics.unlabelled`.
        - `hyper`: Any pytree of numbers. One compiled step serves all their values.
        - `metrics`: Those of the batch with the parameters before the update, in training mode. Their loss is the
          whole objective with its penalty.
    """
    parallel = parallel or OneDevice()
    model = compiled_for(model, parallel.devices[0].platform, axis_name=parallel.axis_name)
    transform, gradient = transform and sparing_padding(transform), checked_gradient(gradient)
    options = {"axis_name": parallel.axis_name, "transform": transform, "ema": ema, "ema_warmup": ema_warmup}
    options["freezing"] = freezing

    def step(state: TrainState, batch: Batch, hyper: Any = None) -> tuple[TrainState, Metrics]:
        rule: Any = optimizer(hyper) if callable(optimizer) else optimizer
        goal: Any = objective(hyper) if callable(objective) else objective
        return train_function(model, rule, goal, gradient=gradient, **options)(state, batch)

    return _refusing(parallel.compile(step, donate=True), model, lambda state: state.variables)


def train_function(
    model: Network,
    optimizer: optax.GradientTransformation,
    objective: Objective,
    *,
    axis_name: str | None = None,
    transform: Transform | None = None,
    gradient: Gradient = plain,
    ema: float | None = None,
    ema_warmup: bool = False,
    freezing: Freezing | None = None,
    classes: int | None = None,
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """Return the training step, not compiled, to be compiled alone or as a part of something larger.

    Args:
        model: The network, as `jaxfer.models.compiled_for` returns it.
        optimizer: As for `make_train_step`.
        objective: As for `make_train_step`.
        axis_name: The mapped axis under which it will run (`Parallel.axis_name`), or None.
        transform: As for `make_train_step`.
        gradient: As for `make_train_step`.
        ema: As for `make_train_step`.
        ema_warmup: As for `make_train_step`.
        freezing: As for `make_train_step`.
        classes: How many classes there are; None finds out, which traces the network once more.

    Returns:
        `step(state, batch) -> (state, metrics)`.
    """
    optimizer = optax.with_extra_args_support(optimizer)  # some go by the loss
    freezing = freezing or Freezing()

    def evaluate(at: jax.Array, params: Any, batch_stats: Any, batch: Any, key: jax.Array) -> Any:
        examples = _total(batch["mask"].sum(), axis_name)

        def share_of_loss(params: Any) -> tuple[jax.Array, Found]:
            with freezing.applied(at):
                outputs, updates = model.apply(
                    {"params": params, "batch_stats": batch_stats},
                    batch["image"],
                    train=True,
                    mask=batch["mask"],
                    mutable=["batch_stats"],
                    rngs={"dropout": key},
                )
            outputs = checked_outputs(outputs, len(batch["mask"]))
            statistics = freezing.select(updates.get("batch_stats", batch_stats), batch_stats, at)
            found = Found(outputs, statistics, examples)
            return objective.losses(outputs, batch).sum() / jnp.maximum(examples, 1), found

        (loss, found), gradients = jax.value_and_grad(share_of_loss, has_aux=True)(params)
        loss, gradients = _total((loss, gradients), axis_name)
        # The penalty belongs to the parameters, which every device holds whole: it is added once, after the sum.
        penalty, penalty_gradients = jax.value_and_grad(objective.penalty)(params)
        gradients = jax.tree.map(jnp.add, gradients, penalty_gradients)
        return (loss + penalty, found), freezing.select(gradients, jax.tree.map(jnp.zeros_like, gradients), at)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        _check(batch)
        key = jax.random.fold_in(state.key, state.step)
        if axis_name is not None:
            # Each device draws for its own rows alone: with one key all would draw the same numbers.
            key = jax.random.fold_in(key, lax.axis_index(axis_name))
        transform_key, dropout_key = jax.random.split(key)
        if transform is not None:
            batch = transform(transform_key, batch)
            _check(batch)
        known = classes or count_classes(model, state.variables, batch["image"])
        labelled = cast(Batch, {**batch, "mask": batch["mask"] & is_class(batch["label"], known)})
        found, gradients = gradient(partial(evaluate, state.step))(
            state.params, state.batch_stats, labelled, dropout_key
        )
        loss, (outputs, batch_stats, _) = found
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params, value=loss)
        params = optax.apply_updates(state.params, updates)
        average = state.ema
        if ema is not None:
            change = jnp.maximum(1 - ema, 9 / (10 + state.step)) if ema_warmup else 1 - ema
            average = optax.incremental_update(params, state.ema, change)
        metrics = _total(Metrics.of_batch(outputs["logits"], batch["label"], batch["mask"], loss=loss), axis_name)
        state = dataclasses.replace(
            state, step=state.step + 1, params=params, batch_stats=batch_stats, opt_state=opt_state, ema=average
        )
        return state, metrics

    return step


def sparing_padding(transform: Transform, classes: int | None = None) -> Transform:
    """Return a transform of one's own with black images in rows of padding, whatever it makes of them.

    NaN there, as of a division by their deviation, would reach the gradients, however little a row counts. jaxfer's
    own transforms make none, and keep the bits that they have always had. What is no batch is refused while tracing.

    Args:
        transform: The transform.
        classes: How many columns `soft_label` has; None where that is not known.
    """

    def spared(key: jax.Array, batch: Batch) -> Batch:
        changed = transform(key, batch)
        _check_changed(transform, batch, changed, classes)
        return {**changed, "image": jnp.where(changed["mask"][:, None, None, None], changed["image"], 0)}

    return spared


def _check_changed(transform: Transform, batch: Batch, changed: Any, classes: int | None) -> None:
    """Refuse, while tracing, what a transform has returned in place of a batch that a network can learn from."""
    name = f"the transform {piece_name(transform)}"
    if not isinstance(changed, Mapping):
        kind = "None" if changed is None else type(changed).__name__
        raise UserError(f"{name} returned {kind} in place of a batch: return the batch")
    missing = [column for column in ("image", "label", "mask") if column not in changed]
    if missing:
        raise UserError(f"{name} returned a batch without {missing[0]!r}: return all of its columns, {{**batch, ...}}")
    try:
        _check(cast(Batch, changed))
    except AssertionError as error:
        raise UserError(
            f"{name} returned a batch of other shapes than image [b, h, w, c], label int [b] and mask bool [b] "
            f"({in_one_line(error)}): return these"
        ) from error
    size, made = (jnp.shape(each["image"])[1:3] for each in (batch, changed))
    if size != made:
        raise UserError(
            f"{name} made images of {made[0]}x{made[1]} pixels of those of {size[0]}x{size[1]}, the size in which the "
            "network is evaluated: return images of the size that came"
        )
    soft = changed.get("soft_label")
    if soft is not None:
        shape, dtype = jnp.shape(soft), jnp.result_type(soft)
        fits = len(shape) == 2 and shape[0] == len(changed["label"]) and shape[1] == (classes or shape[1])
        if not fits or not jnp.issubdtype(dtype, jnp.floating):
            wanted = f"[{len(changed['label'])}, {classes or 'classes'}]"
            raise UserError(f"{name} returned soft_label as {dtype} {list(shape)}: return float32 {wanted}")


def in_one_line(error: Exception) -> str:
    """Return the words of an error, such as one of Chex, which can be of several lines, in one."""
    return " ".join(str(error).split())


def checked_gradient(gradient: Gradient) -> Gradient:
    """Return a gradient of one's own that refuses, while tracing, to return anything else than `Evaluate` promises.

    Args:
        gradient: The gradient.
    """
    promise = "return ((loss, found), gradients), as the function does that it is given"

    def checked(evaluate: Evaluate) -> Evaluate:
        name = f"the gradient {piece_name(gradient)}"
        changed = gradient(evaluate)
        if not callable(changed):
            raise UserError(f"{name} returned {type(changed).__name__} in place of a function: {promise} from one")

        def called(params: Any, batch_stats: Any, batch: Batch, key: jax.Array) -> Any:
            returned = changed(params, batch_stats, batch, key)
            two = isinstance(returned, tuple) and len(returned) == 2
            beside = returned[0] if two else None
            if not (isinstance(beside, tuple) and len(beside) == 2 and isinstance(beside[1], Found)):
                raise UserError(f"{name} did not return loss and outputs beside the gradients: {promise}")
            if jax.tree.structure(returned[1]) != jax.tree.structure(params):
                raise UserError(f"{name} returned gradients of another structure than the parameters: {promise}")
            return returned

        return called

    return gradient if gradient is plain else checked


def piece_name(piece: Any) -> str:
    """Return the `module:attribute` of a function, or of an object's class, that a person passed.

    >>> piece_name(sparing_padding), piece_name(jnp.zeros(1).shape)
    ('jaxfer.training.step:sparing_padding', 'builtins:tuple')
    """
    while isinstance(piece, partial):
        piece = piece.func
    named = piece if hasattr(piece, "__qualname__") else type(piece)
    # What a function returns is known by that function.
    return f"{named.__module__}:{named.__qualname__.partition('.<locals>')[0]}"


def make_eval_step(
    model: Network, objective: Objective | Maker, *, tasks: tuple[Task, ...] = (), parallel: Parallel | None = None
) -> Callable[..., Metrics]:
    """Return a compiled `step(variables, batch, hyper=None) -> metrics` in evaluation mode.

    Args:
        model: The network.
        objective: The training objective, or a function that makes it from `hyper`. It is the loss of the metrics, but
            for what is for training alone (`Objective.evaluated`).
        tasks: Further tasks to score, where the network has their head and the batch their columns.
        parallel: How to use the devices; by default one.

    Returns:
        The step.

        - `variables`: `params` and `batch_stats`, as `TrainState.variables` has them, placed with `parallel.place`.
        - `batch`: As for `make_train_step`.
        - `hyper`: As for `make_train_step`.
    """
    parallel = parallel or OneDevice()
    model = compiled_for(model, parallel.devices[0].platform)

    def step(variables: dict[str, Any], batch: Batch, hyper: Any = None) -> Metrics:
        made = objective(hyper) if callable(objective) else objective
        return eval_function(model, made, tasks=tasks, axis_name=parallel.axis_name)(variables, batch)

    return _refusing(parallel.compile(step, donate=False), model, lambda variables: variables)


def eval_function(
    model: Network, objective: Objective, *, tasks: tuple[Task, ...] = (), axis_name: str | None = None
) -> Callable[[dict[str, Any], Batch], Metrics]:
    """Return the evaluation step, not compiled, as `train_function` does the training step.

    Args:
        model: The network, as `jaxfer.models.compiled_for` returns it.
        objective: As for `make_eval_step`.
        tasks: As for `make_eval_step`.
        axis_name: The mapped axis under which it will run (`Parallel.axis_name`), or None.

    Returns:
        `step(variables, batch) -> metrics`.
    """
    objective = objective.evaluated()

    def step(variables: dict[str, Any], batch: Batch) -> Metrics:
        _check(batch)
        labels, mask = batch["label"], batch["mask"]
        outputs = checked_outputs(model.apply(variables, batch["image"], train=False, mask=mask), len(mask))
        labelled = cast(Batch, {**batch, "mask": mask & is_class(labels, outputs["logits"].shape[1])})
        loss = objective.losses(outputs, labelled).sum() / jnp.maximum(labelled["mask"].sum(), 1)
        loss += objective.penalty(variables["params"])
        scored = [task for task in tasks if task.name in outputs and task.known(batch)]
        sums = {task.name: sums_of(task, outputs, labelled) for task in scored}
        return _total(Metrics.of_batch(outputs["logits"], labels, mask, loss=loss, tasks=sums), axis_name)

    return step


def _check(batch: Batch) -> None:
    """Refuse, while tracing, a batch of other shapes than those promised: broadcasting would hide them."""
    chex.assert_rank([batch["image"], batch["label"], batch["mask"]], [4, 1, 1])
    chex.assert_equal_shape_prefix([batch["image"], batch["label"], batch["mask"]], 1)
    chex.assert_type([batch["label"], batch["mask"]], [int, bool])


def _refusing(step: Callable[..., Any], model: Network, variables_of: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return a compiled step that refuses what the host sees of images of another range and labels without a class."""
    classes: list[int] = []

    def checked(state: Any, batch: Batch, hyper: Any = None) -> Any:
        images, labels, mask = (_on_host(batch.get(name)) for name in ("image", "label", "mask"))
        shape = np.shape(batch["image"])
        # What has other shapes is refused while tracing.
        if mask is not None and mask.dtype == bool and len(shape) == 4 and shape[:1] == mask.shape:
            if images is not None:
                check_range(images if mask.all() else images[mask])
            if labels is not None and labels.shape == mask.shape and labels.dtype.kind in "iu":
                if not classes:
                    classes.append(count_classes(model, variables_of(state), batch["image"]))
                check_labels(labels[mask], classes[0], "the batch")
        return step(state, batch, hyper)

    return checked


def _on_host(array: Any) -> np.ndarray | None:
    """Return an array that can be read without a copy from a device; None of others."""
    if isinstance(array, jax.Array) and not isinstance(array, Tracer):
        near = array.is_fully_addressable and all(device.platform == "cpu" for device in array.devices())
        return np.asarray(array) if near else None
    return array if isinstance(array, np.ndarray) else None


def _total(tree: Any, axis_name: str | None) -> Any:
    """Sum over the devices of a mapped axis; without one, arrays are global already."""
    return tree if axis_name is None else lax.psum(tree, axis_name)


def evaluate_split(
    eval_step: Callable[[dict[str, Any], Batch], Metrics],
    variables: dict[str, Any],
    split: Split,
    *,
    batch_size: int,
    shard: Shard = WHOLE,
) -> Metrics:
    """Return the metrics of a network on a split, each example counted exactly once.

    Args:
        eval_step: An evaluation step, as `make_eval_step` returns it.
        variables: Its variables, placed as it takes them.
        split: The examples.
        batch_size: Examples in a batch, of all processes together.
        shard: The `Parallel.shard` with which `eval_step` was compiled.

    Returns:
        The metrics of the whole split, in every process.
    """
    batches = evaluation_batches(split, batch_size, shard)
    return reduce(merge, (eval_step(variables, batch) for batch in batches))


merge = jax.jit(Metrics.merge)
"""Adds up metrics on the device."""
