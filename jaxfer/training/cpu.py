"""How a program prepares its process to train on a CPU, before JAX starts."""

import ctypes
import math
import os
import sys
from pathlib import Path

import jax

from jaxfer.errors import UserError


def use_cpu_cores() -> None:
    """Prepare this process to train on a CPU: every core a JAX device, and memory kept for the next step.

    XLA spreads the work inside one operation over the cores poorly: on two cores a step of the seed's network takes
    about half the time when each is a device of its own. Programs call this before JAX starts; importing jaxfer
    never does. How many of these devices a run then uses is for `choose_parallel` to say.

    Raises `UserError` where JAX has already started.
    """
    try:
        jax.config.update("jax_num_cpu_devices", cpu_cores())
    except RuntimeError as error:
        raise UserError("use_cpu_cores() comes too late, JAX has already started: call it first") from error
    _keep_freed_memory()


def cpu_cores() -> int:
    """Return how many cores this process may keep busy, at least 1.

    Those it may run on (`taskset`, a batch system), or fewer where a container is granted less time than they have:
    two processors' worth of 64 are 2, since devices that wait for each other would be stopped together. A part of a
    core does not count.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, math.floor(_granted(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")))))


def _granted(groups: Path, mounted: Path) -> float:
    """Return how many processors' worth of time Linux's control groups leave this process; a large number if all.

    groups: the file that names this process's groups. mounted: where their settings are.
    """
    try:
        names = [line.partition("::")[2] for line in groups.read_text().splitlines() if line.startswith("0::")]
        group = mounted / names[0].strip("/")
    except (OSError, IndexError):
        group = mounted  # no Linux, or one that has only groups of the first version
    quotas = [folder / "cpu.max" for folder in (group, *group.parents) if folder.is_relative_to(mounted)]
    limits = [file.read_text().split() for file in quotas if file.is_file()]
    old = [mounted / "cpu" / f"cpu.cfs_{name}_us" for name in ("quota", "period")]
    if all(file.is_file() for file in old):
        limits.append([file.read_text().strip() for file in old])
    return min((int(quota) / int(period) for quota, period in limits if quota not in ("max", "-1")), default=1e9)


def _keep_freed_memory() -> None:
    """Have glibc keep large freed blocks for the next step in place of handing them back to the system.

    XLA allocates a step's intermediate values anew each time. Handed back and asked for again, they cost a page fault
    for every 4 KiB: 16,460 faults and a fifth of the processor time in a step of the seed's network at batch 32.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:  # other C libraries have no such setting
        # One heap for all threads: those of other threads are at most 64 MiB each, and any larger block in them, such
        # as a step's at batch 256, is handed back whatever the thresholds say.
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
        mallopt(_M_TOP_PAD, 1 << 26)


_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8
"""Parameters of `mallopt`, from glibc's malloc.h."""
