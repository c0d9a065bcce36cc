"""The `jaxfer` command."""

import tyro

from jaxfer.cli import program
from jaxfer.cli.data import Data


def main() -> None:
    """Read the command line, and do what it asks for."""
    flags = tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes
    program.run(lambda: tyro.extras.subcommand_cli_from_dict({"data": Data}, prog="jaxfer", config=flags).run())
