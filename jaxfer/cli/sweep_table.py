"""The table at the end of a sweep."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from jaxfer.sweeps import CellResult, SweepResult


def print_table(sweep: "SweepResult") -> None:
    """Print a line for each cell, and below it where the files are and what sharing saved."""
    taken, alone = sweep.epochs
    title = f"{len(sweep.rows)} cells after their last epoch, on {sweep.split or 'val'}, n = {sweep.examples:,}"
    table = Table(title=title)
    for path in sweep.fields:
        table.add_column(path.rpartition(".")[2], justify="right")
    for name in ("accuracy", "macro F1", "loss", "seconds", "run"):
        table.add_column(name, justify="left" if name == "run" else "right")
    for row in sweep.rows:
        values = [escape(str(value)) for value in row.values.values()]
        table.add_row(*values, *_outcome(row), style="bold" if row is sweep.best else None)
    console = Console(highlight=False)
    console.print(table)
    for row in sweep.rows:
        if row.reason:
            console.print(f"{row.run.name}: {row.reason}", soft_wrap=True, markup=False)
    if sweep.best is not None:
        console.print("The highest validation accuracy is in bold: it was chosen on the images it is measured on.")
    if taken < alone:
        console.print(f"Cells that share a run took {taken:,} epochs, {alone:,} one by one.")
    console.print(f"Table: {sweep.path / 'table.csv'}", soft_wrap=True, markup=False)


def _outcome(row: "CellResult") -> list[str]:
    name = f"{row.run.name.partition('-')[0]}{f', epoch {row.epoch}' if row.shared else ''}"
    if row.status != "finished":
        return [row.status, "", "", "", escape(name)]
    numbers = [f"{row.scores[name]:.4f}" for name in ("accuracy", "macro_f1", "loss")]
    return [*numbers, f"{row.seconds:.0f}", escape(name)]
