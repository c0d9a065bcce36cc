"""Folders of runs and of sweeps, written by hand as training writes them."""

import itertools
import json
import math

import jax
import numpy as np

from jaxfer.config import PRESETS, to_json
from jaxfer.metrics.metrics import Metrics

SUMS = jax.jit(Metrics.of_batch)
"""One program, where without it each operation is one."""
NAMES = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger")


def scores(split, n, names=NAMES, skill=1.0):
    rng = np.random.default_rng(n)
    labels = rng.integers(0, 7, n).astype(np.int32)
    logits = rng.normal(size=(n, 7)).astype(np.float32) + skill * np.eye(7, dtype=np.float32)[labels]
    return SUMS(logits, labels, np.full(n, True)).compute(names).to_dict() | {"split": split}


VAL, TRAIN = scores("val", 211), scores("train", 1905, skill=3.0)
MEASURES = ("accuracy", "balanced_accuracy", "macro_f1", "cross_entropy", "mse", "r2")
CHANCE = {"mean": 0.052, "percentile_95": 0.071}


def with_intervals(summary):
    """Return a summary as runs write them now: each score of both splits between two bounds, or beside chance."""

    def known(split):
        bounds = {name: [split[name] - 0.031, split[name] + 0.032] for name in MEASURES}
        return split | {"intervals": bounds, "ece_by_chance": CHANCE}

    return summary | {"train": known(summary["train"]), "val": known(summary["val"])}


def epoch(number, val_accuracy, **others):
    line = {"kind": "epoch", "epoch": number, "step": 60 * number, "seconds": 9.0 * number, "learning_rate": 0.001}
    line |= {"loss": 2 / number, "accuracy": 1 - 1 / (number + 1), "val_loss": 1.5, "val_accuracy": val_accuracy}
    return line | {"val_macro_f1": 0.3, "val_mse": 0.1, "val_r2": 0.1} | others


HISTORY = [epoch(1, 0.25), epoch(2, 0.40), epoch(3, 0.40), epoch(4, VAL["accuracy"] - 0.2)]
SUMMARY = {
    "config": json.loads(to_json(PRESETS["demo"])),
    "epochs": 4,
    "steps": 240,
    "seconds": 36.5,
    "train": TRAIN,
    "val": VAL,
    "checkpoint": {"epoch": 4, "step": 240, "chosen": "last"},
    "best": {"epoch": 3, "val_accuracy": 0.40, "val_loss": 1.5},
    "data": {
        "source": "AffectNet folder: faces",
        "warnings": ["train has 40 images for the 287,651 of AffectNet, March 2021 (happy 5 for 134,415)"],
        "left_out": {"unreadable": 1, "other class": 12},
        "unreadable": [["faces/12.jpg", "truncated"]],
        "fingerprint": "9f2c",
    },
    "environment": {"jaxfer": "0.1.0", "jax": "0.10.2", "device": "cpu", "devices": 1},
}


def write_run(folder, summary=SUMMARY, history=HISTORY, config=None):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(to_json(PRESETS["demo"]) if config is None else json.dumps(config))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in history))
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def fifty_epochs():
    """Return the history of a run that overfits: fifty epochs, the best before the last."""
    return [
        epoch(n, 0.55 - 0.25 * math.exp(-n / 6) - n / 900 + 0.02 * math.sin(5 * n), val_loss=2 - n / 40 + n * n / 1500)
        for n in range(1, 51)
    ]


RATES_BY_EPOCHS = {"optimizer.learning_rate": [0.01, 0.001, 0.0001], "epochs": [2, 3, 5]}


def accuracy(values, epoch):
    """Return something that is best at the rate 0.001 and grows with the epochs, and differs from seed to seed."""
    rate = values.get("optimizer.learning_rate", 0.001)
    return 0.5 - 0.05 * abs(math.log10(rate) + 3) + 0.01 * epoch - 0.02 * values.get("seed", 0)


def write_sweep(folder, fields, accuracy, failed=(), unfinished=(), search="grid", cells=None):
    """Write the folder of a sweep of which a run serves all cells that differ in nothing but the number of epochs.

    accuracy: of a cell by its values and an epoch. failed, unfinished: runs by their number, in order. cells: the
    values of each cell, where they are no grid.
    """
    cells = cells or [dict(zip(fields, values, strict=True)) for values in itertools.product(*fields.values())]
    runs, listed = {}, []
    for values in cells:
        key = json.dumps({name: value for name, value in values.items() if name != "epochs"})
        name = runs.setdefault(key, f"{len(runs) + 1:02}-run")
        listed.append({"values": values, "run": f"cells/{name}", "epoch": values.get("epochs", 6)})
    for number, name in enumerate(runs.values()):
        path = folder / "cells" / name
        path.mkdir(parents=True)
        mine = [cell for cell in listed if cell["run"] == f"cells/{name}"]
        if number in failed:
            ending = {"reason": f"the loss became nan in {name}", "val": {"split": "val", "examples": 211}}
            (path / "failure.json").write_text(json.dumps(ending))
            continue
        last = max(cell["epoch"] for cell in mine)
        rows = [epoch(n, accuracy(mine[0]["values"], n)) for n in range(1, last + 1)]
        (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        if number not in unfinished:
            (path / "summary.json").write_text(json.dumps(SUMMARY | {"val": {"split": "val", "examples": 211}}))
            (path / "report.html").write_text("<title>a run</title>")
    index = {"base": json.loads(to_json(PRESETS["demo"])), "fields": fields, "search": search, "cells": listed}
    (folder / "sweep.json").write_text(json.dumps(index))
    return folder
