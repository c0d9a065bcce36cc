"""The teachers of a run: other runs, and what they say of its training images in each of a fixed grid of views."""

import dataclasses
import hashlib
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxfer.config import Config
from jaxfer.data.batches import TEACHER, evaluation_batches
from jaxfer.data.dataset import Dataset, Split
from jaxfer.data.reading.npz import opened_npz
from jaxfer.data.transforms import ViewGrid
from jaxfer.devices.consensus import Agreement
from jaxfer.devices.distributed import is_first
from jaxfer.devices.placement import Parallel
from jaxfer.errors import UserError
from jaxfer.files import write
from jaxfer.models import Network, checked_outputs, compiled_for
from jaxfer.runs.folder import read_config
from jaxfer.runs.load import Trained, add_arrays, load_run

Watch = Callable[[int, int], object]
"""`watch(done, images)` is told of how many images, each once for each teacher, all views have been seen."""


@dataclass(frozen=True)
class Teachers:
    """The networks of finished runs that teach another one.

    Attributes:
        runs: The runs, each with its network.
        views: The views in which they see each image.
        notes: What a reader of the numbers of who learns from them should know, one sentence each.
    """

    runs: tuple[Trained, ...]
    views: ViewGrid
    notes: tuple[str, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """A hash of their networks and variables, in order."""
        digest = hashlib.blake2b(digest_size=16)
        for run in self.runs:
            digest.update(json.dumps(dataclasses.asdict(run.config.model), default=str).encode())
            add_arrays(digest, run.variables)
        return digest.hexdigest()

    def columns(
        self,
        data: Dataset,
        heads: Sequence[str],
        *,
        batch_size: int,
        parallel: Parallel,
        agreement: Agreement,
        folder: Path | None,
        watch: Watch,
    ) -> dict[str, np.ndarray]:
        """Return what they say of the training images, read from a file if that is known already.

        With several processes all must call this. Each gets the same.

        Args:
            data: The data.
            heads: The network's outputs that are logits of a distribution. Those that no teacher has are left out.
            batch_size: Images in a batch, of all processes together.
            parallel: How to use the devices.
            agreement: That of the processes.
            folder: Where the file is, or is written; None for no file.
            watch: Told how far they are.

        Returns:
            By `teacher_` and the name of the output: the mean of the teachers' log-probabilities, normalised, float16
            [n, views, c]. Half the digits do: they are rounded by at most 2^-11 of their size.

        Raises:
            UserError: The file cannot be written.
        """
        file = folder and folder / f"teachers-{self._key(data, heads)}.npz"
        known = file and _read(file, (len(data.train), self.views.count))
        # All or none: where only some processes find it, none may wait for the others' part of the images.
        (missing,) = agreement.largest(int(not known), wait=True)
        if known and not missing:
            return known
        found = self._ask(data.train, heads, batch_size=batch_size, parallel=parallel, watch=watch)
        if file is not None and is_first():
            content = io.BytesIO()
            np.savez(content, allow_pickle=False, **found)
            write(content.getvalue(), file)
        return found

    def _key(self, data: Dataset, heads: Sequence[str]) -> str:
        """Return what a file is told apart by: whatever its numbers are made of."""
        text = repr((self.fingerprint, data.fingerprint, self.views, tuple(heads)))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def _ask(
        self, split: Split, heads: Sequence[str], *, batch_size: int, parallel: Parallel, watch: Watch
    ) -> dict[str, np.ndarray]:
        total: dict[str, np.ndarray] = {}
        counts: Counter[str] = Counter()
        images = len(self.runs) * len(split)
        watch(0, images)
        for number, run in enumerate(self.runs):
            done, said = 0, {}
            for said in _said(run, split, self.views, heads, batch_size=batch_size, parallel=parallel):
                rows = slice(done, done := done + len(next(iter(said.values()))))
                for name, values in said.items():
                    if name not in total:
                        total[name] = np.zeros((len(split), *values.shape[1:]), np.float32)
                    total[name][rows] += values
                watch(number * len(split) + done, images)
            counts.update(said.keys())
        return {TEACHER + name: _normalised(sum_ / counts[name]) for name, sum_ in total.items()}


def load_teachers(config: Config, data: Dataset, model: Network) -> Teachers:
    """Return the teachers that a config names, each as it was after its last epoch, which no validation split chose.

    Args:
        config: The config of the run that learns, which names its network.
        data: What it learns from.
        model: Its network. A teacher whose network is not one of jaxfer's is taken to be of the same.

    Raises:
        UserError: A folder holds no run, or one of other classes, of images of another size, of a network that is
            neither jaxfer's nor that of the run, or one that has not finished its epochs.
    """
    runs, notes = [], []
    for folder in config.distill.teachers:
        own = read_config(folder, "pass the folder of a finished run (--teachers)")
        if own.data.vocabulary != data.class_names:
            raise UserError(
                f"the teacher {folder} tells {', '.join(own.data.vocabulary)}, and {data.source} has "
                f"{', '.join(data.class_names)}: pass teachers of the same classes in the same order (--teachers), or "
                "other classes (--classes)"
            )
        if own.data.image_size != config.data.image_size:
            raise UserError(
                f"the teacher {folder} has learnt from images of {own.data.image_size} pixels, and these have "
                f"{config.data.image_size}: pass teachers of the same size, or the size of theirs (--image-size)"
            )
        is_ours = ":" not in own.model.variant
        if not is_ours and own.model.variant != config.model.variant:
            raise UserError(
                f"the teacher {folder} has the network {own.model.variant}, which is neither jaxfer's nor that of this "
                "run: pass teachers of these (--teachers)"
            )
        run = load_run(folder, model=None if is_ours else model)
        if run.epoch < own.epochs:
            raise UserError(
                f"the teacher {folder} has finished {run.epoch} of its {own.epochs} epochs: resume it first, or pass "
                "finished runs (--teachers)"
            )
        # Not on a device meanwhile, whose memory the run needs.
        runs.append(dataclasses.replace(run, variables=jax.device_get(run.variables)))
        if run.fingerprint != data.fingerprint:
            notes.append(
                f"the teacher {folder} was trained on other images or labels than these; where it has seen some of "
                f"{data.val.name}, scores of {data.val.name} are too good"
            )
    return Teachers(tuple(runs), ViewGrid.of(config.augment, config.distill.teacher_places), tuple(notes))


def _said(
    run: Trained, split: Split, views: ViewGrid, heads: Sequence[str], *, batch_size: int, parallel: Parallel
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the log-probabilities of a run's heads for the images of a split in order, float32 [some, views, c]."""
    step = _compiled(run.model, parallel, views, tuple(heads))
    # One dispatch a view: XLA runs convolutions in a loop slowly on CPUs, and unrolled they would compile for long.
    variables, numbers = parallel.place((run.variables, [np.int32(view) for view in range(views.count)]))
    waiting: list[list[dict[str, jax.Array]]] = []
    for batch in evaluation_batches(split, batch_size, parallel.shard):
        only = {name: batch[name] for name in ("image", "mask")}
        waiting.append([step(variables, only, number) for number in numbers])
        # One batch late, so that the devices never wait for the host.
        if len(waiting) > 1:
            yield _stacked(waiting.pop(0))
    yield from map(_stacked, waiting)


@lru_cache(maxsize=8)
def _compiled(
    model: Network, parallel: Parallel, views: ViewGrid, heads: tuple[str, ...]
) -> Callable[..., dict[str, jax.Array]]:
    """Return `step(variables, batch, view)`, compiled once for all teachers of one network.

    It returns the log-probabilities of the heads for one view of the global batch, and its `mask`: each process pads
    its own rows, so that padding may lie between examples.
    """
    axis_name, model = parallel.axis_name, compiled_for(model, parallel.devices[0].platform)

    def step(variables: dict[str, Any], batch: dict[str, jax.Array], view: jax.Array) -> dict[str, jax.Array]:
        images, mask = views.show(batch["image"], jnp.full(batch["mask"].shape, view)), batch["mask"]
        outputs = checked_outputs(model.apply(variables, images, train=False, mask=mask), len(mask))
        said = {name: jax.nn.log_softmax(outputs[name]) for name in heads if name in outputs} | {"mask": mask}
        return said if axis_name is None else lax.all_gather(said, axis_name, tiled=True)

    return parallel.compile(step, donate=False)


def _stacked(each: Sequence[dict[str, jax.Array]]) -> dict[str, np.ndarray]:
    """Return the outputs of all views of a batch, of its examples alone, [some, views, c]."""
    mask = np.asarray(each[0]["mask"])
    return {name: np.stack([np.asarray(one[name])[mask] for one in each], axis=1) for name in each[0] if name != "mask"}


def _normalised(values: np.ndarray) -> np.ndarray:
    """Return logits [..., c] as logarithms of probabilities, float16."""
    shifted = values - values.max(axis=-1, keepdims=True)
    found = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    # Not to infinity, whose product with a probability of 0 would be NaN.
    return np.maximum(found, np.finfo(np.float16).min).astype(np.float16)


MOST_SAID = 2**14
"""Most bytes that are kept of what teachers say of a view of an image: eight thousand numbers."""


def _read(file: Path, shape: tuple[int, int]) -> dict[str, np.ndarray] | None:
    """Return the arrays [n, views, c] of a file; None where there is none, or a damaged one, which zip's sums tell."""
    try:
        with opened_npz(file, MOST_SAID * math.prod(shape)) as arrays:
            found = dict(arrays)
    except Exception:  # whatever is wrong with it
        return None
    whole = all(values.shape[:2] == shape and values.dtype == np.float16 for values in found.values())
    return found if found and whole else None
