"""Write docs/results.md, its figures and README's table from the files under benchmarks/results.

python docs/make_results.py
"""

import json
from pathlib import Path
from statistics import mean, median
from typing import Any

from matplotlib.figure import Figure
from training_of_weights import command, epochs, selection, unlike_the_command

from jaxfer.reports.figures import confusion_matrix, curves
from jaxfer.reports.sweep_figures import best, heat_map, settings
from jaxfer.reports.sweep_page import cost, pick
from jaxfer.reports.words import between
from jaxfer.sweeps import CellResult, SweepResult

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results"
README, CALIBRATION = DOCS.parent / "README.md", DOCS / "calibration.md"
BEGIN, END = "<!-- runs: written by docs/make_results.py -->\n", "<!-- end of runs -->"
BEGIN_ERRORS, END_ERRORS = "<!-- errors: written by docs/make_results.py -->\n", "<!-- end of errors -->"

PUBLISHED_ROWS = [
    ("epoch 25 of the 50-epoch run", "0.9826", "0.6736", "1.6853", "0.4517", "", ""),
    ("README, 25 epochs (another run)", "0.9517", "0.6883", "1.8166", "0.4089", "", "0.1218"),
    ("README, 30 epochs: epoch 30 of the 50-epoch run", "0.8565", "0.7305", "1.8782", "0.4156", "", ""),
    ("epoch 31, its best validation accuracy", "0.8314", "0.7424", "1.7046", "0.4908", "", ""),
    ("epoch 50, the final model", "0.4906", "0.8862", "2.1360", "0.4610", "0.1111", "0.0918"),
]
"""What the published experiment printed: the logs of its notebook and its README."""

CHECKED = [
    ("PublicTest images with an exact copy in Training", "leak", "PublicTest and Training"),
    ("... of these, under another label there", "label_conflict", "PublicTest and Training"),
    ("PublicTest images with a near-duplicate in Training", "near_leak", "PublicTest and Training"),
    ("Training images that are exact copies of another", "duplicate", "Training and Training"),
    ("Training images that are near-duplicates of another", "near_duplicate", "Training and Training"),
]
"""Rows of the table of problems: the words, the kind, and the splits of the pair."""

PUBLISHED_MULTIPLY_ADDS = 47_382_976
"""What the published network computes for an image of 64 pixels."""

PEERS = [
    (
        "[`fer`](https://github.com/JustinShenk/fer) 25.10, the package",
        "mini-Xception, 58 thousand, 64 px",
        "PrivateTest",
        "65.8",
        "as others measured it; PublicTest and PrivateTest together chose its epoch",
    ),
    (
        "MobileViT-XXS, [near-neutral-fer](https://github.com/StevenHSKim/near-neutral-fer)",
        "0.95 M, ImageNet",
        "PrivateTest",
        "70.6 +- 0.9",
        "PublicTest chose the epoch; 10 seeds, no views",
    ),
    (
        "[Pramerdorfer and Kampel 2016](https://arxiv.org/abs/1612.02903)",
        "VGG, 1.8 M",
        "PrivateTest",
        "72.7",
        "not known; with ten views",
    ),
    (
        "[Khaireddin and Chen 2021](https://arxiv.org/abs/2105.03588)",
        "VGG, 29.9 M",
        "PrivateTest",
        "73.28",
        "its code chooses epochs and lowers the learning rate by PrivateTest; ten views",
    ),
    (
        "[WuJie1010](https://github.com/WuJie1010/Facial-Expression-Recognition.Pytorch), PyTorch",
        "VGG19, 20.0 M",
        "PrivateTest",
        "73.11",
        "the best of 250 epochs on PrivateTest; on PublicTest 71.50, the best epoch there; ten views",
    ),
    (
        "[LetheSec](https://github.com/LetheSec/Fer2013-Facial-Emotion-Recognition-Pytorch), PyTorch",
        "ResNet18, 11.2 M",
        "PrivateTest",
        "73.70",
        "its code keeps the epoch that is best on PrivateTest; ten views",
    ),
]
"""What is published for FER2013: who, the network, the split, accuracy in percent, and how the number was selected."""

EASIER, BEST_ON_PUBLIC_TEST = 1.2, 71.50
"""Points that PrivateTest is easier by, as near-neutral-fer measured, and what WuJie1010 publishes for PublicTest."""

TARGETS = [
    ("the image alone", 0.705, "one"),
    ("the image alone, of the network that was taught by its like", 0.715, "taught"),
    ("with the mirror image", 0.71, "flip"),
    ("with ten views", 0.71, "ten"),
    ("taught by large networks, on an accelerator (`benchmarks/accelerator.py accuracy`)", 0.73, None),
]
"""What the recipe was to reach: the words, the accuracy, and of which views or which network, if it was tried."""

WEIGHTS = "weights-small", "weights-small-taught"
"""The files of the network that ships, and of one that was trained after it."""

