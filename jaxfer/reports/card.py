"""The card of a model, README.md in the form that model hubs read: what it is, how good, how it was made.

All of it is of the run: what that does not say, such as a licence, is not in the card.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxfer.config import Config, to_json
from jaxfer.evaluation.intervals import f1_interval, wilson_interval
from jaxfer.inference.model import FaceModel
from jaxfer.json_text import check
from jaxfer.reports.finished_run import read_run
from jaxfer.reports.words import (
    Measures,
    between,
    configuration,
    counted,
    decimal,
    duration,
    in_a_line,
    setting,
    with_temperature,
)
from jaxfer.runs.folder import SUMMARY, read_rows
from jaxfer.runs.load import load_run
from jaxfer.tasks import MEASURES

CONFUSIONS = 6
"""The most frequent confusions that a card tells."""

MEANING = "**It predicts how people would name the expression on a face. It does not tell what a person feels.**"

MISUSE = """\
- Do not use it to judge, rank, hire, grade, watch, police or diagnose anyone. A face is no proof of a feeling.
- In the European Union, inferring emotions of people at work or in education is prohibited (AI Act, Regulation
  2024/1689, Article 5(1)(f)) but for medical or safety reasons; other uses may be of high risk, and people must be told
  of them."""


def model_card(run_dir: Path | str, model: FaceModel | None = None) -> str:
    """Return the card of the network of a run, in Markdown with the metadata that model hubs read.

    Of a run that has not ended it says so, and has no scores.

    Args:
        run_dir: The folder of the run.
        model: Its network, `FaceModel.of_run(load_run(run_dir))`, where it is loaded already or not jaxfer's own.

    Raises:
        UserError: The folder holds no run, or a damaged one.
    """
    run_dir = Path(run_dir)
    model = model or FaceModel.of_run(load_run(run_dir))
    made, side = model.notes["made"], model.image_size
    name = in_a_line(run_dir.resolve().name)
    ended = (run_dir / SUMMARY).is_file()
    if ended:
        summary = read_run(run_dir).summary
        results, scores, data = _results(name, summary), _scores(summary), _data(summary)
    else:
        results, scores, data = "", _unfinished(run_dir, made["checkpoint"]), f"- Data: fingerprint `{made['data']}`."
    return f"""---
library_name: jaxfer
pipeline_tag: image-classification
tags: [facial-expression-recognition, jax, flax]
{results}---

# `{name}`: expressions of faces

```python
import jaxfer, numpy as np

model = jaxfer.load_model("FOLDER")  # that of this file
faces = np.zeros((1, {side}, {side}, 3), np.uint8)  # faces as the training images frame them, RGB, 0 to 255
model.probabilities(faces)  # of {", ".join(map(in_a_line, model.names()))}
jaxfer.Predictor(model)("photo.jpg")  # the faces in a photograph, found and cut out
```

{_network(model)}

{MEANING}

## Scores

{scores}

## How it was made

{data}{_begun(run_dir)}
- {_checkpoint(made["checkpoint"])}
- Settings that are not jaxfer's usual ones: {_settings(made["config"])}.
- Written by jaxfer {made["version"]}.

## What it must not be used for

{MISUSE}
- What is not measured here, such as scores by age, sex or skin colour, is not known.
"""


def rows_of_classes(scores: Mapping[str, Any]) -> str:
    """Return the rows of a table in Markdown, one for each label: precision, recall and F1 with 95% intervals, images.

    Args:
        scores: Those of a split, with `per_class` and `confusion_matrix`.
    """
    matrix = np.array(scores["confusion_matrix"])
    concerned = matrix.sum(axis=0) + matrix.sum(axis=1) - matrix.diagonal()  # of the class, or taken for it
    return "\n".join(
        f"| {in_a_line(name)} | {c['precision']:.4f} | {c['recall']:.4f} "
        f"| {between(wilson_interval(c['recall'], c['support']))} "
        f"| {c['f1']:.4f} | {between(f1_interval(c['f1'], int(n)))} | {c['support']:,} |"
        for (name, c), n in zip(scores["per_class"].items(), concerned, strict=True)
    )


def confusions(scores: Mapping[str, Any]) -> str:
    """Return a list in Markdown of the labels that are most often taken for another one, by share of their images."""
    matrix, names = np.array(scores["confusion_matrix"], float), list(scores["per_class"])
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    order = np.argsort(-shares, axis=None)[:CONFUSIONS]
    pairs = zip(*np.unravel_index(order, shares.shape), strict=True)
    return "\n".join(f"- {names[a]} taken for {names[b]}: {shares[a, b]:.1%} of its images" for a, b in pairs)


def _results(name: str, summary: Mapping[str, Any]) -> str:
    """Return the results as hubs read them."""
    source, val = _source(summary), summary["val"]
    kind = re.sub(r"[^a-z0-9]+", "-", source.lower()).strip("-") or "faces"
    values = {"accuracy": ("accuracy", val["accuracy"]), "macro F1": ("f1", val["macro_f1"])}
    metrics = "".join(
        f"\n    - {{type: {metric}, name: {title}, value: {value:.4f}}}" for title, (metric, value) in values.items()
    )
    of_data = {"name": source, "type": kind, "split": val["split"], "args": {"examples": val["examples"]}}
    return f"""model-index:
- name: {json.dumps(name)}
  results:
  - task: {{type: image-classification}}
    dataset: {json.dumps(of_data)}
    metrics:{metrics}
"""


def _source(summary: Mapping[str, Any]) -> str:
    """Return the layout of the data, without the place where it lay."""
    return in_a_line(summary["data"]["source"].partition(":")[0])


def _network(model: FaceModel) -> str:
    parameters = sum(leaf.size for leaf in jax.tree.leaves(dict(model.variables)["params"]))
    config = model.config
    kind = f"`{config.variant}`, {parameters:,} parameters, for faces of {model.image_size} x {model.image_size} pixels"
    seen = " One channel; colours become luma, 0.299 red + 0.587 green + 0.114 blue." if config.gray else ""
    seen += " Each image is standardised inside of the network." if config.standardize else ""
    heads = f" Heads besides the expression: {', '.join(config.heads)}." if config.heads else ""
    return f"The network {kind}.{seen}{heads}"


def _scores(summary: Mapping[str, Any]) -> str:
    measures, val, temperature = Measures(MEASURES), summary["val"], summary.get("temperature")
    rows = "\n".join(
        f"| {measures[name].heading} | {measures.number(name, val[name])} | {' '.join(measures.cell(val, name)[1:])} |"
        for name in measures.names(val)
    )
    warm = "" if not temperature else with_temperature(temperature | temperature["after"], temperature["before"])
    split = f"{val['split']}, n = {val['examples']:,}"
    return f"""On the split {split}, by which each epoch of training was measured; 95% intervals.

| score | value | interval |
|---|---|---|
{rows}

{warm}

| label | precision | recall | interval | F1 | interval | images |
|---|---|---|---|---|---|---|
{rows_of_classes(val)}

The most frequent confusions:

{confusions(val)}"""


def _unfinished(run_dir: Path, checkpoint: Mapping[str, Any]) -> str:
    epochs = [row for row in read_rows(run_dir) if row["kind"] == "epoch" and row["step"] <= checkpoint["step"]]
    if not epochs:
        return "The run has not ended, nor has its first epoch: there are no scores."
    last = epochs[-1]
    return (
        f"**The run has not ended.** After epoch {last['epoch']} its accuracy on the validation images was "
        f"{decimal(last['val_accuracy'])}, and its loss {decimal(last['val_loss'])}; there are no other scores."
    )


def _data(summary: Mapping[str, Any]) -> str:
    data, train, val = summary["data"], summary["train"], summary["val"]
    lines = [
        f"Data: {_source(summary)}; {train['examples']:,} training images ({train['split']}), "
        f"{val['examples']:,} of validation ({val['split']}). Fingerprint `{data['fingerprint']}`.",
        *(f"Left out: {in_a_line(reason)}, {counted(count, 'image')}." for reason, count in data["left_out"].items()),
        f"{counted(summary['epochs'], 'epoch')}, {counted(summary['steps'], 'step')}, {duration(summary['seconds'])}.",
        "Versions and devices: "
        + ", ".join(f"{name} {setting(value)}" for name, value in summary["environment"].items())
        + ".",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _begun(run_dir: Path) -> str:
    """Return whose weights a run has started from; empty where it has drawn its own."""
    begun = next((row for row in read_rows(run_dir) if row["kind"] == "pretrained"), None)
    if begun is None:
        return ""
    check(begun, {"origin": str, "sha256": str}, str(run_dir / "metrics.jsonl"))
    return f"\n- Begun with other weights: {in_a_line(begun['origin'])}, SHA-256 `{in_a_line(begun['sha256'])}`."


def _checkpoint(checkpoint: Mapping[str, Any]) -> str:
    chosen = "the last one" if checkpoint["chosen"] == "last" else f"chosen as {checkpoint['chosen']}"
    ends = "" if checkpoint["ends_epoch"] else f", within epoch {checkpoint['epoch'] + 1}"
    return f"Checkpoint: after epoch {checkpoint['epoch']}, step {checkpoint['step']:,}{ends}; {chosen}."


def _settings(config: Mapping[str, Any]) -> str:
    usual = configuration(json.loads(to_json(Config())))
    changed = [
        f"{field} {value}"
        for group, fields in configuration(config).items()
        for field, value in fields.items()
        if usual.get(group, {}).get(field) != value
    ]
    return ", ".join(changed) or "none"
