"""Saving and restoring a run with Orbax. All that depends on Orbax's moving interface is in this file."""

# The annotations of Orbax's v1 interface do not fit its own classes yet.
# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalSubscript=false, reportReturnType=false

import asyncio
import os
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import tensorstore
from orbax.checkpoint import v1 as ocp
from orbax.checkpoint._src.path import atomicity_defaults
from orbax.checkpoint._src.path.atomicity import AtomicRenameTemporaryPath

from jaxfer.errors import UserError
from jaxfer.files import make, opened, refuse_links, sync, sync_all
from jaxfer.json_text import MOST_BYTES, check, read

_NOTES = "_CHECKPOINT_METADATA"
"""The file of a checkpoint in which Orbax keeps its metrics and notes, as JSON."""

PATIENCE_SECONDS = 300
"""How long processes wait for each other to save, after which those whose disks work give up on one whose does not."""


class OtherNetwork(UserError):
    """A checkpoint holds other arrays than were asked for.

    Args:
        message: What is wrong.
        difference: The first of these arrays, in words.
    """

    def __init__(self, message: str, difference: str) -> None:
        super().__init__(message)
        self.difference = difference


class Checkpoints:
    """The checkpoints of one run: the latest, the one of best validation accuracy, and those saved to be kept.

    Saving copies the arrays and goes on in the background. A checkpoint appears in the folder whole or not at all. An
    older one is removed only when a newer one is complete and on the disk, so that nothing is lost whenever the process
    or the power ends.

    Args:
        directory: The folder of the checkpoints. It is created if it does not exist, and the rest of an interrupted
            save is removed.
        read_only: Whether to create and remove nothing, so that the run may go on meanwhile.

    Raises:
        UserError: `directory` or something in it is a link; a checkpoint in it is damaged; or there is none, with
            `read_only`.
    """

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        self.directory = directory
        self._read_only = read_only
        self._saving: Any = None
        if read_only and not (directory.is_dir() and any(path.name.isdigit() for path in directory.iterdir())):
            raise UserError(f"{directory.parent} has no checkpoint yet: train it for at least one epoch")
        if not read_only:
            refuse_links(directory, *(directory.iterdir() if directory.is_dir() else ()))
        try:
            for path in directory.iterdir() if directory.is_dir() else ():
                if path.name.isdigit():  # and not the rest of an interrupted save
                    _refuse_traps(path)
            if not read_only:
                make(directory)
            self._orbax = self._open()
        except PermissionError as error:
            raise UserError(f"{error.filename or directory} cannot be read: you lack the permission") from error
        except Exception as error:
            raise UserError(
                f"one of the checkpoints in {directory} cannot be read ({error}): move the damaged one away"
            ) from error

    def _open(self) -> ocp.training.Checkpointer:
        keep = ocp.training.preservation_policies
        best = keep.BestN(
            get_metric_fn=lambda metrics: metrics["val_accuracy"], n=1, keep_checkpoints_without_metrics=False
        )
        context = ocp.Context()
        context.asynchronous.timeout_secs = PATIENCE_SECONDS
        context.atomicity.mode = cast(Any, _SYNCED)
        return ocp.training.Checkpointer(
            self.directory.absolute(),
            save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
            preservation_policy=keep.AnyPreservationPolicy([keep.LatestN(1), best, _Kept()]),
            cleanup_tmp_directories=not self._read_only,
            context=context,
        )

    @property
    def latest(self) -> int | None:
        """The step of the newest checkpoint, or None."""
        found = self._orbax.latest
        return None if found is None else found.step

    @property
    def best(self) -> int | None:
        """The step of the checkpoint with the best validation accuracy, or None before the first."""
        scored = [c for c in self._orbax.checkpoints if "val_accuracy" in (c.metrics or {})]
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
        """Save a checkpoint without waiting for the disk.

        Args:
            step: The number of steps done, by which the checkpoint is found again.
            tree: A pytree of arrays.
            notes: Saved beside it, as JSON.
            val_accuracy: Validation accuracy of the checkpoint; None where it was not measured, and then it is never
                the best.
            keep: Whether it stays when newer and better ones come. Only one with a `val_accuracy` can.

        Raises:
            UserError: This or the previous save failed, as on a full disk.
        """
        metrics = None if val_accuracy is None else {"val_accuracy": val_accuracy, "kept": keep}
        notes = notes | {"checksums": _checksums(tree)}
        try:
            self._wait()
            self._saving = self._orbax.save_async(step, tree, metrics=metrics, custom_metadata=notes)
        except (OSError, ValueError) as error:
            raise self._failed(error) from error

    def _wait(self) -> None:
        """Wait for the last save, whose thread and event loop, of three file descriptors, end with it alone."""
        saving, self._saving = self._saving, None
        if saving is not None:
            saving.result()

    def notes(self, step: int) -> dict[str, Any]:
        """Return the notes that were saved with step `step`.

        Raises:
            UserError: The checkpoint cannot be read.
        """
        # Orbax's own way to them also reads the form of each array, and returns none where their file is damaged.
        try:
            path = self.directory / str(step) / _NOTES
            notes = read(path, {"custom_metadata": dict})["custom_metadata"]
            check(notes, dict.fromkeys(notes, str) | {"seconds": (int, float), "checksums": dict[str, int]}, str(path))
            return notes
        except (OSError, ValueError) as error:
            raise self._unreadable(step) from error

    def restore(self, step: int, like: Any) -> Any:
        """Return the tree of a checkpoint.

        Args:
            step: The step of the checkpoint.
            like: A pytree of arrays with the same structure, shapes and dtypes, on the devices where they are to be;
                with `read_only` it may be some branches of what was saved, those of its first two levels.

        Returns:
            The pytree, with the bits that were saved.

        Raises:
            UserError: The checkpoint cannot be read, or holds other bits than were saved.
            OtherNetwork: It holds another tree, or arrays of other shapes.
        """
        checksums = self.notes(step)["checksums"]
        wanted = {_name(path) for path, _ in jax.tree.leaves_with_path(like)}
        # A part is whole branches, such as the parameters: with one array more they are those of another network.
        branches = {_branch(name) for name in wanted}
        saved = {name for name in checksums if not self._read_only or _branch(name) in branches}
        if wanted != saved:
            first = min(wanted ^ saved)
            raise self._of_other(step, f"{'this one' if first in wanted else 'that'} alone has {_shown(first)}")
        base = (self.directory.absolute() / str(step) / "state").as_uri()

        def read(path: Any, leaf: Any) -> jax.Array:
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            store = {"driver": "ocdbt", "base": f"{base}/", "path": f"{name}/"}
            array = tensorstore.open({"driver": "zarr3", "kvstore": store}, open=True, read=True).result()
            like, chunk = jax.eval_shape(_plain, leaf), array.chunk_layout.write_chunk.shape or ()
            # Before it is read, for which there may be no memory.
            forms = (array.shape, array.dtype.numpy_dtype), (like.shape, like.dtype)
            if forms[0] != forms[1]:
                there, here = (f"{dtype} {list(shape)}" for shape, dtype in forms)
                raise self._of_other(step, f"{_shown(_name(path))} is {there} in that and {here} in this one")
            if any(part > max(side, 1) for part, side in zip(chunk, like.shape, strict=True)):
                raise ValueError("another form than was saved")
            return _placed(array.read().result(), leaf, checksums[_name(path)])

        # One after another, by the library below Orbax: that reads all at once and, where an array is damaged, leaves
        # the others to write tracebacks of their own into the terminal, from other threads and at any later moment.
        try:
            return jax.tree.map_with_path(read, like)
        except OtherNetwork:
            raise
        except (OSError, ValueError, KeyError) as error:
            raise self._unreadable(step) from error

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            try:
                self._wait()
            finally:
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
        advice = "Free some disk space or correct the permissions, then continue"
        if isinstance(error, TimeoutError):  # of Orbax, on a machine or a disk that is busy with much else
            reason, advice = (
                "it took longer than some minutes",
                "Leave more of this machine and its disk to it: continue",
            )
        return UserError(
            f"a checkpoint could not be saved in {self.directory} ({reason}); {kept}. {advice} with --resume"
        )

    def _of_other(self, step: int, difference: str) -> OtherNetwork:
        advice = (
            "Pass the network that it is of, or choose another one of the run"
            if self._read_only
            else "Continue with the network, its sizes, and the optimizer that the run began with, or start a new run"
        )
        return OtherNetwork(
            f"the checkpoint {self.directory / str(step)} cannot be read: it is damaged, or of another network "
            f"({difference}). {advice}",
            difference,
        )

    def _unreadable(self, step: int) -> UserError:
        advice = (
            "Choose another one of the run, or train it again"
            if self._read_only
            else "Move it away to continue from an older one, or start a new run"
        )
        return UserError(
            f"the checkpoint {self.directory / str(step)} cannot be read: it is damaged, or of another network. "
            + advice
        )


