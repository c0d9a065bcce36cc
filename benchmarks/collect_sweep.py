"""Keep what came of a sweep as one JSON file: `python benchmarks/collect_sweep.py SWEEP_DIR results/NAME.json`.

The file holds what was tried, a row for each cell, and the machine of each run, and no path of the machine it ran on.
The tables and figures in the documentation are made from such files. Where the file exists, the cells of the sweep that
have ended are added to it, so that a grid can be trained in parts, on several machines.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from machine import machine
from places import places

from jaxfer.cli.program import run
from jaxfer.errors import UserError
from jaxfer.runs.folder import SUMMARY, read_rows
from jaxfer.sweeps import SweepResult, read_sweep
from jaxfer.sweeps.results import has_ended

SAME = ("environment", "fingerprint", "images", "train_split", "base", "search")
"""What the parts of one file have in common."""


def main() -> None:
    """Read the sweep, leave out what belongs to this machine alone, and write the rest or add it to the file."""
    sweep_dir, out = places(__doc__, "sweep_dir", "out")
    record = collected(read_sweep(sweep_dir))
    if out.exists():
        record = added(record, json.loads(out.read_text()), out)
    out.write_text(json.dumps(record, indent=1) + "\n")


def collected(sweep: SweepResult) -> dict[str, Any]:
    """Return what is kept of a sweep. Raises `UserError` where none of its runs has ended."""
    runs = dict.fromkeys(row.run for row in sweep.rows)
    ended = [json.loads((run / SUMMARY).read_text()) for run in runs if (run / SUMMARY).exists()]
    if not ended:
        raise UserError(f"no run of {sweep.path} has ended: there is nothing to keep")
    sweep.base["data"]["data_dir"] = None
    return {
        "environment": ended[0]["environment"],
        "fingerprint": ended[0]["data"]["fingerprint"],
        "images": ended[0]["train"]["examples"],
        "train_split": ended[0]["train"]["split"],
        "base": sweep.base,
        "fields": sweep.fields,
        "search": sweep.search,
        "rows": [dataclasses.asdict(row) | {"run": row.run.name} for row in sweep.rows],
        "runs": {
            run.name: {
                "machine": machine(),
                "val_accuracy": [line["val_accuracy"] for line in read_rows(run) if line["kind"] == "epoch"],
            }
            for run in runs
            if has_ended(run)
        },
    }


def added(part: dict[str, Any], whole: dict[str, Any], out: Path) -> dict[str, Any]:
    """Return the record in the file `out` and in it the ended cells of a part of its grid."""
    for name in SAME:
        if part[name] != whole[name]:
            raise UserError(f"{out} is of another {name}: name another file")
    for row in part["rows"]:
        cells = [cell for cell in whole["rows"] if cell["values"] == row["values"]]
        if not cells:
            raise UserError(f"{out} has no cell of {row['values']}: name another file")
        [cell] = cells
        if row["run"] not in part["runs"]:
            continue
        if cell["status"] == "unfinished":
            whole["runs"][cell["run"]] = part["runs"][row["run"]]
            cell |= row | {"run": cell["run"]}
        elif cell["scores"] != row["scores"]:
            raise UserError(f"{out} has another result of {row['values']}: name another file")
    return whole


if __name__ == "__main__":
    run(main)
