"""Write the network of a finished run as the folder that people share, and its numbers as one JSON file.

`python benchmarks/collect_weights.py RUN_DIR MODEL_DIR results/weights-NAME.json [results/weights-FIRST.json]`

The last is the file of the network that the run began with, if it began with one.

The network is that of the last epoch, which nothing has chosen. The numbers are those of the folder as it is read
back, its kernels rounded to float16, on the validation split of the run: of each way to show an image, of the images
without a copy in the training split, and, where the network has learnt votes, of what people saw. The model's card and
the tables in the documentation are made from the file, which holds no paths of the machine it was made on.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any, cast, get_args

import jax
import numpy as np
from arithmetic import operations
from contenders.case import Case
from machine import machine
from places import places

from jaxfer import FaceModel, UserError, load, load_model, load_run, save_model
from jaxfer.cli.program import run
from jaxfer.config import Views
from jaxfer.data.layouts.fer2013.votes import CHOICES, majority
from jaxfer.data.transforms import ViewGrid
from jaxfer.emotions import AFFECTNET_8, from_word
from jaxfer.evaluation import Evaluation, Predictions, evaluate, wilson_interval
from jaxfer.inference.model import WEIGHTS
from jaxfer.runs.checkpoints import Checkpoints
from jaxfer.runs.folder import CHECKPOINTS
from jaxfer.runs.load import Trained
from jaxfer.training.teachers import Teachers

LEFT_OUT = ("inputs", "environment", "data", "by", "checkpoint", "run", "calibration")
"""What of an evaluation is said elsewhere in the file, or belongs to the machine."""


def main() -> None:
    """Save, read back, evaluate, and write the numbers."""
    run_dir, folder, out, first = places(__doc__, "run_dir", "model_dir", "out", "first?")
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    begun = [line for line in lines if line["kind"] == "pretrained"]
    before = _runs_before([line["sha256"] for line in begun], [first] if first else [])
    trained = load_run(run_dir, "last")
    data = load(trained.config.data)
    save_model(FaceModel.of_run(trained, data.class_names), folder)
    model = load_model(folder)
    unrounded = dataclasses.replace(trained, model=model.network)
    stored = dataclasses.replace(unrounded, variables=model.variables)
    found = {views: evaluate(stored, data, views=views, without_copies=True) for views in get_args(Views)}
    exact = evaluate(unrounded, data).predictions
    summary = json.loads((run_dir / "summary.json").read_text())
    config, views = trained.config, {views: _numbers(one) for views, one in found.items()}
    last = {
        "epochs": config.epochs,
        "dtype": config.model.dtype,
        "learning_rate": config.optimizer.learning_rate,
        "drawn_anew": _layers([name for line in begun for name in line["missing"]]),
        "teachers": _teachers(trained),
        "seconds": summary["seconds"],
        "machine": machine(),
        "versions": summary["environment"],
        "scores": {name: views["one"][name] for name in ("accuracy", "macro_f1", "ece")}
        | {"intervals": {"accuracy": views["one"]["intervals"]["accuracy"]}},
        "history": [
            {name: row[name] for name in ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds")}
            for row in lines
            if row["kind"] == "epoch"
        ],
    }
    record = {
        "runs": [*before, last],
        "made": model.notes["made"],
        "train": {name: summary["train"][name] for name in ("split", "examples", "accuracy")},
        "network": {
            "parameters": sum(leaf.size for leaf in jax.tree.leaves(trained.variables["params"])),
            "multiply_adds": sum(operations(Case("infer", config.model.variant, 1), trained.model).values()) // 2,
        },
        "file": {
            "bytes": (folder / WEIGHTS).stat().st_size,
            "sha256": json.loads((folder / "config.json").read_text())["sha256"],
        },
        "float16": {
            "images": len(exact),
            "changed": {
                "expression": int((exact.predicted != found["one"].predictions.predicted).sum()),
                **({"votes": _votes_changed(exact, found["one"].predictions)} if "votes" in exact.heads else {}),
            },
        },
        "views": views,
        "votes": _votes(found["one"]) if "votes" in config.model.heads else None,
    }
    out.write_text(json.dumps(record, indent=1) + "\n")


def _runs_before(begun: list[str], first: list[Path]) -> list[dict[str, Any]]:
    """Return the runs that led to the weights of which the run notes the checksums, as the file of these has them."""
    files = [json.loads(path.read_text()) for path in first]
    if begun != [file["file"]["sha256"] for file in files]:
        raise UserError("the run began with other weights: pass the file of the network that it began with, or none")
    return [run for file in files for run in file["runs"]]


def _layers(arrays: list[str]) -> list[str]:
    """Return the layers of arrays such as `params/head/bias`, each once."""
    return list(dict.fromkeys(name.split("/")[1] for name in arrays))


def _teachers(trained: Trained) -> list[dict[str, Any]]:
    """Return which checkpoint of each teacher taught a run, as the hash that its own checkpoint holds has them.

    Releases before took the best checkpoint by validation accuracy, those of today take the last one.
    """
    folders, views = trained.config.distill.teachers, ViewGrid.of(trained.config.augment, 1)
    if not folders:
        return []
    with Checkpoints(trained.run_dir / CHECKPOINTS, read_only=True) as checkpoints:
        taught_by = checkpoints.notes(trained.step)["teachers"]
    for choice in ("last", "best"):
        runs = tuple(load_run(folder, choice) for folder in folders)
        if taught_by == Teachers(runs, views).fingerprint:
            return [{"epoch": run.epoch, "of": run.config.epochs, "chosen": run.chosen} for run in runs]
    raise UserError(
        "the run was taught by other teachers than its config names: put back the folders that it began with"
    )


def _numbers(one: Evaluation) -> dict[str, Any]:
    return {name: value for name, value in one.to_dict().items() if name not in LEFT_OUT}


def _votes_changed(exact: Predictions, stored: Predictions) -> int:
    return int((exact.heads["votes"][:, :8].argmax(1) != stored.heads["votes"][:, :8].argmax(1)).sum())


def _votes(one: Evaluation) -> dict[str, Any]:
    """Return how often the expression that most people saw is predicted, and is the label, by both rules in use.

    `majority` keeps the faces of which more than half of the votes are for one expression, single votes left out;
    `plurality` those of which no answer has more votes than an expression, the first in FER+'s order among equals.
    And `share`: how probable the network calls its own answer on average, beside the share of people who gave it.
    """
    counts = np.nan_to_num(cast(np.ndarray, one.split.columns["votes"])).astype(int)  # [n, 10]; NaN where unknown
    names = np.array([from_word(choice) or "" for choice in CHOICES])
    logits = one.predictions.heads["votes"][:, :8]  # of the expressions alone, as a model answers
    rows, top = np.arange(len(logits)), logits.argmax(1)
    seen = {
        "majority": np.array([from_word(majority(row) or "") for row in counts.tolist()]),
        "plurality": np.where(counts.any(axis=1), names[counts.argmax(axis=1)], ""),
    }
    labels = np.array(one.data.class_names)[one.split.labels]
    kept = np.where(counts > 1, counts, 0)[:, :8]  # as they are learnt
    voted, people = kept.any(axis=1), kept / np.maximum(kept.sum(axis=1, keepdims=True), 1)
    said = np.asarray(jax.nn.softmax(logits))
    return {
        "network": {rule: _agreement(names[top], classes) for rule, classes in seen.items()},
        "label": {rule: _agreement(labels, classes) for rule, classes in seen.items()},
        "share": {
            "examples": int(voted.sum()),
            "said": float(said[rows, top][voted].mean()),
            "people": float(people[rows, top][voted].mean()),
        },
    }


def _agreement(predicted: np.ndarray, seen: np.ndarray) -> dict[str, Any]:
    known = np.isin(seen, AFFECTNET_8)
    right, classes = (predicted == seen)[known], seen[known]
    there = [name for name in AFFECTNET_8 if name in classes]
    return {
        "examples": len(right),
        "accuracy": float(right.mean()),
        "interval": wilson_interval(float(right.mean()), len(right)),
        "recall": {
            name: {"recall": float(right[classes == name].mean()), "examples": int((classes == name).sum())}
            for name in there
        },
    }


if __name__ == "__main__":
    run(main)