def _refuse_traps(checkpoint: Path) -> None:
    """Refuse what is no file, which Orbax and TensorStore would wait for, and what they read whole and cannot."""
    for folder, _, names in os.walk(checkpoint):
        for path in (Path(folder, name) for name in names):
            try:
                # What its run has removed meanwhile is not there to be read.
                with suppress(FileNotFoundError):
                    opened(path, None if path.parent.name == "d" else MOST_BYTES).close()
            except OSError as error:
                raise UserError(f"{path} cannot be read: {error.strerror}") from error
    # Orbax would write a line into the terminal for each that is damaged.
    for name, wanted in ((_NOTES, object), ("metrics/metrics", {"val_accuracy": float, "kept": bool})):
        if (checkpoint / name).exists():
            read(checkpoint / name, wanted)


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _shown(name: str) -> str:
    """Return the name of an array as its network calls it."""
    return name.removeprefix("state/")


def _branch(name: str) -> tuple[str, ...]:
    return tuple(name.split("/")[:2])


def _checksums(tree: Any) -> dict[str, int]:
    """Return the CRC-32 of each array of a tree, by its path."""
    return {_name(path): _checksum(_plain(leaf)) for path, leaf in jax.tree.leaves_with_path(tree)}


def _checksum(array: Any) -> int:
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8))


