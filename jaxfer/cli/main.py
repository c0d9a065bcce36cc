"""The `jaxfer` command."""

import sys
from collections.abc import Sequence
from typing import Annotated, Any, Union

import tyro

from jaxfer.cli import program, refusals
from jaxfer.cli.card import Card
from jaxfer.cli.data import Data
from jaxfer.cli.demo import Demo
from jaxfer.cli.doctor import Doctor
from jaxfer.cli.evaluate import Evaluate
from jaxfer.cli.export import Export
from jaxfer.cli.lists import parted
from jaxfer.cli.new_names import with_new_names
from jaxfer.cli.predict import Predict
from jaxfer.cli.report import Report
from jaxfer.cli.sweep import Sweep
from jaxfer.cli.train import Train
from jaxfer.version import __version__

VERBS = {
    "train": Train,
    "sweep": Sweep,
    "evaluate": Evaluate,
    "report": Report,
    "predict": Predict,
    "demo": Demo,
    "export": Export,
    "card": Card,
    "data": Data,
    "doctor": Doctor,
}
"""What the command can do; each has a `run`. One whose defaults depend on the arguments has `defaults` too."""

ABOUT = """Facial-expression recognition in JAX: from labelled faces to a network and a number you can defend.

Exit codes: 0 done; 1 an error of jaxfer itself, with its traceback; 2 something you can fix, which the message says;
130 and 143 stopped by Ctrl-C and SIGTERM, with what was done saved.

Completion: jaxfer --tyro-write-completion bash FILE writes the script for bash, as for zsh and fish.
"""


def main() -> None:
    """Read the command line, and do what it asks for."""
    if sys.argv[1:] == ["--version"]:
        print(f"jaxfer {__version__}")
        return
    program.run(lambda: parse(sys.argv[1:]).run())


def parse(arguments: Sequence[str]) -> Any:
    """Return the verb that the arguments name, with their flags."""
    arguments = parted(with_new_names(arguments))
    verbs = tuple(Annotated[verb, _named(name, verb, arguments)] for name, verb in VERBS.items())
    any_verb: Any = Union[verbs]  # noqa: UP007 - made of a tuple
    flags = tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes
    with refusals.raised():
        return tyro.cli(any_verb, args=arguments, prog="jaxfer", description=ABOUT, config=flags)


def _named(name: str, verb: Any, arguments: Sequence[str]) -> object:
    if not hasattr(verb, "defaults"):
        return tyro.conf.subcommand(name)
    return tyro.conf.subcommand(name, default=verb.defaults(arguments[1:] if arguments[:1] == [name] else []))
