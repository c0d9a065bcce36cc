"""From a run's folder back to a network that predicts."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from jaxfer.config import Config
from jaxfer.devices.placement import OneDevice
from jaxfer.errors import UserError
from jaxfer.json_text import read
from jaxfer.metrics.temperature import Temperature
from jaxfer.models import Network, name_of, variable_shapes
from jaxfer.runs.folder import CHECKPOINTS, SUMMARY, read_config, read_rows
from jaxfer.tasks import Task, make_network, tasks_of


def add_arrays(digest: Any, tree: Any) -> None:
    """Add the arrays of a pytree, with their names, dtypes and shapes, to a hash of `hashlib`."""
    for path, leaf in jax.tree.leaves_with_path(tree):
        digest.update(f"{jax.tree_util.keystr(path)} {leaf.dtype} {leaf.shape}".encode())
        digest.update(np.ascontiguousarray(leaf).data)


Choice = Literal["best", "last"] | int
"""Which checkpoint of a run: `best` (validation accuracy), `last`, or the one after an epoch, by its number."""


@dataclass(frozen=True)
class Trained:
    """The network of a run, from one of its checkpoints.

    Attributes:
        run_dir: The folder of the run.
        config: Its config.
        model: Its network.
        variables: `params` and `batch_stats`, for `model.apply(variables, images, train=False, mask=None)`.
        step: Number of training steps taken.
        epoch: Number of epochs finished.
        ends_epoch: Whether `epoch` ended with this very step.
        chosen: How the checkpoint was chosen: `best` (validation accuracy), `last` or `epoch N`.
        fingerprint: That of the data it was trained on, see `jaxfer.data.Dataset.fingerprint`; empty if not known.
        tasks: The tasks of its heads besides the expression.
        temperature: What the end of the run has fitted to this very checkpoint on the validation split; None of other
            checkpoints, and of runs that have not ended or were made before there was one.
        statistics_images: On how many training images the statistics of normalisation were measured anew after loading;
            0 for those that the checkpoint holds.
    """

    run_dir: Path
    config: Config
    model: Network
    variables: dict[str, Any] = field(repr=False)
    step: int
    epoch: int
    ends_epoch: bool
    chosen: str
    fingerprint: str
    tasks: tuple[Task, ...] = ()
    temperature: Temperature | None = None
    statistics_images: int = 0

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.run_dir.resolve().name

    @cached_property
    def digest(self) -> str:
        """A hash of the parameters, by which networks of one config are told apart."""
        digest = hashlib.blake2b(digest_size=16)
        add_arrays(digest, self.variables["params"])
        return digest.hexdigest()

    @property
    def class_names(self) -> tuple[str, ...]:
        """What each logit of the expression stands for, c names."""
        return self.config.data.vocabulary

    @property
    def checkpoint(self) -> dict[str, Any]:
        """Epoch, step, and how the checkpoint was chosen, as they are shown beside every number."""
        return {"epoch": self.epoch, "step": self.step, "ends_epoch": self.ends_epoch, "chosen": self.chosen}


def load_run(
    run_dir: Path | str, checkpoint: Choice = "last", *, model: Network | None = None, tasks: Sequence[Task] = ()
) -> Trained:
    """Return the network of a run, finished or not, from one of its checkpoints.

    By default it is the network whose numbers stand in the run's `summary.json` and `report.html`, and the one that
    `jaxfer evaluate` scores: the one after the last step. Where the run keeps a moving average of the parameters
    (`ema`), they are the average, as in all of these. Nothing in the folder is changed.

    Args:
        run_dir: The folder of the run.
        checkpoint: Which of its checkpoints. `best` was chosen by the validation split, and is optimistic about it.
        model: The network as it was passed to `fit`, if it is not one of jaxfer's.
        tasks: The tasks as they were passed to `fit`.

    Raises:
        UserError: `run_dir` holds no run, not that checkpoint, or a damaged one; its network is not one of jaxfer's
            and was not passed; another one was passed; or its `summary.json` is damaged.
    """
    # Orbax takes long to import: only who reads a run needs it.
    from jaxfer.runs.checkpoints import Checkpoints, OtherNetwork

    run_dir, own = Path(run_dir), model is not None
    config = read_config(run_dir)
    model = make_network(config.model, len(config.data.vocabulary)) if model is None else model
    with Checkpoints(run_dir / CHECKPOINTS, read_only=True) as checkpoints:
        ends = _epoch_ends(run_dir)
        step = _step(checkpoints, checkpoint, ends, run_dir)
        params = "params" if config.optimizer.ema is None else "ema"
        shapes = _shapes(model, config.data.image_size)
        wanted = {params: shapes["params"], "batch_stats": shapes.get("batch_stats", {})}
        try:
            saved = checkpoints.restore(step, {"state": wanted})
        except OtherNetwork as error:
            begun = config.model.variant
            if not own or name_of(model) == begun:
                raise
            raise UserError(
                f"{run_dir} was begun with the network {begun}, and this is {name_of(model)} ({error.difference}): "
                "pass the one that it began with"
            ) from error
        fingerprint = checkpoints.notes(step).get("fingerprint", "")
    return Trained(
        run_dir=run_dir,
        config=config,
        model=model,
        variables={"params": saved["state"][params], "batch_stats": saved["state"]["batch_stats"]},
        step=step,
        epoch=max((epoch for epoch, end in ends.items() if end <= step), default=0),
        ends_epoch=step in ends.values(),
        chosen=checkpoint if isinstance(checkpoint, str) else f"epoch {checkpoint}",
        fingerprint=fingerprint,
        tasks=(*tasks_of(config.model), *tasks),
        temperature=_temperature(run_dir / SUMMARY, step),
    )


def _temperature(summary: Path, step: int) -> Temperature | None:
    """Return the temperature that the end of a run has fitted, where it did so after this step."""
    if not summary.is_file():
        return None
    try:
        found = read(summary, dict)
        if found.get("temperature") is None or found["checkpoint"]["step"] != step:
            return None
        return Temperature.from_dict(found["temperature"])
    except (UserError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{summary} is damaged where it says the temperature ({error}): move it away to do without"
        ) from error


def _shapes(model: Network, image_size: int) -> Any:
    """Return the shapes of a network's variables, all to be placed on one device."""
    shapes = variable_shapes(model, image_size)
    sharding = jax.sharding.SingleDeviceSharding(OneDevice().device)
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), shapes)


def _epoch_ends(run_dir: Path) -> dict[int, int]:
    """Return the step at which each finished epoch ended."""
    return {row["epoch"]: row["step"] for row in read_rows(run_dir) if row["kind"] == "epoch"}


def _step(checkpoints: Any, choice: Choice, ends: dict[int, int], run_dir: Path) -> int:
    """Return the step of the checkpoint that was chosen."""
    epochs = {end: epoch for epoch, end in ends.items()}
    kept = [f"epoch {epochs[step]}" if step in epochs else f"step {step}" for step in checkpoints.steps]
    step = (
        {"best": checkpoints.best, "last": checkpoints.latest}[choice] if isinstance(choice, str) else ends.get(choice)
    )
    if step is None or step not in checkpoints.steps:
        wanted = f"of epoch {choice}" if isinstance(choice, int) else "with a validation accuracy"
        raise UserError(
            f"{run_dir} keeps no checkpoint {wanted}, only of {', '.join(kept)}: pass one of these epochs, or last"
        )
    return step
