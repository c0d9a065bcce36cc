"""Optimizers and learning-rate schedules from Optax, as a config names them.

For another optimizer, pass any Optax object to `make_train_step` or `fit`.
"""

from collections.abc import Hashable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxfer.config import Config, OptimizerConfig
from jaxfer.training.finetuning import Tuning
from jaxfer.training.hyperparameters import Hyperparameters


def make_schedule(config: OptimizerConfig, *, steps_per_epoch: int, epochs: int, peak: Any = None) -> optax.Schedule:
    """Return the learning rate as a function of the step, counted from 0.

    Args:
        config: The kind of schedule, its warm-up and its peak.
        steps_per_epoch: Steps in an epoch.
        epochs: Epochs of the whole run.
        peak: The peak in place of the config's, a number or float32 [], such as `Hyperparameters.learning_rate`.

    >>> cosine = OptimizerConfig(schedule="cosine", warmup_epochs=1)
    >>> rate = make_schedule(cosine, steps_per_epoch=10, epochs=5)
    >>> [round(float(rate(step)), 5) for step in (0, 5, 10, 30, 50)]
    [0.0, 0.0005, 0.001, 0.0005, 0.0]
    """
    peak = config.learning_rate if peak is None else peak
    warmup, total = round(config.warmup_epochs * steps_per_epoch), epochs * steps_per_epoch
    if config.schedule == "cosine":
        main = optax.cosine_decay_schedule(peak, max(total - warmup, 1))
    elif config.schedule == "step":
        falls = {epoch * steps_per_epoch - warmup: 0.1 for epoch in config.step_epochs}
        main = optax.piecewise_constant_schedule(peak, falls)
    else:
        main = optax.constant_schedule(peak)
    if not warmup:
        return main
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), main], [warmup])


def make_optimizer(
    config: OptimizerConfig,
    learning_rate: optax.ScalarOrSchedule,
    hyper: Hyperparameters | None = None,
    tuning: Tuning | None = None,
) -> optax.GradientTransformation:
    """Return the optimizer that a config names.

    Gradients are clipped first. SGD then adds weight decay to them before its momentum. Adam adds it to its update, as
    AdamW does. Only kernels decay.

    Args:
        config: The kind of optimizer, and its numbers.
        learning_rate: A number or a schedule.
        hyper: Numbers in place of the config's, such as the arguments of a step.
        tuning: Which parameters are trained, when and how fast; None trains all alike.
    """
    hyper = hyper or Hyperparameters.of(Config(optimizer=config))
    parts = [] if hyper.clip_norm is None else [optax.clip_by_global_norm(hyper.clip_norm)]
    decay = [] if hyper.weight_decay is None else [optax.add_decayed_weights(hyper.weight_decay, mask=_kernels)]
    momentum = 0.0 if hyper.momentum is None else hyper.momentum
    if tuning is not None:
        sgd = (*decay, optax.trace(momentum, nesterov=True))
        rule = optax.chain(*(sgd if config.optimizer == "sgd" else (_scale_by_adam(hyper.epsilon), *decay)))
        # Moments, too, begin where a parameter is first trained; the schedule is that of the whole run.
        return optax.chain(
            *parts, _in_time(rule, tuning), _scaled(tuning, hyper), optax.scale_by_learning_rate(learning_rate)
        )
    if config.optimizer == "sgd":
        return optax.chain(*parts, *decay, optax.sgd(learning_rate, momentum=momentum, nesterov=True))
    return optax.chain(*parts, _scale_by_adam(hyper.epsilon), *decay, optax.scale_by_learning_rate(learning_rate))


def _scale_by_adam(epsilon: Any) -> optax.GradientTransformation:
    """Return Adam's rule with Keras's epsilon, which is added before the bias correction of the second moment.

    That is the form at the end of section 2 of Kingma and Ba (2015), https://arxiv.org/abs/1412.6980. Optax adds its
    epsilon after the correction: in the first steps it is up to 32 times smaller relative to the gradients.
    """

    def before_correction(count: jax.Array) -> jax.Array:
        return epsilon / jnp.sqrt(1 - 0.999 ** (count + 1.0))

    # Only the epsilon is injected: the decays, as arrays, would lose digits in 1 - b2.
    adam = optax.inject_hyperparams(optax.scale_by_adam, static_args=("b1", "b2", "eps_root"))
    return adam(b1=0.9, b2=0.999, eps=before_correction)


def _in_time(rule: optax.GradientTransformation, tuning: Tuning) -> optax.GradientTransformation:
    """Return a rule that leaves each parameter as it is until it is trained."""
    freezing = tuning.freezing
    rules: dict[Hashable, optax.GradientTransformation] = {"0": rule, "None": optax.set_to_zero()}
    for thaw in {step for step in freezing.thaws if step}:
        rules[str(thaw)] = optax.conditionally_mask(rule, partial(_is_due, thaw))
    return optax.multi_transform(rules, tuning.labels)


def _is_due(thaw: int, step: Any, **_: Any) -> Any:
    return step >= thaw


def _scaled(tuning: Tuning, hyper: Hyperparameters) -> optax.GradientTransformation:
    """Return what multiplies each update by its factor of the learning rate."""
    if not tuning.layers:
        return optax.identity()

    def scale(updates: Any, _: Any) -> Any:
        return jax.tree.map(jnp.multiply, updates, tuning.factors(updates, hyper.backbone_rate, hyper.layer_decay))

    return optax.stateless(scale)


def _kernels(params: Any) -> Any:
    """Mark what decays: kernels, but neither biases nor the scales of normalisation."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)
