"""The parts of a run's report that show scores, each with its split, number of images, epoch and interval."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from jaxfer.evaluation.intervals import f1_interval, wilson_interval
from jaxfer.reports import figures
from jaxfer.reports.finished_run import Run
from jaxfer.reports.markup import between, decimal, figure, heat_table, noted_table, number, percent
from jaxfer.reports.page import table, tile

AFFECTS = ("valence", "arousal")

MEASURES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "cross_entropy": "Cross entropy",
    "loss": "Loss (training objective)",
    "mse": "Mean squared error",
    "r2": "R²",
    "ece": "Calibration error",
    "valence_ccc": "Valence, CCC",
    "valence_rmse": "Valence, RMSE",
    "valence_sign_agreement": "Valence, sign agreement",
    "arousal_ccc": "Arousal, CCC",
    "arousal_rmse": "Arousal, RMSE",
    "arousal_sign_agreement": "Arousal, sign agreement",
}
"""What the page calls the fields of `Scores`, and the measures of valence and arousal."""

NO_INTERVAL = "no interval"


def interval(split: Mapping[str, Any], measure: str) -> str:
    """Return the 95% interval of a split's score in words: Wilson's where a summary has no accuracy's bootstrap."""
    bounds = split.get("intervals", {}).get(measure)
    if bounds is None and measure == "accuracy" and split["accuracy"] is not None:
        bounds = wilson_interval(split["accuracy"], split["examples"])
    return NO_INTERVAL if bounds is None or None in bounds else between(measure, bounds)


def where(summary: Mapping[str, Any], measure: str = "") -> str:
    """Return what belongs beside every number of the validation split."""
    val = summary["val"]
    return f"{val['split']}, n\u00a0=\u00a0{examples(val, measure):,}, epoch\u00a0{summary['checkpoint']['epoch']}"


def examples(split: Mapping[str, Any], measure: str) -> int:
    """Return how many images of a split a measure is of: valence and arousal need not be known of all."""
    return split.get(f"{measure.partition('_')[0]}_examples", split["examples"])


def tiles(summary: Mapping[str, Any]) -> str:
    """Return the scores beside the headline, and how far training accuracy is above it."""
    val, train = summary["val"], summary["train"]
    html = "".join(
        tile(MEASURES[measure], number(measure, val[measure]), f"95%: {interval(val, measure)}", where(summary))
        for measure in ("balanced_accuracy", "macro_f1", "cross_entropy", "ece")
    )
    if val["accuracy"] is None or train["accuracy"] is None:
        return html
    points = f"{100 * (train['accuracy'] - val['accuracy']):+.1f}"
    basis = f"accuracy on {train['split']}, n\u00a0=\u00a0{train['examples']:,}, less that on {where(summary)}"
    return html + tile("Gap to training, points", points, basis)


def learning_curves(run: Run) -> str:
    """Return the curves, those of valence and arousal where there are any, and all their numbers as a table."""
    drawn = "".join(_curve(run, measure) for measure in ("accuracy", "loss"))
    if run.has_affect:
        drawn += _concordance(run)
    return f'<div class="pair">{drawn}</div>{_epochs(run)}'


def _curve(run: Run, measure: str) -> str:
    train, val = run.summary["train"], run.summary["val"]
    best, last = figures.best_epoch(run.history), run.history[-1]
    in_words = [
        f"{measure.capitalize()} of both splits by epoch.",
        f"At epoch {last['epoch']} training has {number(measure, last[measure])},",
        f"validation {number(measure, last[f'val_{measure}'])}.",
    ]
    if best is not None:
        in_words.append(f"Validation accuracy is best at epoch {best['epoch']}, where validation has")
        in_words.append(f"{number(measure, best[f'val_{measure}'])}.")
    caption = (
        f"{MEASURES[measure]} on {train['examples']:,} training images (“{train['split']}”) and "
        f"{val['examples']:,} validation images (“{val['split']}”); the shade between them is the gap. Training values "
        "are means over an epoch in which the network still learned, with augmentation and dropout."
    )
    return figure(partial(figures.curve, run.history, measure), " ".join(in_words), caption)


def _concordance(run: Run) -> str:
    val, last = run.summary["val"], run.history[-1]
    ends = (f"{affect} {number(f'{affect}_ccc', last[f'val_{affect}_ccc'])}" for affect in AFFECTS)
    return figure(
        partial(figures.concordance, run.history),
        f"Concordance of valence and arousal by epoch. At epoch {last['epoch']}: {', '.join(ends)}.",
        f"Concordance (CCC) of predicted and actual valence and arousal on {val['examples']:,} validation images "
        f"(“{val['split']}”).",
    )


