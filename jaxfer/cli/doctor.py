"""`jaxfer doctor`: what to paste into a report of a fault."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import tyro

from jaxfer.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Say what a report of a fault needs: versions, devices, what is granted, caches, and whether a self-test passes.

    jaxfer doctor

    jaxfer doctor ~/AffectNet --json

    It names neither you nor your folders: the home folder is shown as ~, and the data's as DATA.
    """

    data_dir: tyro.conf.Positional[Path | None] = None
    """Folder (or file) with labelled faces, whose layout is told, too."""
    json: bool = False
    """Print it as JSON, and nothing else, to the standard output."""

    def run(self) -> None:
        """Look, and print what was found.

        Raises:
            UserError: Something of it does not work.
        """
        from jaxfer.cli.start import start_jax

        with suppress(UserError, ImportError):  # which the examination finds, too, and tells with all else
            start_jax()
        from jaxfer.reports.doctor import examine, print_examination, problems

        found = examine(self.data_dir)
        if self.json:
            print(json.dumps(found, indent=2))
        else:
            print_examination(found)
        if wrong := problems(found):
            raise UserError("not all is well: " + "; ".join(f"{name}: {said}" for name, said in wrong.items()))
        if not self.json:
            print("all is well")
