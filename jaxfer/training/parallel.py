"""How a step runs on devices: one of them, jit over a mesh, or pmap, behind one calling convention.

Each object here compiles a function `(state, batch) -> outputs` whose state and outputs are whole and whose batch is
the global one, so that the loop never knows what it runs on.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

Step = Callable[[Any, dict[str, Any]], Any]
Device = Any
"""A `jax.Device`, which type checkers take for a variable."""


class Parallel(Protocol):
    """One way to run a step."""

    @property
    def axis_name(self) -> str | None:
        """The mapped axis to sum over inside the step, or None where arrays are global."""
        ...

    def place(self, state: Any) -> Any:
        """Return `state` on the devices, as the compiled step takes and returns it."""
        ...

    def compile(self, step: Step, *, donate: bool) -> Step:
        """Return `step` compiled; with `donate` it reuses the memory of its first argument, which is then gone."""
        ...


@dataclass(frozen=True)
class OneDevice:
    """Run on one device: by default the first."""

    device: Device = field(default_factory=lambda: jax.local_devices()[0])
    axis_name: None = None

    def place(self, state: Any) -> Any:
        """Put `state` on the device."""
        return jax.device_put(state, self.device)

    def compile(self, step: Step, *, donate: bool) -> Step:
        """Jit for the device that holds the state."""
        return jax.jit(step, donate_argnums=(0,) if donate else ())


@dataclass(frozen=True)
class Sharded:
    """Jit over a mesh: each device takes a slice of the batch, and the compiler sums across them."""

    devices: tuple[Device, ...] = field(default_factory=lambda: tuple(jax.devices()))
    axis_name: None = None

    def _sharding(self, *axes: str) -> NamedSharding:
        mesh = Mesh(np.array(self.devices), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
        return NamedSharding(mesh, PartitionSpec(*axes))

    def place(self, state: Any) -> Any:
        """Put a copy of `state` on every device."""
        return jax.device_put(state, self._sharding())

    def compile(self, step: Step, *, donate: bool) -> Step:
        """Jit with a replicated state and a batch cut along its first axis."""
        whole, cut = self._sharding(), self._sharding("batch")
        jitted = jax.jit(step, in_shardings=(whole, cut), out_shardings=whole, donate_argnums=(0,) if donate else ())
        return _in_turn(lambda state, batch: jitted(state, _pad(batch, len(self.devices))), self.devices)


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

    def compile(self, step: Step, *, donate: bool) -> Step:
        """Map over the devices; the step must sum over `axis_name` all that it returns."""
        mapped = jax.pmap(
            step,
            axis_name=self.axis_name,
            in_axes=(None, 0),
            out_axes=None,  # pyright: ignore[reportArgumentType]
            devices=self.devices,
            donate_argnums=(0,) if donate else (),
        )
        count = len(self.devices)

        def run(state: Any, batch: dict[str, Any]) -> Any:
            cut = {k: v.reshape(count, -1, *v.shape[1:]) for k, v in _pad(batch, count).items()}
            return mapped(state, cut)

        return _in_turn(run, self.devices)


def _in_turn(step: Step, devices: tuple[Device, ...]) -> Step:
    """On a CPU, let one step finish before the next begins.

    A device that sums with the others keeps a thread of XLA's pool, of as many threads as cores, until they arrive.
    With two steps in flight the first device can hold a thread for each of them, and the others never get one: the
    process hangs and XLA ends it after a minute. Accelerators queue their steps, and need no waiting.
    """
    if devices[0].platform != "cpu":
        return step
    return lambda state, batch: jax.block_until_ready(step(state, batch))


def _pad(batch: dict[str, Any], multiple: int) -> dict[str, Any]:
    """Lengthen a batch to a multiple of the devices with rows of zeros, which the mask leaves out."""
    missing = -len(batch["mask"]) % multiple
    if not missing:
        return batch
    return {k: np.concatenate([v, np.zeros((missing, *v.shape[1:]), v.dtype)]) for k, v in batch.items()}


def choose_parallel(batch_size: int) -> OneDevice | Sharded:
    """Return the way to run batches of `batch_size` on the devices that JAX sees.

    A device gets at least eight images: fewer cost more to hand out than they save.
    """
    devices = jax.devices()[: max(1, batch_size // 8)]
    return Sharded(tuple(devices)) if len(devices) > 1 else OneDevice(devices[0])
