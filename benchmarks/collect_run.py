"""Keep the numbers of a finished run as one JSON file: `python benchmarks/collect_run.py RUN_DIR OUT.json [N]`.

The file holds the run's configuration, its row for every epoch, its summary and the machine's description, and
neither paths nor pictures of the machine it ran on. With N it holds as well what the last network scores once the
statistics of its normalisation are measured anew on so many training images (`jaxfer evaluate --statistics-images`).
The tables in the documentation are made from such files.
"""

import json

from machine import machine
from places import places

from jaxfer import load, load_run
from jaxfer.cli.program import run
from jaxfer.evaluation import evaluate
from jaxfer.reports.finished_run import read_run

SCORES = ("split", "examples", "accuracy", "macro_f1", "cross_entropy", "ece", "intervals")


def main() -> None:
    """Read the run, leave out what belongs to this machine alone, and write the rest."""
    run_dir, out, number = places(__doc__, "run_dir", "out", "n?")
    images = int(str(number or 0))
    run = read_run(run_dir)
    summary = dict(run.summary)
    summary["config"]["data"]["data_dir"] = None
    summary["data"] = {name: summary["data"][name] for name in ("left_out", "fingerprint")}
    for split in ("train", "val"):
        del summary[split]["calibration"]
    record = {"machine": machine(), "summary": summary, "history": run.history}
    if images:
        trained = load_run(run_dir, "last")
        found = evaluate(trained, load(trained.config.data), statistics_images=images).to_dict()
        record["measured_anew"] = {"images": images} | {name: found[name] for name in SCORES}
    out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
