"""`jaxfer report`: the page and the figures of a run, of a sweep, or of a folder of both, made from their files."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from jaxfer.errors import UserError

OF_A_RUN = ("config.json", "metrics.jsonl", "summary.json")
"""Files of which a folder has one where it is a run's, whole or not."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write the report of a run, of a sweep, or of a folder of both, from their files.

    jaxfer report runs/first

    jaxfer report runs/first --figures paper/figures

    jaxfer report runs    (all runs in it: their curves over each other, and a table)
    """

    folder: tyro.conf.Positional[Path]
    """Folder of a finished run, or of a sweep or of several runs, finished or not; its report.html is written anew."""
    figures: Path | None = None
    """Folder for the figures of the report as PNG and SVG, one column of a paper wide."""

    def run(self) -> None:
        """Write the page, and the figures where they are asked for.

        Raises:
            UserError: The folder is none of a run or of a sweep and holds none, or a file cannot be read or written.
        """
        # Matplotlib takes long to import.
        from jaxfer.reports import paper_figures

        if not self.folder.is_dir():
            raise UserError(f"{self.folder} is no folder: pass that of a run, of a sweep, or of several runs")
        if _is_sweep(self.folder):
            from jaxfer.reports import write_sweep_report
            from jaxfer.sweeps import read_sweep

            sweep = read_sweep(self.folder)
            path, drawings = write_sweep_report(sweep), paper_figures.of_sweep(sweep)
        elif any((self.folder / name).is_file() for name in OF_A_RUN):
            from jaxfer.reports import write_report
            from jaxfer.reports.finished_run import read_run

            path, drawings = write_report(self.folder), paper_figures.of_run(read_run(self.folder))
        else:
            from jaxfer.reports import read_runs, write_runs_report
            from jaxfer.sweeps import read_sweep

            runs, inside = read_runs(self.folder), sorted(filter(_is_sweep, self.folder.iterdir()))
            if not (runs or inside):
                raise UserError(
                    f"{self.folder} is neither a run nor a sweep, and holds none: pass the folder of one, or of several"
                )
            path = write_runs_report(self.folder, runs, list(map(read_sweep, inside)))
            drawings = paper_figures.of_runs(runs)
        print(f"Report: {path}")
        if self.figures is not None:
            written = paper_figures.save_figures(drawings, self.figures)
            print(f"Figures: {len(written)} files in {self.figures}")


def _is_sweep(folder: Path) -> bool:
    return (folder / "sweep.json").is_file()
