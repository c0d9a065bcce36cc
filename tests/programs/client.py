"""The parent of a program that `programs.server` forks: it passes on what it was given, signals too, and ends alike."""

import array
import json
import os
import resource
import signal
import socket
import sys


def main() -> None:
    address, *arguments = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, lambda signum, _: server.sendall(bytes([signum])))
        request = {"arguments": arguments, "folder": os.path.realpath("."), "environment": dict(os.environ)}
        message = json.dumps(request).encode()
        streams = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", range(3)))]
        server.sendmsg([len(message).to_bytes(4, "little")], streams)
        server.sendall(message)
        status = int.from_bytes(server.recv(4), "little", signed=True)
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
        os.kill(os.getpid(), -status)
    os._exit(status)


if __name__ == "__main__":
    main()
