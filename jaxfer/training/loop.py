"""The training loop: a portion of steps, maybe log, maybe evaluate, maybe save; for one run, or several at once."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxfer.config import Config, ModelConfig, without_places
from jaxfer.data.batches import Batches, Rows, stack
from jaxfer.data.dataset import Dataset
from jaxfer.data.transforms import Transform
from jaxfer.devices.consensus import Agreement
from jaxfer.devices.distributed import is_first
from jaxfer.devices.placement import Parallel
from jaxfer.errors import Diverged, Interrupted, UserError
from jaxfer.interrupt import stop_on_signals
from jaxfer.metrics import Metrics, Scores
from jaxfer.models import Network, name_of
from jaxfer.runs.history import History
from jaxfer.tasks import Task
from jaxfer.training.callbacks import Begun, Callback
from jaxfer.training.feed import Feed
from jaxfer.training.gradients import Gradient, plain
from jaxfer.training.hyperparameters import Hyperparameters
from jaxfer.training.program import Program
from jaxfer.training.state import TrainState

if TYPE_CHECKING:
    from jaxtyping import Float

SAVE_SECONDS = 600.0
"""A checkpoint is saved after each epoch, and within an epoch when this time has passed since the last one."""

Outcome = tuple[TrainState, list[dict[str, Any]]]
"""The final state of a run, and one row for each epoch."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run to train.

    Attributes:
        config: What to train.
        run_dir: Folder for the configuration, the log and the checkpoints; None keeps nothing.
        resume: Whether to continue the run in the folder; otherwise the folder must not hold one.
        keep_epochs: Epochs whose checkpoints stay, beside the latest and the best.
        callbacks: Its observers.
    """

    config: Config
    run_dir: Path | None = None
    resume: bool = False
    keep_epochs: Collection[int] = ()
    callbacks: Sequence[Callback] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.callbacks, Sequence):
            raise UserError(f"callbacks is {self.callbacks!r} and no list: pass a list of them")
        for callback in self.callbacks:
            if isinstance(callback, type):
                name = callback.__name__
                raise UserError(f"the callback {name} is a class: pass an instance of it, {name}()")
            missing = [name for name in _NOTES if not hasattr(callback, name)]
            if missing:
                raise UserError(f"the callback {callback!r} has no {missing[0]}: derive its class from jaxfer.Callback")


_NOTES = ("begin", "teach", "step", "epoch", "end")
"""What each callback is told by."""


def fit(
    config: Config,
    data: Dataset,
    *,
    run_dir: Path | str | None = None,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
    parallel: Parallel | None = None,
    feed: Feed | None = None,
    model: Network | None = None,
    optimizer: optax.GradientTransformation | None = None,
    tasks: Sequence[Task] = (),
    transforms: Sequence[Transform] = (),
    gradient: Gradient = plain,
    program: Program | None = None,
    keep_epochs: Collection[int] = (),
) -> Outcome:
    """Train a network.

    Args:
        config: What to train.
        data: The data set, as `jaxfer.data.load` returns it.
        run_dir: Folder for the configuration, the log and the checkpoints; None keeps nothing. It must not hold a run
            yet, except with `resume`.
        resume: Whether to continue the run in `run_dir`, one of this config, from its newest checkpoint.
        callbacks: Observers: `jaxfer.reports.ProgressBar()`, or a `Callback` of one's own.
        parallel: How to use the devices; by default all that the batch size warrants.
        feed: How images reach the devices. By default they stay on accelerators with enough memory, and otherwise come
            batch by batch.
        model: A network in place of the one that the config names; the run's folder then names its class.
        optimizer: An Optax optimizer in place of the one that the config names.
        tasks: Tasks to learn besides those that the config names.
        transforms: Transforms of each batch, after the augmentations of the config.
        gradient: The way to the gradient, besides what the config asks for.
        program: The program of an earlier run, which must serve this one (`Program.serves`). It replaces the seven
            arguments above, from `parallel` on.
        keep_epochs: Epochs whose checkpoints stay, beside the latest and the best.

    Returns:
        The final state, and one row for each epoch. A row has:

        - `epoch`, `step`, `seconds` since the start, and, unless `optimizer` is passed, `learning_rate`;
        - `loss` and `accuracy` of the training batches, in training mode;
        - `val_loss`, `val_accuracy`, `val_macro_f1`, `val_mse` and `val_r2` of the whole validation split after the
          epoch;
        - the scores of further tasks, such as `val_valence_ccc`.

        Losses contain the L2 term.

    Raises:
        Interrupted: SIGINT or SIGTERM came. It has what there is by then: `state, rows = interrupted.outcomes[0]`.
        Diverged: The loss is no longer finite.
        UserError: The disk fails, the config does not fit the data, or says of `model` what that has no field for, or a
            transform makes labels that are no class.
        ValueError: `program` does not serve this run.

    Whatever is raised, the checkpoints are intact.
    """
    if model is not None and not resume:
        _check_obeyed(config.model, model)
    if program is None:
        options = {"parallel": parallel, "feed": feed, "model": model, "optimizer": optimizer}
        program = Program(config, data, **options, tasks=tasks, transforms=transforms, gradient=gradient)
    elif not program.serves(config, data):
        raise ValueError("the program was made for runs that differ from this one in more than numbers: make another")
    else:
        another = None if model == program.model else model
        given = {"parallel": parallel, "feed": feed, "model": another, "optimizer": optimizer, "tasks": tuple(tasks)}
        given |= {"transforms": tuple(transforms), "gradient": None if gradient is plain else gradient}
        others = [name for name, piece in given.items() if piece not in (None, ())]
        if others:
            raise UserError(
                f"{others[0]} was passed beside a program, which has its own: leave it out, or make a Program with it"
            )
    run_dir = None if run_dir is None else Path(run_dir)
    options: dict[str, Any] = {"run_dir": run_dir, "resume": resume, "keep_epochs": keep_epochs, "callbacks": callbacks}
    (outcome,) = fit_together([Run(config=config, **options)], program)
    if isinstance(outcome, Diverged):
        raise outcome
    return outcome


def _check_obeyed(config: ModelConfig, model: Network) -> None:
    """Refuse what a config says of a network that has no such field: its run would claim what nobody did."""
    # Of a run that goes on it is taken as it is: releases before did not refuse it.
    for name, default in (("dropout", 0.0), ("dtype", "float32")):
        value = getattr(config, name)
        if value != default and not hasattr(model, name):
            raise UserError(
                f"{name} is {value} in the config, and {name_of(model)} has no field {name} and so does not know it: "
                f"leave it {default}, and let the network decide"
            )


def fit_together(runs: Sequence[Run], program: Program) -> list[Outcome | Diverged]:
    """Train several runs of one program, a step of all of them at once.

    This is for accelerators that one run does not fill. Each run has the same numbers as alone, to float32 rounding,
    and a folder of its own. Its `seconds` are its equal share of the time. A run whose loss is no longer finite ends,
    with its checkpoints intact, and the others go on.

    Args:
        runs: The runs, all of the same number of epochs. Those that resume must have saved the same step.
        program: The program, which must serve all of them. With several runs its images must be on the devices.

    Returns:
        For each run its outcome, as of `fit`, or `Diverged` where its loss is no longer finite.

    Raises:
        ValueError: The runs cannot be trained together.
        Interrupted: As for `fit`.
        UserError: As for `fit`.
    """
    epochs, *others = {run.config.epochs for run in runs}
    if others or not all(program.serves(run.config, program.data) for run in runs):
        raise ValueError("only runs of one program and of as many epochs can be trained side by side")
    agreement = Agreement(program.parallel)
    alike = {"configuration": "".join(_identity(run.config) for run in runs), "feed": repr(program.feed)}
    agreement.check_same(
        lambda: (
            alike
            | {"data": program.data.fingerprint, "others": program.teachers_fingerprint + program.pretrained_digest}
        )
    )
    per_epoch = program.steps_per_epoch(runs[0].config)
    several = len(runs) > 1
    if several:
        program.check_side_by_side()
    with ExitStack() as listening, ExitStack() as stack:
        going = [_Going(run, program, agreement, stack, together=len(runs)) for run in runs]
        restored = [one.restore() for one in going]
        start, *others = {int(state.step) for state, *_ in restored}
        if others:
            raise ValueError("only runs that have saved the same step can be trained side by side")
        state, running, nothing, hyper = program.parallel.place(_stack(restored)) if several else restored[0]
        del restored  # the states one by one, which would take the memory of as many until the end
        for one in going:
            one.begin(start, per_epoch, stack)

        def watch(done: int, images: int) -> None:
            for one in going:
                one.tell_taught(done, images)

        # Not before: it can take long, and what it finds is kept in the folder of the run.
        program.teach(runs[0].run_dir, agreement, watch)
        steps = program.side_by_side if several else program.alone
        batches: Any = [program.batches(run.config) for run in runs]
        batches = _Batches(batches) if several else batches[0]
        stop = listening.enter_context(stop_on_signals())
        losses = _Losses()
        for done, portion in steps.training.portions(batches, start, epochs * per_epoch):
            # Dispatched, not awaited: reading this portion's results now would leave the devices idle.
            state, running, metrics = steps.training.run(state, running, portion, hyper)
            ends_epoch = done % per_epoch == 0
            # Clocks and signals differ between processes: all stop and save at the step that one of them asks for.
            # One whose loss is not finite any more saves nothing: those that do have all saved when the last one did.
            due = min(one.history.unsaved_seconds for one in going) > SAVE_SECONDS
            signum, due = agreement.largest(stop.signum, int(due), wait=ends_epoch)
            saves = ends_epoch or bool(signum or due)
            if saves:
                _refuse_unlabelled(running)
            # Before saving every loss is read, so that no checkpoint holds a state that has diverged.
            for read_step, read in losses.read(done, metrics, wait=saves):
                for one, own in zip(going, read, strict=True):
                    one.watch(read_step, own)
                if all(one.failure for one in going):
                    return [one.failure for one in going if one.failure]
            for one in going:
                one.tell_step(done)
            if ends_epoch:
                state = steps.settle(state)
                trained, val = running, steps.measure(state.variables, hyper)
                running = nothing
                for one, *sums in zip(going, _split(trained, several), _split(val, several), strict=True):
                    one.add(done, per_epoch, *map(program.scores, sums))
                if all(one.failure for one in going):
                    return [one.failure for one in going if one.failure]
            if saves:
                for one, *own in zip(going, _split(state, several), _split(running, several), strict=True):
                    one.save(done, per_epoch, *own)
            # After saving: a callback that ends the run, as a pruner does, must find the epoch's checkpoint.
            if ends_epoch:
                for one in going:
                    one.tell_epoch()
            if signum:
                raise Interrupted(done, signum, [(own, one.history.rows) for one, own in _each(going, state)])
        stack.close()  # which ends what saves and what observes
        # One that has come since the last step began: what is left of the program can take minutes.
        signum, _ = agreement.largest(stop.signum, 0, wait=True)
        if signum:
            raise Interrupted(epochs * per_epoch, signum, [(own, one.history.rows) for one, own in _each(going, state)])
        return [one.failure or (own, one.history.rows) for one, own in _each(going, state)]


class _Going:
    """One of the runs: its record, which ends when its loss is no longer finite, and its observers."""

    def __init__(self, run: Run, program: Program, agreement: Agreement, stack: ExitStack, *, together: int) -> None:
        self._run, self._program = run, program
        self.failure: Diverged | None = None
        self._config = program.config_of(run.config)
        history = History(run.run_dir, self._config, program.facts, agreement, resume=run.resume, together=together)
        self.history = stack.enter_context(history)
        self._rate = program.rate(run.config)
        self._callbacks = run.callbacks if is_first() else ()
        self._loss = math.nan

    def restore(self) -> tuple[TrainState, Metrics, Metrics, Hyperparameters]:
        """Return the state to go on from, the metrics of its unfinished epoch, empty ones, and the hyper-parameters.

        Nothing of it is kept here: the devices need the memory of what a checkpoint replaces.
        """
        state, nothing, hyper = self._program.start(self._run.config)
        return *self.history.restore(state, nothing), nothing, hyper

    def tell_taught(self, done: int, images: int) -> None:
        """Tell the callbacks how much teachers have seen."""
        for callback in self._callbacks:
            callback.teach(done, images)

    def begin(self, step: int, per_epoch: int, stack: ExitStack) -> None:
        """Tell the callbacks, and have them told of the end."""
        history, program = self.history, self._program
        begun = Begun(
            self._config,
            self._run.run_dir,
            per_epoch,
            step,
            history.rows,
            history.seconds,
            program.notes,
            (program.data.train.commonest, program.data.val.commonest),
        )
        if program.loaded is not None and step == 0:
            history.note("pretrained", program.loaded.to_dict())
        for callback in self._callbacks:
            stack.callback(callback.end)
            callback.begin(begun)

    def watch(self, done: int, losses: np.ndarray) -> None:
        """End the run where one of the losses [steps], the last of them that of step `done`, is not finite."""
        self._loss = float(losses[-1])
        self.failure = self.failure or divergence(done, losses, self.history.saved_step)

    def tell_step(self, done: int) -> None:
        """Tell the callbacks of a step, with the last loss that was read."""
        for callback in self._callbacks:
            callback.step(done, self._loss)

    def add(self, done: int, per_epoch: int, trained: Scores, val: Scores) -> None:
        """Record the epoch that ends with step `done`, unless the parameters are no numbers any more after it."""
        # The losses of training are those before each update: what the last one did is seen here alone.
        self.failure = self.failure or divergence(done, np.array([val.loss]), self.history.saved_step, "validation ")
        if self.failure is None:
            rate = None if self._rate is None else float(jnp.asarray(self._rate(done - 1)))
            self.history.add(epoch_row(done, per_epoch, self.history.seconds, rate, trained, val))

    def save(self, done: int, per_epoch: int, state: TrainState, running: Metrics) -> None:
        """Save a checkpoint, after an epoch with its validation accuracy."""
        if self.failure is None:
            epoch, within = divmod(done, per_epoch)
            accuracy = None if within else self.history.rows[-1]["val_accuracy"]
            keep = not within and epoch in self._run.keep_epochs
            self.history.save(done, state, running, val_accuracy=accuracy, keep=keep)

    def tell_epoch(self) -> None:
        """Tell the callbacks of the epoch that was recorded last."""
        if self.failure is None:
            for callback in self._callbacks:
                callback.epoch(self.history.rows[-1])


class _Losses:
    """Reads each portion's losses one portion late, so that the device works while Python waits."""

    def __init__(self) -> None:
        self._pending: tuple[int, Metrics] | None = None
        self._first = True

    def read(self, done: int, metrics: Metrics, *, wait: bool) -> list[tuple[int, np.ndarray]]:
        """Return the last step and the losses [runs, steps] of each portion that is due.

        Due is the portion before this one, which ends with step `done`. With `wait` this one is due too. So is a run's
        first, so that callbacks have a loss from the start.
        """
        late, self._pending = self._pending, (done, metrics)
        due = [] if late is None else [late]
        if wait or self._first:
            due.append(self._pending)
            self._pending = None
        self._first = False
        return [(step, _per_run(metrics)) for step, metrics in due]


