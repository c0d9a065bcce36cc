"""Batches of a split: the batch at step k is a function of (data, seed, k), and of nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NotRequired, Required, TypedDict, cast

import numpy as np

from jaxfer.config import Sampling
from jaxfer.data.dataset import Split
from jaxfer.errors import UserError

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float16, Float32, Int, Int32, Num, UInt8

THREADS = 4
"""Batches that are read or decoded at the same time, where images are not in memory."""

TEACHER = "teacher_"
"""What the columns of teachers begin with, before the name of a network's output."""

AHEAD = 8
"""Batches, or portions of several, that are ready before they are asked for, where images are not in memory."""


class Batch(TypedDict, total=False):
    """Some examples of a split, with each of its columns; `b` is their number, the same in all batches.

    On the host they are arrays of NumPy, in a step those of JAX.

    Attributes:
        image: From 0 to 255, or after a transform from 0 to 1.
        label: Indices into the data set's `class_names`.
        mask: False for rows that pad the last batch: copies that count for nothing.
        soft_label: Rows that sum to 1.
        valence: In [-1, 1], NaN where unknown.
        arousal: Likewise.
        votes: How many people chose each answer of FER+; rows of NaN where unknown.
        mirrored: Whether it is the turn of the example's mirror image; where the run alternates them.
        teacher_logits: Where the run has teachers, the logarithms of their probabilities for each class; of all views,
            and once a view of each example is drawn, of that view.
        teacher_votes: Likewise for each answer of FER+.
    """

    image: Required[UInt8[Array, "b h w c"] | Float32[Array, "b h w c"]]
    label: Required[Int32[Array, " b"]]
    mask: Required[Bool[Array, " b"]]
    soft_label: Float32[Array, "b classes"]
    valence: Float32[Array, " b"]
    arousal: Float32[Array, " b"]
    votes: Float32[Array, "b 10"]
    mirrored: Bool[Array, " b"]
    teacher_logits: Float16[Array, "b views classes"] | Float32[Array, "b classes"]
    teacher_votes: Float16[Array, "b views 10"] | Float32[Array, "b 10"]


class Rows(TypedDict):
    """Where a batch lies in its split, and what is known of a row at this step and not of its example always.

    Attributes:
        row: Indices into the split's arrays.
        mask: As in `Batch`.
        mirrored: As in `Batch`.
    """

    row: Int32[Array, " b"] | Int32[np.ndarray, " b"]
    mask: Bool[Array, " b"] | Bool[np.ndarray, " b"]
    mirrored: NotRequired[Bool[Array, " b"] | Bool[np.ndarray, " b"]]


@dataclass(frozen=True)
class Shard:
    """The part of every batch that one of several processes serves: the rows of block `index` of `count` equal ones."""

    index: int = 0
    count: int = 1

    def rows(self, batch_size: int) -> slice:
        """Return which rows of a batch of `batch_size` examples, of all processes together, these are.

        Raises:
            UserError: The processes do not divide the batch.
        """
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
    Rows that pad the last batch have `mask` False.

    Args:
        split: The examples.
        batch_size: Rows in every batch, of all processes together.
        seed: Of the order of each epoch, from 0.
        sampling: How often the examples of each class come; see `epoch_order`.
        shard: The part of every batch that this process serves.
        alternate: Whether batches have the column `mirrored`; see `turns`.

    Raises:
        UserError: The processes do not divide the batch.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        seed: int,
        *,
        sampling: Sampling = "uniform",
        shard: Shard = WHOLE,
        alternate: bool = False,
    ) -> None:
        self.split = split
        self.batch_size = batch_size
        self._part = shard.rows(batch_size)
        self._columns = columns(split)
        self._order = lru_cache(maxsize=2)(lambda epoch: epoch_order(split.labels, sampling, seed=seed, epoch=epoch))
        self._turns = lru_cache(maxsize=2)(lambda epoch: turns(self._order(epoch), len(split), seed=seed, epoch=epoch))
        self._alternate = alternate

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.split) // self.batch_size)

    def rows(self, step: int) -> Rows:
        """Return where the batch at `step` lies."""
        epoch, index = divmod(step, self.steps_per_epoch)
        here = slice(index * self.batch_size, (index + 1) * self.batch_size)
        rows = _padded(self._order(epoch)[here], self.batch_size, self._part)
        if self._alternate:
            rows["mirrored"] = _filled(self._turns(epoch)[here], self.batch_size)[self._part]
        return rows

    def __getitem__(self, step: int) -> Batch:
        return gather(self._columns, self.rows(step))

    def between(self, start: int, end: int) -> Iterator[Batch]:
        """Yield the batches of steps `start` to `end - 1`, read ahead in threads where the images are streamed."""
        return _served(self.split, self.__getitem__, range(start, end))

    def portions(self, stops: Sequence[int]) -> Iterator[Batch]:
        """Yield the batches from each stop to the next, stacked along a new first axis, read ahead like `between`."""
        portions = [range(*pair) for pair in pairwise(stops)]

        def portion(index: int) -> Batch:
            return gather(self._columns, stack([self.rows(step) for step in portions[index]]))

        return _served(self.split, portion, range(len(portions)))


