"""The compiled program of a run, which serves every run that differs from it only in numbers."""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from jaxfer.config import Config
from jaxfer.data.batches import Batches, columns
from jaxfer.data.dataset import HASHED, Dataset, Split
from jaxfer.data.transforms import Transform
from jaxfer.devices.consensus import Agreement
from jaxfer.devices.placement import Parallel, choose_parallel
from jaxfer.errors import UserError
from jaxfer.metrics import Metrics, Scores
from jaxfer.metrics.labels import check_labels
from jaxfer.models import Loaded, Network, load_pretrained, variable_shapes
from jaxfer.models.pretrained import Weights, read_weights, weights_of
from jaxfer.runs.folder import is_run
from jaxfer.runs.load import load_run
from jaxfer.tasks import Task, make_network, naming, tasks_of
from jaxfer.training.contracts import check_gradient, check_kinds, check_network, check_transforms
from jaxfer.training.feed import Feed, ResidentFeed, Training, choose_feed
from jaxfer.training.finetuning import Tuning
from jaxfer.training.gradients import Gradient, plain
from jaxfer.training.hyperparameters import Hyperparameters, structure
from jaxfer.training.optimizers import make_schedule
from jaxfer.training.recipe import Recipe
from jaxfer.training.state import TrainState, create_state
from jaxfer.training.statistics import statistics_function
from jaxfer.training.step import piece_name
from jaxfer.training.teachers import Watch, load_teachers


@dataclass(frozen=True)
class Steps:
    """The compiled steps of one run, or of several side by side with their arrays stacked along a new first axis.

    Attributes:
        training: The training steps, which take `hyper` after the portion.
        measure: `measure(variables, hyper)` returns the metrics of the whole validation split.
        settle: `settle(state)` returns the state to evaluate and to save after an epoch.
    """

    training: Training
    measure: Callable[..., Metrics]
    settle: Callable[[TrainState], TrainState]


