"""The compiled program of a run, which serves every run that differs from it in numbers alone."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import optax

from jaxfer.config import AugmentConfig, Config
from jaxfer.data.augment import augment
from jaxfer.data.batches import Batches
from jaxfer.data.dataset import Dataset
from jaxfer.devices.placement import Parallel, choose_parallel
from jaxfer.errors import UserError
from jaxfer.metrics.metrics import Metrics, Scores
from jaxfer.models import ResNetFER, compiled_for, make_model
from jaxfer.training.feed import EvalFunction, Feed, ResidentFeed, TrainFunction, Training, choose_feed
from jaxfer.training.losses import CrossEntropy, make_loss
from jaxfer.training.numbers import Numbers, numbers_of, structure, with_numbers
from jaxfer.training.optimizers import make_optimizer, make_schedule
from jaxfer.training.state import TrainState, create_state
from jaxfer.training.step import Batch, eval_function, train_function


@dataclass(frozen=True)
class SideBySide:
    """The steps of several runs at once, and `measure(variables, numbers)`: each one's metrics on the val split."""

    training: Training
    measure: Callable[..., Metrics]


class Program:
    """The training steps and the validation of a config on a data set, compiled when they are first used.

    The numbers of `jaxfer.training.numbers` are arguments of both, so that a run has the same bits alone and among
    others, and what one has compiled, another need not.

    parallel, feed, model, optimizer: as for `fit`.

    Raises `UserError` for a network that predicts valence and arousal where the data says neither.
    """

    def __init__(
        self,
        config: Config,
        data: Dataset,
        *,
        parallel: Parallel | None = None,
        feed: Feed | None = None,
        model: ResNetFER | None = None,
        optimizer: optax.GradientTransformation | None = None,
    ) -> None:
        if "affect" in config.model.heads and data.train.affect is None:
            raise UserError(
                f"{data.source} says neither valence nor arousal of its faces in {data.train.name}, which the network "
                "is to predict: leave it out of heads (--heads)"
            )
        self.data = data
        self.model = model or make_model(config.model, len(data.class_names))
        self.parallel = parallel or choose_parallel(config.batch_size, self.model)
        self.feed = feed or choose_feed(data, self.parallel)
        self._config, self._given_optimizer = config, optimizer

    # Not before processes have met, which both may make their devices do.

    @cached_property
    def training(self) -> Training:
        """The steps of runs, which take their numbers after the portion."""
        return self.feed.training(self._train(self._compiled()), self.data.train, self.parallel)

    @cached_property
    def _measure(self) -> Callable[..., Metrics]:
        return self.feed.scoring(
            self._evaluate(self._compiled()), self.data.val, self.parallel, batch_size=self._config.batch_size
        )

    @cached_property
    def side_by_side(self) -> SideBySide:
        """The same for several runs at once, whose arrays lie along a new first axis.

        Raises `UserError` where images come from the host, as on a CPU, which one run fills.
        """
        if not isinstance(self.feed, ResidentFeed) or self.parallel.axis_name is not None:
            raise UserError("runs go side by side only on accelerators that hold all images: leave out --side-by-side")
        model = self._compiled(side_by_side=True)
        evaluate = jax.vmap(self._evaluate(model), in_axes=(0, None, 0))
        return SideBySide(
            self.feed.training(jax.vmap(self._train(model)), self.data.train, self.parallel, axis=1),
            self.feed.scoring(evaluate, self.data.val, self.parallel, batch_size=self._config.batch_size),
        )

    def serves(self, config: Config, data: Dataset) -> bool:
        """Return whether a run of `config` on `data` differs from this program's in numbers alone."""
        return data is self.data and structure(config) == structure(self._config)

    def start(self, config: Config) -> tuple[TrainState, Metrics, Numbers]:
        """Return the state of a run before its first step, metrics of nothing, and its numbers, on the devices."""
        numbers, average = numbers_of(config), config.optimizer.ema is not None
        optimizer = self._optimizer(with_numbers(config, numbers))
        state = create_state(self.model, optimizer, seed=config.seed, image_size=config.data.image_size, ema=average)
        return self.parallel.place((state, Metrics.empty(len(self.data.class_names)), numbers))

    def validate(self, state: TrainState, numbers: Numbers) -> Scores:
        """Return the scores of a state on the whole validation split."""
        return self._measure(state.variables, numbers).compute(self.data.class_names)

    def batches(self, config: Config) -> Batches:
        """Return the training batches of a run, this process's part of each."""
        options = {"sampling": config.data.sampling, "shard": self.parallel.shard}
        return Batches(self.data.train, config.batch_size, config.seed, **options)

    def rate(self, config: Config) -> optax.Schedule:
        """Return the learning rate of a run as a function of the step."""
        per_epoch = -(-len(self.data.train) // config.batch_size)
        return make_schedule(config.optimizer, steps_per_epoch=per_epoch, epochs=config.epochs)

    def _compiled(self, *, side_by_side: bool = False) -> ResNetFER:
        platform, axis_name = self.parallel.devices[0].platform, self.parallel.axis_name
        return compiled_for(self.model, platform, axis_name=axis_name, side_by_side=side_by_side)

    def _train(self, model: ResNetFER) -> TrainFunction:
        def step(state: TrainState, batch: Batch, numbers: Numbers) -> tuple[TrainState, Metrics]:
            config, asked = with_numbers(self._config, numbers), self._config.augment
            change = None if asked == AugmentConfig() else lambda key, images: augment(key, images, asked)
            options = {"axis_name": self.parallel.axis_name, "augment": change, "ema": config.optimizer.ema}
            return train_function(model, self._optimizer(config), self._loss(config), **options)(state, batch)

        return step

    def _evaluate(self, model: ResNetFER) -> EvalFunction:
        def measure(variables: dict[str, Any], batch: Batch, numbers: Numbers) -> Metrics:
            loss = self._loss(with_numbers(self._config, numbers))
            return eval_function(model, loss, axis_name=self.parallel.axis_name)(variables, batch)

        return measure

    def _optimizer(self, config: Config) -> optax.GradientTransformation:
        return self._given_optimizer or make_optimizer(config.optimizer, self.rate(config))

    def _loss(self, config: Config) -> CrossEntropy:
        return make_loss(config.loss, self.data.train.labels, len(self.data.class_names))
