"""How the images of a run reach its devices: batch by batch from the host, or all of them once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxfer.data.batches import Batch, Batches, Rows, columns, evaluation_rows, gather
from jaxfer.data.dataset import Dataset, Split
from jaxfer.devices.placement import Parallel
from jaxfer.metrics import Metrics
from jaxfer.training.state import TrainState
from jaxfer.training.step import evaluate_split

TrainFunction = Callable[..., tuple[TrainState, Metrics]]
"""`step(state, batch, *more)`: what `train_function` returns, perhaps with more arguments, whole on every device."""
EvalFunction = Callable[..., Metrics]
"""`step(variables, batch, *more)`: that of `eval_function`."""

SHARE = 0.5
"""The part of a device's memory that images may take; the rest is for the network, whose needs are unknown."""


@dataclass(frozen=True)
class Training:
    """The steps of a run, handed out in portions of one step or more, none of which goes beyond an epoch's end.

    portions: `portions(batches, start, end)` yields what the devices need for steps `start` to `end - 1`, each portion
        with the number of steps that are done after it.
    run: `run(state, running, portion, *more) -> (state, running, metrics)` takes a portion's steps, each with `more`,
        adds its metrics to those that run, and returns them also by themselves: one step's, or with a leading axis
        several steps'. The state that goes in is gone.
    """

    portions: Callable[[Batches, int, int], Iterator[tuple[int, Any]]]
    run: Callable[..., tuple[TrainState, Metrics, Metrics]]


class Feed(Protocol):
    """One way to bring images to the devices. The numbers are the same, to rounding, in all of them."""

    def training(self, step: TrainFunction, split: Split, parallel: Parallel) -> Training:
        """Return the steps of runs on batches of `split`."""
        ...

    def scoring(
        self, step: EvalFunction, split: Split, parallel: Parallel, *, batch_size: int
    ) -> Callable[..., Metrics]:
        """Return `measure(variables, *more)`, which counts every example of `split` once."""
        ...


@dataclass(frozen=True)
class HostFeed:
    """Batches gathered on the host, one step a dispatch: for CPUs, and for images that no device could hold.

    An accelerator is not kept waiting: the loop reads the loss of one step after it has sent off the next, so that a
    batch is gathered and copied while the step before it runs.
    """

    def training(self, step: TrainFunction, split: Split, parallel: Parallel) -> Training:
        """Hand out batches, one at a time."""

        def one(state: TrainState, batch: Batch, running: Metrics, *more: Any) -> tuple[TrainState, Metrics, Metrics]:
            state, metrics = step(state, batch, *more)
            return state, running.merge(metrics), metrics

        compiled = parallel.compile(one, donate=True)

        def portions(batches: Batches, start: int, end: int) -> Iterator[tuple[int, Batch]]:
            return enumerate(batches.between(start, end), start + 1)

        return Training(portions, lambda state, running, batch, *more: compiled(state, batch, running, *more))

    def scoring(
        self, step: EvalFunction, split: Split, parallel: Parallel, *, batch_size: int
    ) -> Callable[..., Metrics]:
        """Score one batch after another."""
        compiled = parallel.compile(step, donate=False)
        options = {"batch_size": batch_size, "shard": parallel.shard}
        return lambda variables, *more: evaluate_split(lambda v, b: compiled(v, b, *more), variables, split, **options)


