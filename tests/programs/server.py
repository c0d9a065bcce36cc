"""The process from which programs fork: `python -m programs.server PLACE`, where PLACE is a socket that listens.

It has imported what they need, starts nothing of it, and ends where its standard input does.
"""

import array
import json
import os
import runpy
import select
import signal
import socket
import sys
import warnings
from contextlib import suppress

import jaxfer.evaluation.summary
import jaxfer.reports.finish
import jaxfer.reports.run_page
import jaxfer.runs.checkpoints
import jaxfer.sweeps
import jaxfer.training  # noqa: F401


def serve(listening: socket.socket) -> dict:
    """Fork for whoever connects; return in the process that is to become a program, with what is asked of it."""
    while True:
        ready, _, _ = select.select([listening, sys.stdin], [], [])
        if sys.stdin in ready:
            os._exit(0)
        client, _ = listening.accept()
        if fork() == 0:
            listening.close()
            return begin(client)
        client.close()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:  # those that have ended
                pass


def begin(client: socket.socket) -> dict:
    """Fork a program, which this returns in; the other process waits for it."""
    head, streams, _, _ = client.recvmsg(4, socket.CMSG_LEN(3 * array.array("i").itemsize))
    (_, _, data), *_ = streams
    places, left = array.array("i", data), int.from_bytes(head, "little")
    message = b""
    while len(message) < left:
        message += client.recv(left - len(message))
    program = fork()
    if program == 0:
        client.close()
        for place, stream in zip(places, range(3), strict=True):
            os.dup2(place, stream)
            os.close(place)
        return json.loads(message)
    watched = os.pidfd_open(program)
    while True:
        ready, _, _ = select.select([watched, client], [], [])
        if watched in ready:
            _, status = os.waitpid(program, 0)
            client.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "little", signed=True))
            os._exit(0)
        asked = client.recv(1)
        os.kill(program, asked[0] if asked else signal.SIGKILL)  # which whoever waited has been
        if not asked:
            os._exit(0)


def fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads: those of NumPy, which know of it
        return os.fork()


def become(request: dict) -> None:
    """Run the program that is asked for, in its place, as if this process had begun with it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        place = getattr(sys, name).fileno()
        setattr(sys, name, open(place, mode, 1 if place == 2 else -1, errors="backslashreplace", closefd=False))  # noqa: SIM115
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    name, *arguments = request["arguments"]
    sys.argv = [name, *arguments]
    if os.environ.get("PYTHONWARNINGS") == "error":
        warnings.simplefilter("error")
    runpy.run_module(name, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    become(serve(socket.socket(fileno=int(sys.argv[1]))))
