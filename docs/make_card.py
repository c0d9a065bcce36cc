"""Write the card of each network that ships from its measured file, benchmarks/results/weights-NAME.json.

python docs/make_card.py
"""

import json
from pathlib import Path
from typing import Any

from training_of_weights import command, epochs, selection, unlike_the_command

from jaxfer.evaluation import wilson_interval
from jaxfer.inference.model import SHIPPED
from jaxfer.reports.card import MEANING, MISUSE, confusions, rows_of_classes
from jaxfer.reports.words import between, by_chance

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"

SHOWN = {
    "one": "each image as it is",
    "flip": "the image and its mirror image",
    "five": "the image and four moved by two pixels",
    "ten": "those five and their mirror images",
}
"""What the network is shown, in words; see `jaxfer.models.views`."""

NEWLINE = "\n"


def main() -> None:
    """Write the card of every network that has been measured."""
    for name, folder in SHIPPED.items():
        (folder / "README.md").write_text(card(name, measured(name)))


def measured(name: str) -> dict[str, Any]:
    """Return what was measured of a network that ships."""
    return json.loads((RESULTS / f"weights-{name}.json").read_text())


def card(name: str, found: dict[str, Any]) -> str:
    """Return the card, in Markdown with the metadata that model hubs read."""
    made, one, votes = found["made"], found["views"]["one"], found["votes"]["network"]
    config, network, file = made["config"], found["network"], found["file"]
    clean = one["without_copies"]
    warm, apart, share = one["temperature"], unlike_the_command(found), found["votes"].get("share")
    return f"""---
license: apache-2.0
library_name: jaxfer
pipeline_tag: image-classification
tags: [facial-expression-recognition, jax, flax]
model-index:
- name: jaxfer-{name}
  results:
  - task: {{type: image-classification}}
    dataset: {{name: FER2013, type: fer2013, split: {one["split"]}}}
    metrics: [{{type: accuracy, value: {one["accuracy"]:.4f}}}]
---

# `{name}`: expressions of faces, from 48 gray pixels

```python
import jaxfer, numpy as np

jaxfer.Predictor.load("{name}")("photo.jpg")  # the faces in a photograph, found and framed as FER2013 frames them

model = jaxfer.load_model("{name}")
faces = np.zeros((1, 48, 48, 3), np.uint8)  # faces as FER2013 frames them, 0 to 255
model.probabilities(faces)  # of {", ".join(model_names(votes))}: what people would see
model.probabilities(faces, "expression")  # of FER2013's seven labels, for its benchmark
```

A residual network of {network["parameters"]:,} parameters, {network["multiply_adds"] / 1e6:.0f} million multiply-adds a face, {file["bytes"] / 1e6:.1f} MB: kernels in
float16, which changes the predicted class of {found["float16"]["changed"]["expression"]} of {found["float16"]["images"]:,} images. One channel; colours become
luma, 0.299 red + 0.587 green + 0.114 blue; each image is standardised inside of the network.

{MEANING}

## Two answers, and which one to use

The network was taught two things about the same faces. FER2013's own label says with which word an image was searched for;
what most people see in the face (rule “plurality” below) is that label in {found["votes"]["label"]["plurality"]["accuracy"]:.0%} of {found["votes"]["label"]["plurality"]["examples"]:,} faces of {one["split"]}. FER+'s
votes are what ten people saw.

| answer | what it predicts | use it for |
|---|---|---|
| `votes`, the default | the expression that most people would see, of eight | faces of people |
| `expression` | FER2013's label, of seven | comparing with published numbers on FER2013 |

On FER2013's labels the network calls many a calm face sad or afraid, as those labels do. That is no answer for a person.

## Scores

On FER2013's {one["split"]}, n = {one["examples"]:,}; 95% intervals are bootstrapped over the images, but for those of single classes and of votes, which are Wilson's. PrivateTest was neither read nor looked at.

| shown | accuracy | interval | macro F1 | interval | calibration error | cross entropy |
|---|---|---|---|---|---|---|
{rows_of_views(found["views"])}

Without the {clean["copies"]:,} images that have an exact copy among the training images: accuracy {clean["accuracy"]:.4f} ({between(clean["intervals"]["accuracy"])}), macro F1
{clean["macro_f1"]:.4f} ({between(clean["intervals"]["macro_f1"])}), n = {clean["examples"]:,}. With the temperature {warm["value"]:.3f}, which the folder holds and `probabilities` applies, the
calibration error of the image alone is {warm["ece"]:.4f}{chance(warm)}; it was fitted on these same images, which makes that optimistic.

Score it yourself, with the whole fer2013.csv in a folder without FER+'s votes, whose majority would be the labels there:

```python
from pathlib import Path

import jaxfer, numpy as np
from jaxfer.config import DataConfig

split = jaxfer.load(DataConfig(data_dir=Path("fer2013.csv"), image_size={config["data"]["image_size"]})).val
said = jaxfer.load_model("{name}").probabilities(split.images, "expression")
print(f"{{np.mean(said.argmax(1) == split.labels):.4f}} of {{len(split):,}}")  # {one["accuracy"]:.4f} of {one["examples"]:,}
```

| label | precision | recall | interval | F1 | interval | images |
|---|---|---|---|---|---|---|
{rows_of_classes(one)}

The most frequent confusions:

{confusions(one)}

What people saw (`votes`), on the same split:

| rule | faces | agreement | interval |
|---|---|---|---|
| majority: more than half of the votes for one expression, single votes left out | {votes["majority"]["examples"]:,} | {votes["majority"]["accuracy"]:.4f} | {between(votes["majority"]["interval"])} |
| plurality: most votes for an expression, the first of equals | {votes["plurality"]["examples"]:,} | {votes["plurality"]["accuracy"]:.4f} | {between(votes["plurality"]["interval"])} |
{f"{NEWLINE}Probabilities of `votes` are meant as shares of people: the network gives its own answer {share['said']:.3f} on average, and {share['people']:.3f} of the{NEWLINE}people gave it, single votes left out (n = {share['examples']:,}). No temperature was fitted to them.{NEWLINE}" if share else ""}
| expression (majority) | recall | interval | faces |
|---|---|---|---|
{rows_of_votes(votes["majority"]["recall"])}

## How it was made

- Data: FER2013's Training, {found["train"]["examples"]:,} images, all of them; FER+'s votes for the same images. Fingerprint `{made["data"]}`.
- Runs: {epochs(found)}, each by a schedule fixed before it began; the network of the last epoch,
  its parameters averaged over steps (decay {config["optimizer"]["ema"]}, from less in the first steps), its statistics of normalisation measured anew on
  {config["optimizer"]["statistics_images"]:,} training images. Labels smoothed by {config["loss"]["label_smoothing"]:g}; mirror images, crops, turns, scales, light, and an erased patch.
- Selection: {selection(found)} The temperature was fitted on it.
- Recipe: the preset `small` of jaxfer {made["version"]}, seed {config["seed"]}:

  ```
  {command(found)}
  ```
{f"{NEWLINE}  The runs that were made differ from those of this command: {apart}; no command repeats that.{NEWLINE}" if apart else ""}
{NEWLINE.join(map(trained, found["runs"]))}
- On another processor or version the last bits of every step differ, so that a repetition gives a network as good, not the same one.
- `model.safetensors`: sha256 `{file["sha256"]}`.

## The data, and its rights

FER2013's photographs were collected from the web by search words (Goodfellow et al. 2013, https://arxiv.org/abs/1307.0414).
The people in them were not asked, and **no licence for the photographs has been published**. FER+'s votes are under the MIT
licence. The weights are under jaxfer's own licence, Apache-2.0, as far as jaxfer's authors can give one; whether it matters for your use
that the photographs' rights are not cleared is yours to judge. No image is part of the weights or of this card.

## What it must not be used for

{MISUSE}
- It has not been tested across age, sex or skin colour. FER2013 says nothing of them, and shows few faces of disgust
  ({one["per_class"]["disgust"]["support"]} of {one["examples"]:,} here).
- It expects faces framed as FER2013 frames them: upright, the face filling most of the square. Other crops are other inputs;
  `jaxfer predict` makes these.
"""


