"""The result of an evaluation, in plain Python numbers."""

import dataclasses
import math
from typing import Any


@dataclasses.dataclass(frozen=True)
class Measure:
    """How a score is shown.

    Attributes:
        title: Its name in tables, such as `Macro F1` or `CCC`.
        of: The quantity that it measures, such as `valence`; empty for the expression.
        short: The title where there is little room; empty for the title itself.
        noun: Its name in sentences; empty for the title.
        percent: Whether it is a share that is written in percent.
        leading: Whether short lists have it: curves by epoch, the table at the end of training.
    """

    title: str
    _: dataclasses.KW_ONLY
    of: str = ""
    short: str = ""
    noun: str = ""
    percent: bool = False
    leading: bool = True

    @property
    def heading(self) -> str:
        """The title after the quantity that it measures, such as `Valence, CCC`."""
        return f"{self.of[0].upper()}{self.of[1:]}, {self.title}" if self.of else self.title


MEASURES = {
    "accuracy": Measure("Accuracy", percent=True),
    "balanced_accuracy": Measure("Balanced accuracy", percent=True),
    "macro_f1": Measure("Macro F1"),
    "kappa": Measure("Cohen's kappa", leading=False),
    "top2_accuracy": Measure("Top-2 accuracy", percent=True, leading=False),
    "cross_entropy": Measure("Cross entropy", leading=False),
    "loss": Measure("Loss (training objective)", short="Loss"),
    "mse": Measure("Mean squared error", short="MSE"),
    "r2": Measure("R²"),
    "ece": Measure("Calibration error"),
}
"""The measures of the expression, in the order in which pages list them, by their names in the JSON files.

`jaxfer.tasks.MEASURES` has those of further heads too.
"""


@dataclasses.dataclass(frozen=True)
class ClassScores:
    """How well one class is recognised; a share with the denominator 0 is 0.

    Attributes:
        precision: Share of the predictions of this class that are correct, in [0, 1].
        recall: Share of the examples of this class that are recognised, in [0, 1].
        f1: Harmonic mean of both, in [0, 1].
        support: Number of examples of this class.
        auc: Area under the ROC curve of its probability against all other classes, in [0, 1]; 0.5 is chance. NaN where
            no example or every one is of this class. See `jaxfer.metrics.ranking`.
        average_precision: Area under precision by recall of its probability, in [0, 1]; NaN without an example.

    The last two are None where scores were computed from sums alone.
    """

    precision: float
    recall: float
    f1: float
    support: int
    auc: float | None = None
    average_precision: float | None = None


@dataclasses.dataclass(frozen=True)
class Bin:
    """One of the equal-width bins of confidence.

    Attributes:
        examples: Number of examples in the bin.
        confidence: Their mean confidence, in [0, 1]; 0 without examples.
        accuracy: Share of them predicted correctly, in [0, 1]; 0 without examples.
    """

    examples: int
    confidence: float
    accuracy: float


@dataclasses.dataclass(frozen=True)
class Scores:
    """The result of an evaluation over n examples of c classes, in plain Python numbers.

    With an example whose probabilities are no numbers, as those of a network that has diverged, all scores are NaN.

    Attributes:
        examples: Number of examples n.
        loss: The training objective: cross entropy as trained (smoothed, weighted) and what is added to it.
        cross_entropy: Cross entropy in nats. It is not clipped: a label of probability 0 makes it infinite.
        accuracy: Share of correct predictions.
        balanced_accuracy: Recall, averaged over the classes that occur.
        macro_f1: F1, averaged over all c classes; it is 0 for a class that neither occurs nor is predicted.
        mse: Mean squared error between the softmax [n, c] and the one-hot labels, as scikit-learn's
            `mean_squared_error` with its uniform average over columns.
        r2: R2 of the same, as scikit-learn's `r2_score` with its uniform average over columns.
        ece: Expected calibration error over the bins of `calibration`: the sum of
            (n_bin / n) |accuracy_bin - confidence_bin|. Guo et al., "On Calibration of Modern Neural Networks", ICML
            2017, https://arxiv.org/abs/1706.04599.
        per_class: How well each class is recognised, by its name.
        calibration: The 15 bins of confidence, in rising order.
        confusion_matrix: Examples by actual (row) and predicted (column) class, [c, c].
        class_names: The names of the classes, in the order of the labels.
        tasks: The scores of further tasks, such as `valence_ccc`; none of a task that the data does not cover.
        kappa: Cohen's kappa (1960): how far the accuracy exceeds that by chance, as a share of how far it could; NaN
            where all labels and predictions are one class.
        top2_accuracy: Share of examples whose label is one of the two most probable classes; None where scores were
            computed from sums alone.
        unlabelled: Number of examples besides that a device saw with a label that is no class, and left out.
    """

    examples: int
    loss: float
    cross_entropy: float
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    mse: float
    r2: float
    ece: float
    per_class: dict[str, ClassScores]
    calibration: list[Bin]
    confusion_matrix: list[list[int]]
    class_names: list[str]
    tasks: dict[str, float] = dataclasses.field(default_factory=dict)
    kappa: float = math.nan
    top2_accuracy: float | None = None
    unlabelled: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields for JSON, with the entries of `tasks` beside them; NaN and infinity become None.

        What was not computed is left out. `unlabelled` is there where it is not 0, as `unlabelled_examples`.
        """
        fields = dataclasses.asdict(self, dict_factory=_computed)
        tasks, unlabelled = fields.pop("tasks"), fields.pop("unlabelled")
        return as_json(fields | tasks | ({"unlabelled_examples": unlabelled} if unlabelled else {}))


def _computed(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in fields if value is not None}


def as_json(value: Any) -> Any:
    """Return dicts and lists of numbers for JSON; NaN and infinity, which JSON lacks, become None."""
    if isinstance(value, dict):
        return {name: as_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
