"""Write docs/results.md, its figures and README's table from the files under benchmarks/results.

python docs/make_results.py
"""

import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from jaxfer.evaluation.figures import confusion_matrix, curves

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results"
README = DOCS.parent / "README.md"
BEGIN, END = "<!-- runs: written by docs/make_results.py -->\n", "<!-- end of runs -->"

SEED_ROWS = [
    ("epoch 25 of the 50-epoch run", "0.9826", "0.6736", "1.6853", "0.4517", "", ""),
    ("README, 25 epochs (another run)", "0.9517", "0.6883", "1.8166", "0.4089", "", "0.1218"),
    ("README, 30 epochs: epoch 30 of the 50-epoch run", "0.8565", "0.7305", "1.8782", "0.4156", "", ""),
    ("epoch 31, its best validation accuracy", "0.8314", "0.7424", "1.7046", "0.4908", "", ""),
    ("epoch 50, the final model", "0.4906", "0.8862", "2.1360", "0.4610", "0.1111", "0.0918"),
]
"""What the seed printed: its notebook's logs and its README."""


def main() -> None:
    """Read the measured runs and write every page that shows them."""
    faces, drawn = (json.loads((RESULTS / name).read_text()) for name in ("fer2013-seed.json", "drawn-demo.json"))
    (DOCS / "results.md").write_text(page(faces))
    save(curves(faces["history"]), "results-curves.png")
    save(confusion_matrix(faces["summary"]["val"]), "results-confusion.png")
    before, _, rest = README.read_text().partition(BEGIN)
    README.write_text(before + BEGIN + measured_runs(drawn, faces) + END + rest.partition(END)[2])


def save(figure: Figure, name: str) -> None:
    """Save a figure as a PNG on white, which both of a reader's themes can show."""
    figure.savefig(DOCS / name, dpi=110, facecolor="white")


