"""How a program prepares its process for training on a CPU, before JAX starts."""

import ctypes
import math
import mmap
import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import jax

from jaxfer.errors import UserError


def tune_for_cpu() -> None:
    """Prepare this process to train on a CPU: every core a JAX device, and memory kept for the next step.

    XLA spreads the work inside one operation over the cores poorly: on two cores a step of the published network at
    batch 32 is 1.23 times as fast when each is a device of its own. Programs call this before JAX starts; importing
    jaxfer never does. How many of these devices a run then uses is for `choose_parallel` to say.

    Raises:
        UserError: JAX has already started.
    """
    try:
        jax.config.update("jax_num_cpu_devices", cpu_cores())
    except RuntimeError as error:
        raise UserError("tune_for_cpu() comes too late, JAX has already started: call it first") from error
    keep_freed_memory()


def use_cpu_cores() -> None:
    """Call `tune_for_cpu`, which had this name before, with a warning; for one release more."""
    warnings.warn("use_cpu_cores() is tune_for_cpu() now; the next release knows no other", FutureWarning, stacklevel=2)
    tune_for_cpu()


def cpu_cores() -> int:
    """Return how many cores this process may keep busy, at least 1.

    These are the cores it may run on (`taskset`, a batch system). There are fewer where a container grants it less
    time: two processors' worth of 64 are 2, since devices that wait for each other would be stopped together. A part
    of a core does not count.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, math.floor(_granted(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")))))


def _granted(groups: Path, mounted: Path) -> float:
    """Return how many processors' worth of time Linux's control groups grant this process; 1e9 without a limit.

    Args:
        groups: The file that names this process's groups.
        mounted: The folder of their settings.
    """
    quotas = [folder / "cpu.max" for folder in _folders(groups, mounted)]
    limits = [file.read_text().split() for file in quotas if file.is_file()]
    old = [mounted / "cpu" / f"cpu.cfs_{name}_us" for name in ("quota", "period")]
    if all(file.is_file() for file in old):
        limits.append([file.read_text().strip() for file in old])
    return min((int(quota) / int(period) for quota, period in limits if quota not in ("max", "-1")), default=1e9)


def granted_memory() -> int | None:
    """Return how many bytes of memory this process may take: the machine's, or less where a container grants less.

    None where the system does not say.
    """
    found = _memory_limits(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    with suppress(OSError, ValueError, AttributeError):  # Windows has no such call
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(found, default=None)


def _memory_limits(groups: Path, mounted: Path) -> list[int]:
    """Return the bytes of memory that Linux's control groups grant this process, one for each group that says so."""
    files = [folder / "memory.max" for folder in _folders(groups, mounted)]
    files.append(mounted / "memory" / "memory.limit_in_bytes")
    found = [file.read_text().strip() for file in files if file.is_file()]
    return [int(limit) for limit in found if limit not in ("max", "-1")]


def _folders(groups: Path, mounted: Path) -> list[Path]:
    """Return the folders of settings of this process's control group and of those around it.

    Args:
        groups: The file that names this process's groups.
        mounted: The folder of their settings.
    """
    try:
        names = [line.partition("::")[2] for line in groups.read_text().splitlines() if line.startswith("0::")]
        group = mounted / names[0].strip("/")
    except (OSError, IndexError):
        group = mounted  # no Linux, or one that has only groups of the first version
    return [folder for folder in (group, *group.parents) if folder.is_relative_to(mounted)]


def keep_freed_memory() -> None:
    """Have glibc keep large freed blocks for the next step in place of handing them back to the system.

    It holds for the whole process, so programs call it, and importing jaxfer never does: `tune_for_cpu` for those that
    train, by itself for those that predict. Elsewhere than on Linux it does nothing.

    XLA allocates a step's intermediate values anew each time. Handed back and asked for again, they cost a page fault
    for every 4 KiB: 16,460 faults and a fifth of the processor time in a step of the published network at batch 32.

    All threads share a heap. Those of other threads hold at most 64 MiB each, and a larger block in them is handed
    back whatever the thresholds say: on two cores with AVX2 a step of the published network at batch 64 takes 1.38
    times as long with them, at batch 32, where its blocks fit, as long as with one (1.02, 0.995 to 1.037).
    """
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if library is not None and hasattr(library, "mallopt"):  # other C libraries have no such settings
        library.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        library.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
        library.mallopt(_M_TOP_PAD, 1 << 26)
        library.mallopt(_M_ARENA_MAX, 1)
        _ask_for_huge_pages(library, size=(1 << 30) - (1 << 20))  # below the threshold: of the heap


def _ask_for_huge_pages(library: ctypes.CDLL, *, size: int) -> None:
    """Grow the heap by `size` bytes, which take memory once they are used, in pages of 2 MiB where the system has them.

    A step touches more pages of 4 KiB than a processor remembers the places of. In turns with the same step without
    huge pages, on two cores with AVX2: ResNetFER18 is 1.05 times as fast at batch 32, the published one 1.08 at 256.
    """
    library.malloc.argtypes, library.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    library.free.argtypes = [ctypes.c_void_p]
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    block = library.malloc(size)
    if block is not None:
        begin = -(-block // mmap.PAGESIZE) * mmap.PAGESIZE
        library.madvise(begin, block + size - begin, mmap.MADV_HUGEPAGE)
        library.free(block)


_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8
"""Parameters of `mallopt`, from glibc's malloc.h."""
