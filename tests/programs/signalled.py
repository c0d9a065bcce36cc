"""`jaxfer` in a process that sends itself a signal, for tests: `python -m programs.signalled PLACE SIGNUM ARGUMENTS`.

PLACE is `module:name`, or `module:class.name`, of what the signal precedes the first call of; with an empty one none
comes.
"""

import importlib
import os
import sys


def signalled(place: str, signum: int) -> None:
    """Have this process send itself a signal once the function at a place is called."""
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    real = getattr(owner, name)

    def function(*arguments: object, **options: object) -> object:
        setattr(owner, name, real)
        os.kill(os.getpid(), signum)
        return real(*arguments, **options)

    setattr(owner, name, function)


def main() -> None:
    place, signum, *arguments = sys.argv[1:]
    if place:
        signalled(place, int(signum))
    from jaxfer.cli.main import main

    sys.argv = ["jaxfer", *arguments]
    main()


if __name__ == "__main__":
    main()