def _plain(leaf: Any) -> Any:
    """Return an array of numbers: that of a random key is inside it."""
    return jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def _placed(array: np.ndarray, leaf: Any, checksum: int) -> jax.Array:
    """Return what was read in the place of `leaf`; `ValueError` if it has other bits."""
    if _checksum(array) != checksum:
        raise ValueError("other numbers than were saved")
    if leaf.dtype == array.dtype:
        return jax.make_array_from_callback(array.shape, leaf.sharding, lambda index: array[index])
    numbers = jax.device_put(array, _plain(leaf).sharding)
    return jax.random.wrap_key_data(numbers, impl=jax.random.key_impl(leaf))


class _Synced(AtomicRenameTemporaryPath):
    """The folder of a checkpoint that is being saved, which gets its name when all in it is on the disk.

    Orbax removes older checkpoints after that. It has TensorStore alone sync what it writes: a power cut would leave
    a whole folder of empty files, and no other.
    """

    async def finalize(self) -> None:
        final = self._final_path
        if not final.name.isdigit():  # but a part of one
            await super().finalize()
            return
        assert self._tmp_path is not None, "made before it is finished"
        # Whose name says that it is no checkpoint, and is to be removed if it is left over.
        self._final_path = self._tmp_path.with_name(f"{self._tmp_path.name}-whole")
        await super().finalize()
        await asyncio.to_thread(_settle, Path(self._final_path), Path(final))
        self._final_path = final


def _settle(whole: Path, final: Path) -> None:
    sync_all(whole)
    whole.rename(final)
    sync(final.parent)


_SYNCED = "jaxfer: synced"
"""The name of that way to make a checkpoint appear. Orbax has a table of them, to which its interface adds none."""

atomicity_defaults._ATOMICITY_MODE_TO_PATH_CLASS[_SYNCED] = _Synced


class _Kept:
    """Orbax's policy for checkpoints that say themselves that they are to stay, whoever saves the next one."""

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        return [bool((found.metrics or {}).get("kept")) for found in checkpoints]