CONTENDERS = [
    ("`jaxfer data prepare`", "jaxfer"),
    ("... by simplejpeg", "jaxfer simplejpeg"),
    ("`jaxfer data check`", "jaxfer check"),
    ("... by simplejpeg", "jaxfer simplejpeg check"),
    ("the first `load`", "jaxfer load"),
    ("... by simplejpeg", "jaxfer simplejpeg load"),
    ("ImageFolder, `ToTensor` (float32)", "peer float32"),
    ("ImageFolder, `PILToTensor` (uint8)", "peer uint8"),
]
"""Who was measured, and what the file calls it."""


def main() -> None:
    """Read the measured runs and write every page that shows them."""
    names = ("fer2013-published.json", "drawn-demo.json", "fer2013-grid.json")
    faces, drawn, grid = (json.loads((RESULTS / name).read_text()) for name in names)
    weights, taught = (json.loads((RESULTS / f"{name}.json").read_text()) for name in WEIGHTS)
    (DOCS / "results.md").write_text(page(faces, grid, data_measurements(), weights, taught))
    sweep = swept(grid)
    save(heat_map(settings(list(sweep.fields), sweep.rows)), "results-grid.png")
    save(curves(faces["history"]), "results-curves.png")
    save(curves(histories(weights["runs"])), "results-small.png")
    save(confusion_matrix(faces["summary"]["val"]), "results-confusion.png")
    write_between(README, BEGIN, measured_runs(drawn, faces, weights), END)
    write_between(CALIBRATION, BEGIN_ERRORS, calibration_errors(faces, weights), END_ERRORS)


def save(figure: Figure, name: str) -> None:
    """Save a figure as a PNG on white, which both of a reader's themes can show."""
    figure.savefig(DOCS / name, dpi=110, facecolor="white")


def write_between(file: Path, begin: str, text: str, end: str) -> None:
    """Replace what stands between two marks of a page."""
    before, _, rest = file.read_text().partition(begin)
    file.write_text(before + begin + text + end + rest.partition(end)[2])


def calibration_errors(faces: dict[str, Any], weights: dict[str, Any]) -> str:
    """Return the sentences of docs/calibration.md about the published recipe and the network that ships."""
    val, one, share = faces["summary"]["val"], weights["views"]["one"], weights["votes"].get("share")
    said = (
        f"""
The answer that `Predictor` gives is of another head, FER+'s votes, which has no temperature: of {share["examples"]:,} of these faces the network gives its own answer
{share["said"]:.3f} on average, and {share["people"]:.3f} of the people gave it, single votes left out.
"""
        if share
        else ""
    )
    return f"""The published recipe on FER2013, trained for {faces["summary"]["epochs"]} epochs without augmentation, has an ECE of {val["ece"]:.4f} on {val["split"]}, n = {val["examples"]:,}; by FER2013's labels the network
that ships has {one["ece"]:.4f} without its temperature of {one["temperature"]["value"]:.3f} and {one["temperature"]["ece"]:.4f} with it, which is
fitted for the least cross entropy and need not lower this error ([both](results.md#fer2013-the-network-that-ships)).
{said}"""