def _per_run(metrics: Metrics) -> np.ndarray:
    """Return losses [runs, steps] of metrics of one step [], of steps [steps], or of runs at once [steps, runs]."""
    # Without a single example, as where a transform leaves no label that is a class, the sum is 0.
    losses = np.asarray(metrics.loss, np.float64) / np.maximum(metrics.count, 1)
    return losses.T if losses.ndim == 2 else losses.reshape(1, -1)


def _refuse_unlabelled(running: Metrics) -> None:
    """Refuse labels that are no class. Those of the data are known to be classes: a transform has made them."""
    # Not as it happens, which would have the host wait for each step, but before anything is saved of it.
    unlabelled = int(np.asarray(running.unlabelled).sum())
    if unlabelled:
        raise UserError(
            f"transforms have given {unlabelled} examples labels that are no class: let them return indices into the "
            "class names, and leave examples out by their mask"
        )


class _Batches:
    """The batches of several runs, stacked."""

    def __init__(self, each: Sequence[Batches]) -> None:
        self._each = each
        self.steps_per_epoch = each[0].steps_per_epoch

    def rows(self, step: int) -> Rows:
        """Return where the batches at `step` lie, as `Batches.rows` does: `row`, `mask` and so on, [runs, b]."""
        return stack([batches.rows(step) for batches in self._each])