def measured_runs(drawn: dict[str, Any], faces: dict[str, Any]) -> str:
    """Return README's table: a row for each measured run."""
    lines = [
        "| run | images | epochs | time | validation split | n | accuracy | macro F1 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, run in (("`make train`: drawn faces, preset `demo`", drawn), ("FER2013, preset `seed`", faces)):
        summary = run["summary"]
        val, minutes = summary["val"], summary["seconds"] / 60
        lines.append(
            f"| {name} | {summary['train']['examples']:,} | {summary['epochs']} | {minutes:.1f} min | {val['split']} "
            f"| {val['examples']:,} | {val['accuracy']:.4f} | {val['macro_f1']:.4f} |"
        )
    summary, machine = faces["summary"], faces["machine"]
    lines.append(
        f"\nAfter the last epoch, seed {summary['config']['seed']}, one run each, on {machine['cores']} cores of "
        f"{article(machine['processor'])}. [How they were made, and beside the published numbers](docs/results.md).\n"
    )
    return "\n".join(lines)


def page(run: dict[str, Any]) -> str:
    """Return docs/results.md for the seed's recipe on FER2013."""
    summary, history, machine = run["summary"], run["history"], run["machine"]
    config, versions, train, val = summary["config"], summary["environment"], summary["train"], summary["val"]
    best = next(row for row in history if row["epoch"] == summary["best"]["epoch"])
    last = history[-1]
    optimizer = config["optimizer"]
    rows = [(f"epoch {row['epoch']}", row) for row in history if row["epoch"] in (25, 30)]
    rows += [(f"epoch {best['epoch']}, its best validation accuracy", best)]
    rows += [(f"epoch {last['epoch']}, the final model", last)]
    table = "\n".join(f"| {name} | {' | '.join(seed_form(row))} |" for name, row in sorted(rows, key=by_epoch))
    seed_table = "\n".join(f"| {' | '.join(row)} |" for row in SEED_ROWS)
    classes = "\n".join(
        f"| {name} | {c['precision']:.4f} | {c['recall']:.4f} | {c['f1']:.4f} | {c['support']:,} |"
        for name, c in val["per_class"].items()
    )
    header = (
        "| | train loss | train accuracy | val loss | val accuracy | val MSE | val R2 |\n|---|---|---|---|---|---|---|"
    )
    return f"""# Measured runs

Every number of this page comes from [`benchmarks/results/fer2013-seed.json`](../benchmarks/results/fer2013-seed.json),
which `benchmarks/collect_run.py` took from the run's folder; `docs/make_results.py` wrote the page.

## The seed's recipe on FER2013

The published experiment trained on a copy of AffectNet that cannot be redistributed. This is its recipe, unchanged, on
photographs that many people hold: FER2013, in place of AffectNet.

```
python examples/train_affectnet.py --data-dir fer2013 --preset seed
```

| what | value |
|---|---|
| training split | {train["split"]}, {train["examples"]:,} images of 48x48 resized to {config["data"]["image_size"]}x{config["data"]["image_size"]} |
| validation split | {val["split"]}, {val["examples"]:,} images; PrivateTest was neither read nor looked at |
| network | the seed's, 158,919 values |
| recipe | {config["epochs"]} epochs, batch {config["batch_size"]}, Adam {optimizer["learning_rate"]} {optimizer["schedule"]}, epsilon {optimizer["epsilon"]}, L2 {config["loss"]["l2"]} on the first and the last kernel, no augmentation, seed {config["seed"]} |
| steps | {summary["steps"]:,} |
| training time | {summary["seconds"] / 60:.1f} minutes, validation after every epoch included |
| machine | {machine["cores"]} cores, {machine["processor"]}, {machine["system"]}; shared with other work for part of the run |
| versions | jaxfer {versions["jaxfer"]}, jax {versions["jax"]}, flax {versions["flax"]}, optax {versions["optax"]}, Python {versions["python"]} |
| data fingerprint | `{summary["data"]["fingerprint"]}` |

{header}
{table}

Training columns are averages over the epoch's batches as they were trained on, as Keras prints them; losses contain the L2
term. Evaluated after the last epoch, in evaluation mode, the training split itself has accuracy {train["accuracy"]:.4f} and
loss {train["loss"]:.4f}: the network is the same, but normalises by its running statistics in place of the batch's own, and
these lag behind parameters that move at a constant learning rate. The swings of the validation curve have the same cause. The
best epoch was chosen by {val["split"]} accuracy, so that its own {val["split"]} numbers are optimistic: they select a model,
they do not score one. The run was stopped once, by SIGTERM in its second epoch, and resumed, which changes none of its bits.

![Loss and accuracy of both splits over the epochs](results-curves.png)

### The final model on {val["split"]}, n = {val["examples"]:,}

accuracy {val["accuracy"]:.4f}, balanced accuracy {val["balanced_accuracy"]:.4f}, macro F1 {val["macro_f1"]:.4f}, \
cross entropy {val["cross_entropy"]:.4f}, expected calibration error {val["ece"]:.4f}

| class | precision | recall | F1 | images |
|---|---|---|---|---|
{classes}

![Confusion matrix of the final model](results-confusion.png)

What to know about this split: 280 of its images have an exact copy in Training, 13 of them under another label, and 176
images of the whole set are no faces. Nothing was removed here.

## The seed's own numbers

Its data were about 28,420 training and 2,991 validation images of a copy of AffectNet at 64x64, seven classes; its author
reports about 172 s an epoch, 2 h 25 min in all. These are other images: the two tables stand side by side for their shape,
not to be subtracted.

{header}
{seed_table}

- The headline of its README, "validation accuracy 0.8862, loss 0.4906", is the **training** accuracy and loss of epoch 50.
  On its validation split the same model has 0.4610 and 2.1360.
- MSE and R2 compare the softmax with the one-hot labels, as scikit-learn does.
- At a constant learning rate a run of 25 or 30 epochs is a prefix of the 50-epoch run of the same seed; its "25 epochs" row
  differs from epoch 25 because it was another run.
"""


def seed_form(row: dict[str, Any]) -> list[str]:
    """Return an epoch's numbers in the columns that the seed published."""
    return [f"{row[name]:.4f}" for name in ("loss", "accuracy", "val_loss", "val_accuracy", "val_mse", "val_r2")]


def by_epoch(named: tuple[str, dict[str, Any]]) -> int:
    """Order the rows of the table."""
    return named[1]["epoch"]


def article(noun: str) -> str:
    """Return the noun with its indefinite article."""
    return f"an {noun}" if noun[:1] in "AEIOU" else f"a {noun}"


if __name__ == "__main__":
    main()
