"""The final numbers of a run, from its trained state."""

import json
import platform
from collections.abc import Sequence
from typing import Any

import flax
import jax
import numpy as np
import optax

from jaxfer.config import Config, to_json
from jaxfer.data.dataset import Dataset
from jaxfer.devices.placement import Parallel, choose_parallel
from jaxfer.errors import UserError
from jaxfer.evaluation.intervals import ece_by_chance, intervals
from jaxfer.evaluation.predict import Predictions, predict_split
from jaxfer.metrics.scores import as_json
from jaxfer.metrics.temperature import Temperature, fit_temperature
from jaxfer.models import Network, name_of, variable_shapes
from jaxfer.tasks import Task, make_network, naming, tasks_of
from jaxfer.training import Hyperparameters, Objective, make_objective
from jaxfer.training.state import TrainState
from jaxfer.version import __version__

CALIBRATED = ("cross_entropy", "ece")
"""The measures that are shown with a temperature beside those without."""


def summarize(
    config: Config,
    data: Dataset,
    state: TrainState,
    history: Sequence[dict[str, Any]],
    *,
    parallel: Parallel | None = None,
    model: Network | None = None,
    tasks: Sequence[Task] = (),
) -> dict[str, Any]:
    """Return the content of `summary.json`: the numbers of both splits, and what a reader needs to judge them.

    With several processes all must call this. Each gets the same.

    Args:
        config: The config that was trained.
        data: The data set it was trained on.
        state: The final state, as `fit` returns it.
        history: The rows, as `fit` returns them.
        parallel: How to use the devices; by default all that the batch size warrants.
        model: The network as it was passed to `fit`.
        tasks: The tasks as they were passed to `fit`.

    Returns:
        A dict for JSON. `train` and `val` are the scores of the final state in evaluation mode, each over its whole
        split, as of `scored`. `best` is the epoch of the best validation accuracy. That accuracy is
        optimistic, since the epoch was chosen by the very examples on which it is measured. `temperature` is what
        `fitted_temperature` returns for the validation split, as a dict.

    Raises:
        UserError: The state is that of another network.
    """
    parallel = parallel or choose_parallel(config.batch_size)
    classes = len(data.class_names)
    model = make_network(config.model, classes) if model is None else model
    _check_parameters(model, config.data.image_size, state.params)
    tasks = (*tasks_of(config.model), *tasks)
    numbers = Hyperparameters.of(config)
    objective = make_objective(config.loss, model, tasks, data.train.labels, classes, numbers).evaluated()
    options = {"batch_size": config.batch_size, "parallel": parallel, "tasks": tasks}
    scores, temperature = {}, None
    for name, split in (("train", data.train), ("val", data.val)):
        predictions = predict_split(model, state.variables, split, **options)
        loss = _objective(objective, state.params if state.ema is None else state.ema, predictions)
        scores[name] = {"split": split.name} | scored(predictions, data.class_names, loss)
        if name == "val":
            temperature = fitted_temperature(predictions, data.class_names, split.name)
    last, best = history[-1], max(history, key=lambda row: (row["val_accuracy"], row["step"]))
    return {
        "config": json.loads(to_json(naming(model, config, classes))),
        "epochs": last["epoch"],
        "steps": last["step"],
        "seconds": last["seconds"],
        **scores,
        "checkpoint": {"epoch": last["epoch"], "step": last["step"], "chosen": "last"},
        "best": {name: best[name] for name in ("epoch", "step", "val_accuracy", "val_loss")},
        "temperature": temperature and temperature.to_dict(),
        "data": {
            "source": data.source,
            "warnings": list(data.warnings),
            "left_out": data.left_out,
            "unreadable": [[str(path), reason] for path, reason in data.unreadable],
            "fingerprint": data.fingerprint,
        },
        "environment": environment(),
    }


def _check_parameters(model: Network, image_size: int, params: Any) -> None:
    wanted = variable_shapes(model, image_size)["params"]
    if jax.tree.map(np.shape, wanted) != jax.tree.map(np.shape, params):
        raise UserError(
            f"the parameters are of another network than {name_of(model)}, which the config names or was passed: pass "
            "the model as it was passed to fit"
        )


def scored(predictions: Predictions, class_names: tuple[str, ...], loss: float | None = None) -> dict[str, Any]:
    """Return the scores of predictions with their bootstrap intervals, and what to compare the calibration error with.

    Args:
        predictions: The predictions.
        class_names: The names of the c classes.
        loss: The training objective, a mean over the examples; None takes the cross entropy.

    Returns:
        `Scores.to_dict()`, `intervals` by the names of the measures, and `ece_by_chance`; see
        `jaxfer.evaluation.intervals`.
    """
    beside = {"intervals": intervals(predictions), "ece_by_chance": ece_by_chance(predictions)}
    return predictions.scores(class_names, loss).to_dict() | as_json(beside)


def fitted_temperature(predictions: Predictions, class_names: tuple[str, ...], split: str) -> Temperature | None:
    """Return the temperature that calibrates predictions, see `jaxfer.metrics.fit_temperature`, and what it does.

    Args:
        predictions: Those of the validation split.
        class_names: The names of the c classes.
        split: The name of the split.

    Returns:
        The temperature; None where there is no example, or a logit is infinite or not a number.
    """
    try:
        value = fit_temperature(predictions.logits, predictions.labels)
    except UserError:
        return None  # what has diverged has its numbers all the same
    before, after = (
        {measure: scores[measure] for measure in CALIBRATED}
        for scores in (one.scores(class_names).to_dict() for one in (predictions, predictions.scaled(value)))
    )
    return Temperature(value, split, len(predictions), before, after)


def _objective(objective: Objective, params: Any, predictions: Predictions) -> float:
    """Return the training objective on a whole split: the mean loss of its examples, and the penalty."""
    outputs = {"logits": predictions.logits, **predictions.heads}
    batch = {"label": predictions.labels, "mask": np.ones(len(predictions), bool), **predictions.columns}
    losses = np.asarray(jax.jit(objective.losses)(outputs, batch), np.float64)
    return float(losses.mean() + objective.penalty(jax.device_get(params)))


def environment() -> dict[str, Any]:
    """Return the versions of libraries and the devices on which numbers depend."""
    versions = {"jaxfer": __version__, "python": platform.python_version(), "jax": jax.__version__}
    versions |= {"flax": flax.__version__, "optax": optax.__version__}
    device = jax.devices()[0]
    kind = f"{device.device_kind}, {platform.machine()}" if device.platform == "cpu" else device.device_kind
    return versions | {"device": kind, "devices": jax.device_count(), "processes": jax.process_count()}
