"""What a measurement was made with."""

import os
import platform
import subprocess
import sys
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def machine() -> dict[str, str | int | None]:
    """Return the processor's name, its widest vector instructions and the number of cores."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    said = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = said.get("flags", "").split()
    return {
        "processor": said.get("model name", platform.processor()),
        "vectors": "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else None,
        "cores": os.cpu_count(),
        "system": platform.system(),
    }


@cache
def accelerator() -> str | None:
    """Return the kind of JAX's first device, such as `NVIDIA H100 80GB HBM3`, or None where that is a CPU.

    A process of its own asks, so that this one starts nothing and takes no memory of the device.
    """
    ask = "import jax; device = jax.devices()[0]; print(device.platform, device.device_kind, sep='|')"
    said = subprocess.run([sys.executable, "-c", ask], stdout=subprocess.PIPE, text=True, check=True).stdout
    platform_name, _, kind = said.strip().rpartition("\n")[2].partition("|")
    return None if platform_name == "cpu" else kind


def versions(*packages: str) -> dict[str, str]:
    """Return the version of Python and of each package."""
    return {"python": platform.python_version()} | {name: _version(name) for name in packages}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # jaxfer that is on the path alone, as where nothing can be installed
        return import_module(package).__version__