def evaluation_batches(split: Split, batch_size: int, shard: Shard = WHOLE) -> Iterator[Batch]:
    """Yield every example exactly once, in order; rows that pad the last batch have `mask` False.

    Args:
        split: The examples.
        batch_size: As for `Batches`.
        shard: As for `Batches`.

    Raises:
        UserError: The processes do not divide the batch.
    """
    rows, held = evaluation_rows(len(split), batch_size, shard), columns(split)
    return _served(split, lambda index: gather(held, rows[index]), range(len(rows)))


def evaluation_rows(count: int, batch_size: int, shard: Shard = WHOLE) -> list[Rows]:
    """Return where the batches of `evaluation_batches` lie.

    Args:
        count: Examples of the split.
        batch_size: As for `Batches`.
        shard: As for `Batches`.

    Raises:
        UserError: The processes do not divide the batch.
    """
    starts = range(0, count, batch_size)
    part = shard.rows(batch_size)
    return [_padded(np.arange(start, min(start + batch_size, count)), batch_size, part) for start in starts]


def columns(split: Split) -> dict[str, Any]:
    """Return all arrays of a split under the names that they have in a batch."""
    return {"image": split.images, "label": split.labels, **split.columns}


def gather(columns: Mapping[str, Any], rows: Rows) -> Batch:
    """Return the batch that lies at `rows`, as `Batches.rows` or `stack` has them; on the devices where both are."""
    shape, flat = rows["row"].shape, rows["row"].reshape(-1)
    gathered = {name: values[flat].reshape(*shape, *values.shape[1:]) for name, values in columns.items()}
    return cast(Batch, {name: values for name, values in rows.items() if name != "row"} | gathered)


def stack(rows: Sequence[Rows]) -> Rows:
    """Return the rows of several batches along a new first axis: `row` int32 and `mask` bool, and so what else."""
    return cast(Rows, {name: np.stack([each[name] for each in rows]) for name in rows[0]})


def epoch_order(labels: Int[np.ndarray, " n"], sampling: Sampling, *, seed: int, epoch: int) -> Int[np.ndarray, " n"]:
    """Return the rows of one epoch: a function of its arguments and of nothing else.

    Within a class no row comes twice before each other has come, and the numbers of rows are exact but for rounding, so
    that an epoch varies less than independent draws would.

    Args:
        labels: The class of each row.
        sampling: `uniform` is every row once. `balanced` gives every class the same number of rows, `sqrt` a number in
            proportion to the square root of its images (Mahajan et al. 2018, https://arxiv.org/abs/1805.00932): rows of
            small classes then come several times, those of large ones not all in one epoch.
        seed: The seed of the run, from 0.
        epoch: The epoch, counted from 0.
    """
    random = np.random.default_rng([seed, epoch])
    if sampling == "uniform":
        return random.permutation(len(labels))
    classes, counts = np.unique(labels, return_counts=True)
    weights = class_weights(counts, sampling)
    rows = [
        _cycle(random, np.flatnonzero(labels == label), quota)
        for label, quota in zip(classes, _apportion(weights, len(labels)), strict=True)
    ]
    return random.permutation(np.concatenate(rows))


