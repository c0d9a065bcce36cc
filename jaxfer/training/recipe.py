"""What the steps of a program are made of, by which programs that would compile the same share what is compiled."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import numpy as np
import optax

from jaxfer.config import AugmentConfig, LossConfig, OptimizerConfig, Sampling
from jaxfer.data.batches import Batch
from jaxfer.data.transforms import Transform, ViewGrid, compose, transforms_of
from jaxfer.devices.placement import Parallel
from jaxfer.metrics import Metrics
from jaxfer.models import Network, compiled_for
from jaxfer.tasks import Task
from jaxfer.training.feed import EvalFunction, TrainFunction
from jaxfer.training.finetuning import Tuning
from jaxfer.training.gradients import Gradient, accumulate, sam
from jaxfer.training.hyperparameters import Hyperparameters
from jaxfer.training.objective import Objective, make_objective
from jaxfer.training.optimizers import make_optimizer, make_schedule
from jaxfer.training.state import TrainState
from jaxfer.training.step import checked_gradient, eval_function, sparing_padding, train_function


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that the steps of a program close over: equal for programs that compile the same, and without any data.

    The last few are kept with what was compiled of them, so that the next `fit` of the same network and config in a
    process compiles nothing. What somebody passes of their own, but for a network, may hold anything, and so keeps
    nothing: the steps are then made, and compiled, for each program.

    Attributes:
        model: The network, not yet prepared for a kind of device.
        parallel: How the devices are used.
        optimizer: That of the config, as `hyperparameters.structure` leaves it: without numbers that are arguments.
        loss: Likewise.
        augment: Likewise.
        sampling: How an epoch is drawn.
        epochs: How many there are, where the learning rate depends on it.
        steps_per_epoch: Steps in each.
        counts: How many training images each class has; zeros where nothing depends on it.
        tasks: The tasks besides the expression.
        views: The views in which teachers see images; None without teachers.
        tuning: What is trained, and when; None for all alike.
        own: Whether there are pieces of somebody's own: tasks, or one of the next three.
        transforms: Transforms of somebody's own.
        gradient: The way to the gradient, besides what the config asks for.
        given_optimizer: An optimizer of somebody's own.
    """

    model: Network
    parallel: Parallel
    optimizer: OptimizerConfig
    loss: LossConfig
    augment: AugmentConfig
    sampling: Sampling
    epochs: int
    steps_per_epoch: int
    counts: tuple[int, ...]
    tasks: tuple[Task, ...]
    views: ViewGrid | None
    tuning: Tuning | None
    own: bool
    transforms: tuple[Transform, ...]
    gradient: Gradient
    given_optimizer: optax.GradientTransformation | None

    def train_function(self, *, several: bool = False) -> TrainFunction:
        """Return the training step `step(state, batch, hyper)`, not compiled: one object for equal recipes.

        Args:
            several: Whether for several runs at once, whose arrays are stacked along a new first axis.

        Returns:
            The step.
        """
        return _make_train_function(self, several) if self.own else _kept_train_function(self, several)

    def eval_function(self, *, several: bool = False) -> EvalFunction:
        """Return the evaluation step `step(variables, batch, hyper)`, as `train_function` does.

        Args:
            several: As for `train_function`.
        """
        return _make_eval_function(self, several) if self.own else _kept_eval_function(self, several)

    def make_optimizer(self, hyper: Hyperparameters) -> optax.GradientTransformation:
        """Return the optimizer.

        Args:
            hyper: Its numbers, which may be arguments of a step.
        """
        # The peak is traced, so that one program serves all learning rates.
        options = {"steps_per_epoch": self.steps_per_epoch, "epochs": self.epochs, "peak": hyper.learning_rate}
        rate = make_schedule(self.optimizer, **options)
        return self.given_optimizer or make_optimizer(self.optimizer, rate, hyper, self.tuning)

    def objective(self, hyper: Hyperparameters) -> Objective:
        """Return the objective.

        Args:
            hyper: Its numbers, which may be arguments of a step.

        Raises:
            UserError: As for `make_objective`.
        """
        labels = np.repeat(np.arange(len(self.counts), dtype=np.int32), self.counts)
        return make_objective(self.loss, self.model, self.tasks, labels, len(self.counts), hyper, self.sampling)

    def compiled_model(self, *, several: bool) -> Network:
        """Return the network as it is compiled for the devices.

        Args:
            several: As for `train_function`.
        """
        platform, axis_name = self.parallel.devices[0].platform, self.parallel.axis_name
        return compiled_for(self.model, platform, axis_name=axis_name, side_by_side=several)


def _make_train_function(recipe: Recipe, several: bool) -> TrainFunction:
    model, axis_name = recipe.compiled_model(several=several), recipe.parallel.axis_name
    classes, given = len(recipe.counts), checked_gradient(recipe.gradient)
    own_transforms = [sparing_padding(transform, classes) for transform in recipe.transforms]
    transform = compose(*transforms_of(recipe.augment, classes, recipe.views), *own_transforms)

    def step(state: TrainState, batch: Batch, hyper: Hyperparameters) -> tuple[TrainState, Metrics]:
        def gradient(evaluate: Any) -> Any:
            # Accumulation innermost: SAM then moves along the gradient of the whole batch.
            parts = recipe.optimizer.accumulate
            own = given(evaluate if parts == 1 else accumulate(parts)(evaluate))
            return own if hyper.sam is None else sam(hyper.sam)(own)

        options = {"axis_name": axis_name, "transform": transform, "gradient": gradient}
        options |= {"ema": recipe.optimizer.ema, "ema_warmup": recipe.optimizer.ema_warmup}
        options |= {"freezing": recipe.tuning and recipe.tuning.freezing, "classes": classes}
        made = train_function(model, recipe.make_optimizer(hyper), recipe.objective(hyper), **options)
        return made(state, batch)

    return jax.vmap(step) if several else step


def _make_eval_function(recipe: Recipe, several: bool) -> EvalFunction:
    model, axis_name = recipe.compiled_model(several=several), recipe.parallel.axis_name

    def measure(variables: dict[str, Any], batch: Batch, hyper: Hyperparameters) -> Metrics:
        options = {"tasks": recipe.tasks, "axis_name": axis_name}
        return eval_function(model, recipe.objective(hyper), **options)(variables, batch)

    # Each run has its own variables and numbers, but all are measured on the same batches: None.
    return jax.vmap(measure, in_axes=(0, None, 0)) if several else measure


_kept_train_function: Callable[[Recipe, bool], TrainFunction] = lru_cache(maxsize=8)(_make_train_function)
_kept_eval_function: Callable[[Recipe, bool], EvalFunction] = lru_cache(maxsize=8)(_make_eval_function)
