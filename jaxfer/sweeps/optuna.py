"""A bridge to Optuna: what its studies call to train one configuration of their choice."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxfer.config import Config
from jaxfer.data.dataset import Dataset
from jaxfer.data.transforms import Transform
from jaxfer.errors import UserError
from jaxfer.files import refuse_links
from jaxfer.models import Network
from jaxfer.sweeps.fields import is_whole
from jaxfer.sweeps.search import LogUniform, Range, by_path, cell
from jaxfer.tasks import Task
from jaxfer.training import Callback, fit
from jaxfer.training.gradients import Gradient, plain
from jaxfer.training.program import Program


def optuna_objective(
    base: Config,
    fields: Mapping[str, Sequence[Any] | Range],
    data: Dataset,
    *,
    folder: Path | str | None = None,
    model: Network | None = None,
    tasks: Sequence[Task] = (),
    transforms: Sequence[Transform] = (),
    gradient: Gradient = plain,
) -> Callable[[Any], float]:
    """Return a function for `optuna.Study.optimize`, which maximises the validation accuracy after the last epoch.

    A trial trains `base` with the values that Optuna suggests for `fields`, and is told the validation accuracy after
    each epoch, so that a pruner can end it. Trials that differ only in numbers share a compiled program.

    Args:
        base: The config around what changes.
        fields: By dotted path or bare name a `Uniform`, a `LogUniform`, or values to choose from.
        data: What all trials train on.
        folder: Where each trial keeps a run folder, `trial-0000` and so on; None keeps nothing.
        model: A network of one's own in place of the config's, as for `fit`.
        tasks: Tasks of one's own besides the config's, as for `fit`.
        transforms: Transforms of each batch, as for `fit`.
        gradient: The way to the gradient, as for `fit`.

    Returns:
        A function of a trial that trains and returns the validation accuracy, in [0, 1]. It raises
        `jaxfer.errors.Diverged` where the loss is no longer finite: pass that to `optimize` as `catch` to go on with
        other trials.

    Raises:
        UserError: `fields` is empty, or has one that does not exist, is named twice, has no values, or decides which
            images there are.
    """
    known = by_path(fields)
    images = [path for path in known if path.startswith("data.") and path != "data.sampling"]
    if images:
        raise UserError(f"{images[0]} decides which images there are, and all trials have the same: leave it out")
    programs: list[Program] = []
    objects = {"model": model, "tasks": tasks, "transforms": transforms, "gradient": gradient}

    def train(trial: Any) -> float:
        import optuna  # pyright: ignore[reportMissingImports] - who calls this has it

        config = cell(base, {path: _suggest(trial, path, known[path]) for path in known}).config
        if not (programs and programs[0].serves(config, data)):
            programs[:] = [Program(config, data, **objects)]

        class Pruner(Callback):
            def epoch(self, row: dict[str, Any]) -> None:
                trial.report(row["val_accuracy"], row["epoch"])
                if trial.should_prune():
                    raise optuna.TrialPruned

        run_dir = None if folder is None else Path(folder) / f"trial-{trial.number:04}"
        if run_dir is not None:
            refuse_links(run_dir)
        _, history = fit(config, data, run_dir=run_dir, program=programs[0], callbacks=[Pruner()])
        return history[-1]["val_accuracy"]

    return train


def _suggest(trial: Any, path: str, source: Sequence[Any] | Range) -> Any:
    if not isinstance(source, Range):
        return trial.suggest_categorical(path, source)
    log = isinstance(source, LogUniform)
    if is_whole(path):
        return trial.suggest_int(path, round(source.low), round(source.high), log=log)
    return trial.suggest_float(path, source.low, source.high, log=log)
