"""Runs of one program side by side, a step of all of them at once: for accelerators that one run does not fill."""

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxfer.config import Config
from jaxfer.data.batches import Batches, Rows
from jaxfer.devices.consensus import Agreement
from jaxfer.devices.distributed import is_first
from jaxfer.errors import Diverged, Interrupted
from jaxfer.metrics.metrics import Metrics
from jaxfer.training import loop
from jaxfer.training.history import History
from jaxfer.training.interrupt import stop_on_signals
from jaxfer.training.program import Program
from jaxfer.training.state import TrainState

Outcome = tuple[TrainState, list[dict[str, Any]]] | Diverged
"""What `fit` returns of a run, or what it raises of one whose loss is no longer finite."""


def fit_side_by_side(
    configs: Sequence[Config],
    program: Program,
    *,
    run_dirs: Sequence[Path],
    resume: Sequence[bool],
    keep_epochs: Sequence[Collection[int]],
    progress: bool = False,
) -> list[Outcome]:
    """Train runs that share a program as `fit` trains each, and return what came of each.

    A run has the numbers that it has alone, to float32 rounding, in a folder of its own. Its `seconds` are its equal
    share of the time. One whose loss is no longer finite ends, and its checkpoints stay; the others go on.

    program: serves all of them; its images must live on the devices. configs: all of as many epochs.
    run_dirs, resume, keep_epochs: as for `fit`, for each run. Those that resume must have saved the same step.

    Raises `ValueError` for runs that cannot be trained together, and otherwise what `fit` does.
    """
    many, (epochs, *others) = program.side_by_side, {config.epochs for config in configs}
    if others or not all(program.serves(config, program.data) for config in configs):
        raise ValueError("only runs of one program and of as many epochs can be trained side by side")
    agreement = Agreement(program.parallel)
    batches: Any = _Batches([program.batches(config) for config in configs])
    per_epoch = batches.steps_per_epoch

    with ExitStack() as stack:
        runs = []
        for config, path, old, kept in zip(configs, run_dirs, resume, keep_epochs, strict=True):
            history = History(path, config, program.data, agreement, resume=old, together=len(configs))
            runs.append(_Run(config, stack.enter_context(history), kept))
        begun = [program.start(config) for config in configs]
        restored = [run.history.restore(*start[:2]) for run, start in zip(runs, begun, strict=True)]
        start, *others = {int(state.step) for state, _ in restored}
        if others:
            raise ValueError("only runs that have saved the same step can be trained side by side")
        place = program.parallel.place
        state, running = place(_stack(restored))
        numbers, nothing = place(_stack([numbers for *_, numbers in begun])), place(_stack([n for _, n, _ in begun]))
        stop = stack.enter_context(stop_on_signals())
        unread: list[jax.Array] = []
        for done, portion in many.training.portions(batches, start, epochs * per_epoch):
            state, running, metrics = many.training.run(state, running, portion, numbers)
            unread.append(metrics.loss / metrics.count)
            ends_epoch = done % per_epoch == 0
            due = runs[0].history.unsaved_seconds > loop.SAVE_SECONDS
            signum, due = agreement.largest(stop.signum, int(due), wait=ends_epoch)
            if not (ends_epoch or signum or due):
                continue
            for run, losses in zip(runs, _read(unread), strict=True):
                run.watch(done, losses)
            if ends_epoch:
                trained, running = _split(running), nothing
                val = _split(many.measure(state.variables, numbers))
                for run, *sums in zip(runs, trained, val, strict=True):
                    run.add(done, per_epoch, program, *sums)
                if progress and is_first():
                    print(_line(done // per_epoch, epochs, runs))
            for run, own, sums in zip(runs, _split(state), _split(running), strict=True):
                run.save(done, per_epoch, own, sums)
            if signum:
                raise Interrupted(done, signum)
        return [run.failure or (own, run.history.rows) for run, own in zip(runs, _split(state), strict=True)]


class _Run:
    """One of the runs: its record, which ends where its loss is no longer finite."""

    def __init__(self, config: Config, history: History, kept: Collection[int]) -> None:
        self.history, self.failure = history, None
        self._config, self._kept = config, kept

    def watch(self, done: int, losses: np.ndarray) -> None:
        """End the run where one of the losses [steps], the last of them that of step `done`, is not finite."""
        self.failure = self.failure or loop.divergence(done, losses, self.history.saved_step)

    def add(self, done: int, per_epoch: int, program: Program, trained: Metrics, val: Metrics) -> None:
        """Record the epoch that ends with step `done`."""
        if self.failure is None:
            names, rate = program.data.class_names, float(jnp.asarray(program.rate(self._config)(done - 1)))
            scores = trained.compute(names), val.compute(names)
            self.history.add(loop.epoch_row(done, per_epoch, self.history.seconds, rate, *scores))

    def save(self, done: int, per_epoch: int, state: TrainState, running: Metrics) -> None:
        """Save a checkpoint, after an epoch with its validation accuracy."""
        if self.failure is None:
            epoch, within = divmod(done, per_epoch)
            accuracy = None if within else self.history.rows[-1]["val_accuracy"]
            self.history.save(state, running, val_accuracy=accuracy, keep=not within and epoch in self._kept)


class _Batches:
    """The batches of several runs, those of a step one above the other."""

    def __init__(self, each: Sequence[Batches]) -> None:
        self._each = each
        self.steps_per_epoch = each[0].steps_per_epoch

    def rows(self, step: int) -> Rows:
        """Return where the batches at `step` lie, as `Batches.rows` does: `row` and `mask`, [runs, b]."""
        each = [batches.rows(step) for batches in self._each]
        return {"row": np.stack([rows["row"] for rows in each]), "mask": np.stack([rows["mask"] for rows in each])}


def _stack(trees: Sequence[Any]) -> Any:
    """Return trees of arrays as one tree whose arrays have the trees along a new first axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


@jax.jit
def _split(tree: Any) -> list[Any]:
    """Return the trees that `_stack` put together."""
    count = len(jax.tree.leaves(tree)[0])
    return [jax.tree.map(lambda leaf, index=index: leaf[index], tree) for index in range(count)]


def _read(unread: list[jax.Array]) -> np.ndarray:
    """Return each run's losses of the steps since the last time, [runs, steps]."""
    losses = np.concatenate([np.asarray(losses, np.float64) for losses in unread])
    unread.clear()
    return losses.T


def _line(epoch: int, epochs: int, runs: Sequence[_Run]) -> str:
    """Return what a person sees of an epoch."""
    going = [run.history.rows[-1] for run in runs if run.failure is None]
    best = max((row["val_accuracy"] for row in going), default=float("nan"))
    seconds = sum(run.history.seconds for run in runs)
    return (
        f"epoch {epoch:>{len(str(epochs))}}/{epochs}  {len(going)} runs, best val accuracy {best:.4f}  {seconds:.0f} s"
    )
