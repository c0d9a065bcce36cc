"""`jaxfer card`: what is to be said of the network of a run where it is shared."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from jaxfer.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Card:
    """Write the model card of a run, README.md in the form that model hubs read, from the files of the run alone.

    jaxfer card runs/first

    jaxfer export runs/first first --format model    (the network, and the card beside it)
    """

    folder: tyro.conf.Positional[Path]
    """Folder of a run, finished or not."""
    out: Path | None = None
    """The file, which must not exist; by default README.md in the folder."""
    network: str | None = None
    """Your own network as module:attribute, which is imported, for a run that was trained with one."""

    def run(self) -> None:
        """Write the file.

        Raises:
            UserError: The folder holds no run, or a damaged one; or the file exists or cannot be written.
        """
        from jaxfer.cli.export import opened
        from jaxfer.files import begin
        from jaxfer.inference.model import CARD
        from jaxfer.reports.card import model_card
        from jaxfer.runs.folder import is_run

        if not is_run(self.folder):
            raise UserError(f"{self.folder} is no run, of whose files alone a card is written: pass the folder of one")
        path = self.folder / CARD if self.out is None else self.out
        card = model_card(self.folder, opened(str(self.folder), self.network))
        with begin(path) as file:
            file.write(card)
        print(f"Card: {path}")
