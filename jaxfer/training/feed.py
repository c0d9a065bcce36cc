"""How the images of a run reach its devices: batch by batch from the host, or all at once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxfer.data.batches import Batch, Batches, Rows, columns, evaluation_rows, gather, stack
from jaxfer.data.dataset import Dataset, Split
from jaxfer.devices.placement import Parallel
from jaxfer.errors import UserError
from jaxfer.metrics import Metrics
from jaxfer.training.state import TrainState
from jaxfer.training.step import evaluate_split

TrainFunction = Callable[..., tuple[TrainState, Metrics]]
"""`step(state, batch, *more)`, as of `train_function`; further arguments are whole on every device."""
EvalFunction = Callable[..., Metrics]
"""`step(variables, batch, *more)`, as of `eval_function`."""

STEPS = 16
"""Most steps of a dispatch that takes its batches from the host, on accelerators."""

PORTION = 32 * 2**20
"""Most bytes of images that one dispatch brings from the host, unless a single batch has more."""

SHARE = 0.5
"""The share of a device's memory that images may take; the rest is for the network, whose needs are unknown."""


@dataclass(frozen=True)
class Training:
    """The steps of a run, in portions of one step or more. No portion goes beyond the end of an epoch.

    Attributes:
        portions: `portions(batches, start, end)` yields pairs `(done, portion)` for the steps `start` to `end - 1`:
            the number of steps done after the portion, and what the devices need for it.
        run: `run(state, running, portion, *more) -> (state, running, metrics)` takes the steps of a portion, each with
            `more`. `running` comes back with their metrics added. `metrics` are those of the portion alone: of one
            step, or with a leading axis of several. The memory of the state that goes in is reused.
    """

    portions: Callable[[Batches, int, int], Iterator[tuple[int, Any]]]
    run: Callable[..., tuple[TrainState, Metrics, Metrics]]


class Feed(Protocol):
    """One way to bring images to the devices. The numbers are the same with each, to rounding."""

    def place(self, split: Split, parallel: Parallel) -> Any:
        """Return a split where the steps take it from, once for all of them.

        Args:
            split: The examples.
            parallel: How to use the devices.
        """
        ...

    def training(self, step: TrainFunction, placed: Any, parallel: Parallel) -> Training:
        """Return the steps of runs on batches of a split.

        Args:
            step: The training step, not compiled.
            placed: The examples, as `place` returns them.
            parallel: How to use the devices.
        """
        ...

    def scoring(
        self, step: EvalFunction, placed: Any, parallel: Parallel, *, batch_size: int
    ) -> Callable[..., Metrics]:
        """Return a function that measures a network on a split.

        Args:
            step: The evaluation step, not compiled.
            placed: The examples, as `place` returns them.
            parallel: How to use the devices.
            batch_size: Examples in a batch, of all processes together.

        Returns:
            `measure(variables, *more) -> Metrics`, which counts every example once.
        """
        ...


