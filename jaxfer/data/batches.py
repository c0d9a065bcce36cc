"""Batches of a split: the batch at step k is a function of (data, seed, k), and of nothing else."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from jaxfer.data.dataset import Split
from jaxfer.data.sampling import Sampling, epoch_order
from jaxfer.errors import UserError

Batch = dict[str, Any]


@dataclass(frozen=True)
class Shard:
    """The part of every batch that one of several processes serves: the rows of block `index` of `count` equal ones."""

    index: int = 0
    count: int = 1

    def rows(self, batch_size: int) -> slice:
        """Return which rows of a batch these are. Raises `UserError` where the processes do not divide the batch."""
        if batch_size % self.count:
            raise UserError(
                f"a batch of {batch_size} cannot be shared equally by {self.count} processes: pass a multiple of "
                f"{self.count} as batch_size (--batch-size)"
            )
        size = batch_size // self.count
        return slice(self.index * size, (self.index + 1) * size)


WHOLE = Shard()


class Batches:
    """The training batches of `split`, reshuffled each epoch, the last and partial one of an epoch included.

    `batches[k]` is the batch at step k, counted from 0 through all epochs, so that resuming needs the step alone.
    Every batch has `batch_size` rows, or this process's `shard` of them; those that pad the last one have `mask` False.
    """

    def __init__(
        self, split: Split, batch_size: int, seed: int, *, sampling: Sampling = "uniform", shard: Shard = WHOLE
    ) -> None:
        self.split = split
        self.batch_size = batch_size
        self._part = shard.rows(batch_size)
        self._columns = columns(split)
        self._order = lru_cache(maxsize=2)(partial(_epoch_order, split.labels, sampling, seed))

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.split) // self.batch_size)

    def rows(self, step: int) -> Batch:
        """Return where the batch at `step` lies: `row` int32 [b], into the split's arrays, and `mask` bool [b]."""
        epoch, index = divmod(step, self.steps_per_epoch)
        rows = self._order(epoch)[index * self.batch_size :][: self.batch_size]
        return _padded(rows, self.batch_size, self._part)

    def __getitem__(self, step: int) -> Batch:
        return gather(self._columns, self.rows(step))

    def between(self, start: int, end: int) -> Iterator[Batch]:
        """Yield the batches of steps `start` to `end - 1`, read ahead in threads where the images are streamed."""
        return _served(self.split, self.__getitem__, range(start, end))


def evaluation_batches(split: Split, batch_size: int, shard: Shard = WHOLE) -> Iterator[Batch]:
    """Yield every example exactly once, in order; rows that pad the last batch have `mask` False."""
    rows, held = evaluation_rows(len(split), batch_size, shard), columns(split)
    return _served(split, lambda index: gather(held, rows[index]), range(len(rows)))


def evaluation_rows(count: int, batch_size: int, shard: Shard = WHOLE) -> list[Batch]:
    """Return where those batches lie in a split of `count` examples, as `Batches.rows` does."""
    starts = range(0, count, batch_size)
    part = shard.rows(batch_size)
    return [_padded(np.arange(start, min(start + batch_size, count)), batch_size, part) for start in starts]


def columns(split: Split) -> dict[str, Any]:
    """Return all arrays of a split under the names that they have in a batch."""
    return {"image": split.images} | {_KEYS.get(name, name): values for name, values in split.columns()}


def gather(columns: Mapping[str, Any], rows: Mapping[str, Any]) -> dict[str, Any]:
    """Return the batch that lies at `rows`, as `Batches.rows` has them; on the devices where both are there."""
    return {"mask": rows["mask"]} | {name: values[rows["row"]] for name, values in columns.items()}


def _epoch_order(labels: np.ndarray, sampling: Sampling, seed: int, epoch: int) -> np.ndarray:
    return epoch_order(labels, sampling, seed=seed, epoch=epoch)


def _served(split: Split, batch: Callable[[int], Batch], indices: range) -> Iterator[Batch]:
    if isinstance(split.images, np.ndarray):
        return map(batch, indices)
    from jaxfer.data.stream import read_ahead

    return read_ahead(batch, indices)


def _padded(rows: np.ndarray, batch_size: int, part: slice) -> Batch:
    """Return a part of `rows` and of their mask, padded to `batch_size` with copies of the first."""
    mask = np.arange(batch_size) < len(rows)
    rows = np.concatenate([rows, np.repeat(rows[:1], batch_size - len(rows))])
    return {"row": rows[part].astype(np.int32), "mask": mask[part]}


_KEYS = {"labels": "label", "soft_labels": "soft_label"}
"""What a batch calls the columns of a split, where the names differ."""
