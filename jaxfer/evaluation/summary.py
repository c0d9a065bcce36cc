"""From a trained state to the numbers of a run."""

import json
import platform
from collections.abc import Sequence
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxfer
from jaxfer.config import Config, to_json
from jaxfer.data.dataset import Dataset, Split
from jaxfer.devices.placement import Parallel, choose_parallel
from jaxfer.evaluation.intervals import intervals
from jaxfer.evaluation.predict import Predictions, predict_split
from jaxfer.metrics.scores import as_json
from jaxfer.models import ResNetFER, make_model
from jaxfer.training.losses import Objective, make_loss
from jaxfer.training.state import TrainState


def summarize(
    config: Config,
    data: Dataset,
    state: TrainState,
    history: Sequence[dict[str, Any]],
    *,
    parallel: Parallel | None = None,
    model: ResNetFER | None = None,
) -> dict[str, Any]:
    """Return what `summary.json` holds: the numbers of both splits, and all that a reader needs to judge them.

    state, history: what `fit` returned for `config` and `data`. `train` and `val` are the scores of this last state
    in evaluation mode, each over its whole split, with their bootstrap `intervals`. `best` is the epoch that had the
    best validation accuracy, which is optimistic, being chosen by the very examples it is measured on. Of several
    processes all must call this, and get the same.
    """
    parallel = parallel or choose_parallel(config.batch_size)
    model = model or make_model(config.model, len(data.class_names))
    loss = make_loss(config.loss, data.train.labels, len(data.class_names))
    options = {"batch_size": config.batch_size, "parallel": parallel}
    scores = {}
    for name, split in (("train", data.train), ("val", data.val)):
        predictions = predict_split(model, state.variables, split, **options)
        objective = _objective(loss, state.params if state.ema is None else state.ema, predictions, split)
        scores[name] = {"split": split.name} | scored(predictions, data.class_names, objective)
    last, best = history[-1], max(history, key=lambda row: (row["val_accuracy"], row["step"]))
    return {
        "config": json.loads(to_json(config)),
        "epochs": last["epoch"],
        "steps": last["step"],
        "seconds": last["seconds"],
        **scores,
        "checkpoint": {"epoch": last["epoch"], "step": last["step"], "chosen": "last"},
        "best": {name: best[name] for name in ("epoch", "step", "val_accuracy", "val_loss")},
        "data": {
            "source": data.source,
            "warnings": list(data.warnings),
            "left_out": data.left_out,
            "unreadable": [[str(path), reason] for path, reason in data.unreadable],
            "fingerprint": data.fingerprint,
        },
        "environment": environment(),
    }


def scored(predictions: Predictions, class_names: tuple[str, ...], loss: float | None = None) -> dict[str, Any]:
    """Return `Scores.to_dict()` and the bootstrap `intervals`.

    loss: the training objective; None takes the cross entropy.
    """
    return predictions.scores(class_names, loss).to_dict() | {"intervals": as_json(intervals(predictions))}


def _objective(loss: Objective, params: Any, predictions: Predictions, split: Split) -> float:
    """Return what training minimises, on a whole split: the mean over its examples and the penalty."""
    targets = split.labels if split.soft_labels is None else split.soft_labels
    losses = np.asarray(jax.jit(loss.per_example)(predictions.logits, targets), np.float64)
    if predictions.affect is not None and predictions.actual_affect is not None:
        losses += loss.affect_error(jnp.asarray(predictions.affect), jnp.asarray(predictions.actual_affect))
    return float(losses.mean() + loss.penalty(jax.device_get(params)))


def environment() -> dict[str, Any]:
    """Return the versions and devices that a number depends on."""
    versions = {"jaxfer": jaxfer.__version__, "python": platform.python_version(), "jax": jax.__version__}
    versions |= {"flax": flax.__version__, "optax": optax.__version__}
    device = jax.devices()[0]
    kind = f"{device.device_kind}, {platform.machine()}" if device.platform == "cpu" else device.device_kind
    return versions | {"device": kind, "devices": jax.device_count(), "processes": jax.process_count()}
