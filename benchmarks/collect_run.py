"""Keep the numbers of a finished run as one JSON file.

`python benchmarks/collect_run.py RUN_DIR results/NAME.json [EVALUATION]`

The file holds the run's configuration, its row for every epoch, its summary and the machine's description, and
neither paths nor pictures of the machine it ran on. EVALUATION is the evaluation.json of `jaxfer evaluate RUN_DIR
--statistics-images N`: what the same network scores with the statistics of its normalisation measured anew is then in
the file, too. The tables in the documentation are made from such files.
"""

import json

from machine import machine
from places import places

from jaxfer import UserError
from jaxfer.cli.program import run
from jaxfer.reports.finished_run import read_run

MEASURED_ANEW = ("statistics_images", "split", "examples", "accuracy", "macro_f1", "cross_entropy", "ece", "intervals")


def main() -> None:
    """Read the run, leave out what belongs to this machine alone, and write the rest."""
    run_dir, out, evaluation = places(__doc__, "run_dir", "out", "evaluation?")
    run = read_run(run_dir)
    summary = dict(run.summary)
    summary["config"]["data"]["data_dir"] = None
    summary["data"] = {name: summary["data"][name] for name in ("left_out", "fingerprint")}
    for split in ("train", "val"):
        del summary[split]["calibration"]
    record = {"machine": machine(), "summary": summary, "history": run.history}
    if evaluation:
        found = json.loads(evaluation.read_text())
        same = ("split", "examples")
        if not found["statistics_images"] or [found[name] for name in same] != [summary["val"][name] for name in same]:
            raise UserError(f"{evaluation} is no evaluation of {run_dir} with --statistics-images on its own split")
        record["measured_anew"] = {name: found[name] for name in MEASURED_ANEW}
    out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
