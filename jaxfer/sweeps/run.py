"""Running a sweep: one run after another, each with all devices, in one process or in several."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from jaxfer.config import DataConfig
from jaxfer.data.dataset import Dataset
from jaxfer.data.transforms import Transform
from jaxfer.devices.consensus import Agreement
from jaxfer.devices.distributed import is_first
from jaxfer.devices.placement import choose_parallel
from jaxfer.errors import Diverged, UserError
from jaxfer.models import Network
from jaxfer.reports.finish import finish_run
from jaxfer.reports.progress import ProgressBar, TogetherLine
from jaxfer.runs.folder import CHECKPOINTS, RunFolder, read_rows
from jaxfer.sweeps.fields import describe
from jaxfer.sweeps.folder import begin, check, runs_of
from jaxfer.sweeps.plan import PlannedRun, plan
from jaxfer.sweeps.results import FAILURE, SweepResult, ending, has_ended, read_sweep, summary_name, write_table
from jaxfer.sweeps.search import Search
from jaxfer.tasks import Task
from jaxfer.training.gradients import Gradient, plain
from jaxfer.training.hyperparameters import structure
from jaxfer.training.loop import Outcome, Run, fit_together
from jaxfer.training.program import Program


def sweep(
    search: Search,
    sweep_dir: Path | str,
    *,
    load: Callable[[DataConfig], Dataset] | None = None,
    resume: bool = False,
    progress: bool = False,
    tell: Callable[[str], object] = lambda _: None,
    side_by_side: int = 1,
    model: Network | None = None,
    tasks: Sequence[Task] = (),
    transforms: Sequence[Transform] = (),
    gradient: Gradient = plain,
) -> SweepResult:
    """Train all cells of a search and return what has come of them.

    Each run is an ordinary run folder under `sweep_dir / "cells"`, with the numbers it would have alone. Cells that
    differ only in the number of epochs are one run wherever the learning rate allows it, with a checkpoint at each
    cell's end; runs that differ only in numbers share their compiled program; images are loaded once. `table.csv` has
    a line for each cell. A run whose loss is no longer finite is recorded as failed, and the others go on.

    Of several processes all must call this.

    Args:
        search: The cells, from `grid` or `random_search`.
        sweep_dir: The folder of the sweep, which is made if need be.
        load: Takes the place of `jaxfer.data.load`.
        resume: Whether `sweep_dir` holds this sweep, which then goes on where it ended, whatever ended it; without, it
            must not hold one.
        progress: Whether to show of each run how far it is.
        tell: Is called with a line about each run that begins, and each that fails, such as `print`; in the first of
            several processes alone.
        side_by_side: How many runs that share a program may be trained at once, each step of theirs as one step: for
            accelerators, which a small run does not fill. They have their numbers to float32 rounding then.
        model: A network of one's own in place of the config's, as for `fit`.
        tasks: Tasks of one's own besides the config's, as for `fit`.
        transforms: Transforms of each batch, as for `fit`.
        gradient: The way to the gradient, as for `fit`.

    Returns:
        A row for each cell, in the order of the search, as `read_sweep` reads them.

    Raises:
        UserError: `sweep_dir` holds another sweep, or one of other images; `side_by_side` is below 1; `model` is passed
            while `search` changes the network; or something else keeps the next run from training. Everything that
            has been done is kept.
        Interrupted: SIGINT or SIGTERM came in a run, which has saved itself, or while one was evaluated.
    """
    if load is None:
        from jaxfer.data import load  # here, since reading takes libraries that whoever plans does without
    sweep_dir = Path(sweep_dir)
    objects = {"model": model, "tasks": tasks, "transforms": transforms, "gradient": gradient}
    if side_by_side < 1:
        raise UserError(f"{side_by_side} runs cannot be trained side by side: pass --side-by-side 1 or more")
    if model is not None and len(search.fields.get("model.variant", ())) > 1:
        raise UserError("the sweep changes variant, while one network is passed for all of its runs: leave out either")
    agreement = Agreement(choose_parallel(plan(search)[0].config.batch_size))
    agreement.together(lambda: check(sweep_dir, search, resume=resume) if is_first() else None)
    runs = runs_of(sweep_dir, search)
    folders = {run.name: sweep_dir / "cells" / run.name for run in runs}
    # All processes decide what is left before any can end a run.
    left = [run for run in runs if not has_ended(folders[run.name])]
    begun = {name for name, folder in folders.items() if (folder / "config.json").exists()}
    started = False
    with ExitStack() as holding:
        start = partial(begin, sweep_dir, search, resume=resume, holding=holding)
        for group, program in _with_programs(_groups(left, folders, side_by_side), load, objects):
            data = group[0].config.data
            done = [folders[other.name] for other in runs if other.config.data == data and other not in left]
            _check_images(sweep_dir, program.data, done)
            # Not before: what keeps the first run from its data is to leave no trace.
            if not started:
                agreement.together(lambda: start() if is_first() else None)
                started = True
            if is_first():
                for run in group:
                    tell(_heading(search, run, runs))
            outcomes = _train(group, folders, program, resume=[run.name in begun for run in group], progress=progress)
            for run, outcome in zip(group, outcomes, strict=True):
                _end(run, folders[run.name], outcome, program, tell)
                if is_first():
                    write_table(read_sweep(sweep_dir))
    # Once more, since a process may have been killed between the end of the last run and its table.
    agreement.together(lambda: write_table(read_sweep(sweep_dir)) if is_first() else None)
    return read_sweep(sweep_dir)


def _groups(runs: Sequence[PlannedRun], folders: Mapping[str, Path], size: int) -> list[list[PlannedRun]]:
    """Return the runs in groups that can be trained at once, of at most `size`."""
    alike: dict[Any, list[PlannedRun]] = {}
    for place, run in enumerate(runs):
        steps = [int(path.name) for path in (folders[run.name] / CHECKPOINTS).glob("*") if path.name.isdigit()]
        key = (structure(run.config), run.config.epochs, max(steps, default=0)) if size > 1 else place
        alike.setdefault(key, []).append(run)
    return [found[start : start + size] for found in alike.values() for start in range(0, len(found), size)]


def _with_programs(
    groups: Sequence[list[PlannedRun]], load: Callable[[DataConfig], Dataset], objects: Mapping[str, Any]
) -> Iterator[tuple[list[PlannedRun], Program]]:
    """Yield each group with its program, which is the one before where that serves it, as are the images."""
    program, loaded = None, None
    for group in groups:
        config = group[0].config
        data = program.data if program and config.data == loaded else load(config.data)
        loaded = config.data
        if program is None or not program.serves(config, data):
            program = Program(config, data, **objects)
        yield group, program


def _train(
    group: Sequence[PlannedRun],
    folders: Mapping[str, Path],
    program: Program,
    *,
    resume: Sequence[bool],
    progress: bool,
) -> list[Outcome | Diverged]:
    """Return what came of each run of a group."""
    together = TogetherLine(len(group)) if len(group) > 1 else None
    trainings = []
    for run, goes_on in zip(group, resume, strict=True):
        callbacks = [together or ProgressBar()] if progress else []
        options = {"run_dir": folders[run.name], "resume": goes_on, "keep_epochs": run.epochs, "callbacks": callbacks}
        trainings.append(Run(config=run.config, **options))
    return fit_together(trainings, program)


def _end(
    run: PlannedRun, run_dir: Path, outcome: Outcome | Diverged, program: Program, tell: Callable[[str], object]
) -> None:
    """Evaluate a run and the shorter cells that it serves, or write down why it failed."""
    data = program.data
    _finish_shorter(run, run_dir, program)
    if not isinstance(outcome, Diverged):
        finish_run(run_dir, run.config, data, *outcome, model=program.model, tasks=program.own_tasks)
        return
    val = {"split": data.val.name, "examples": len(data.val)}
    RunFolder(run_dir).write(FAILURE, json.dumps({"reason": str(outcome), "val": val}, indent=2) + "\n")
    if is_first():
        tell(f"failed: {outcome}")


def _finish_shorter(run: PlannedRun, run_dir: Path, program: Program) -> None:
    """Evaluate the cells that end before the run does and that it has reached, from their checkpoints."""
    # Orbax takes long to import: only who keeps a run needs it.
    from jaxfer.runs.checkpoints import Checkpoints

    rows = [row for row in read_rows(run_dir) if row["kind"] == "epoch"]
    reached = sorted({epoch for epoch in run.epochs if epoch < run.config.epochs and epoch <= len(rows)})
    if not reached:
        return
    state, *_ = program.start(run.config)
    with Checkpoints(run_dir / CHECKPOINTS, read_only=True) as checkpoints:
        for epoch in reached:
            state = checkpoints.restore(rows[epoch - 1]["step"], {"state": state})["state"]
            config = dataclasses.replace(run.config, epochs=epoch)
            name = summary_name(epoch)
            objects = {"model": program.model, "tasks": program.own_tasks}
            finish_run(run_dir, config, program.data, state, rows[:epoch], name=name, **objects)


def _check_images(sweep_dir: Path, data: Dataset, done: Sequence[Path]) -> None:
    """Raise `UserError` where runs that have ended saw other images than those that are left would."""
    known = {ending(run_dir).get("data", {}).get("fingerprint") for run_dir in done} - {None}
    if known and known != {data.fingerprint}:
        raise UserError(f"{sweep_dir} was trained on other images or labels than these: pass the data it began with")


def _heading(search: Search, run: PlannedRun, runs: Sequence[PlannedRun]) -> str:
    cells = "; ".join(describe(search.cells[index].values) for index in run.cells)
    return f"run {runs.index(run) + 1} of {len(runs)}: {cells}"