def measured_runs(drawn: dict[str, Any], faces: dict[str, Any], weights: dict[str, Any]) -> str:
    """Return README's table: a row for each measured run."""
    lines = [
        "| run | images | epochs | time | validation split | n | accuracy | macro F1 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, run in (("`make train`: drawn faces, preset `demo`", drawn), ("FER2013, preset `published`", faces)):
        summary = run["summary"]
        took = (summary["train"]["examples"], summary["epochs"], summary["seconds"])
        lines.append(row_of(name, took, summary["val"]))
    runs = weights["runs"]
    took = (
        weights["train"]["examples"],
        " + ".join(str(run["epochs"]) for run in runs),
        sum(run["seconds"] for run in runs),
    )
    lines.append(row_of("FER2013, preset `small`: the weights that ship", took, weights["views"]["one"]))
    made_on: dict[str, list[str]] = {}
    for name, run in (("`make train`", drawn), ("`published`", faces), *(("`small`", run) for run in runs)):
        made_on.setdefault(cores(run["machine"]), []).append(name)
    machines = ", ".join(f"{' and '.join(dict.fromkeys(names))} on {machine}" for machine, names in made_on.items())
    lines.append(
        f"\nAfter the last epoch, seed {faces['summary']['config']['seed']} alone: {machines}. "
        "[How they were made, and beside published numbers](docs/results.md).\n"
    )
    votes = weights["votes"]["network"]["majority"]
    lines.append(
        "The weights that ship, made by [`examples/train_fer2013.py`](examples/train_fer2013.py) [but for two details](docs/results.md), are scored by FER2013's labels. `jaxfer predict` gives their other answer, how "
        f"people would name the expression: what most people saw it says of {votes['accuracy']:.4f} of {votes['examples']:,} faces of {weights['views']['one']['split']}. Both are of faces that are cut out; [of "
        "whole photographs](docs/predict.md#framing-the-crop-of-prediction-is-the-crop-of-training) the detector has to find them first.\n"
    )
    return "\n".join(lines)


def row_of(name: str, took: tuple[int, int | str, float], scores: dict[str, Any]) -> str:
    """Return a row of README's table."""
    images, epochs, seconds = took
    return (
        f"| {name} | {images:,} | {epochs} | {seconds / 60:.1f} min | {scores['split']} | {scores['examples']:,} "
        f"| {scores['accuracy']:.4f} | {scores['macro_f1']:.4f} |"
    )


def data_measurements() -> dict[str, dict[str, Any]]:
    """Return the files of measurements of the data room, by name."""
    names = ("fer2013-check", "prepare", "data_memory")
    return {name: json.loads((RESULTS / f"{name}.json").read_text()) for name in names}


def page(
    run: dict[str, Any],
    grid: dict[str, Any],
    data: dict[str, dict[str, Any]],
    weights: dict[str, Any],
    taught: dict[str, Any],
) -> str:
    """Return docs/results.md: the network that ships, the published recipe, and what was measured of reading data."""
    leaks, pair = data["fer2013-check"]["problems"], "PublicTest and Training"
    summary, history, machine = run["summary"], run["history"], run["machine"]
    config, versions, train, val = summary["config"], summary["environment"], summary["train"], summary["val"]
    best = next(row for row in history if row["epoch"] == summary["best"]["epoch"])
    last = history[-1]
    optimizer, anew = config["optimizer"], run["measured_anew"]
    rows = [(f"epoch {row['epoch']}", row) for row in history if row["epoch"] in (25, 30)]
    rows += [(f"epoch {best['epoch']}, its best validation accuracy", best)]
    rows += [(f"epoch {last['epoch']}, the final model", last)]
    table = "\n".join(f"| {name} | {' | '.join(published_form(row))} |" for name, row in sorted(rows, key=by_epoch))
    published_table = "\n".join(f"| {' | '.join(row)} |" for row in PUBLISHED_ROWS)
    classes = "\n".join(
        f"| {name} | {c['precision']:.4f} | {c['recall']:.4f} | {c['f1']:.4f} | {c['support']:,} |"
        for name, c in val["per_class"].items()
    )
    header = (
        "| | train loss | train accuracy | val loss | val accuracy | val MSE | val R2 |\n|---|---|---|---|---|---|---|"
    )
    return f"""# Measured runs

Every number that was measured comes from the files in [`benchmarks/results`](../benchmarks/results), which the scripts in
[`benchmarks`](../benchmarks) wrote; `docs/make_results.py` made the page from them. It holds, besides, the targets and what
others have published, each in a table that says so.

{weights_section(weights, taught, run)}

# The published experiment

## The published recipe on FER2013

The published experiment trained on a copy of AffectNet that cannot be redistributed. This is its recipe, unchanged, on
photographs that many people hold: FER2013, in place of AffectNet.

```
jaxfer train --data-dir fer2013 --preset published
```

| what | value |
|---|---|
| training split | {train["split"]}, {train["examples"]:,} images of 48x48 resized to {config["data"]["image_size"]}x{config["data"]["image_size"]} |
| validation split | {val["split"]}, {val["examples"]:,} images; PrivateTest was neither read nor looked at |
| network | the published one, 158,919 values |
| recipe | {config["epochs"]} epochs, batch {config["batch_size"]}, Adam {optimizer["learning_rate"]} {optimizer["schedule"]}, epsilon {optimizer["epsilon"]}, L2 {config["loss"]["l2"]} on the first and the last kernel, no augmentation, seed {config["seed"]} |
| steps | {summary["steps"]:,} |
| training time | {summary["seconds"] / 60:.1f} minutes, validation after every epoch included |
| machine | {machine["cores"]} cores, {machine["processor"]}, {machine["system"]}; shared with other work, and halted for some of it |
| versions | jaxfer {versions["jaxfer"]}, jax {versions["jax"]}, flax {versions["flax"]}, optax {versions["optax"]}, Python {versions["python"]} |
| data fingerprint | `{summary["data"]["fingerprint"]}` |

{header}
{table}

Training columns are averages over the epoch's batches as they were trained on, as Keras prints them; losses contain the L2
term. Evaluated after the last epoch, in evaluation mode, the training split itself has accuracy {train["accuracy"]:.4f} and
loss {train["loss"]:.4f}: the network is the same, but normalises by its running statistics in place of the batch's own, and
these lag behind parameters that move at a constant learning rate. The swings of the validation curve have the same cause. With
statistics measured anew on {anew["statistics_images"]:,} training images (`jaxfer evaluate --statistics-images {anew["statistics_images"]}`) the final model has accuracy
{anew["accuracy"]:.4f} ({between(anew["intervals"]["accuracy"])}) on {val["split"]}, in place of {val["accuracy"]:.4f}, macro F1 {anew["macro_f1"]:.4f} in place of {val["macro_f1"]:.4f}, and cross entropy {anew["cross_entropy"]:.4f}
in place of {val["cross_entropy"]:.4f}: the parameters are the same. The best epoch was chosen by {val["split"]} accuracy, so that its own {val["split"]} numbers are
optimistic: they select a model, they do not score one.

![Loss and accuracy of both splits over the epochs](results-curves.png)

### The final model on {val["split"]}, n = {val["examples"]:,}

accuracy {val["accuracy"]:.4f}, balanced accuracy {val["balanced_accuracy"]:.4f}, macro F1 {val["macro_f1"]:.4f}, \
cross entropy {val["cross_entropy"]:.4f}, expected calibration error {val["ece"]:.4f}

| class | precision | recall | F1 | images |
|---|---|---|---|---|
{classes}

![Confusion matrix of the final model](results-confusion.png)

What to know about this split: {leaks["leak"][pair]} of its images have an exact copy in Training, {leaks["label_conflict"][pair]} of them under another label; see
[below](#fer2013-checked). Nothing was removed here.

## The published experiment's numbers

It is the notebook of the repository HumanEmotionRecognition, in Keras, on the copy of AffectNet that Kaggle has as
`ngothienphu/affectnet`; the numbers are those of its printed logs, its figures and its README. Its data were about 28,420 training and 2,991 validation images of a copy of AffectNet at 64x64, seven classes; its author
reports about 172 s an epoch, 2 h 25 min in all. These are other images: the two tables stand side by side for their shape,
not to be subtracted.

{header}
{published_table}

- The headline of its README, "validation accuracy 0.8862, loss 0.4906", is the **training** accuracy and loss of epoch 50.
  On its validation split the same model has 0.4610 and 2.1360.
- MSE and R2 compare the softmax with the one-hot labels, as scikit-learn does.
- At a constant learning rate a run of 25 or 30 epochs is a prefix of the 50-epoch run of the same seed; its "25 epochs" row
  differs from epoch 25 because it was another run.

{grid_section(grid, run)}

{finetuning_section()}{data_section(**data)}"""


def weights_section(found: dict[str, Any], taught: dict[str, Any], published: dict[str, Any]) -> str:
    """Return the table of runs on FER2013, the network that ships among them, beside published numbers."""
    made, one, votes = found["made"], found["views"]["one"], found["votes"]["network"]["majority"]
    config, network = made["config"], found["network"]
    size = f"{network['parameters'] / 1e6:.2f} M, {network['multiply_adds'] / 1e6:.0f} M"
    summary = published["summary"]
    rows = [
        f"| `published`{how} | 0.16 M, {PUBLISHED_MULTIPLY_ADDS / 1e6:.0f} M | {summary['epochs']} | {minutes(summary)} | one | "
        f"{shown_scores(scores)} |"
        for how, scores in (("", summary["val"]), (", statistics measured anew", published["measured_anew"]))
    ]
    first, *after = found["runs"]
    lengths = [str(first["epochs"])]
    lengths += [f"another {run['epochs']}{', taught' if run['teachers'] else ''}" for run in after]
    *before, (length, last) = zip(lengths, found["runs"], strict=True)
    rows += [
        f"| `small` | {size} | {earlier} | {minutes(run)} | one | {shown_scores(run['scores'])} |"
        for earlier, run in before
    ]
    rows += [
        f"| `small` | {size} | {length} | {minutes(last)} | {views} | {shown_scores(scores)} |"
        for views, scores in found["views"].items()
    ]
    further = taught["runs"][-1]
    rows += [
        f"| `small`, which does not ship | {size} | another {further['epochs']}, taught | {minutes(further)} | {views} | "
        f"{shown_scores(scores)} |"
        for views, scores in taught["views"].items()
    ]
    peers = "\n".join(f"| {' | '.join(row)} |" for row in PEERS)
    clean, ten = one["without_copies"], found["views"]["ten"]
    apart = unlike_the_command(found)
    apart = (
        f"The runs that were made differ from those of this command: {apart}; no command repeats that.\n\n"
        if apart
        else ""
    )
    machines = " and ".join(dict.fromkeys(cores(run["machine"]) for run in found["runs"]))
    return f"""# FER2013: the network that ships

The preset `small`, {epochs(found)} on Training, {found["train"]["examples"]:,} images, FER+'s votes as a second head, seed {config["seed"]}{": one run" if not after else ""}. The network of
the last epoch is scored on {one["split"]}, n = {one["examples"]:,}, as it ships, with kernels in float16, and statistics of its normalisation that were measured anew on
{config["optimizer"]["statistics_images"]:,} training images. {selection(found)} PrivateTest was neither
read nor looked at. [Its card](../jaxfer/inference/weights/small/README.md) has every class, and what it must not be used for.

```
{command(found)}
```

{apart}| preset | parameters, multiply-adds | epochs | time | views | accuracy | its 95% interval | macro F1 | ECE |
|---|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}

{taught_instead(found, taught)}

Views: `jaxfer evaluate --views` averages what the network says of the image, its mirror image and moved copies. Without the {clean["copies"]:,} images
that have an exact copy in Training: {clean["accuracy"]:.4f} ({between(clean["intervals"]["accuracy"])}), n = {clean["examples"]:,}. What most people saw (FER+, rule
“majority”) it says of {votes["accuracy"]:.4f} ({between(votes["interval"])}) of {votes["examples"]:,} faces. Trained on {machines}, shared with other work,
so that the minutes are no measure of speed. The row `published` is [the run below](#the-published-recipe-on-fer2013).

![Loss and accuracy of the network that ships over the epochs](results-small.png)

Accuracy and loss of training are those of the augmented images, of each batch as it was trained on. The curves are of the runs' own logs, in the numbers that they
computed in ({" and then ".join(run["dtype"] for run in found["runs"])}); the table is of float32, with kernels as they ship, and differs from the last points of the curves.

## Beside the targets

{targets_table(found["views"], taught["views"])}

All of it is one seed: there is no mean and deviation over seeds.

{ablation_section(found["network"])}

## Beside published numbers

None of them is jaxfer's own measurement, but for its own two rows. Most are of PrivateTest, which jaxfer leaves alone. Over 60 runs of 10 networks whose epochs were picked on
PublicTest, PrivateTest was easier by {EASIER} points (+-0.6 from run to run, [near-neutral-fer](https://github.com/StevenHSKim/near-neutral-fer)): were it so here, the network that ships
would have about {100 * one["accuracy"] + EASIER:.1f} there of the image alone, and {100 * ten["accuracy"] + EASIER:.1f} with ten views. **That is above the package `fer`, about where the small network of
near-neutral-fer is, and below the other four**, three of which were picked by the split that they report. On PublicTest
itself the best epoch of WuJie1010's VGG19 has {BEST_ON_PUBLIC_TEST:.2f} with ten views, {BEST_ON_PUBLIC_TEST - 100 * ten["accuracy"]:.1f} points more than the {100 * ten["accuracy"]:.1f} here. 3,589 images have a standard error of 0.75 points.

| who | network | split | accuracy | how it was selected |
|---|---|---|---|---|
| jaxfer, the image alone | `ResNetFERSmall`, {network["parameters"] / 1e6:.1f} M, {config["data"]["image_size"]} px | {one["split"]} | {100 * one["accuracy"]:.1f} | the last epoch; each further run was decided on by this split |
| jaxfer, ten views | the same | {one["split"]} | {100 * ten["accuracy"]:.1f} | the same |
{peers}"""


def taught_instead(found: dict[str, Any], taught: dict[str, Any]) -> str:
    """Return what a further run brought, from the network that ships and taught by the run that made it."""
    further, (teacher,) = taught["runs"][-1], taught["runs"][-1]["teachers"]
    one, now = found["views"]["one"], taught["views"]["one"]
    votes, now_votes = (weights["votes"]["network"]["majority"] for weights in (found, taught))
    return (
        f"A further run of {further['epochs']} epochs at half the rate began with the network that ships and was taught by the run that made it "
        f"(its epoch {teacher['epoch']}, {'the best on ' + one['split'] if teacher['chosen'] == 'best' else 'the last'}). Of the image alone its accuracy is {now['accuracy']:.4f} in place of "
        f"{one['accuracy']:.4f}, its cross entropy {now['cross_entropy']:.4f} in place of {one['cross_entropy']:.4f}, and of what most people saw it says {now_votes['accuracy']:.4f} in place of "
        f"{votes['accuracy']:.4f}. Another network ships where it is better by half a point. No command repeats this run: `--then-taught` has the last epoch teach, which nothing has chosen."
    )


def targets_table(views: dict[str, Any], taught: dict[str, Any]) -> str:
    """Return a row for each target of accuracy, met or missed, by how much."""
    lines = ["| on PublicTest | target | measured | |", "|---|---|---|---|"]
    for what, target, shown in TARGETS:
        of = taught if shown == "taught" else views
        if shown is None:
            lines.append(f"| {what} | {target:.3f} | | not measured |")
            continue
        accuracy = of["one" if shown == "taught" else shown]["accuracy"]
        missed = f"missed by {100 * (target - accuracy):.1f} points"
        lines.append(f"| {what} | {target:.3f} | {accuracy:.4f} | {'met' if accuracy >= target else missed} |")
    return "\n".join(lines)


def ablation_section(shipped: dict[str, int]) -> str:
    """Return what each part of the recipe is worth to a smaller network, beside the size of the one that ships."""
    found = json.loads((RESULTS / "ablation.json").read_text())
    [whole] = (row for row in found["rows"] if "compared" not in row)
    others = [row for row in found["rows"] if "compared" in row]
    lines = [
        f"| {whole['name']} | {whole['scores']['accuracy']:.4f} | | | {whole['scores']['macro_f1']:.4f} | {whole['scores']['ece']:.4f} |"
    ]
    for row in others:
        scores, compared = row["scores"], row["compared"]
        gain = f"{100 * compared['difference']:+.1f} ({points(compared['interval'])})"
        lines.append(
            f"| {row['name']} | {scores['accuracy']:.4f} | {gain} | {p_value(compared['p_value'])} | {scores['macro_f1']:.4f} | {scores['ece']:.4f} |"
        )
    network, val = found["network"], found["val"]
    other_seed = [row["compared"] for row in others if row["name"] == "another seed"]
    shown = {row["name"]: 100 * row["compared"]["difference"] for row in others}
    seeds = "Both are of one seed, and say nothing of another."
    if other_seed:
        moved = 100 * other_seed[0]["difference"]
        seeds = (
            f"**Both count images and not seeds: another seed alone makes {moved:+.1f} points, p {p_value(other_seed[0]['p_value'])}**, so that a difference of that size "
            "is no finding, and one of twice that size is a weak one until more seeds have shown it."
        )
    machines = " and ".join(dict.fromkeys(cores(row["machine"]) for row in found["rows"]))
    usual = median({row["seconds"] for row in found["rows"]})  # several rows are of the first run
    return f"""## What each part of the recipe is worth

`benchmarks/ablation.py`: the recipe for {found["epochs"]} epochs, which is the preset `fast` with FER+'s votes as a second head, and the same with one part left away or added. To measure so many runs, the network
is half as wide as the one that ships, {network["parameters"] / 1e6:.2f} M values and {network["multiply_adds"] / 1e6:.0f} M multiply-adds in place of {shipped["parameters"] / 1e6:.2f} M and {shipped["multiply_adds"] / 1e6:.0f} M: a larger network, trained for longer, may gain
more by what keeps it from learning its images by heart. Trained on {found["train"]["split"]}, n = {found["train"]["examples"]:,}, scored after the last epoch on {val["split"]}, n = {val["examples"]:,}, by the
image alone unless the row says otherwise. The difference to the first row, in points of accuracy, has a 95% interval that is bootstrapped over the images, and the p of
McNemar's test on the same images, not corrected for their number. {seeds} Macro F1, in which the few faces of disgust
count as much as those of any other class, has neither here, and moves by points of its own. Views make {shown["with the mirror image"]:+.1f} and {shown["with ten views"]:+.1f} points here, while the
network that ships, trained for longer, gains by them (above): try them on validation data of your own. Not measured: each change of the images by itself, gray, dropout, {"" if "without label smoothing" in shown else "label smoothing, "}the schedule, SAM, and
learning from other networks. A run took some {usual / 60:.0f} minutes on {machines}, shared with other work.

| run | accuracy | difference | p | macro F1 | ECE |
|---|---|---|---|---|---|
{chr(10).join(lines)}"""


def points(interval: list[float]) -> str:
    """Return an interval of a difference in points of accuracy."""
    low, high = interval
    return f"{100 * low:+.1f} to {100 * high:+.1f}"


def p_value(value: float) -> str:
    """Return a probability with three digits, or that it is below them."""
    return "under 0.001" if value < 0.001 else f"{value:.3f}"


def minutes(run: dict[str, Any]) -> str:
    """Return how long a run took."""
    return f"{run['seconds'] / 60:.0f} min"


def histories(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the epochs of runs that began with each other's networks as those of one."""
    rows: list[dict[str, Any]] = []
    for run in runs:
        done = len(rows)
        rows += [row | {"epoch": done + row["epoch"]} for row in run["history"]]
    return rows


def shown_scores(scores: dict[str, Any]) -> str:
    """Return cells of accuracy, its interval, macro F1 and calibration error."""
    known = between(scores["intervals"]["accuracy"]) if "intervals" in scores else ""
    return f"{scores['accuracy']:.4f} | {known} | {scores['macro_f1']:.4f} | {scores['ece']:.4f}"


def swept(measured: dict[str, Any]) -> SweepResult:
    """Return the sweep that a file keeps, without cells that were not trained to their end."""
    rows = tuple(
        CellResult(**row | {"run": Path(row["run"])}) for row in measured["rows"] if row["status"] != "unfinished"
    )
    return SweepResult(Path(), measured["base"], measured["fields"], measured["search"], rows)


def grid_section(measured: dict[str, Any], published: dict[str, Any]) -> str:
    """Return the table of the published grid on FER2013, what to pick by it, and what it cost."""
    sweep = swept(measured)
    taken, separate = sweep.epochs
    runs = len({row.run for row in sweep.rows})
    lines = [
        "| learning rate | epochs | accuracy | its 95% interval | macro F1 | its 95% interval | loss | training |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(sweep.rows, key=lambda row: -row.values["optimizer.learning_rate"]):
        rate, epochs = row.values["optimizer.learning_rate"], row.values["epochs"]
        if row.status != "finished":
            lines.append(f"| {rate} | {epochs} | {row.status}: {row.reason} | | | | | |")
            continue
        scores, intervals = row.scores, row.scores["intervals"]
        known = " | ".join(f"{scores[name]:.4f} | {between(intervals[name])}" for name in ("accuracy", "macro_f1"))
        lines.append(f"| {rate} | {epochs} | {known} | {scores['loss']:.4f} | {row.seconds / 60:.1f} min |")
    return f"""# The published grid on FER2013

The published experiment compared learning rates and numbers of epochs. This is its grid with its recipe on FER2013, seed
{measured["base"]["seed"]}, one run for each learning rate: {measured["images"]:,} images of {measured["train_split"]} trained on, the
{sweep.examples:,} of {sweep.split} scored after each cell's last epoch. Intervals are bootstrap percentiles over the images of
{sweep.split}; they say nothing about another seed.

```
jaxfer sweep --data-dir fer2013 --over learning_rate=0.01,0.003,0.001,0.0003,0.0001 --over epochs=25,30,50
```

{chr(10).join([*lines, *untrained(measured)])}

![Accuracy on {sweep.split} by learning rate and epochs](results-grid.png)

**{pick(sweep)}** That sentence uses {sweep.split}
alone, and PrivateTest has not been looked at. The number is optimistic, having been chosen by the images it is measured on.
{swings(sweep, measured["runs"])}{apart(sweep, measured["runs"], published)}

What it cost: {taken} epochs in place of the {separate} of each cell from its start, since a cell that is the beginning of a longer run
costs nothing of its own: the {len(sweep.rows)} cells are {runs} {"run" if runs == 1 else "runs"}. The machines had other work for part of the
time, so that the minutes are no measure of speed:

{spent(sweep, measured["runs"])}"""


def apart(sweep: SweepResult, runs: dict[str, dict[str, Any]], published: dict[str, Any]) -> str:
    """Return what the same run gave in the grid and by itself; nothing where the grid has no such cell."""
    summary = published["summary"]
    rate, epochs = summary["config"]["optimizer"]["learning_rate"], summary["epochs"]
    cells = (
        row for row in sweep.rows if (row.values["optimizer.learning_rate"], row.values["epochs"]) == (rate, epochs)
    )
    cell = next((row for row in cells if row.status == "finished" and row.run.name in runs), None)
    if cell is None:
        return ""
    return (
        f" The cell of {rate:g} and {epochs} epochs has the config, the seed and the images of the run "
        f"[above](#the-published-recipe-on-fer2013): {cell.scores['accuracy']:.4f} on "
        f"{cores(runs[cell.run.name]['machine'])}, and {summary['val']['accuracy']:.4f} on {cores(published['machine'])}. "
        "The last bits of another machine or release are enough, where the rate stays high and running statistics lag behind it."
    )


def spent(sweep: SweepResult, runs: dict[str, dict[str, Any]]) -> str:
    """Return a table of how long the runs took on each machine, and their cells, each from its start, would have."""
    rows: dict[str, list[CellResult]] = {}
    for row in sweep.rows:
        if row.run.name in runs:
            rows.setdefault(cores(runs[row.run.name]["machine"]), []).append(row)
    lines = ["| machine | learning rates | its runs | its cells, each from its start |", "|---|---|---|---|"]
    for machine, found in rows.items():
        rates = ", ".join(dict.fromkeys(str(row.values["optimizer.learning_rate"]) for row in found))
        taken, alone = (seconds / 60 for seconds in cost(found))
        lines.append(f"| {machine} | {rates} | {taken:.0f} min | {alone:.0f} min |")
    return "\n".join(lines)


def untrained(measured: dict[str, Any]) -> list[str]:
    """Return what to say of cells that were not trained to their end."""
    left = [row["values"]["optimizer.learning_rate"] for row in measured["rows"] if row["status"] == "unfinished"]
    rates = ", ".join(map(str, dict.fromkeys(left)))
    return (
        ["", f"Of the {len(measured['rows'])} cells of the grid these are not trained yet: learning rates {rates}."]
        if left
        else []
    )


def swings(sweep: SweepResult, runs: dict[str, dict[str, Any]]) -> str:
    """Return how far the accuracy of the picked run moves from epoch to epoch, which one cell does not show."""
    chosen = best(settings(list(sweep.fields), sweep.rows))
    if chosen is None:
        return ""
    row = chosen.cells[0]
    last = runs[row.run.name]["val_accuracy"][max(row.epoch - 10, 0) : row.epoch]
    return (
        f"At a constant learning rate it moves from epoch to epoch too: over the ten epochs up to that cell's last one it "
        f"lay between {min(last):.4f} and {max(last):.4f}."
    )


def finetuning_section() -> str:
    """Return the section about weights to start from; nothing where none was measured."""
    file = RESULTS / "finetune.json"
    if not file.exists():
        return ""
    run = json.loads(file.read_text())["runs"][-1]
    rows = "\n".join(
        f"| {way['title']} | {way['labelled']:,} | {way['epochs']} | {way['validated']:,} | {mean(way['finetuned']):.3f} | "
        f"{mean(way['scratch']):.3f} | {way['gain']:+.3f} ({way['interval'][0]:+.3f} to {way['interval'][1]:+.3f}) |"
        for way in run["ways"]
    )
    seeds = len(run["ways"][0]["scratch"])
    return f"""# What weights to start from are worth

`benchmarks/finetune.py`: the network `small` at 48 pixels, once from weights of other faces, with new last layers, and once from scratch, all else being equal.
Accuracy of the validation images, means over {seeds} seeds that also choose the training images; the interval is 95% over the validation images. The budget is
small, {run["steps"]} steps, in which a network from scratch learns little{at_chance(run["ways"])}. The weights of drawn faces have seen {run["more_drawn"]:,} of them for {run["more_epochs"]} epochs.

| from, to | images to learn from | epochs | n | fine-tuned | from scratch | gain |
|---|---|---|---|---|---|---|
{rows}

"""


def at_chance(ways: list[dict[str, Any]]) -> str:
    """Return which networks from scratch were no better than a guess among the seven classes, in words."""
    guessing = [way["title"] for way in ways if abs(mean(way["scratch"]) - 1 / 7) < 0.01]
    return (
        f": that of “{'”, “'.join(guessing)}” says one of the seven classes of all, and its gain is over nothing"
        if guessing
        else ""
    )


def data_section(**measured: dict[str, Any]) -> str:
    """Return what was measured of checking and preparing data."""
    found, prepare, memory = (measured[name] for name in ("fer2013-check", "prepare", "data_memory"))
    rows = "\n".join(f"| {label} | {found['problems'][kind].get(pair, 0):,} |" for label, kind, pair in CHECKED)
    speed = "\n".join(
        f"| {name} | {prepare['images_per_second'][key]['median']:,.0f} | {prepare['processor_ms_per_image'][key]['median']:.2f} "
        f"| {ratio(prepare, key)} |"
        for name, key in CONTENDERS
    )
    sizes = "\n".join(
        f"| {run['verb']} | {run['images']:,} | {run['seconds']:.0f} s | {run['memory_mib']:,} MiB |"
        for run in memory["runs"]
    )
    machine, versions, peers = prepare["machine"], prepare["versions"], prepare["peer_versions"]
    return f"""# Measurements of the data room

## FER2013, checked

`jaxfer data check` on Training and PublicTest, {sum(split["images"] for split in found["splits"].values()):,} images, in {found["seconds"]:.0f} s on {cores(found["machine"])}:

| what | images |
|---|---|
{rows}

Near-duplicates are other crops, sizes and brightnesses of the same photograph, or its mirror image: their perceptual hashes
differ in at most 8 of 64 bits and their thumbnails correlate by at least 0.9.

## Preparing, beside PyTorch

{prepare["what"]}; {prepare["images"]:,} images in class folders, {prepare["workers"]} worker processes each, {prepare["rounds"]} rounds in turn,
medians. jaxfer decodes, resizes, looks for copies and stores; `ImageFolder` and `DataLoader` (torch {peers["torch"]}, torchvision
{peers["torchvision"]}) decode and resize, and keep nothing. On {cores(machine)}, Python {versions["python"]}, Pillow {versions["pillow"]}.

| who | images a second | processor ms an image | jaxfer's ratio (least to greatest) |
|---|---|---|---|
{speed}

The target was twice the peer, and is missed. More than half of jaxfer's time is JPEG decoding at half size, most of which is Huffman decoding
that no reduction avoids. simplejpeg has the same decoder without Pillow's way to it: looking at data and loading them, which do more than
decode, gain little by it.

## Time and memory

JPEG files of 48 pixels in class folders; memory is the greatest resident memory of all processes together. On {cores(memory["machine"])}.

| what | images | time | memory |
|---|---|---|---|
{sizes}
"""


def ratio(prepare: dict[str, Any], key: str) -> str:
    """Return how many times a contender's images a second jaxfer has, with its spread."""
    if key not in prepare["ratio_to"]:
        return ""
    values = prepare["ratio_to"][key]
    return f"{values['median']:.2f} ({values['least']:.2f} to {values['greatest']:.2f})"


def published_form(row: dict[str, Any]) -> list[str]:
    """Return an epoch's numbers in the columns of the published numbers."""
    return [f"{row[name]:.4f}" for name in ("loss", "accuracy", "val_loss", "val_accuracy", "val_mse", "val_r2")]


def by_epoch(named: tuple[str, dict[str, Any]]) -> int:
    """Order the rows of the table."""
    return named[1]["epoch"]


def cores(machine: dict[str, Any]) -> str:
    """Return a machine's number of cores and processor, with its vector instructions where the file says them."""
    vectors = f" with {machine['vectors']}" if machine.get("vectors") else ""
    return f"{machine['cores']} cores of {article(machine['processor'])}{vectors}"


def article(noun: str) -> str:
    """Return the noun with its indefinite article."""
    return f"an {noun}" if noun[:1] in "AEIOU" else f"a {noun}"


if __name__ == "__main__":
    main()
