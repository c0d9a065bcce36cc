"""Keep what came of a sweep as one JSON file: `python benchmarks/collect_sweep.py SWEEP_DIR results/NAME.json`.

The file holds what was tried, a row for each cell, and the machine's description, and no path of the machine it ran
on. The tables and figures in the documentation are made from such files.
"""

import dataclasses
import json
import sys
from pathlib import Path

from machine import machine

from jaxfer.cli.program import run
from jaxfer.errors import UserError
from jaxfer.training.run_folder import read_rows
from jaxfer.training.sweep import read_sweep


def main() -> None:
    """Read the sweep, leave out what belongs to this machine alone, and write the rest."""
    sweep_dir, out = map(Path, sys.argv[1:])
    sweep = read_sweep(sweep_dir)
    summaries = [row.run / "summary.json" for row in sweep.rows]
    ended = [json.loads(file.read_text()) for file in dict.fromkeys(summaries) if file.exists()]
    if not ended:
        raise UserError(f"no run of {sweep_dir} has ended: there is nothing to keep")
    sweep.base["data"]["data_dir"] = None
    record = {
        "machine": machine(),
        "environment": ended[0]["environment"],
        "fingerprint": ended[0]["data"]["fingerprint"],
        "images": ended[0]["train"]["examples"],
        "train_split": ended[0]["train"]["split"],
        "base": sweep.base,
        "fields": sweep.fields,
        "search": sweep.search,
        "rows": [dataclasses.asdict(row) | {"run": row.run.name} for row in sweep.rows],
        "val_accuracy": {
            run.name: [line["val_accuracy"] for line in read_rows(run) if line["kind"] == "epoch"]
            for run in dict.fromkeys(row.run for row in sweep.rows)
        },
    }
    out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