def class_weights(counts: Int[np.ndarray, " c"], sampling: Sampling) -> Num[np.ndarray, " c"]:
    """Return numbers in proportion to which an epoch has rows of each class.

    Args:
        counts: Images of each class, above 0.
        sampling: As for `epoch_order`.

    >>> class_weights(np.array([9, 1]), "sqrt")
    array([3., 1.])
    """
    return {"uniform": counts, "balanced": np.ones(len(counts)), "sqrt": np.sqrt(counts)}[sampling]


def turns(order: Int[np.ndarray, " n"], count: int, *, seed: int, epoch: int) -> Bool[np.ndarray, " n"]:
    """Return which rows of an epoch show the mirror image of their example: a function of its arguments alone.

    A coin for each example decides the first epoch, and from then on its two sides take turns, so that two epochs of
    every row once show each example both ways: a fresh coin each time would show half of the examples one way twice.
    An example that comes several times in an epoch takes turns within it too. The idea is that of
    https://github.com/KellerJordan/cifar10-airbench.

    Args:
        order: The rows of the epoch, as `epoch_order` returns them.
        count: Examples of the split.
        seed: The seed of the run.
        epoch: The epoch, counted from 0.

    Returns:
        Whether it is the mirror image's turn, in the order of the epoch.
    """
    # The trailing 1 keeps these numbers apart from those of every epoch's order.
    coins = np.random.default_rng([seed, 0, 1]).integers(2, size=count)
    place = np.argsort(order, kind="stable")
    earlier = np.empty_like(place)  # how often each row came before, in this epoch
    earlier[place] = np.arange(len(order)) - np.searchsorted(order[place], order[place])
    return (coins[order] + earlier + epoch) % 2 == 1


def _apportion(weights: np.ndarray, total: int) -> np.ndarray:
    """Return whole numbers in proportion to the weights that add up to `total`, by the largest remainders."""
    exact = weights * (total / weights.sum())
    quotas = exact.astype(int)
    missing = total - quotas.sum()
    quotas[np.argsort(quotas - exact, kind="stable")[:missing]] += 1
    return quotas


def _cycle(random: np.random.Generator, rows: np.ndarray, count: int) -> np.ndarray:
    """Return `count` of the rows: as many whole permutations as that takes, the last one in part."""
    passes = -(-count // len(rows))
    return np.concatenate([random.permutation(rows) for _ in range(passes)] or [rows[:0]])[:count]


def _served(split: Split, batch: Callable[[int], Batch], indices: range) -> Iterator[Batch]:
    """Yield the batches of these indices, in order, ahead of time in threads where images are not in memory."""
    if isinstance(split.images, np.ndarray):
        return map(batch, indices)
    try:
        import grain  # here, since most runs do without it
    except ImportError as error:
        raise UserError("--stream needs grain, which is not installed: pip install grain, or leave it out") from error

    options = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=AHEAD)
    return iter(grain.MapDataset.source(indices).map(batch).to_iter_dataset(options))


def _padded(rows: np.ndarray, batch_size: int, part: slice) -> Rows:
    """Return a part of `rows` and of their mask, padded to `batch_size` with copies of the first."""
    mask = np.arange(batch_size) < len(rows)
    return {"row": _filled(rows, batch_size)[part].astype(np.int32), "mask": mask[part]}


def _filled(values: np.ndarray, batch_size: int) -> np.ndarray:
    """Return values [n], n at least 1, with copies of the first up to `batch_size`."""
    return np.concatenate([values, np.repeat(values[:1], batch_size - len(values))])
