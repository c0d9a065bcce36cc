"""What each part of the recipe is worth: `python benchmarks/ablation.py OUT.json FER2013 [--only NAME ...]`.

The recipe is that of the preset `fast`, 20 epochs, with FER+'s votes as a second head; the network is half as wide as
the one that ships, so that a run takes two cores about half an hour. Each run leaves one part of the recipe away,
or adds one, all else being equal, seed 0 and with it the first parameters and the order of the images included. One run
is of another seed: what chance alone does. What needs no run of its own, the average of the parameters, statistics
measured anew and views, is measured on the first run.

All is of the last epoch on PublicTest. Each is held against the first run on the same images by McNemar's test; the
interval of the difference says nothing about another seed. The file keeps which images each got right. Where it exists,
what it has is kept, and the runs that it lacks are added, by this machine; a run that was interrupted goes on.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from arithmetic import operations
from contenders.case import Case
from machine import machine, versions
from places import to_write

from jaxfer import PRESETS, Config, UserError, fit, load
from jaxfer.cli.program import run
from jaxfer.config import AugmentConfig, ModelConfig
from jaxfer.data import Dataset
from jaxfer.devices import tune_for_cpu
from jaxfer.devices.compile_cache import keep_compiled_programs
from jaxfer.evaluation import mcnemar, predict_split, wilson_interval
from jaxfer.models import Network, variable_shapes
from jaxfer.tasks import make_network
from jaxfer.training import measure_statistics

WHOLE = "the recipe"
"""The run that the others are held against."""

STATISTICS_IMAGES = PRESETS["fast"].optimizer.statistics_images

RECIPE = replace(
    PRESETS["fast"],
    model=replace(PRESETS["fast"].model, heads=("votes",)),
    # Measured anew after training, so that the run itself shows what that is worth: it changes nothing else.
    optimizer=replace(PRESETS["fast"].optimizer, statistics_images=0),
)

RUNS: dict[str, Config] = {
    WHOLE: RECIPE,
    "without augmentation": replace(RECIPE, augment=AugmentConfig()),
    "without FER+'s votes": replace(RECIPE, model=replace(RECIPE.model, heads=())),
    "without standardizing each image": replace(RECIPE, model=replace(RECIPE.model, standardize=False)),
    "another seed": replace(RECIPE, seed=1),
    "with mixup of 0.2": replace(RECIPE, augment=replace(RECIPE.augment, mixup=0.2)),
    "with squeeze-and-excitation": replace(RECIPE, model=replace(RECIPE.model, squeeze=8)),
    "weight decay of 0.0001 in place of 0.0005": replace(
        RECIPE, optimizer=replace(RECIPE.optimizer, weight_decay=1e-4)
    ),
    "without label smoothing": replace(RECIPE, loss=replace(RECIPE.loss, label_smoothing=0.0)),
}


def main() -> None:
    """Train what is lacking, compare, and keep."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("out", type=to_write, help="JSON file to write, or to add to")
    made.add_argument("fer2013", type=Path, help="an npz of FER2013's rows and FER+'s votes")
    made.add_argument("--runs", type=Path, default=Path("runs/ablation"), help="folder of the runs")
    made.add_argument("--only", nargs="+", choices=list(RUNS), default=list(RUNS), metavar="NAME", help="which of them")
    made.add_argument("--epochs", type=int, default=RECIPE.epochs)
    asked = made.parse_args()
    tune_for_cpu()
    keep_compiled_programs()  # once for all runs
    data = load(replace(RECIPE.data, data_dir=asked.fer2013))
    if "votes" not in data.train.columns or data.source.startswith("FER+"):
        raise UserError(f"{asked.fer2013} has no FER2013 labels with FER+'s votes beside them: pass an npz with both")
    same = {
        "epochs": asked.epochs,
        "train": {"split": data.train.name, "examples": len(data.train)},
        "val": {"split": data.val.name, "examples": len(data.val)},
        "fingerprint": data.fingerprint,
        "network": counted(network(RECIPE.model)),
    }
    record = begun(asked.out, same)
    for name in asked.only:
        if name in [row["name"] for row in record["rows"]]:
            continue
        rows = trained(name, replace(RUNS[name], epochs=asked.epochs), data, asked.runs / name.replace(" ", "-"))
        record["rows"] += rows
        compared(record["rows"], len(data.val))
        asked.out.write_text(json.dumps(record, indent=1) + "\n")
        for row in rows:
            print(f"{row['name']}: {row['scores']['accuracy']:.4f}", flush=True)