@dataclass(frozen=True)
class HostFeed:
    """Batches gathered on the host: for CPUs, and for images that no device can hold.

    An accelerator does not wait for it. The loop reads the losses of one dispatch after it has sent off the next, so
    batches are gathered and copied, as uint8, while the steps before them run.

    Attributes:
        steps: Most steps in a dispatch, whose batches take at most 32 MiB together. Several spread its cost, in a
            `lax.scan`; signals, checkpoints and the progress bar wait for its end. On a CPU 1, since XLA runs a
            convolution in a loop twenty times slower there.

    Raises:
        UserError: `steps` is no whole number from 1.
    """

    steps: int = 1

    def __post_init__(self) -> None:
        _check_steps(self.steps)

    def place(self, split: Split, parallel: Parallel) -> Split:
        """Return a split as it is, on the host.

        Args:
            split: As for `Feed.place`.
            parallel: As for `Feed.place`.
        """
        return split

    def training(self, step: TrainFunction, placed: Split, parallel: Parallel) -> Training:
        """Return steps that take their batches from the host.

        Args:
            step: As for `Feed.training`.
            placed: As for `Feed.training`.
            parallel: As for `Feed.training`.
        """
        if self.steps > 1:
            return self._scanned(step, parallel)

        def one(state: TrainState, batch: Batch, running: Metrics, *more: Any) -> tuple[TrainState, Metrics, Metrics]:
            state, metrics = step(state, batch, *more)
            # Merged within the step: a dispatch of its own would cost more than these few additions.
            return state, running.merge(metrics), metrics

        compiled = _once(step, partial(parallel.compile, one, donate=True), type(self), parallel)

        def portions(batches: Batches, start: int, end: int) -> Iterator[tuple[int, Batch]]:
            return enumerate(batches.between(start, end), start + 1)

        return Training(portions, lambda state, running, batch, *more: compiled(state, batch, running, *more))

    def _scanned(self, step: TrainFunction, parallel: Parallel) -> Training:
        scan = _scan(step, lambda _, batch: batch)
        compiled = _once(step, partial(parallel.compile, scan, donate=True, axis=1), type(self), parallel, "portions")

        def portions(batches: Batches, start: int, end: int) -> Iterator[tuple[int, Batch]]:
            images = batches.split.images
            steps = min(self.steps, max(1, PORTION * images.shape[0] // (batches.batch_size * _bytes(images))))
            stops = list(_stops(start, end, steps, batches.steps_per_epoch))
            return zip(stops[1:], batches.portions(stops), strict=True)

        return Training(portions, lambda state, running, batch, *more: compiled(state, batch, running, (), *more))

    def scoring(
        self, step: EvalFunction, placed: Split, parallel: Parallel, *, batch_size: int
    ) -> Callable[..., Metrics]:
        """Return a function that measures batch by batch.

        Args:
            step: As for `Feed.scoring`.
            placed: As for `Feed.scoring`.
            parallel: As for `Feed.scoring`.
            batch_size: As for `Feed.scoring`.
        """
        compiled = _once(step, partial(parallel.compile, step, donate=False), type(self), parallel)
        options = {"batch_size": batch_size, "shard": parallel.shard}
        return lambda variables, *more: evaluate_split(lambda v, b: compiled(v, b, *more), variables, placed, **options)


@dataclass(frozen=True)
class Resident:
    """A split on the devices.

    Attributes:
        columns: Its arrays [n, ...] by name; each image as one row, since a TPU keeps arrays in tiles 128 wide, which
            an axis of 3 channels leaves nearly empty.
        shape: The shape of an image.
    """

    columns: dict[str, Any]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ResidentFeed:
    """A copy of all images on every device, which gathers its rows of each batch itself: for accelerators.

    One dispatch takes up to `steps` steps in a `lax.scan`. Only the indices of rows travel to the device. Never on a
    CPU, where XLA runs a convolution in a loop twenty times slower.

    Attributes:
        steps: Most steps in a dispatch. Many spread its cost. But signals, checkpoints and the progress bar wait for
            its end: with 64 that is some seconds even for a large network, at 50 ms a step.

    Raises:
        UserError: `steps` is no whole number from 1.
    """

    steps: int = 64

    def __post_init__(self) -> None:
        _check_steps(self.steps)

    def place(self, split: Split, parallel: Parallel) -> Resident:
        """Put a split on the devices.

        Args:
            split: As for `Feed.place`.
            parallel: As for `Feed.place`.
        """
        found = columns(split)
        flat = np.asarray(found["image"]).reshape(len(split), -1)
        return Resident(parallel.place(found | {"image": flat}), split.images.shape[1:])

    def training(self, step: TrainFunction, placed: Resident, parallel: Parallel, *, axis: int = 0) -> Training:
        """Return steps that take rows, many steps at a time.

        Args:
            step: As for `Feed.training`.
            placed: As for `Feed.training`.
            parallel: As for `Feed.training`.
            axis: The axis of the examples in the rows of a step: 0, or 1 where rows of several runs are stacked.
        """
        held, shape = placed.columns, placed.shape
        scan = _scan(step, partial(_batch_at, shape=shape))
        # Rows are cut over the devices one axis further in: the first axis is that of the steps.
        make = partial(parallel.compile, scan, donate=True, axis=axis + 1)
        compiled = _once(step, make, type(self), parallel, shape, axis)

        def portions(batches: Batches, start: int, end: int) -> Iterator[tuple[int, Rows]]:
            for first, stop in pairwise(_stops(start, end, self.steps, batches.steps_per_epoch)):
                yield stop, stack([batches.rows(step) for step in range(first, stop)])

        return Training(portions, lambda state, running, rows, *more: compiled(state, rows, running, held, *more))

    def scoring(
        self, step: EvalFunction, placed: Resident, parallel: Parallel, *, batch_size: int
    ) -> Callable[..., Metrics]:
        """Return a function that measures all images in one dispatch.

        Args:
            step: As for `Feed.scoring`.
            placed: As for `Feed.scoring`.
            parallel: As for `Feed.scoring`.
            batch_size: As for `Feed.scoring`.
        """
        held, shape = placed.columns, placed.shape
        rows = stack(evaluation_rows(len(held["image"]), batch_size, parallel.shard))

        def scan(variables: dict[str, Any], rows: Rows, held: dict[str, Any], *more: Any) -> Metrics:
            def measure(rows: Rows) -> Metrics:
                return step(variables, _batch_at(held, rows, shape), *more)

            shapes = jax.eval_shape(measure, {"row": rows["row"][0], "mask": rows["mask"][0]})
            # Not `Metrics.empty`: which tasks the step sums is known only by tracing it.
            nothing = jax.tree.map(lambda total: jnp.zeros(total.shape, total.dtype), shapes)
            return lax.scan(lambda total, rows: (total.merge(measure(rows)), None), nothing, rows)[0]

        compiled = _once(step, partial(parallel.compile, scan, donate=False, axis=1), type(self), parallel, shape)
        return lambda variables, *more: compiled(variables, rows, held, *more)


def _check_steps(steps: int) -> None:
    if not isinstance(steps, int | np.integer) or steps < 1:
        raise UserError(f"a feed takes {steps!r} steps a dispatch: pass a whole number from 1")


def choose_feed(data: Dataset, parallel: Parallel) -> HostFeed | ResidentFeed:
    """Return the feed that suits a data set and its devices.

    Images stay on accelerators where they need no decoding and take at most half of a device's memory. A device that
    does not report its memory is taken to have too little: a slower run is better than one that fails.

    Args:
        data: The data set; its training and validation images count.
        parallel: The devices.
    """
    images = [split.images for split in (data.train, data.val)]
    local = [device for device in parallel.devices if device.process_index == jax.process_index()]
    if local[0].platform == "cpu":
        return HostFeed()
    if not all(hasattr(array, "__array__") for array in images):
        return HostFeed(STEPS)
    limits = [(device.memory_stats() or {}).get("bytes_limit", 0) for device in local]
    needed = sum(map(_bytes, images))
    return ResidentFeed() if needed <= SHARE * min(limits) else HostFeed(STEPS)


def _bytes(images: Any) -> int:
    """Return the bytes that images [n, h, w, c] take; those that are decoded on demand are uint8."""
    return int(np.prod(images.shape)) * getattr(images, "dtype", np.dtype(np.uint8)).itemsize


def _scan(step: TrainFunction, batch_at: Callable[[Any, Any], Batch]) -> Callable[..., Any]:
    """Return `scan(state, portion, running, held, *more)`, which takes a step with each `batch_at(held, rows)`.

    The rows are those along the first axis of the portion. What is held is an argument: closing over images would make
    them constants of the program.
    """

    def scan(
        state: TrainState, portion: Any, running: Metrics, held: Any, *more: Any
    ) -> tuple[TrainState, Metrics, Metrics]:
        def one(carry: tuple[TrainState, Metrics], rows: Any) -> tuple[tuple[TrainState, Metrics], Metrics]:
            state, metrics = step(carry[0], batch_at(held, rows), *more)
            return (state, carry[1].merge(metrics)), metrics

        (state, running), each = lax.scan(one, (state, running), portion)
        return state, running, each

    return scan


def _batch_at(held: dict[str, Any], rows: Rows, shape: tuple[int, ...]) -> Batch:
    """Return a batch, gathered on the devices, of images of a shape."""
    batch = gather(held, rows)
    batch["image"] = batch["image"].reshape(*rows["row"].shape, *shape)
    return batch


def _once(step: Callable[..., Any], make: Callable[[], Callable[..., Any]], *ways: Any) -> Callable[..., Any]:
    """Return what `make` compiles of a step, made once for each step and each of the ways to compile it.

    It is kept with the step itself, and goes when nobody has that any more.

    Args:
        step: The step.
        make: Compiles it, and closes over nothing but it and the ways.
        *ways: What the result depends on besides.
    """
    kept = vars(step).setdefault("compiled", {})
    # The step is in the key, too: `jax.vmap` gives what it returns the attributes of what it is given.
    key = (step, *ways)
    if key not in kept:
        kept[key] = make()
    return kept[key]


def _stops(start: int, end: int, steps: int, per_epoch: int) -> Iterator[int]:
    """Yield `start`, then every `steps`-th step of an epoch and every epoch's end, up to `end`.

    The stops do not depend on `start`, so that a resumed run compiles no program for another number of steps.
    """
    yield start
    while start < end:
        epoch, index = divmod(start, per_epoch)
        start = min(epoch * per_epoch + min((index // steps + 1) * steps, per_epoch), end)
        yield start
