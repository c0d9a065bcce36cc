"""The training loop: a portion of steps, maybe log, maybe evaluate, maybe save; for one run, or several at once."""

import dataclasses
import math
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxfer.config import Config
from jaxfer.data.batches import Batches
from jaxfer.data.dataset import Dataset
from jaxfer.data.transforms import Transform
from jaxfer.devices.consensus import Agreement
from jaxfer.devices.distributed import is_first
from jaxfer.devices.placement import Parallel
from jaxfer.errors import Diverged, Interrupted
from jaxfer.metrics import Metrics, Scores
from jaxfer.models import Network
from jaxfer.runs.history import History
from jaxfer.tasks import Task
from jaxfer.training.callbacks import Begun, Callback
from jaxfer.training.feed import Feed
from jaxfer.training.gradients import Gradient, plain
from jaxfer.training.interrupt import stop_on_signals
from jaxfer.training.program import Program
from jaxfer.training.state import TrainState

SAVE_SECONDS = 600.0
"""A checkpoint is saved after each epoch, and within one when this long has passed since the last."""

Outcome = tuple[TrainState, list[dict[str, Any]]]
"""The final state of a run, and one row of numbers for each epoch."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run to train.

    Attributes:
        config: What to train.
        run_dir: Folder for the configuration, the log and the checkpoints; None keeps nothing.
        resume: Whether the folder holds a run of this config, which goes on; without, it must not hold one.
        keep_epochs: Epochs whose checkpoints stay, beside the latest and the best.
        callbacks: Who watches it.
    """

    config: Config
    run_dir: Path | None = None
    resume: bool = False
    keep_epochs: Collection[int] = ()
    callbacks: Sequence[Callback] = ()


