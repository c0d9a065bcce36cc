"""Where steps run: placement on devices, processes that train together, a CPU's cores, compiled programs kept."""

from jaxfer.devices.cpu import use_cpu_cores
from jaxfer.devices.distributed import join_processes
from jaxfer.devices.placement import OneDevice, Pmapped, Sharded, choose_parallel

__all__ = ["OneDevice", "Pmapped", "Sharded", "choose_parallel", "join_processes", "use_cpu_cores"]