class Program:
    """The training steps and the validation of a config on a data set, compiled when they are first used.

    Both take hyper-parameters as arguments. So several runs can share what one has compiled, and a run has the same
    bits alone and among others. Programs whose steps are made of the same share what is compiled, too (`Recipe`).

    Attributes:
        tasks: The tasks besides the expression.
        data: The data set.
        model: The network, not yet prepared for a kind of device.
        parallel: How the devices are used.
        feed: How images reach them.
        loaded: What became of the weights that its runs start from; None where they draw theirs.

    Args:
        config: What to train.
        data: The data set.
        parallel: As for `fit`.
        feed: As for `fit`.
        model: As for `fit`.
        optimizer: As for `fit`.
        tasks: As for `fit`.
        transforms: As for `fit`.
        gradient: As for `fit`.

    Raises:
        UserError: The data has images of another range than networks take, or labels that are no class; it says nothing
            of what a head is to predict, or lacks a class that the config needs; the network is not one for this data
            and these tasks; or a teacher is none for this run.
    """

    def __init__(
        self,
        config: Config,
        data: Dataset,
        *,
        parallel: Parallel | None = None,
        feed: Feed | None = None,
        model: Network | None = None,
        optimizer: optax.GradientTransformation | None = None,
        tasks: Sequence[Task] = (),
        transforms: Sequence[Transform] = (),
        gradient: Gradient = plain,
    ) -> None:
        check_kinds(optimizer, tasks, transforms, gradient)
        self.own_tasks = tuple(tasks)
        self.tasks = (*tasks_of(config.model), *tasks)
        _check_examples(data)
        _check_classes(config, data)
        _check_present(config, data)
        _check_names(self.tasks, data)
        _check_known(self.tasks, self.own_tasks, data)
        self.data = data
        self.model: Network = make_network(config.model, len(data.class_names)) if model is None else model
        shapes = variable_shapes(self.model, config.data.image_size)
        if model is not None or tasks:
            check_network(self.model, shapes, self.tasks, config.data.image_size, data)
        check_gradient(gradient, shapes, config, data)
        check_transforms(transforms, config, data)
        self._asked = config.model
        self._config, self._given_optimizer = naming(self.model, config, len(data.class_names)), optimizer
        self.parallel = parallel or choose_parallel(config.batch_size, self.model, config.data.image_size)
        self.feed = feed or choose_feed(data, self.parallel)
        self._transforms, self._gradient, self._own_model = transforms, gradient, model is not None
        self._teachers = load_teachers(self._config, data, self.model) if config.distill.is_on else None
        self._taught: dict[str, np.ndarray] | None = None
        self._weights = None if config.model.pretrained is None else _weights(config.model.pretrained)
        self.loaded: Loaded | None = None
        if self._weights is not None:
            _, self.loaded = load_pretrained(self.model, shapes, self._weights, data.class_names)
        self._tuning = Tuning.of(config.optimizer, self.model, shapes["params"], self.steps_per_epoch(config))
        _check_tuning(self._tuning, config, own_optimizer=optimizer is not None)
        self._recipe.objective(Hyperparameters.of(config))  # which refuses data that it cannot be made of

    @cached_property
    def _recipe(self) -> Recipe:
        config, classes = structure(self._config), len(self.data.class_names)
        weighs = config.loss.class_weights == "balanced" or config.loss.logit_adjustment
        counts = np.bincount(self.data.train.labels, minlength=classes) if weighs else np.zeros(classes, int)
        own = (self.own_tasks, self._transforms, self._gradient is not plain, self._given_optimizer is not None)
        return Recipe(
            model=self.model,
            parallel=self.parallel,
            optimizer=config.optimizer,
            loss=config.loss,
            augment=config.augment,
            sampling=config.data.sampling,
            epochs=config.epochs,
            steps_per_epoch=self.steps_per_epoch(self._config),
            counts=tuple(counts.tolist()),
            tasks=self.tasks,
            views=self._teachers.views if self._teachers else None,
            tuning=self._tuning,
            own=any(map(bool, own)),
            transforms=tuple(self._transforms),
            gradient=self._gradient,
            given_optimizer=self._given_optimizer,
        )

    # Made when first used, not in `__init__`: placing images can make the devices of all processes meet, and that must
    # wait until the processes have met (`Agreement`), since devices wait for each other only half a minute.

    @cached_property
    def alone(self) -> Steps:
        """The steps of one run."""
        return self._steps(self.feed.training(self._recipe.train_function(), self._placed[0], self.parallel))

    @cached_property
    def side_by_side(self) -> Steps:
        """The steps of several runs at once.

        Raises:
            UserError: Images come from the host, as on a CPU, which one run fills.
        """
        train = self._recipe.train_function(several=True)
        training = self.check_side_by_side().training(train, self._placed[0], self.parallel, axis=1)
        return self._steps(training, several=True)

    def _steps(self, training: Training, *, several: bool = False) -> Steps:
        evaluate, batch_size = self._recipe.eval_function(several=several), self._config.batch_size
        scoring = self.feed.scoring(evaluate, self._placed[1], self.parallel, batch_size=batch_size)
        return Steps(training, scoring, self._settle(several=several))

    @cached_property
    def _placed(self) -> tuple[Any, Any]:
        """The images to train and to validate on, where the steps take them from."""
        return self.feed.place(self._learnt(), self.parallel), self.feed.place(self.data.val, self.parallel)

    def check_side_by_side(self) -> ResidentFeed:
        """Return the feed, having checked that several runs can be trained at once with it.

        Raises:
            UserError: As for `side_by_side`.
        """
        if not isinstance(self.feed, ResidentFeed) or self.parallel.axis_name is not None:
            raise UserError("runs go side by side only on accelerators that hold all images: leave out --side-by-side")
        return self.feed

    def teach(
        self, folder: Path | None = None, agreement: Agreement | None = None, watch: Watch = lambda done, images: None
    ) -> None:
        """Have the teachers see the training images, unless they have. With several processes all must call this.

        Whoever asks for `alone` or `side_by_side` without it has it done then.

        Args:
            folder: Where to keep what they say, and where that may be already; None keeps it in memory alone.
            agreement: That of the run's processes.
            watch: Told how many images they have seen.
        """
        if self._teachers is not None and self._taught is None:
            heads = ("logits", *(task.name for task in self.tasks if task.is_distribution))
            agreement = agreement or Agreement(self.parallel)
            options = {"batch_size": self._config.batch_size, "parallel": self.parallel, "agreement": agreement}
            self._taught = self._teachers.columns(self.data, heads, folder=folder, watch=watch, **options)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers of its runs should know, one sentence each."""
        begun = (str(self.loaded),) if self.loaded else ()
        return begun + (self._teachers.notes if self._teachers else ())

    @property
    def teachers_fingerprint(self) -> str:
        """A hash of the teachers' networks; empty without teachers."""
        return self._teachers.fingerprint if self._teachers else ""

    @property
    def pretrained_digest(self) -> str:
        """A hash of the weights that its runs start from; empty where they draw theirs."""
        return self.loaded.digest if self.loaded else ""

    def config_of(self, config: Config) -> Config:
        """Return a run's config as its folder keeps it. A network passed as an object is named by its class."""
        if not self._own_model:
            return config
        return dataclasses.replace(config, model=dataclasses.replace(config.model, variant=self._config.model.variant))

    def serves(self, config: Config, data: Dataset) -> bool:
        """Return whether this program can train a run.

        Args:
            config: The config of the run. It may differ from the program's in the values of `Hyperparameters` that are
                neither 0 nor None, in the seed, and in the number of epochs unless the learning rate depends on it.
            data: Its data, which must be the very object of this program.
        """
        # Where the network is an object, a config read from a run's folder names its class.
        named = config.model in (self._asked, self._config.model)
        return named and data is self.data and structure(self.config_of(config)) == structure(self._config)

    @cached_property
    def facts(self) -> dict[str, str]:
        """What must be the same on resuming.

        Hashes of the images, of every column that is learnt, and of teachers; and the names of pieces of one's own.
        """
        # The fingerprint covers what every run sees; further tasks may learn from columns that it leaves out.
        known = columns(self.data.train)
        more = sorted({name for task in self.tasks for name in task.columns if name in known} - {"label", *HASHED})
        digest = hashlib.blake2b(digest_size=16)
        for name in more:
            digest.update(name.encode() + np.ascontiguousarray(known[name]).tobytes())
        facts = {"fingerprint": self.data.fingerprint} | ({"columns": digest.hexdigest()} if more else {})
        facts["pieces"] = self._pieces()
        facts |= {"pretrained": self.loaded.digest} if self.loaded else {}
        return facts | ({"teachers": self._teachers.fingerprint} if self._teachers else {})

    def _pieces(self) -> str:
        """Return the names of the tasks, transforms, gradient and optimizer of one's own, as errors show them."""
        given = {
            "tasks": self.own_tasks,
            "transforms": self._transforms,
            "gradient": () if self._gradient is plain else (self._gradient,),
            "optimizer": () if self._given_optimizer is None else (self._given_optimizer.init,),
        }
        return "; ".join(f"{kind} {', '.join(map(piece_name, pieces))}" for kind, pieces in given.items() if pieces)

    def start(self, config: Config) -> tuple[TrainState, Metrics, Hyperparameters]:
        """Return a run's state at step 0, empty metrics, and its hyper-parameters, all on the devices."""
        hyper, average = Hyperparameters.of(config), config.optimizer.ema is not None
        optimizer = self._recipe.make_optimizer(hyper)
        options = {"seed": config.seed, "image_size": config.data.image_size, "ema": average}
        options |= {"weights": self._weights, "class_names": self.data.class_names}
        state = create_state(self.model, optimizer, **options)
        return self.parallel.place((state, Metrics.empty(len(self.data.class_names)), hyper))

    def scores(self, metrics: Metrics) -> Scores:
        """Return the scores of metrics that the steps of this program have summed."""
        return metrics.compute(self.data.class_names, self.tasks)

    def batches(self, config: Config) -> Batches:
        """Return the training batches of a run: of each, the rows of this process."""
        options = {"shard": self.parallel.shard, "alternate": config.augment.alternate_flip}
        return Batches(self._learnt(), config.batch_size, config.seed, sampling=config.data.sampling, **options)

    def steps_per_epoch(self, config: Config) -> int:
        """Return the number of steps in an epoch of a run."""
        return -(-len(self.data.train) // config.batch_size)

    def rate(self, config: Config) -> optax.Schedule | None:
        """Return the learning rate of a run as a function of the step, counted from 0.

        Args:
            config: The config of the run.

        Returns:
            The function; None with an optimizer of one's own, which keeps its rate to itself.
        """
        if self._given_optimizer is not None:
            return None
        per_epoch = self.steps_per_epoch(config)
        return make_schedule(config.optimizer, steps_per_epoch=per_epoch, epochs=config.epochs)

    def _learnt(self) -> Split:
        """Return the training images with all that is learnt of them."""
        self.teach()
        split = self.data.train
        return dataclasses.replace(split, columns={**split.columns, **self._taught}) if self._taught else split

    def _settle(self, *, several: bool) -> Callable[[TrainState], TrainState]:
        images = self._config.optimizer.statistics_images
        if not images:
            return lambda state: state
        options = {"images": images, "batch_size": self._config.batch_size, "parallel": self.parallel}
        measure = statistics_function(self.model, self.data.train, several=several, **options)
        return lambda state: dataclasses.replace(state, batch_stats=measure(state.variables))


def _check_known(tasks: Sequence[Task], own: Sequence[Task], data: Dataset) -> None:
    known = columns(data.train)
    for task in tasks:
        if not task.known(known):
            place = "of `tasks`, or give the data one of these columns" if task in own else "(--heads)"
            raise UserError(
                f"{data.source} says nothing of its faces in {data.train.name} that the head {task.name!r} could learn "
                f"({' or '.join(task.columns)}): leave it out {place}"
            )


def _check_classes(config: Config, data: Dataset) -> None:
    if data.class_names != config.data.vocabulary:
        raise UserError(
            f"{data.source} has the classes {', '.join(data.class_names)}, and the config says "
            f"{', '.join(config.data.vocabulary)}: pass data of these, in this order, or say so in the config (classes)"
        )


def _check_names(tasks: Sequence[Task], data: Dataset) -> None:
    """Refuse names that would stand for two things in a batch, in outputs, or among the scores."""
    taken = [*(field.name for field in dataclasses.fields(Scores)), *(name for task in tasks for name in task.measures)]
    for what, names in (
        ("task", ["logits", "image", "label", "mask", *(task.name for task in tasks)]),
        ("measure", taken),
        *(("column", ["image", "label", "mask", *split.columns]) for split in (data.train, data.val)),
    ):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UserError(f"the name of a {what}, {twice[0]!r}, is taken already: give it another")


def _weights(path: Path) -> Weights:
    """Return the weights of a file, a saved model, or a run, of which they are the last."""
    if not is_run(path):
        return read_weights(path)
    run = load_run(path)
    variables = jax.device_get(run.variables)
    network = dataclasses.asdict(run.config.model)
    return weights_of(variables, str(path), network, class_names=run.class_names)


def _check_tuning(tuning: Tuning | None, config: Config, *, own_optimizer: bool) -> None:
    if tuning is None:
        return
    named = "freeze, backbone_rate and layer_decay"
    if config.model.pretrained is None:
        raise UserError(
            f"{named} spare what somebody has trained, and this network's weights are drawn: pass those to start from "
            "(--pretrained), or train all alike (--backbone-rate None)"
        )
    if own_optimizer:
        raise UserError(f"{named} are of the optimizers that a config names: leave them out, or your own optimizer")


def _check_examples(data: Dataset) -> None:
    for split in (data.train, data.val):
        check_labels(split.labels, len(data.class_names), f"{split.name} of {data.source}")
        split.check_range()


def _check_present(config: Config, data: Dataset) -> None:
    """Refuse training images without one of the classes, where the config mixes or evens out classes."""
    reasons = {
        f"--sampling {config.data.sampling}": config.data.sampling != "uniform",
        "--mixup": config.augment.mixup,
        "--cutmix": config.augment.cutmix,
    }
    asked = [flag for flag, there in reasons.items() if there]
    missing = np.setdiff1d(np.arange(len(data.class_names)), data.train.labels)
    if asked and missing.size:
        raise UserError(
            f"{data.train.name} of {data.source} has no image of {data.class_names[missing[0]]}, and {asked[0]} needs "
            f"some of every class: pass data that has them all, or leave out {asked[0]}"
        )