def divergence(
    done: int, losses: Float[np.ndarray, " steps"], saved_step: int | None, kind: str = ""
) -> Diverged | None:
    """Return an error where one of the losses is not finite.

    Args:
        done: Number of steps done after the last of the losses.
        losses: Losses of consecutive steps, float64 [steps].
        saved_step: The step of the newest checkpoint, or None.
        kind: What precedes "loss" in the error.

    Returns:
        The error, which names the first such step; None if all losses are finite.
    """
    bad = np.flatnonzero(~np.isfinite(losses))
    if not bad.size:
        return None
    kept = "no checkpoint was saved yet" if saved_step is None else f"the checkpoint of step {saved_step} is intact"
    return Diverged(
        f"the {kind}loss became {losses[bad[0]]} at step {done - losses.size + 1 + bad[0]}; {kept}. Lower "
        "--learning-rate, or limit the gradients with --clip-norm 1"
    )


def epoch_row(
    step: int, per_epoch: int, seconds: float, learning_rate: float | None, trained: Scores, val: Scores
) -> dict[str, Any]:
    """Return the row of an epoch, as in `metrics.jsonl`.

    Args:
        step: Number of steps done, at the end of the epoch.
        per_epoch: Steps in an epoch.
        seconds: Seconds of training so far.
        learning_rate: That of the epoch's last step; None, where it is not known, leaves it out.
        trained: Scores of the epoch's training batches.
        val: Scores of the validation split after it.
    """
    row = {"kind": "epoch", "epoch": step // per_epoch, "step": step, "seconds": round(seconds, 2)}
    row |= {} if learning_rate is None else {"learning_rate": learning_rate}
    row |= {"loss": trained.loss, "accuracy": trained.accuracy}
    measured = {name: getattr(val, name) for name in ("loss", "accuracy", "macro_f1", "mse", "r2")} | val.tasks
    return row | {f"val_{name}": value for name, value in measured.items() if not name.endswith("_examples")}


def _identity(config: Config) -> str:
    """Return the part of a config that must be the same in every process: files may lie elsewhere on each machine."""
    return repr(without_places(config))


def _each(going: Sequence[_Going], state: Any) -> Iterator[tuple[_Going, TrainState]]:
    """Return each run with its state."""
    return zip(going, _split(state, len(going) > 1), strict=True)


def _stack(trees: Sequence[Any]) -> Any:
    """Return trees of arrays as one tree, stacked along a new first axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _split(tree: Any, several: bool) -> list[Any]:
    """Return the trees that `_stack` stacked; of one run, which was not stacked, its tree."""
    return _unstack(tree) if several else [tree]


@jax.jit
def _unstack(tree: Any) -> list[Any]:
    count = len(jax.tree.leaves(tree)[0])
    return [jax.tree.map(lambda leaf, index=index: leaf[index], tree) for index in range(count)]
