"""Programs that tests start, each in a process of its own, and what they share."""

import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]


def command(name: str, *arguments: object) -> list[str]:
    """Return the command that runs one of these programs from the folder `TESTS`."""
    return [sys.executable, "-m", f"programs.{name}", *map(str, arguments)]


def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run one of these programs to its end."""
    options = {"capture_output": True, "text": True, "timeout": 600, "check": False}
    return subprocess.run(command(name, *arguments), cwd=TESTS, **options)
