"""How a program starts JAX, and the clock that says what a start takes."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jaxfer.errors import UserError


@dataclass(frozen=True, kw_only=True)
class ProcessFlags:
    """How a process finds the others that train the same run; by default it is alone."""

    cluster: bool = False
    """Train in all processes that SLURM, Open MPI, a TPU slice or Kubernetes started, as JAX recognises them."""
    coordinator: str | None = None
    """Without such a cluster: HOST:PORT where process 0 listens, the same in every process."""
    processes: int | None = None
    """Without such a cluster: how many processes there are."""
    process_id: int | None = None
    """Without such a cluster: which of them this is, from 0."""

    def __post_init__(self) -> None:
        if self.cluster and self._explicit:
            raise UserError("--cluster says itself who the processes are: drop it, or the other flags about them")

    @property
    def several(self) -> bool:
        """Whether there may be others."""
        return self.cluster or self._explicit

    @property
    def _explicit(self) -> bool:
        return any(value is not None for value in (self.coordinator, self.processes, self.process_id))


def start_jax(flags: ProcessFlags | None = None) -> "StartUp":
    """Prepare this process and import what training needs: every CPU core a device, compiled programs kept.

    Programs call this once, after reading their flags and before anything of JAX.

    Args:
        flags: How to join other processes; None joins none.

    Returns:
        The clock of the start, which may then `listen`, and is one of `fit`'s callbacks.

    Raises:
        UserError: JAX has already started or cannot start its devices, or
            `jaxfer.devices.distributed.join_processes` refuses.
    """
    start_up = StartUp()
    with start_up.part("import"):
        from jaxfer.devices.compile_cache import keep_compiled_programs
        from jaxfer.devices.cpu import tune_for_cpu
        from jaxfer.devices.distributed import join_processes
        from jaxfer.evaluation import summary  # noqa: F401 - all that a run imports
        from jaxfer.runs.checkpoints import Checkpoints  # noqa: F401

    tune_for_cpu()
    if flags is not None and flags.several:
        join_processes(flags.coordinator, flags.processes, flags.process_id)
    keep_compiled_programs()
    with start_up.part("devices"):
        _start_devices()
    return start_up


def prepare_to_predict() -> None:
    """Have this process keep the memory that it frees and the programs that it compiles: all that predicting needs."""
    from jaxfer.devices.compile_cache import keep_compiled_programs
    from jaxfer.devices.cpu import keep_freed_memory

    keep_freed_memory()
    keep_compiled_programs()


def _start_devices() -> None:
    """Have JAX start its devices, which it would do anywhere else, where the error would be taken for another."""
    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # AssertionError where a platform's plugin is not installed
        wanted = os.environ.get("JAX_PLATFORMS", "")
        what = f"the devices that JAX_PLATFORMS={wanted} names" if wanted else "its devices"
        said = f" ({str(error).splitlines()[0]})" if str(error) else ""
        raise UserError(
            f"JAX cannot start {what}{said}: install the JAX that is made for them, or set JAX_PLATFORMS=cpu"
        ) from error


class StartUp:
    """Seconds that the parts of a start take, until the first training step has ended.

    `import`, `devices` and whatever else is measured with `part`, `first_step`, and apart from all of these
    `compile`: tracing every program until then, and compiling it or loading it from the disk. It watches a run as a
    callback of `fit`.
    """

    def __init__(self) -> None:
        self._parts: dict[str, float] = {}
        self._spans: list[tuple[float, float]] = []
        self._programs = {"/jax/compilation_cache/cache_hits": 0, "/jax/core/compile/backend_compile_duration": 0}
        self._begun = 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Measure what happens inside, less what compiles there."""
        begun = time.time()
        yield
        self._end(name, begun)

    def listen(self) -> None:
        """Have JAX tell what it compiles, until the first step has ended."""
        from jax import monitoring

        monitoring.register_event_listener(self._event)
        monitoring.register_event_time_span_listener(self._span)

    def begin(self, run: Any) -> None:
        """Take note that a run begins its first step."""
        self._begun = time.time()

    def teach(self, done: int, images: int) -> None:
        """End the part of the start in which teachers see images, with the last of them."""
        if done == images:
            self._end("teachers", self._begun)
            self._begun = time.time()

    def step(self, step: int, loss: float) -> None:
        """End the start with the first step that has ended."""
        from jax import monitoring

        if "first_step" not in self._parts:
            self._parts["compile"] = _covered(self._spans, 0.0)
            self._end("first_step", self._begun)
            monitoring.unregister_event_listener(self._event)
            monitoring.unregister_event_time_span_listener(self._span)

    def epoch(self, row: dict[str, Any]) -> None:
        """Take no note of an epoch."""

    def end(self) -> None:
        """Take no note of the end."""

    def to_dict(self) -> dict[str, Any]:
        """Return the `start_up` object of `summary.json`: seconds, and how many programs were loaded or compiled."""
        loaded, programs = self._programs.values()
        seconds = {name: round(value, 3) for name, value in self._parts.items()}
        return {"seconds": seconds, "programs_loaded": loaded, "programs_compiled": programs - loaded}

    def _end(self, name: str, begun: float) -> None:
        self._parts[name] = time.time() - begun - _covered(self._spans, begun)

    def _event(self, event: str, **_: Any) -> None:
        if event in self._programs:
            self._programs[event] += 1

    def _span(self, event: str, start_time: float, end_time: float, **_: Any) -> None:
        if event.startswith("/jax/core/compile/"):
            self._spans.append((start_time, end_time))
            self._event(event)


def _covered(spans: list[tuple[float, float]], since: float) -> float:
    """Return how many seconds after `since` at least one span covers: a function's tracing holds those it calls."""
    total, reached = 0.0, since
    for begun, ended in sorted(spans):
        total += max(0.0, ended - max(begun, reached))
        reached = max(reached, ended)
    return total