def _epochs(run: Run) -> str:
    val = run.summary["val"]
    concordances = {f"{affect}_ccc": f"Validation {affect}, CCC" for affect in AFFECTS} if run.has_affect else {}

    def row(line: Mapping[str, Any]) -> list[str]:
        accuracy = line["val_accuracy"]
        seen = [number("accuracy", line["accuracy"]), decimal(line["loss"])]
        known = "n/a" if accuracy is None else between("accuracy", wilson_interval(accuracy, val["examples"]))
        more = [number(name, line[f"val_{name}"]) for name in concordances]
        return [str(line["epoch"]), *seen, number("accuracy", accuracy), known, decimal(line["val_loss"]), *more]

    listed = table(
        f"Every epoch on both splits; validation is “{val['split']}”, n = {val['examples']:,}; Wilson's intervals.",
        [
            *("Epoch", "Training accuracy", "Training loss", "Validation accuracy", "95% interval", "Validation loss"),
            *concordances.values(),
        ],
        map(row, run.history),
    )
    return f"<details><summary>The curves as a table</summary>{listed}</details>"


def splits(summary: Mapping[str, Any]) -> str:
    """Return all scores of both splits."""
    val, train = summary["val"], summary["train"]
    return noted_table(
        f"The checkpoint of epoch {summary['checkpoint']['epoch']} on both splits, in evaluation mode, with 95% "
        "intervals. Only the validation split says what to expect on new faces.",
        ["Measure", f"Validation (“{val['split']}”)", f"Training (“{train['split']}”)"],
        [
            ("Images (n)", [(f"{split['examples']:,}", "") for split in (val, train)]),
            *(
                (title, [(number(name, split[name]), interval(split, name)) for split in (val, train)])
                for name, title in MEASURES.items()
                if name in val and name in train
            ),
            *(
                (
                    f"Images whose {name} is known (n)",
                    [(f"{split[f'{name}_examples']:,}", "") for split in (val, train)],
                )
                for name in AFFECTS
                if f"{name}_examples" in val and f"{name}_examples" in train
            ),
        ],
    )


def classes(summary: Mapping[str, Any], kind: str = "validation") -> str:
    """Return the scores of each class, drawn and as a table; `kind` is what the split in `val` is for."""
    val = summary["val"]
    drawn = figure(
        partial(figures.per_class, val),
        "F1 of each class: " + ", ".join(f"{name} {of['f1']:.2f}" for name, of in val["per_class"].items()) + ".",
        f"F1 (bars) with 95% intervals, precision and recall (marks) of each class on the {kind} split "
        f"({where(summary)}).",
    )
    predicted = [sum(column) for column in zip(*val["confusion_matrix"], strict=True)]
    counted = zip(val["per_class"].items(), predicted, figures.related(val), strict=True)
    numbers = noted_table(
        f"Each class on the {kind} split ({where(summary)}), with Wilson's 95% intervals. Support is the number of "
        "its images.",
        ["Class", "Precision", "Recall", "F1", "Support"],
        [
            (
                name,
                [
                    (decimal(of["precision"]), between("", wilson_interval(of["precision"], as_such))),
                    (decimal(of["recall"]), between("", wilson_interval(of["recall"], of["support"]))),
                    (decimal(of["f1"]), between("", f1_interval(of["f1"], either))),
                    (f"{of['support']:,}", ""),
                ],
            )
            for (name, of), as_such, either in counted
        ],
    )
    return drawn + numbers


def confusion(summary: Mapping[str, Any], kind: str = "validation") -> str:
    """Return the confusion matrix, as counts and in percent of its rows; `kind` is what the split in `val` is for."""
    val = summary["val"]
    basis = f"images of the {kind} split ({where(summary)}) by actual class (rows) and predicted class (columns)"
    counts = heat_table(f"Counts: {basis}.", val["class_names"], val["confusion_matrix"])
    shares = heat_table(
        f"Percent of each row: {basis}. Its diagonal is the recall.",
        val["class_names"],
        val["confusion_matrix"],
        shares=True,
    )
    return counts + shares


def calibration(summary: Mapping[str, Any], kind: str = "validation") -> str:
    """Return accuracy by confidence, drawn and as a table; `kind` is what the split in `val` is for."""
    val, error = summary["val"], decimal(summary["val"]["ece"])
    bins = [item for item in val["calibration"] if item["examples"]]
    diagram = figure(
        partial(figures.reliability, val),
        f"Accuracy in {len(bins)} ranges of confidence, against the diagonal of perfect calibration; "
        f"the expected calibration error is {error}.",
        f"Accuracy by confidence with Wilson's 95% intervals on the {kind} split ({where(summary)}). Below the "
        "diagonal the network is surer than it is right.",
    )
    numbers = table(
        f"Expected calibration error {error} (95%: {interval(val, 'ece')}) on the {kind} split ({where(summary)}): "
        "the distance between confidence and accuracy, averaged over the images.",
        ["Mean confidence", "Accuracy", "95% interval", "Images"],
        [
            [
                decimal(item["confidence"]),
                percent(item["accuracy"]),
                between("accuracy", wilson_interval(item["accuracy"], item["examples"])),
                f"{item['examples']:,}",
            ]
            for item in bins
        ],
    )
    return diagram + numbers
