"""Teachers and the small network that learns from them, on FER2013, for an accelerator lent for minutes.

`python benchmarks/teach_fer2013.py results/teach_fer2013-NAME.json --data FER2013 --runs DIR --minutes 9`

FER2013 is an npz of its rows; with FER+'s votes in it, all learn those too. DIR gets a folder for each run, which goes
on where it stopped if the script is called again, and `model`, the student as people share it. Teachers are trained one
after another as long as another one and the student fit into the minutes; then how long an epoch of the student takes
is measured, and it gets as many as fit. All are scored on PublicTest after their last epoch, which nothing chooses.

On a CPU, to see that it runs: `--images 256 --teacher small --teachers 1 --teacher-epochs 1 --student-epochs 2`.
"""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from command import keep, parser
from machine import versions

from jaxfer.config import PRESETS, Config, DistillConfig
from jaxfer.data.dataset import Dataset, Split
from jaxfer.emotions import AFFECTNET_7, FER2013
from jaxfer.evaluation import ensemble, evaluate, summarize
from jaxfer.files import write
from jaxfer.inference import FaceModel, save_model
from jaxfer.runs import load_run
from jaxfer.runs.folder import SUMMARY, read_config
from jaxfer.training import fit

STUDENT_SHARE = 0.3
"""Of the minutes: what is left for the student when the last teacher begins."""

SPARE = 0.85
"""How much of the remaining time the student's epochs may take, so that scoring and saving fit too."""


def main() -> None:
    """Train, score, and keep what there is after each run."""
    made = parser(__doc__)
    made.add_argument("--minutes", type=float, default=9)
    made.add_argument("--teacher", choices=("strong", "small"), default="strong", help="the preset of the teachers")
    made.add_argument("--teachers", type=int, default=5, help="most teachers")
    made.add_argument("--teacher-epochs", type=int, default=40)
    made.add_argument("--student-epochs", type=int, default=300, help="most epochs of the student")
    made.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    made.add_argument("--images", type=int, help="take the first of each split alone, to try the script")
    made.add_argument("--data", type=Path, required=True, help="an npz of FER2013")
    made.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    asked = made.parse_args()
    begun = time.monotonic()

    def left() -> float:
        return 60 * asked.minutes - (time.monotonic() - begun)

    base = dataclasses.replace(PRESETS[asked.teacher].data, data_dir=asked.data)
    data = read(asked.data, asked.images)
    heads = ("votes",) if "votes" in data.train.columns else ()
    found: dict[str, Any] = {"versions": versions("jaxfer", "jax", "flax", "optax", "numpy"), "runs": []}

    def config(preset: str, **more: Any) -> Config:
        one = PRESETS[preset]
        model = dataclasses.replace(one.model, heads=heads, dtype=asked.dtype)
        return dataclasses.replace(one, data=base, model=model, **more)

    teachers, slowest = [], 0.0
    while len(teachers) < asked.teachers and (not teachers or left() - slowest > STUDENT_SHARE * 60 * asked.minutes):
        folder, since = asked.runs / f"teacher-{len(teachers)}", time.monotonic()
        found["runs"].append(
            trained(config(asked.teacher, epochs=asked.teacher_epochs, seed=len(teachers)), data, folder)
        )
        teachers.append(folder)
        slowest = max(slowest, time.monotonic() - since)
        keep(asked, found)
    if len(teachers) > 1:
        together = ensemble([evaluate(load_run(folder, "last"), data, views="ten") for folder in teachers])
        found["ensemble"] = {"views": "ten", "val": numbers(together.to_dict())}
    distill = DistillConfig(teachers=tuple(teachers))
    if (asked.runs / "student" / "config.json").exists():
        student = read_config(asked.runs / "student")
    else:
        fits = affordable(config("small", epochs=2, distill=distill), data, asked.runs, left)
        student = config("small", epochs=min(asked.student_epochs, fits), distill=distill)
    found["runs"].append(trained(student, data, asked.runs / "student"))
    keep(asked, found)
    if not (asked.runs / "model").exists():
        save_model(FaceModel.of_run(load_run(asked.runs / "student", "last"), data.class_names), asked.runs / "model")


def read(file: Path, images: int | None) -> Dataset:
    """Return Training and PublicTest of an npz of FER2013, or the first images of each, as `jaxfer.load` does.

    That would import libraries that a lent accelerator may lack.
    """
    with np.load(file, allow_pickle=False) as arrays:
        pixels, codes, usage = arrays["images"], arrays["labels"], arrays["usage"]
        votes = arrays["ferplus_votes"] if "ferplus_votes" in arrays.files else None
    labels = np.array([AFFECTNET_7.index(name) for name in FER2013], np.int32)[codes]
    splits = {}
    for code, (key, name) in enumerate({"train": "Training", "val": "PublicTest"}.items()):
        rows = np.flatnonzero(usage == code)[:images]
        columns = {} if votes is None else {"votes": votes[rows].astype(np.float32)}
        splits[key] = Split(name, np.repeat(pixels[rows, :, :, None], 3, axis=3), labels[rows], columns)
    return Dataset(splits, AFFECTNET_7, source="FER2013", left_out={})


def affordable(config: Config, data: Dataset, runs: Path, left: Any) -> int:
    """Return how many epochs of a student fit into the time that is left, from the second of two; at least 2.

    Its teachers see the images on the way, and what they say is kept for the student.
    """
    _, rows = fit(config, data, run_dir=runs / "measured", resume=(runs / "measured" / "config.json").exists())
    (kept,) = (runs / "measured").glob("teachers-*.npz")
    (runs / "student").mkdir(exist_ok=True)
    if not (runs / "student" / kept.name).exists():
        write(kept.read_bytes(), runs / "student" / kept.name)
    return max(2, int(SPARE * left() / (rows[1]["seconds"] - rows[0]["seconds"])))


def trained(config: Config, data: Dataset, folder: Path) -> dict[str, Any]:
    """Train a run, or go on with it, and return its numbers."""
    state, history = fit(config, data, run_dir=folder, resume=(folder / "config.json").exists())
    summary = summarize(config, data, state, history)
    write(json.dumps(summary) + "\n", folder / SUMMARY)
    run = load_run(folder, "last")
    made = summary["config"] | {"data": None, "distill": {"teachers": len(config.distill.teachers)}}
    found = {
        "name": folder.name,
        "config": made,
        "seconds": summary["seconds"],
        "device": jax.devices()[0].device_kind,
        "val": {views: numbers(evaluate(run, data, views=views).to_dict()) for views in ("one", "ten")},
    }
    print(folder.name, *(f"{views}: {one['accuracy']:.4f}" for views, one in found["val"].items()), flush=True)
    return found


def numbers(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Return what of an evaluation tables show."""
    names = ("split", "examples", "accuracy", "macro_f1", "ece", "ece_by_chance", "cross_entropy", "intervals")
    return {name: evaluation[name] for name in names}


if __name__ == "__main__":
    main()
