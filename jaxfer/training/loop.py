"""The training loop: a portion of steps, maybe log, maybe evaluate, maybe save."""

import dataclasses
import math
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
import optax
from jax import monitoring

from jaxfer.config import Config
from jaxfer.data.dataset import Dataset
from jaxfer.devices.consensus import Agreement
from jaxfer.devices.distributed import is_first
from jaxfer.devices.placement import Parallel
from jaxfer.errors import Diverged, Interrupted
from jaxfer.metrics.metrics import Metrics, Scores
from jaxfer.models import ResNetFER
from jaxfer.training.feed import Feed
from jaxfer.training.history import History
from jaxfer.training.interrupt import stop_on_signals
from jaxfer.training.program import Program
from jaxfer.training.state import TrainState

if TYPE_CHECKING:
    from jaxfer.training.progress import ProgressBar

SAVE_SECONDS = 600.0
"""A checkpoint is saved after each epoch, and within one when this long has passed since the last."""


def fit(
    config: Config,
    data: Dataset,
    *,
    run_dir: Path | None = None,
    resume: bool = False,
    progress: bool = False,
    tensorboard: bool = False,
    parallel: Parallel | None = None,
    feed: Feed | None = None,
    model: ResNetFER | None = None,
    optimizer: optax.GradientTransformation | None = None,
    program: Program | None = None,
    keep_epochs: Collection[int] = (),
    after_epoch: Callable[[dict[str, Any]], object] | None = None,
) -> tuple[TrainState, list[dict[str, Any]]]:
    """Train as `config` says and return the final state and one row of numbers per epoch.

    A row holds `epoch`, `step`, `seconds` since the start, `learning_rate`, `loss` and `accuracy` of the training
    batches as they were trained on, and `val_loss`, `val_accuracy`, `val_macro_f1`, `val_mse` and `val_r2` of the
    whole validation split after the epoch; also such as `val_valence_ccc`, the measures of
    `jaxfer.metrics.affect`, where the network predicts valence and arousal. Losses contain the L2 term.

    run_dir: folder for the configuration, the log and the checkpoints; None keeps nothing. With `resume` it must
        hold a run of this config, which goes on from its newest checkpoint; without, it must not hold one.
    progress: whether to show a progress bar and a line per epoch.
    tensorboard: whether to write TensorBoard's event files into `run_dir` too; see `jaxfer.training.tensorboard`.
    parallel: how to use the devices; by default all that the batch size warrants.
    feed: how images reach them; by default they stay on accelerators that have room, and else come batch by batch.
    model, optimizer: objects in place of what the config names; the config then does not describe them.
    program: that of an earlier run, which must serve this one (`Program.serves`); it stands for the four above.
    keep_epochs: epochs whose checkpoints stay, beside the latest and the best.
    after_epoch: called with each new row. What it raises ends the run, whose checkpoints stay.

    Raises `Interrupted` on SIGINT or SIGTERM, `Diverged` where the loss is no longer finite and `UserError` where the
    disk fails, in each case with the checkpoints intact.
    """
    if program is None:
        program = Program(config, data, parallel=parallel, feed=feed, model=model, optimizer=optimizer)
    elif not program.serves(config, data):
        raise ValueError("the program was made for runs that differ from this one in more than numbers: make another")
    parallel, training, rate = program.parallel, program.training, program.rate(config)
    agreement = Agreement(parallel)
    alike = {"configuration": _identity(config), "feed": repr(program.feed)}
    agreement.check_same(lambda: alike | {"data": data.fingerprint})
    batches = program.batches(config)
    per_epoch = batches.steps_per_epoch
    state, nothing, numbers = program.start(config)

    with ExitStack() as stack:
        history = stack.enter_context(History(run_dir, config, data, agreement, resume=resume, tensorboard=tensorboard))
        state, running = history.restore(state, nothing)
        start, end = int(state.step), config.epochs * per_epoch
        bar = stack.enter_context(_bar(config.epochs, per_epoch, start) if progress and is_first() else nullcontext())
        stop = stack.enter_context(stop_on_signals())
        watch = _LossWatch(history)
        for done, portion in training.portions(batches, start, end):
            state, running, metrics = training.run(state, running, portion, numbers)
            ends_epoch = done % per_epoch == 0
            due = history.unsaved_seconds > SAVE_SECONDS
            signum, due = agreement.largest(stop.signum, int(due), wait=ends_epoch)
            saves = ends_epoch or bool(signum or due)
            loss = watch.loss(done, metrics, wait=saves)
            if bar:
                bar.step(done, loss)
            val_accuracy = None
            if ends_epoch:
                trained, scores = running.compute(data.class_names), program.validate(state, numbers)
                running, val_accuracy = nothing, scores.accuracy
                row = epoch_row(done, per_epoch, history.seconds, float(jnp.asarray(rate(done - 1))), trained, scores)
                history.add(row)
                if bar:
                    bar.epoch(row)
            if saves:
                keep = ends_epoch and done // per_epoch in keep_epochs
                history.save(state, running, val_accuracy=val_accuracy, keep=keep)
            if ends_epoch and after_epoch is not None:
                after_epoch(history.rows[-1])
            if signum:
                raise Interrupted(done, signum)
    return state, history.rows


def _identity(config: Config) -> str:
    """Return all of a config that must be the same in every process: the data may lie elsewhere on each machine."""
    fields = dataclasses.asdict(config)
    del fields["data"]["data_dir"]
    return repr(fields)


def epoch_row(
    step: int, per_epoch: int, seconds: float, learning_rate: float, trained: Scores, val: Scores
) -> dict[str, Any]:
    """Return an epoch's line of `metrics.jsonl`."""
    row = {"kind": "epoch", "epoch": step // per_epoch, "step": step, "seconds": round(seconds, 2)}
    row |= {"learning_rate": learning_rate, "loss": trained.loss, "accuracy": trained.accuracy}
    measured = {name: getattr(val, name) for name in ("loss", "accuracy", "macro_f1", "mse", "r2")} | val.affect
    return row | {f"val_{name}": value for name, value in measured.items() if not name.endswith("_examples")}


def _bar(epochs: int, steps_per_epoch: int, step: int) -> "ProgressBar":
    # Only who asks for the bar needs rich.
    from jaxfer.training.progress import ProgressBar

    return ProgressBar(epochs=epochs, steps_per_epoch=steps_per_epoch, step=step)


class _LossWatch:
    """Reads each portion's losses one portion late, so that the device works while Python waits; stops at a bad one."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._pending: tuple[int, Metrics] | None = None
        self._begun = time.time()

    def loss(self, done: int, metrics: Metrics, *, wait: bool) -> float:
        """Return the last loss of the portion before the one that ends with step `done`.

        With `wait`, or where none was before, of this portion itself.
        """
        late, self._pending = self._pending, (done, metrics)
        loss = self._read(*late) if late is not None else math.nan
        loss = self._read(done, metrics) if wait or late is None else loss
        if late is None:
            monitoring.record_event_time_span("/jaxfer/first_step", self._begun, time.time())
        return loss

    def _read(self, done: int, metrics: Metrics) -> float:
        losses = np.atleast_1d(np.asarray(metrics.loss, np.float64) / np.asarray(metrics.count))  # [steps]
        failure = divergence(done, losses, self._history.saved_step)
        if failure is not None:
            raise failure
        return float(losses[-1])


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