def begun(out: Path, same: dict[str, Any]) -> dict[str, Any]:
    """Return what the file has; what all of its runs have in common, and no row, where there is none."""
    if not out.exists():
        return same | {"rows": []}
    record = json.loads(out.read_text())
    differ = [name for name in same if record.get(name) != same[name]]
    if differ:
        raise UserError(f"{out} has runs with other {differ[0]}: name another file")
    return record


def network(config: ModelConfig) -> Network:
    """Return the network that a config names, half as wide."""
    whole: Any = make_network(config, RECIPE.data.num_classes)
    return replace(whole, width=whole.width // 2)


def counted(model: Any) -> dict[str, int]:
    """Return the values of a network, and its multiply-adds for one image."""
    case = Case("infer", "small", 1)
    return {
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(variable_shapes(model, case.side)["params"])),
        "multiply_adds": sum(operations(case, model).values()) // 2,
    }


def trained(name: str, config: Config, data: Dataset, folder: Path) -> list[dict[str, Any]]:
    """Return the row of a run, and, of the whole recipe, those of what its network tells besides."""
    model = network(config.model)
    # What the network itself decides is no business of the config of one's own network.
    own = replace(config.model, gray=False, standardize=False, dropout=0.0, squeeze=None)
    config = replace(config, model=own)
    state, history = fit(config, data, run_dir=folder, resume=folder.exists(), model=model)
    about = {"seconds": history[-1]["seconds"], "machine": machine()}
    about["versions"] = versions("jaxfer", "jax", "flax", "optax", "numpy")

    def row(title: str, params: Any, *, anew: bool = True, views: Any = "one") -> dict[str, Any]:
        variables = {"params": params, "batch_stats": state.batch_stats}
        if anew:
            options: Any = {"images": STATISTICS_IMAGES, "batch_size": config.batch_size}
            variables["batch_stats"] = measure_statistics(model, variables, data.train, **options)
        found = predict_split(model, variables, data.val, batch_size=config.batch_size, views=views)
        scores = found.scores(data.class_names).to_dict()
        kept = {score: scores[score] for score in ("accuracy", "macro_f1", "cross_entropy", "ece")}
        interval = wilson_interval(kept["accuracy"], len(found))
        correct = np.packbits(found.correct).tobytes().hex()
        return {"name": title, "scores": kept, "interval": interval, "correct": correct} | about

    rows = [row(name, state.ema)]
    if name == WHOLE:
        rows.append(row("its last parameters, in place of their average", state.params))
        rows.append(row("the average, with the running statistics of training", state.ema, anew=False))
        rows.append(row("the last parameters, with the running statistics of training", state.params, anew=False))
        rows.append(row("with the mirror image", state.ema, views="flip"))
        rows.append(row("with ten views", state.ema, views="ten"))
    return rows


def compared(rows: list[dict[str, Any]], examples: int) -> None:
    """Add to each row how its network compares with that of the whole recipe, where that is there."""
    packed = {row["name"]: np.frombuffer(bytes.fromhex(row["correct"]), np.uint8) for row in rows}
    right = {name: np.unpackbits(bits, count=examples).astype(bool) for name, bits in packed.items()}
    if WHOLE not in right:
        return
    for row in rows:
        if row["name"] != WHOLE:
            row["compared"] = asdict(mcnemar(right[row["name"]], right[WHOLE]))


if __name__ == "__main__":
    run(main)
