"""Where steps run: placement on devices, several processes, a CPU's cores, and the cache of compiled programs."""

from jaxfer.devices.cpu import keep_freed_memory, tune_for_cpu, use_cpu_cores
from jaxfer.devices.distributed import join_processes
from jaxfer.devices.placement import OneDevice, Pmapped, Sharded, choose_parallel

__all__ = [
    "OneDevice",
    "Pmapped",
    "Sharded",
    "choose_parallel",
    "join_processes",
    "keep_freed_memory",
    "tune_for_cpu",
    "use_cpu_cores",
]
