"""How a step runs on devices: one of them, jit over a mesh, or pmap, behind one calling convention.

Each class compiles a function `(state, batch, *more) -> outputs`. The function sees the global batch, and its other
arguments and outputs are whole on every device, so that the loop need not know where it runs. With several processes
each passes its own rows of the batch, those of `shard`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxfer.data.batches import WHOLE, Shard
from jaxfer.errors import UserError
from jaxfer.models import variable_shapes

Step = Callable[..., Any]
Device = Any
"""A `jax.Device`, which type checkers take for a variable."""


class Parallel(Protocol):
    """One way to run a step."""

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices it runs on, of all processes."""
        ...

    @property
    def shard(self) -> Shard:
        """The part of each batch that this process passes to a compiled step."""
        ...

    @property
    def axis_name(self) -> str | None:
        """The mapped axis to sum over inside the step, or None where arrays are global."""
        ...

    def place(self, state: Any) -> Any:
        """Return a pytree on the devices, as the compiled step takes and returns it."""
        ...

    def compile(self, step: Step, *, donate: bool, axis: int = 0) -> Step:
        """Return a step compiled for the devices.

        Args:
            step: `step(state, batch, *more)`, pytrees of arrays.
            donate: Whether it reuses the memory of `state`, which is then gone.
            axis: The axis of the examples in the arrays of the batch.

        Returns:
            The compiled step, called like `step`.
        """
        ...


@dataclass(frozen=True)
class OneDevice:
    """Run on one device.

    Attributes:
        device: The device; by default this process's first.
        axis_name: None: there is no mapped axis.
        shard: The whole batch.
    """

    device: Device = field(default_factory=lambda: jax.local_devices()[0])
    axis_name: None = None
    shard: Shard = WHOLE

    @property
    def devices(self) -> tuple[Device]:
        """The device."""
        return (self.device,)

    def place(self, state: Any) -> Any:
        """Put `state` on the device."""
        return jax.device_put(state, self.device)

    def compile(self, step: Step, *, donate: bool, axis: int = 0) -> Step:
        """Jit for the device that holds the state.

        Args:
            step: As for `Parallel.compile`.
            donate: As for `Parallel.compile`.
            axis: Not used: one device takes the batch whole.
        """
        return jax.jit(step, donate_argnums=(0,) if donate else ())


