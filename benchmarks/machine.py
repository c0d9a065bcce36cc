"""What a measurement was made with."""

import os
import platform
from importlib.metadata import version
from pathlib import Path


def machine() -> dict[str, str | int | None]:
    """Return the processor's name and the number of cores."""
    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
    }


def versions(*packages: str) -> dict[str, str]:
    """Return the version of Python and of each package."""
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
