"""Batches of a split in memory: the batch at step k is a function of (data, seed, k), and of nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from jaxfer.data.dataset import Split

Batch = dict[str, np.ndarray]


@dataclass(frozen=True)
class Batches:
    """The training batches of `split`, reshuffled each epoch, the last and partial one of an epoch included.

    `batches[k]` is the batch at step k, counted from 0 through all epochs, so that resuming needs the step alone.
    Every batch has `batch_size` rows; those that pad the last one have `mask` False.
    """

    split: Split
    batch_size: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.split) // self.batch_size)

    def __getitem__(self, step: int) -> Batch:
        epoch, index = divmod(step, self.steps_per_epoch)
        order = _order(len(self.split), self.seed, epoch)
        return _gather(self.split, order[index * self.batch_size :][: self.batch_size], self.batch_size)


def evaluation_batches(split: Split, batch_size: int) -> Iterator[Batch]:
    """Yield every example exactly once, in order; rows that pad the last batch have `mask` False."""
    for start in range(0, len(split), batch_size):
        rows = np.arange(start, min(start + batch_size, len(split)))
        yield _gather(split, rows, batch_size)


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(count)


def _gather(split: Split, rows: np.ndarray, batch_size: int) -> Batch:
    """Return the batch contract's arrays of `rows`, padded to `batch_size` with copies of the first."""
    mask = np.arange(batch_size) < len(rows)
    rows = np.concatenate([rows, np.repeat(rows[:1], batch_size - len(rows))])
    batch = {"image": split.images[rows], "label": split.labels[rows], "mask": mask}
    for name in ("valence", "arousal"):
        values = getattr(split, name)
        if values is not None:
            batch[name] = values[rows]
    return batch
