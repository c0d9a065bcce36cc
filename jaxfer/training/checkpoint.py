"""Saving and restoring a run with Orbax. All that depends on Orbax's moving interface is in this file."""

# The annotations of Orbax's v1 interface do not fit its own classes yet.
# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalSubscript=false, reportReturnType=false

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from jaxfer.errors import UserError

PATIENCE_SECONDS = 300
"""How long processes wait for each other to save, after which those whose disks work give up on one whose does not."""


class Checkpoints:
    """The checkpoints of one run: the latest, the one of best validation accuracy, and those saved to be kept.

    Saving copies the arrays and goes on in the background. A checkpoint appears in the folder whole or not at all,
    and an older one goes only after a newer one stands, so that nothing is lost whenever the process ends.

    directory: created if it does not exist; what an interrupted save left behind is removed.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        keep = ocp.training.preservation_policies
        best = keep.BestN(
            get_metric_fn=lambda metrics: metrics["val_accuracy"], n=1, keep_checkpoints_without_metrics=False
        )
        self._orbax = ocp.training.Checkpointer(
            directory.absolute(),
            save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
            preservation_policy=keep.AnyPreservationPolicy([keep.LatestN(1), best, _Kept()]),
            cleanup_tmp_directories=True,
            context=ocp.Context(async_options=ocp.options.AsyncOptions(timeout_secs=PATIENCE_SECONDS)),
        )

    @property
    def latest(self) -> int | None:
        """The step of the newest checkpoint, or None."""
        found = self._orbax.latest
        return None if found is None else found.step

    @property
    def best(self) -> int | None:
        """The step of the checkpoint with the best validation accuracy, or None before the first."""
        scored = [c for c in self._orbax.checkpoints if c.metrics is not None]
        return max(scored, key=lambda c: (c.metrics["val_accuracy"], c.step)).step if scored else None

    @property
    def steps(self) -> list[int]:
        """The steps of all checkpoints, in rising order."""
        return [found.step for found in self._orbax.checkpoints]

    def save(
        self,
        step: int,
        tree: Any,
        notes: dict[str, Any],
        *,
        val_accuracy: float | None = None,
        keep: bool = False,
    ) -> None:
        """Save a tree of arrays as step `step`, with JSON-ready `notes`, without waiting for the disk.

        val_accuracy: of the checkpoint, None where it was not measured; such a one is never the best.
        keep: whether it stays when newer and better ones come; only one with a `val_accuracy` can.

        Raises `UserError` if this or the previous save failed, as on a full disk.
        """
        metrics = None if val_accuracy is None else {"val_accuracy": val_accuracy, "kept": keep}
        try:
            self._orbax.save_async(step, tree, metrics=metrics, custom_metadata=notes)
        except (OSError, ValueError) as error:
            raise self._failed(error) from error

    def notes(self, step: int) -> dict[str, Any]:
        """Return the notes that were saved with step `step`."""
        try:
            return self._orbax.metadata(step).custom_metadata or {}
        except (OSError, ValueError, KeyError) as error:
            raise self._unreadable(step) from error

    def restore(self, step: int, like: Any) -> Any:
        """Return the tree saved as step `step`, placed on devices as the arrays of `like` are.

        like: a tree of arrays of the same structure, shapes and dtypes.

        Raises `UserError` where the checkpoint cannot be read or holds something else.
        """
        abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), like)
        try:
            return self._orbax.load(step, abstract)
        except (OSError, ValueError, KeyError) as error:
            raise self._unreadable(step) from error

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            self._orbax.close()
        except (OSError, ValueError) as failure:
            # Whatever is already on its way out says more than a save that failed as well.
            if error is None:
                raise self._failed(failure) from failure

    def _failed(self, error: Exception) -> UserError:
        # The folder and not Orbax's list, which forgets what it knew when a save fails.
        steps = [int(path.name) for path in self.directory.iterdir() if path.name.isdigit()]
        kept = f"that of step {max(steps)} is intact" if steps else "no earlier one exists"
        # TensorStore ends its messages with the system's words: ...: No space left on device [os_error_code='28' ...]
        words = getattr(error, "strerror", None) or str(error)
        reason = words.rpartition(": ")[2].partition(" [")[0]
        return UserError(
            f"a checkpoint could not be saved in {self.directory} ({reason}); {kept}. Free some disk space or correct "
            "the permissions, then continue with --resume"
        )

    def _unreadable(self, step: int) -> UserError:
        return UserError(
            f"the checkpoint {self.directory / str(step)} cannot be read: it is damaged, or of another network. Move "
            "it away to continue from an older one, or start a new run"
        )


class _Kept:
    """Orbax's policy for checkpoints that say themselves that they are to stay, whoever saves the next one."""

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        return [bool((found.metrics or {}).get("kept")) for found in checkpoints]
