"""Programs that tests start, each in a process of its own, and what they share.

Importing all of jaxfer takes as long as a small run does. So most of these processes fork from one that has imported
it, `programs.server`, which each process of tests has one of; they start with `programs.client`, as whose children
they look.
"""

import atexit
import functools
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parents[1]


def command(name: str, *arguments: object) -> list[str]:
    """Return the command that runs one of these programs from the folder `TESTS`, in one that imports by itself."""
    return [sys.executable, "-m", f"programs.{name}", *map(str, arguments)]


def forked(name: str, *arguments: object) -> list[str]:
    """Return the command that runs one of these programs in a process in which jaxfer has been imported."""
    client = TESTS / "programs" / "client.py"
    return [sys.executable, "-S", str(client), _server(), f"programs.{name}", *map(str, arguments)]


def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run one of these programs to its end."""
    options = {"capture_output": True, "text": True, "timeout": 600, "check": False}
    return subprocess.run(forked(name, *arguments), cwd=TESTS, **options)


@functools.cache
def _server() -> str:
    """Start the process from which others fork, and return its address. It ends with this one."""
    folder = tempfile.TemporaryDirectory()
    address = f"{folder.name}/programs"
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen()
    place = listening.fileno()
    command = [sys.executable, "-m", "programs.server", str(place)]
    server = subprocess.Popen(command, cwd=TESTS, pass_fds=[place], stdin=subprocess.PIPE)
    listening.close()
    atexit.register(_end, server, folder)
    return address


def _end(server: subprocess.Popen[bytes], folder: tempfile.TemporaryDirectory[str]) -> None:
    server.communicate()  # which closes what it reads
    folder.cleanup()
