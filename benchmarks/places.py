"""The places that scripts are given on their command lines."""

import argparse
from pathlib import Path
from typing import Any


def places(description: str | None, *names: str) -> list[Any]:
    """Return the paths that the command line gives, in order; what is wrong with it ends in a sentence.

    Args:
        description: What the script does.
        names: What each is: `out` is a file to write; of one that ends in `?` there may be none, which is None.
    """
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in names:
        kind = to_write if name == "out" else Path
        made.add_argument(name.rstrip("?"), type=kind, nargs="?" if name.endswith("?") else None)
    return list(vars(made.parse_args()).values())


def to_write(text: str) -> Path:
    """Return the path of a file to write, whose folder has to be there before anything is measured."""
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"the folder {path.parent} does not exist: make it")
    return path
