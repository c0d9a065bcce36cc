"""From a trained state to the numbers of a run, and back from a run's folder to a network that predicts."""

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import flax
import jax
import optax

import jaxfer
from jaxfer.config import Config, to_json
from jaxfer.data.dataset import Dataset
from jaxfer.errors import UserError
from jaxfer.evaluation.metrics import Metrics
from jaxfer.models import ResNetFER, make_model
from jaxfer.training.losses import make_loss
from jaxfer.training.optimizers import make_optimizer
from jaxfer.training.parallel import OneDevice, Parallel, choose_parallel
from jaxfer.training.run_folder import read_config
from jaxfer.training.state import TrainState, create_state
from jaxfer.training.step import evaluate_split, make_eval_step


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
    in evaluation mode, each over its whole split; `best` is the epoch that had the best validation accuracy, which
    is optimistic, being chosen by the very examples it is measured on. Of several processes all must call this, and
    get the same.
    """
    parallel = parallel or choose_parallel(config.batch_size)
    model = model or make_model(config.model, len(data.class_names))
    loss = make_loss(config.loss, data.train.labels, len(data.class_names))
    eval_step = make_eval_step(model, loss, parallel=parallel)
    variables = parallel.place(state.variables)
    scores = {}
    for name, split in (("train", data.train), ("val", data.val)):
        options = {"batch_size": config.batch_size, "class_names": data.class_names, "shard": parallel.shard}
        scores[name] = {"split": split.name} | evaluate_split(eval_step, variables, split, **options).to_dict()
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


def environment() -> dict[str, Any]:
    """Return the versions and devices that a number depends on."""
    versions = {"jaxfer": jaxfer.__version__, "python": platform.python_version(), "jax": jax.__version__}
    versions |= {"flax": flax.__version__, "optax": optax.__version__}
    device = jax.devices()[0]
    kind = f"{device.device_kind}, {platform.machine()}" if device.platform == "cpu" else device.device_kind
    return versions | {"device": kind, "devices": jax.device_count(), "processes": jax.process_count()}


def load_trained(run_dir: Path, checkpoint: Literal["best", "last"] = "best") -> tuple[ResNetFER, dict[str, Any]]:
    """Return the network of a run and its trained variables, for `model.apply(variables, images)`.

    checkpoint: of the best validation accuracy, or the last one.

    Raises `UserError` where `run_dir` holds no run, none of its checkpoints, or a damaged one.
    """
    # Orbax takes long to import: only who reads a run needs it.
    from jaxfer.training.checkpoint import Checkpoints

    config = read_config(run_dir)
    model = make_model(config.model, config.data.num_classes)
    optimizer = make_optimizer(config.optimizer, optax.constant_schedule(0.0))
    average = config.optimizer.ema is not None
    state = create_state(model, optimizer, seed=0, image_size=config.data.image_size, ema=average)
    with Checkpoints(run_dir / "checkpoints") as checkpoints:
        step = checkpoints.best if checkpoint == "best" else checkpoints.latest
        if step is None:
            raise UserError(f"{run_dir} has no checkpoint yet: train it for at least one epoch")
        like = OneDevice().place({"state": state, "running": Metrics.empty(config.data.num_classes)})
        saved = checkpoints.restore(step, like)
    return model, saved["state"].variables
