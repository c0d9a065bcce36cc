"""`jaxfer report`: the page and the figures of a run or of a sweep, made from its files."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from jaxfer.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write the report of a run or of a sweep from its files.

    jaxfer report runs/first

    jaxfer report runs/first --figures paper/figures
    """

    folder: tyro.conf.Positional[Path]
    """Folder of a finished run, or of a sweep, finished or not; its report.html is written anew."""
    figures: Path | None = None
    """Folder for the figures of the report as PNG and SVG, one column of a paper wide."""

    def run(self) -> None:
        """Write the page, and the figures where they are asked for.

        Raises:
            UserError: The folder is none of a run or of a sweep, or a file cannot be read or written.
        """
        # Matplotlib takes long to import.
        from jaxfer.reports import paper_figures

        if (self.folder / "sweep.json").is_file():
            from jaxfer.reports import write_sweep_report
            from jaxfer.sweeps import read_sweep

            sweep = read_sweep(self.folder)
            path, drawings = write_sweep_report(sweep), paper_figures.of_sweep(sweep)
        elif self.folder.is_dir():
            from jaxfer.reports import write_report
            from jaxfer.reports.finished_run import read_run

            path, drawings = write_report(self.folder), paper_figures.of_run(read_run(self.folder))
        else:
            raise UserError(f"{self.folder} is no folder: pass that of a run or of a sweep")
        print(f"Report: {path}")
        if self.figures is not None:
            written = paper_figures.save_figures(drawings, self.figures)
            print(f"Figures: {len(written)} files in {self.figures}")