def trained(run: dict[str, Any]) -> str:
    """Return where one of the runs was made."""
    machine, versions = run["machine"], run["versions"]
    with_what = ", ".join(f"{library} {versions[library]}" for library in ("python", "jax", "flax", "optax"))
    taught = ", taught by the run before," if run["teachers"] else ""
    return (
        f"- {run['epochs']} epochs in {run['dtype']} at {run['learning_rate']:g}{taught} took {run['seconds'] / 60:.0f} minutes on "
        f"{machine['cores']} cores of an {machine['processor']} with {machine['vectors']}, beside other work; {with_what}."
    )


def chance(scores: dict[str, Any]) -> str:
    """Return what stands beside a calibration error, where it was measured."""
    found = by_chance(scores, "{:.4f}".format)
    return f" ({found}, for a network exactly as sure as it is right)" if found else ""


def model_names(votes: dict[str, Any]) -> list[str]:
    """Return the expressions that people saw, in the model's order."""
    return list(votes["plurality"]["recall"])


def rows_of_views(views: dict[str, Any]) -> str:
    """Return a row of scores for each way to show an image."""
    return "\n".join(
        f"| {SHOWN[name]} | {one['accuracy']:.4f} | {between(one['intervals']['accuracy'])} | {one['macro_f1']:.4f} "
        f"| {between(one['intervals']['macro_f1'])} | {one['ece']:.4f} | {one['cross_entropy']:.4f} |"
        for name, one in views.items()
    )


def rows_of_votes(recall: dict[str, Any]) -> str:
    """Return a row for each expression that people saw."""
    return "\n".join(
        f"| {name} | {one['recall']:.4f} | {between(wilson_interval(one['recall'], one['examples']))} | {one['examples']:,} |"
        for name, one in recall.items()
    )


if __name__ == "__main__":
    main()
