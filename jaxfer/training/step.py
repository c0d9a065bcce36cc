"""The training step and the evaluation step: one function each behind every way to run them."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from jaxfer.data.batches import WHOLE, Shard, evaluation_batches
from jaxfer.data.dataset import Split
from jaxfer.devices.placement import OneDevice, Parallel
from jaxfer.metrics.metrics import Metrics
from jaxfer.models import ResNetFER, compiled_for
from jaxfer.training.losses import Objective
from jaxfer.training.state import TrainState

Batch = Mapping[str, Any]
Affect = tuple[jax.Array, jax.Array]
Augment = Callable[[jax.Array, jax.Array], jax.Array]


def make_train_step(
    model: ResNetFER,
    optimizer: optax.GradientTransformation,
    loss: Objective,
    *,
    parallel: Parallel | None = None,
    augment: Augment | None = None,
    ema: float | None = None,
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """Return a compiled `step(state, batch) -> (state, metrics)`.

    The state that goes in must have been placed with `parallel.place`; its memory is reused, so use the one that
    comes out. The batch is the global one: `image` uint8 [b, h, w, 3], `label` int32 [b], `mask` bool [b], False for
    padding, which changes no number, and perhaps `soft_label` float32 [b, c], which the loss then takes for targets,
    and `valence` and `arousal` float32 [b], NaN where unknown, which a network that predicts them learns.
    The metrics are the batch's, of the parameters before the update, in training mode; their loss is the whole
    objective with its penalty.

    augment: `augment(key, images) -> images` float32 from 0 to 1; None leaves the images alone.
    ema: decay of the moving average in `state.ema`, which must then exist.
    """
    parallel = parallel or OneDevice()
    options = {"axis_name": parallel.axis_name, "augment": augment, "ema": ema}
    model = compiled_for(model, parallel.devices[0].platform, axis_name=parallel.axis_name)
    return parallel.compile(train_function(model, optimizer, loss, **options), donate=True)


def train_function(
    model: ResNetFER,
    optimizer: optax.GradientTransformation,
    loss: Objective,
    *,
    axis_name: str | None,
    augment: Augment | None,
    ema: float | None,
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """Return that step as a function still to be compiled, alone or as a part of something larger.

    model: as `jaxfer.models.compiled_for` has it for the devices. axis_name: the mapped axis it will run under, as
        `Parallel.axis_name` has it.
    """

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        images, labels, mask = batch["image"], batch["label"], batch["mask"]
        key = jax.random.fold_in(state.key, state.step)
        if axis_name is not None:
            key = jax.random.fold_in(key, lax.axis_index(axis_name))
        augment_key, dropout_key = jax.random.split(key)
        if augment is not None:
            images = augment(augment_key, images)
        count = jnp.maximum(_total(mask.sum(), axis_name), 1)

        def share_of_loss(params: Any) -> tuple[jax.Array, tuple[jax.Array, Any]]:
            outputs, updates = model.apply(
                {"params": params, "batch_stats": state.batch_stats},
                images,
                train=True,
                mask=mask,
                mutable=["batch_stats"],
                rngs={"dropout": dropout_key},
            )
            logits, losses, _ = _losses(loss, outputs, batch)
            return losses.sum() / count, (logits, updates["batch_stats"])

        (data_loss, (logits, batch_stats)), gradients = jax.value_and_grad(share_of_loss, has_aux=True)(state.params)
        data_loss, gradients = _total((data_loss, gradients), axis_name)
        # The penalty belongs to the parameters, which every device holds whole: it is added once, after the sum.
        penalty, penalty_gradients = jax.value_and_grad(loss.penalty)(state.params)
        gradients = jax.tree.map(jnp.add, gradients, penalty_gradients)

        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        average = state.ema if ema is None else optax.incremental_update(params, state.ema, 1 - ema)
        metrics = _total(Metrics.of_batch(logits, labels, mask, loss=data_loss + penalty), axis_name)
        state = dataclasses.replace(
            state, step=state.step + 1, params=params, batch_stats=batch_stats, opt_state=opt_state, ema=average
        )
        return state, metrics

    return step


def make_eval_step(
    model: ResNetFER, loss: Objective, *, parallel: Parallel | None = None
) -> Callable[[dict[str, Any], Batch], Metrics]:
    """Return a compiled `step(variables, batch) -> metrics` in evaluation mode.

    variables: `params` and `batch_stats`, as `TrainState.variables` has them, placed with `parallel.place`.
    batch: as for `make_train_step`. The metrics' loss is the training objective with its penalty; they contain valence
        and arousal where the network predicts them and the batch says them.
    """
    parallel = parallel or OneDevice()
    model = compiled_for(model, parallel.devices[0].platform)
    return parallel.compile(eval_function(model, loss, axis_name=parallel.axis_name), donate=False)


def eval_function(
    model: ResNetFER, loss: Objective, *, axis_name: str | None
) -> Callable[[dict[str, Any], Batch], Metrics]:
    """Return that step as a function still to be compiled, as `train_function` does."""

    def step(variables: dict[str, Any], batch: Batch) -> Metrics:
        labels, mask = batch["label"], batch["mask"]
        logits, losses, affect = _losses(loss, model.apply(variables, batch["image"]), batch)
        objective = losses.sum() / jnp.maximum(mask.sum(), 1) + loss.penalty(variables["params"])
        return _total(Metrics.of_batch(logits, labels, mask, loss=objective, affect=affect), axis_name)

    return step


def _losses(loss: Objective, outputs: Any, batch: Batch) -> tuple[jax.Array, jax.Array, Affect | None]:
    """Return the logits, the loss of each example, 0 for padding, and valence and arousal, predicted and actual."""
    logits, predicted, mask = outputs["logits"], outputs.get("affect"), batch["mask"]
    losses, affect = loss.per_example(logits, batch.get("soft_label", batch["label"])), None
    if predicted is not None and ("valence" in batch or "arousal" in batch):
        unknown = jnp.full(mask.shape, jnp.nan)
        affect = predicted, jnp.stack([batch.get(name, unknown) for name in ("valence", "arousal")], axis=-1)
        losses += loss.affect_error(*affect)
    return logits, jnp.where(mask, losses, 0), affect


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
    """Return the metrics of `variables` on every example of `split`, each counted exactly once.

    shard: that of what `eval_step` was compiled with. The metrics are those of the whole split in every process.
    """
    batches = evaluation_batches(split, batch_size, shard)
    return reduce(merge, (eval_step(variables, batch) for batch in batches))


merge = jax.jit(Metrics.merge)
"""Add up metrics on the device."""
