"""Keep the numbers of a finished run as one JSON file: `python benchmarks/collect_run.py RUN_DIR results/NAME.json`.

The file holds the run's configuration, its row for every epoch, its summary and the machine's description, and
neither paths nor pictures of the machine it ran on. The tables in the documentation are made from such files.
"""

import json
import os
import platform
import sys
from pathlib import Path

from jaxfer.cli.program import run
from jaxfer.evaluation.finished_run import read_run


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


def machine() -> dict[str, str | int | None]:
    """Return the processor's name and the number of cores."""
    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
    }


if __name__ == "__main__":
    run(main)
