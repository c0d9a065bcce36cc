"""Keep the numbers of a finished run as one JSON file: `python benchmarks/collect_run.py RUN_DIR results/NAME.json`.

The file holds the run's configuration, its row for every epoch, its summary and the machine's description, and
neither paths nor pictures of the machine it ran on. The tables in the documentation are made from such files.
"""

import json
import sys
from pathlib import Path

from machine import machine

from jaxfer.cli.program import run
from jaxfer.reports.finished_run import read_run


def main() -> None:
    """Read the run, leave out what belongs to this machine alone, and write the rest."""
    run_dir, out = map(Path, sys.argv[1:])
    run = read_run(run_dir)
    summary = dict(run.summary)
    summary["config"]["data"]["data_dir"] = None
    summary["data"] = {name: summary["data"][name] for name in ("left_out", "fingerprint")}
    for split in ("train", "val"):
        del summary[split]["calibration"]
    record = {"machine": machine(), "summary": summary, "history": run.history}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
