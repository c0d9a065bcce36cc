"""The command `jaxfer`, run in the process of a test."""

import sys

import pytest

from jaxfer.cli.main import main


def jaxfer(*arguments: object) -> int:
    """Run the command with arguments and return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["jaxfer", *map(str, arguments)])
        try:
            main()
        except SystemExit as ended:
            return int(ended.code or 0)
    return 0