@dataclass(frozen=True)
class Sharded:
    """Jit over a mesh: each device takes a slice of the batch, and the compiler sums across them.

    The numbers do not depend on the number of processes, with one exception. Where a process's rows do not fill its
    devices evenly, the rows of the others move, and augmentation and dropout draw other numbers for them.

    Attributes:
        devices: By default those of all processes. Each process must have equally many, side by side.
        axis_name: None: arrays are global.
    """

    devices: tuple[Device, ...] = field(default_factory=lambda: tuple(sorted(jax.devices(), key=_process)))
    axis_name: None = None

    @property
    def shard(self) -> Shard:
        """The rows that go to the devices of this process.

        Raises:
            UserError: The processes do not have equally many devices each, side by side.
        """
        owners = [_process(device) for device in self.devices]
        processes = list(dict.fromkeys(owners))
        if owners != [process for process in processes for _ in range(len(owners) // len(processes))]:
            raise UserError(
                "the devices of a mesh must be of each process as many, those of one process side by side: leave out "
                "some, or sort them by process_index"
            )
        return Shard(processes.index(jax.process_index()), len(processes))

    def _sharding(self, *axes: str | None) -> NamedSharding:
        mesh = Mesh(np.array(self.devices), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
        return NamedSharding(mesh, PartitionSpec(*axes))

    def place(self, state: Any) -> Any:
        """Put a copy of `state` on every device; it must be the same in all processes."""
        whole = self._sharding()
        if self.shard.count == 1:
            return jax.device_put(state, whole)
        return jax.tree.map(lambda array: _replicate(array, whole), state)

    def compile(self, step: Step, *, donate: bool, axis: int = 0) -> Step:
        """Jit with the batch cut along an axis and all else replicated.

        Args:
            step: As for `Parallel.compile`.
            donate: As for `Parallel.compile`.
            axis: As for `Parallel.compile`; along it the batch is cut.
        """
        whole, cut = self._sharding(), self._sharding(*[None] * axis, "batch")
        # `more` as one argument: shardings are given for each argument, and how many there are is not known here.
        jitted = jax.jit(
            lambda state, batch, more: step(state, batch, *more),
            in_shardings=(whole, cut, whole),
            out_shardings=whole,
            donate_argnums=(0,) if donate else (),
        )
        processes = self.shard.count
        count = len(self.devices) // processes

        def run(state: Any, batch: dict[str, Any], *more: Any) -> Any:
            batch = _pad(batch, count, axis)
            if processes > 1:
                batch = {name: jax.make_array_from_process_local_data(cut, rows) for name, rows in batch.items()}
            return jitted(state, batch, more)

        return _in_turn(run, self.devices)


@dataclass(frozen=True)
class Pmapped:
    """`jax.pmap`, as many recipes for TPUs expect it. It is in maintenance in JAX: prefer `Sharded` for new work.

    One process only: with several, JAX cannot donate a state that is not mapped.

    Attributes:
        devices: By default all of this process.
        axis_name: The mapped axis.
        shard: The whole batch.
    """

    devices: tuple[Device, ...] = field(default_factory=lambda: tuple(jax.local_devices()))
    axis_name: str = "batch"
    shard: Shard = WHOLE

    def place(self, state: Any) -> Any:
        """Put a copy of `state` on every device."""
        return Sharded(self.devices).place(state)

    def compile(self, step: Step, *, donate: bool, axis: int = 0) -> Step:
        """Map over the devices; the step must sum over `axis_name` all that it returns.

        Args:
            step: As for `Parallel.compile`.
            donate: As for `Parallel.compile`.
            axis: As for `Parallel.compile`; along it the batch is cut.
        """
        mapped = jax.pmap(
            lambda state, batch, more: step(state, batch, *more),
            axis_name=self.axis_name,
            in_axes=(None, axis, None),
            # What is summed is the same on all devices: one copy is enough, and the state keeps its shape.
            out_axes=None,  # pyright: ignore[reportArgumentType]
            devices=self.devices,
            donate_argnums=(0,) if donate else (),
        )
        count = len(self.devices)

        def run(state: Any, batch: dict[str, Any], *more: Any) -> Any:
            cut = {
                name: values.reshape(*values.shape[:axis], count, -1, *values.shape[axis + 1 :])
                for name, values in _pad(batch, count, axis).items()
            }
            return mapped(state, cut, more)

        return _in_turn(run, self.devices)


def _process(device: Device) -> int:
    return device.process_index


def _replicate(array: Any, whole: NamedSharding) -> jax.Array:
    """Put one array on the devices of all processes, without asking them all whether it is the same, as JAX would."""
    if isinstance(array, jax.Array) and not array.is_fully_addressable:
        return jax.device_put(array, whole)
    if isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        data = _replicate(jax.random.key_data(array), whole)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(array))
    return jax.make_array_from_process_local_data(whole, np.asarray(array))


def _in_turn(step: Step, devices: tuple[Device, ...]) -> Step:
    """On a CPU, let one step finish before the next begins.

    A device that sums with the others keeps a thread of XLA's pool, of as many threads as cores, until they arrive.
    With two steps in flight the first device can hold a thread for each of them, and the others never get one: the
    process hangs and XLA ends it after a minute. Accelerators queue their steps, and need no waiting.
    """
    if devices[0].platform != "cpu":
        return step
    return lambda *arguments: jax.block_until_ready(step(*arguments))


def _pad(batch: dict[str, Any], multiple: int, axis: int) -> dict[str, Any]:
    """Lengthen a batch along `axis` to a multiple of the devices with zeros, which the mask leaves out."""
    missing = -batch["mask"].shape[axis] % multiple
    if not missing:
        return batch

    def longer(values: np.ndarray) -> np.ndarray:
        shape = (*values.shape[:axis], missing, *values.shape[axis + 1 :])
        return np.concatenate([values, np.zeros(shape, values.dtype)], axis)

    return {name: longer(values) for name, values in batch.items()}


LARGE = 4_000_000
"""Parameters from which one device is faster than several of a CPU, at batch 32: ResNet-18 has 11 million."""


def choose_parallel(batch_size: int, model: nn.Module | None = None, image_size: int = 64) -> OneDevice | Sharded:
    """Return how to run batches on the devices that JAX sees, those of all processes.

    A device gets at least eight images: fewer cost more to hand out than they save. But every process takes part. One
    process trains a large network on one device of a CPU: several would each update a copy of all parameters, in the
    same memory, whose speed limits that.

    Args:
        batch_size: Examples in a batch, of all processes together.
        model: The network to train; None where it is only applied.
        image_size: Height and width in pixels of the images that it takes.
    """
    processes = jax.process_count()
    own = [[device for device in jax.devices() if _process(device) == process] for process in range(processes)]
    each = max(1, min(batch_size // 8 // processes, *map(len, own)))
    on_cpu = own[0][0].platform == "cpu"
    if each > 1 and processes == 1 and on_cpu and model is not None and _size(model, image_size) >= LARGE:
        each = 1
    devices = [device for group in own for device in group[:each]]
    return Sharded(tuple(devices)) if len(devices) > 1 else OneDevice(devices[0])


def _size(model: nn.Module, side: int) -> int:
    """Return the number of a network's values, for which nothing is computed."""
    return sum(leaf.size for leaf in jax.tree.leaves(variable_shapes(model, side)))
