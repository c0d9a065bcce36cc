"""Running a sweep: one run after another, each with all devices, in one process or in several."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxfer.config import Config, DataConfig
from jaxfer.data import load as load_data
from jaxfer.data.dataset import Dataset
from jaxfer.errors import Diverged, UserError
from jaxfer.training.agreement import Agreement
from jaxfer.training.loop import fit
from jaxfer.training.parallel import choose_parallel
from jaxfer.training.processes import is_first
from jaxfer.training.program import Program
from jaxfer.training.run_folder import RunFolder
from jaxfer.training.state import TrainState
from jaxfer.training.sweep.fields import describe
from jaxfer.training.sweep.folder import begin, check
from jaxfer.training.sweep.plan import Run, plan
from jaxfer.training.sweep.results import FAILURE, Sweep, ending, has_ended, read_sweep, write_table
from jaxfer.training.sweep.search import Search

Finish = Callable[[Path, Config, Dataset, TrainState, list[dict[str, Any]]], object]


def sweep(
    search: Search,
    sweep_dir: Path,
    *,
    finish: Finish,
    load: Callable[[DataConfig], Dataset] = load_data,
    resume: bool = False,
    progress: bool = False,
) -> Sweep:
    """Train all cells of a search and return what has come of them.

    Each run is an ordinary run folder under `sweep_dir / "cells"`, with the numbers it would have alone. Cells that
    differ only in the number of epochs are one run wherever the learning rate allows it, with a checkpoint at each
    cell's end; runs that differ only in numbers share their compiled program; images are loaded once. `table.csv` has
    a line for each cell. A run whose loss is no longer finite is recorded as failed, and the others go on.

    finish: `finish(run_dir, config, data, state, history)` evaluates what `fit` returned and writes `summary.json`,
        with which a run has ended: `jaxfer.evaluation.finish.finish_run`.
    resume: whether `sweep_dir` holds this sweep, which then goes on where it ended, whatever ended it; without, it
        must not hold one.
    progress: whether to print a line for each run, and what `fit` shows of it.

    Raises `UserError` for a folder of another sweep, and whatever else keeps the next run from training; everything
    that has been done is kept. Of several processes all must call this.
    """
    runs = plan(search)
    folders = {run.name: sweep_dir / "cells" / run.name for run in runs}
    agreement = Agreement(choose_parallel(runs[0].config.batch_size))
    agreement.together(lambda: check(sweep_dir, search, resume=resume) if is_first() else None)
    # All processes decide what is left before any can end a run.
    left = [run for run in runs if not has_ended(folders[run.name])]
    begun = {name for name, folder in folders.items() if (folder / "config.json").exists()}
    for run, program in _with_programs(left, load):
        done = [folders[other.name] for other in runs if other.config.data == run.config.data and other not in left]
        _check_images(sweep_dir, program.data, done)
        # Not before: what keeps the first run from its data is to leave no trace.
        agreement.together(lambda: begin(sweep_dir, search) if is_first() else None)
        if progress and is_first():
            print(_heading(search, run, runs))
        _train(run, folders[run.name], program, finish, resume=run.name in begun, progress=progress)
        if is_first():
            write_table(read_sweep(sweep_dir))
    # Once more, since a process may have been killed between the end of the last run and its table.
    agreement.together(lambda: write_table(read_sweep(sweep_dir)) if is_first() else None)
    return read_sweep(sweep_dir)


def _with_programs(runs: Sequence[Run], load: Callable[[DataConfig], Dataset]) -> Iterator[tuple[Run, Program]]:
    """Yield each run with its program, which is the one before where that serves it, as are the images."""
    program, loaded = None, None
    for run in runs:
        data = program.data if program and run.config.data == loaded else load(run.config.data)
        loaded = run.config.data
        if program is None or not program.serves(run.config, data):
            program = Program(run.config, data)
        yield run, program


def _train(run: Run, run_dir: Path, program: Program, finish: Finish, *, resume: bool, progress: bool) -> None:
    data = program.data
    options = {"run_dir": run_dir, "resume": resume, "progress": progress}
    try:
        state, history = fit(run.config, data, program=program, keep_epochs=run.epochs, **options)
    except Diverged as failure:
        val = {"split": data.val.name, "examples": len(data.val)}
        RunFolder(run_dir).write(FAILURE, json.dumps({"reason": str(failure), "val": val}, indent=2) + "\n")
        if progress and is_first():
            print(f"failed: {failure}")
    else:
        finish(run_dir, run.config, data, state, history)


def _check_images(sweep_dir: Path, data: Dataset, done: Sequence[Path]) -> None:
    """Raise `UserError` where runs that have ended saw other images than those that are left would."""
    known = {ending(run_dir).get("data", {}).get("fingerprint") for run_dir in done} - {None}
    if known and known != {data.fingerprint}:
        raise UserError(f"{sweep_dir} was trained on other images or labels than these: pass the data it began with")


def _heading(search: Search, run: Run, runs: Sequence[Run]) -> str:
    cells = "; ".join(describe(search.cells[index].values) for index in run.cells)
    return f"run {runs.index(run) + 1} of {len(runs)}: {cells}"
