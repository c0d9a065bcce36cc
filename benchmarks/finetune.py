"""What weights to start from are worth: `python benchmarks/finetune.py OUT.json FER2013 [--runs RUNS]`.

Two ways: from the network that comes with jaxfer, which has learnt FER2013, to drawn faces; and from a network that has
learnt drawn faces to FER2013. Each sees a small part of the labels, for a few epochs, once with these weights and once
from scratch, all else being equal, for each of three seeds. Their last layers are new, as those are of other classes:
what comes from the weights is what all faces have in common. A seed decides which images, too. The gain is that of the
mean accuracy over the seeds; its interval is a bootstrap over the validation images, the same for both.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from command import keep, parser
from machine import versions

from jaxfer import FaceModel, load_model, load_run
from jaxfer.config import PRESETS, Config, DataConfig
from jaxfer.data import Dataset, Split, load
from jaxfer.data.synthetic import drawn_dataset
from jaxfer.devices import tune_for_cpu
from jaxfer.devices.compile_cache import keep_compiled_programs
from jaxfer.inference import save_model

SEEDS = (0, 1, 2)
EPOCHS = 12
BATCH, LABELLED, VALIDATED = 32, 640, 1000
"""Images of a step, images that a run learns from, a part of those there are, and images that it is measured on."""
DRAWN = DataConfig(image_size=48, drawn_train=2 * LABELLED, drawn_val=VALIDATED)
MORE_DRAWN, MORE_EPOCHS = dataclasses.replace(DRAWN, drawn_train=6000), 4
"""What the network learns whose weights go from drawn faces to FER2013: of fewer, or for less, it learns little."""


def main() -> None:
    """Train, print and keep."""
    asked = parser(__doc__)
    asked.add_argument("fer2013", type=Path, help="the folder or file of FER2013")
    asked.add_argument(
        "--runs", type=Path, default=Path("runs/finetune"), help="a new folder for the run whose weights are taken"
    )
    asked.add_argument("--resume", action="store_true", help="go on with what the file's last run lacks")
    arguments = asked.parse_args()
    tune_for_cpu()
    keep_compiled_programs()  # once for all runs
    drawn = drawn_dataset(DRAWN)
    fer2013 = load(DataConfig(data_dir=arguments.fer2013, image_size=48))
    found = json.loads(arguments.out.read_text())["runs"].pop()["ways"] if arguments.resume else []

    def add(title: str, model: FaceModel, data: Dataset) -> None:
        if title in [way["title"] for way in found]:
            return
        weights = of_other_classes(model, arguments.runs / title.replace(" ", "-"))
        found.append(measured(title, weights, data))
        keep_all()

    def keep_all() -> None:
        sizes = {"steps": EPOCHS * LABELLED // BATCH, "more_drawn": MORE_DRAWN.drawn_train, "more_epochs": MORE_EPOCHS}
        keep(arguments, sizes | {"ways": found, "versions": versions("jaxfer", "jax", "flax", "optax", "numpy")})

    add("FER2013 to drawn faces", load_model("small"), drawn)
    teacher = arguments.runs / "drawn-faces"
    if not teacher.exists():
        demo = PRESETS["demo"]
        model = dataclasses.replace(PRESETS["fast"].model, pretrained=None)
        config = dataclasses.replace(demo, data=MORE_DRAWN, model=model, epochs=MORE_EPOCHS)
        train(config, drawn_dataset(MORE_DRAWN), teacher)
    run = load_run(teacher, "best")
    add("drawn faces to FER2013", FaceModel.of_run(run), fer2013)
    keep_all()


def of_other_classes(model: FaceModel, folder: Path) -> Path:
    """Save a network as if it told other classes apart, so that a run does not begin with its last layers."""
    names = tuple(f"class {index}" for index in range(len(model.class_names)))
    return save_model(dataclasses.replace(model, class_names=names), folder)


def recipe(seed: int, weights: Path | None) -> Config:
    """Return the config of both: that of `fast`, with fewer images a step and no average of so few steps."""
    fast = PRESETS["fast"]
    optimizer = dataclasses.replace(
        fast.optimizer, learning_rate=0.025, warmup_epochs=0.3, ema=None, ema_warmup=False, statistics_images=0
    )
    model = dataclasses.replace(fast.model, pretrained=weights)
    return dataclasses.replace(fast, model=model, optimizer=optimizer, epochs=EPOCHS, batch_size=BATCH, seed=seed)


def part(data: Dataset, count: int, seed: int) -> Dataset:
    """Return data with so many of its training images, and with `VALIDATED` of those to validate on."""
    rows = np.random.default_rng(seed).permutation(len(data.train))[:count]
    kept = np.random.default_rng(0).permutation(len(data.val))[:VALIDATED]
    splits = {"train": taken(data.train, rows), "val": taken(data.val, kept)}
    return dataclasses.replace(data, splits=splits, known_fingerprint="")


def taken(split: Split, rows: np.ndarray) -> Split:
    """Return some images of a split."""
    rows = np.sort(rows)
    columns = {name: values[rows] for name, values in split.columns.items()}
    return dataclasses.replace(split, images=split.images[rows], labels=split.labels[rows], columns=columns, names=())


def measured(title: str, weights: Path, data: Dataset) -> dict[str, Any]:
    """Return the accuracies with and without weights, and the gain with its interval."""
    correct: dict[str, list[np.ndarray]] = {"finetuned": [], "scratch": []}
    for seed in SEEDS:
        some = part(data, LABELLED, seed)
        for name, start in (("finetuned", weights), ("scratch", None)):
            correct[name].append(train(recipe(seed, start), some))
            print(f"{title}, {name}, seed {seed}: {correct[name][-1].mean():.4f}", flush=True)
    finetuned, scratch = (np.stack(correct[name]) for name in ("finetuned", "scratch"))
    differences = (finetuned.astype(float) - scratch).mean(axis=0)  # of each image, over the seeds
    draws = np.random.default_rng(0).integers(0, len(differences), (2000, len(differences)))
    low, high = np.quantile(differences[draws].mean(axis=1), (0.025, 0.975))
    return {
        "title": title,
        "labelled": LABELLED,
        "validated": len(differences),
        "epochs": EPOCHS,
        "finetuned": [round(float(one.mean()), 4) for one in finetuned],
        "scratch": [round(float(one.mean()), 4) for one in scratch],
        "gain": round(float(differences.mean()), 4),
        "interval": [round(float(low), 4), round(float(high), 4)],
    }


def train(config: Config, data: Dataset, folder: Path | None = None) -> np.ndarray:
    """Train a run, and return which images of the validation split its last network names right, bool [n]."""
    from jaxfer.evaluation.predict import predict_split
    from jaxfer.tasks import make_network
    from jaxfer.training import fit

    state, _ = fit(config, data, run_dir=folder)
    model = make_network(config.model, len(data.class_names))
    return predict_split(model, state.variables, data.val, batch_size=128).correct


if __name__ == "__main__":
    main()