@dataclass(frozen=True)
class ResidentFeed:
    """A copy of all images, as uint8, on every device, which gathers its rows of each batch itself: for accelerators.

    One dispatch takes up to `steps` steps in a `lax.scan`, to which only the numbers of rows travel. Never on a CPU,
    where XLA runs a convolution in a loop twenty times slower.

    steps: enough to spread thin what a dispatch costs, and few enough that even a large network, at 50 ms a step,
        heeds a signal within seconds: that is done between dispatches, as are checkpoints and the progress bar.
    """

    steps: int = 64

    def training(self, step: TrainFunction, split: Split, parallel: Parallel, *, axis: int = 0) -> Training:
        """Put the images on the devices and hand out rows, those of many steps at a time.

        axis: that of the examples in the rows of a step: 1 where those of several runs lie one above the other.
        """
        held, batch_at = _hold(split, parallel)

        def scan(
            state: TrainState, rows: Rows, running: Metrics, held: dict[str, Any], *more: Any
        ) -> tuple[TrainState, Metrics, Metrics]:
            def one(carry: tuple[TrainState, Metrics], rows: Rows) -> tuple[tuple[TrainState, Metrics], Metrics]:
                state, metrics = step(carry[0], batch_at(held, rows), *more)
                return (state, carry[1].merge(metrics)), metrics

            (state, running), each = lax.scan(one, (state, running), rows)
            return state, running, each

        compiled = parallel.compile(scan, donate=True, axis=axis + 1)

        def portions(batches: Batches, start: int, end: int) -> Iterator[tuple[int, Rows]]:
            for first, stop in pairwise(_stops(start, end, self.steps, batches.steps_per_epoch)):
                yield stop, _stack([batches.rows(step) for step in range(first, stop)])

        return Training(portions, lambda state, running, rows, *more: compiled(state, rows, running, held, *more))

    def scoring(
        self, step: EvalFunction, split: Split, parallel: Parallel, *, batch_size: int
    ) -> Callable[..., Metrics]:
        """Put the images on the devices and score all of them in one dispatch."""
        held, batch_at = _hold(split, parallel)
        rows = _stack(evaluation_rows(len(split), batch_size, parallel.shard))

        def scan(variables: dict[str, Any], rows: Rows, held: dict[str, Any], *more: Any) -> Metrics:
            def measure(rows: Rows) -> Metrics:
                return step(variables, batch_at(held, rows), *more)

            shapes = jax.eval_shape(measure, {"row": rows["row"][0], "mask": rows["mask"][0]})
            nothing = jax.tree.map(lambda total: jnp.zeros(total.shape, total.dtype), shapes)
            return lax.scan(lambda total, rows: (total.merge(measure(rows)), None), nothing, rows)[0]

        compiled = parallel.compile(scan, donate=False, axis=1)
        return lambda variables, *more: compiled(variables, rows, held, *more)


def choose_feed(data: Dataset, parallel: Parallel) -> HostFeed | ResidentFeed:
    """Return how `data` is best brought to the devices of `parallel`.

    Images stay on accelerators where they need no decoding and take no more than half of a device's memory. What does
    not say how much memory it has is taken to have too little: a slower run is better than one that fails.
    """
    images = [split.images for split in (data.train, data.val)]
    local = [device for device in parallel.devices if device.process_index == jax.process_index()]
    if local[0].platform == "cpu" or not all(hasattr(array, "__array__") for array in images):
        return HostFeed()
    limits = [(device.memory_stats() or {}).get("bytes_limit", 0) for device in local]
    needed = sum(int(np.prod(array.shape)) for array in images)
    return ResidentFeed() if needed <= SHARE * min(limits) else HostFeed()


def _hold(split: Split, parallel: Parallel) -> tuple[dict[str, Any], Callable[[dict[str, Any], Rows], Batch]]:
    """Return a split's arrays on the devices, and `batch_at(held, rows)`, which gathers a batch of them there."""
    shape = split.images.shape[1:]

    def batch_at(held: dict[str, Any], rows: Rows) -> Batch:
        batch = gather(held, rows)
        batch["image"] = batch["image"].reshape(*rows["row"].shape, *shape)
        return batch

    # Each image as one row: a TPU keeps arrays in tiles 128 wide, which an axis of 3 channels leaves nearly empty.
    held = columns(split)
    return parallel.place(held | {"image": np.asarray(held["image"]).reshape(len(split), -1)}), batch_at


def _stops(start: int, end: int, steps: int, per_epoch: int) -> Iterator[int]:
    """Yield `start`, then every `steps` steps of an epoch and every epoch's end, up to `end`.

    They are the same wherever a run is resumed, so that nothing is compiled for another number of steps.
    """
    yield start
    while start < end:
        epoch, index = divmod(start, per_epoch)
        start = min(epoch * per_epoch + min((index // steps + 1) * steps, per_epoch), end)
        yield start


def _stack(rows: Sequence[Rows]) -> Rows:
    """Return the rows of k batches as `row` int32 and `mask` bool, each [k, b]."""
    return {"row": np.stack([one["row"] for one in rows]), "mask": np.stack([one["mask"] for one in rows])}