def fit(
    config: Config,
    data: Dataset,
    *,
    run_dir: Path | None = None,
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
    """Train as `config` says and return the final state and one row of numbers per epoch.

    A row holds `epoch`, `step`, `seconds` since the start, `learning_rate`, `loss` and `accuracy` of the training
    batches as they were trained on, and `val_loss`, `val_accuracy`, `val_macro_f1`, `val_mse` and `val_r2` of the
    whole validation split after the epoch; also such as `val_valence_ccc`, the scores of further tasks. Losses contain
    the L2 term.

    Args:
        config: What to train.
        data: What to train on, as `jaxfer.data.load` returns it.
        run_dir: Folder for the configuration, the log and the checkpoints; None keeps nothing. With `resume` it must
            hold a run of this config, which goes on from its newest checkpoint; without, it must not hold one.
        resume: Whether to go on with the run in `run_dir`.
        callbacks: Who watches: `jaxfer.reports.ProgressBar()`, or a `Callback` of one's own.
        parallel: How to use the devices; by default all that the batch size warrants.
        feed: How images reach them; by default they stay on accelerators that have room, and else come batch by batch.
        model: A network in place of the one that the config names; the run's folder then names its class.
        optimizer: An Optax optimizer in place of the one that the config names.
        tasks: What else to learn, besides the heads that the config names.
        transforms: What else changes each batch, after the augmentations that the config asks for.
        gradient: How gradients are taken, besides what the config asks for.
        program: That of an earlier run, which must serve this one (`Program.serves`); it stands for the seven above.
        keep_epochs: Epochs whose checkpoints stay, beside the latest and the best.

    Raises:
        Interrupted: SIGINT or SIGTERM came. The checkpoints are intact, as after the others.
        Diverged: The loss is no longer finite.
        UserError: The disk fails, or the config does not fit the data.
    """
    if program is None:
        options = {"parallel": parallel, "feed": feed, "model": model, "optimizer": optimizer}
        program = Program(config, data, **options, tasks=tasks, transforms=transforms, gradient=gradient)
    elif not program.serves(config, data):
        raise ValueError("the program was made for runs that differ from this one in more than numbers: make another")
    options = {"run_dir": run_dir, "resume": resume, "keep_epochs": keep_epochs, "callbacks": callbacks}
    (outcome,) = fit_together([Run(config=config, **options)], program)
    if isinstance(outcome, Diverged):
        raise outcome
    return outcome


def fit_together(runs: Sequence[Run], program: Program) -> list[Outcome | Diverged]:
    """Train runs that share a program as `fit` trains each, a step of all of them at once; return what came of each.

    Several at once are for accelerators that one run does not fill. A run then has the numbers that it has alone, to
    float32 rounding, in a folder of its own; its `seconds` are its equal share of the time. One whose loss is no longer
    finite ends, and its checkpoints stay; the others go on.

    Args:
        runs: Of as many epochs; those that resume must have saved the same step.
        program: Serves all of them; with several, its images must live on the devices.

    Raises:
        ValueError: They cannot be trained together.
        Interrupted, UserError: As for `fit`.
    """
    epochs, *others = {run.config.epochs for run in runs}
    if others or not all(program.serves(run.config, program.data) for run in runs):
        raise ValueError("only runs of one program and of as many epochs can be trained side by side")
    agreement = Agreement(program.parallel)
    alike = {"configuration": "".join(_identity(run.config) for run in runs), "feed": repr(program.feed)}
    agreement.check_same(lambda: alike | {"data": program.data.fingerprint})
    several = len(runs) > 1
    steps = program.side_by_side if several else program.alone
    batches: Any = [program.batches(run.config) for run in runs]
    batches = _Batches(batches) if several else batches[0]
    per_epoch = batches.steps_per_epoch

    with ExitStack() as stack:
        going = [_Going(run, program, agreement, stack, together=len(runs)) for run in runs]
        restored = [(*one.restore(), one.nothing, one.hyper) for one in going]
        start, *others = {int(state.step) for state, *_ in restored}
        if others:
            raise ValueError("only runs that have saved the same step can be trained side by side")
        state, running, nothing, hyper = program.parallel.place(_stack(restored)) if several else restored[0]
        for one in going:
            one.begin(start, per_epoch, stack)
        stop = stack.enter_context(stop_on_signals())
        losses = _Losses()
        for done, portion in steps.training.portions(batches, start, epochs * per_epoch):
            state, running, metrics = steps.training.run(state, running, portion, hyper)
            ends_epoch = done % per_epoch == 0
            due = going[0].history.unsaved_seconds > SAVE_SECONDS
            signum, due = agreement.largest(stop.signum, int(due), wait=ends_epoch)
            saves = ends_epoch or bool(signum or due)
            for read_step, read in losses.read(done, metrics, wait=saves):
                for one, own in zip(going, read, strict=True):
                    one.watch(read_step, own)
                if all(one.failure for one in going):
                    return [one.failure for one in going if one.failure]
            for one in going:
                one.tell_step(done)
            if ends_epoch:
                trained, val = running, steps.measure(state.variables, hyper)
                running = nothing
                for one, *sums in zip(going, _split(trained, several), _split(val, several), strict=True):
                    one.add(done, per_epoch, *map(program.scores, sums))
            if saves:
                for one, *own in zip(going, _split(state, several), _split(running, several), strict=True):
                    one.save(done, per_epoch, *own)
            if ends_epoch:
                for one in going:
                    one.tell_epoch()
            if signum:
                raise Interrupted(done, signum)
        return [one.failure or (own, one.history.rows) for one, own in zip(going, _split(state, several), strict=True)]


class _Going:
    """One of the runs: its record, which ends where its loss is no longer finite, and who watches it."""

    def __init__(self, run: Run, program: Program, agreement: Agreement, stack: ExitStack, *, together: int) -> None:
        self._run, self._program = run, program
        self.failure: Diverged | None = None
        config = program.config_of(run.config)
        history = History(run.run_dir, config, program.facts, agreement, resume=run.resume, together=together)
        self.history = stack.enter_context(history)
        self._state, self.nothing, self.hyper = program.start(run.config)
        self._rate = program.rate(run.config)
        self._callbacks = run.callbacks if is_first() else ()
        self._loss = math.nan

    def restore(self) -> tuple[TrainState, Metrics]:
        """Return the state to go on from, and the metrics of its unfinished epoch."""
        return self.history.restore(self._state, self.nothing)

    def begin(self, step: int, per_epoch: int, stack: ExitStack) -> None:
        """Tell the callbacks, and have them told of the end."""
        begun = Begun(self._run.config, self._run.run_dir, per_epoch, step, self.history.rows, self.history.seconds)
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
        """Record the epoch that ends with step `done`."""
        if self.failure is None:
            rate = float(jnp.asarray(self._rate(done - 1)))
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
        """Return the last steps and the losses [runs, steps] of portions that are due to be read.

        That is the portion before the one that ends with step `done`; with `wait`, and of a run's first, also itself.
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
    losses = np.asarray(metrics.loss, np.float64) / np.asarray(metrics.count)
    return losses.T if losses.ndim == 2 else losses.reshape(1, -1)


class _Batches:
    """The batches of several runs, those of a step one above the other."""

    def __init__(self, each: Sequence[Batches]) -> None:
        self._each = each
        self.steps_per_epoch = each[0].steps_per_epoch

    def rows(self, step: int) -> dict[str, np.ndarray]:
        """Return where the batches at `step` lie, as `Batches.rows` does: `row` and `mask`, [runs, b]."""
        each = [batches.rows(step) for batches in self._each]
        return {name: np.stack([rows[name] for rows in each]) for name in ("row", "mask")}


def divergence(done: int, losses: np.ndarray, saved_step: int | None) -> Diverged | None:
    """Return what is to be said of losses [steps], the last of step `done`, if one is not finite, else None."""
    bad = np.flatnonzero(~np.isfinite(losses))
    if not bad.size:
        return None
    kept = "no checkpoint was saved yet" if saved_step is None else f"the checkpoint of step {saved_step} is intact"
    return Diverged(
        f"the loss became {losses[bad[0]]} at step {done - losses.size + 1 + bad[0]}; {kept}. Lower "
        "--learning-rate, or limit the gradients with --clip-norm 1"
    )


def epoch_row(
    step: int, per_epoch: int, seconds: float, learning_rate: float, trained: Scores, val: Scores
) -> dict[str, Any]:
    """Return an epoch's line of `metrics.jsonl`."""
    row = {"kind": "epoch", "epoch": step // per_epoch, "step": step, "seconds": round(seconds, 2)}
    row |= {"learning_rate": learning_rate, "loss": trained.loss, "accuracy": trained.accuracy}
    measured = {name: getattr(val, name) for name in ("loss", "accuracy", "macro_f1", "mse", "r2")} | val.tasks
    return row | {f"val_{name}": value for name, value in measured.items() if not name.endswith("_examples")}


def _identity(config: Config) -> str:
    """Return all of a config that must be the same in every process: the data may lie elsewhere on each machine."""
    fields = dataclasses.asdict(config)
    del fields["data"]["data_dir"]
    return repr(fields)


def _stack(trees: Sequence[Any]) -> Any:
    """Return trees of arrays as one tree whose arrays have the trees along a new first axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _split(tree: Any, several: bool) -> list[Any]:
    """Return the trees that `_stack` put together, or the one that is alone."""
    return _unstack(tree) if several else [tree]


@jax.jit
def _unstack(tree: Any) -> list[Any]:
    count = len(jax.tree.leaves(tree)[0])
    return [jax.tree.map(lambda leaf, index=index: leaf[index], tree) for index in range(count)]
