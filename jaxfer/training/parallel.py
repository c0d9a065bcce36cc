"""How a step runs on devices: one of them, jit over a mesh, or pmap, behind one calling convention.

Each object here compiles a function `(state, batch, *more) -> outputs` whose batch is the global one and whose other
arguments and outputs are whole, so that the loop never knows what it runs on.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

Step = Callable[..., Any]
Device = Any
"""A `jax.Device`, which type checkers take for a variable."""


class Parallel(Protocol):
    """One way to run a step."""

    @property
    def devices(self) -> tuple[Device, ...]:
        """Those it runs on, of all processes."""
        ...

    @property
    def axis_name(self) -> str | None:
        """The mapped axis to sum over inside the step, or None where arrays are global."""
        ...

    def place(self, state: Any) -> Any:
        """Return `state` on the devices, as the compiled step takes and returns it."""
        ...

    def compile(self, step: Step, *, donate: bool, axis: int = 0) -> Step:
        """Return `step` compiled; with `donate` it reuses the memory of its first argument, which is then gone.

        axis: that along which the arrays of the batch, its second argument, hold the examples.
        """
        ...


@dataclass(frozen=True)
class OneDevice:
    """Run on one device: by default the first."""

    device: Device = field(default_factory=lambda: jax.local_devices()[0])
    axis_name: None = None

    @property
    def devices(self) -> tuple[Device]:
        """The device."""
        return (self.device,)

    def place(self, state: Any) -> Any:
        """Put `state` on the device."""
        return jax.device_put(state, self.device)

    def compile(self, step: Step, *, donate: bool, axis: int = 0) -> Step:
        """Jit for the device that holds the state."""
        return jax.jit(step, donate_argnums=(0,) if donate else ())


@dataclass(frozen=True)
class Sharded:
    """Jit over a mesh: each device takes a slice of the batch, and the compiler sums across them."""

    devices: tuple[Device, ...] = field(default_factory=lambda: tuple(jax.devices()))
    axis_name: None = None

    def _sharding(self, *axes: str | None) -> NamedSharding:
        mesh = Mesh(np.array(self.devices), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
        return NamedSharding(mesh, PartitionSpec(*axes))

    def place(self, state: Any) -> Any:
        """Put a copy of `state` on every device."""
        return jax.device_put(state, self._sharding())

    def compile(self, step: Step, *, donate: bool, axis: int = 0) -> Step:
        """Jit with a batch cut along `axis` and all else replicated."""
        whole, cut = self._sharding(), self._sharding(*[None] * axis, "batch")
        jitted = jax.jit(
            lambda state, batch, more: step(state, batch, *more),
            in_shardings=(whole, cut, whole),
            out_shardings=whole,
            donate_argnums=(0,) if donate else (),
        )
        count = len(self.devices)
        return _in_turn(lambda state, batch, *more: jitted(state, _pad(batch, count, axis), more), self.devices)


@dataclass(frozen=True)
class Pmapped:
    """`jax.pmap`, as many recipes for TPUs expect it. In maintenance in JAX: prefer `Sharded` for new work.

    One process only: with several, JAX cannot donate a state that is not mapped.
    """

    devices: tuple[Device, ...] = field(default_factory=lambda: tuple(jax.local_devices()))
    axis_name: str = "batch"

    def place(self, state: Any) -> Any:
        """Put a copy of `state` on every device."""
        return Sharded(self.devices).place(state)

    def compile(self, step: Step, *, donate: bool, axis: int = 0) -> Step:
        """Map over the devices; the step must sum over `axis_name` all that it returns."""
        mapped = jax.pmap(
            lambda state, batch, more: step(state, batch, *more),
            axis_name=self.axis_name,
            in_axes=(None, axis, None),
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


def choose_parallel(batch_size: int) -> OneDevice | Sharded:
    """Return the way to run batches of `batch_size` on the devices that JAX sees.

    A device gets at least eight images: fewer cost more to hand out than they save.
    """
    devices = jax.devices()[: max(1, batch_size // 8)]
    return Sharded(tuple(devices)) if len(devices) > 1 else OneDevice(devices[0])
