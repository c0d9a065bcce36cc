"""The result of an evaluation, in plain Python numbers."""

import dataclasses
import math
from typing import Any


@dataclasses.dataclass(frozen=True)
class Measure:
    """How a score is shown.

    title: what it is called, such as `Macro F1` or `CCC`.
    of: the quantity that it is of, where that is not the expression, such as `valence`.
    short: the title where there is little room, by default the title itself.
    noun: what a sentence calls it, by default the title.
    percent: whether it is a share that is written in percent.
    leading: whether lists that show few scores show it: curves by epoch, the table at the end of training.
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
        """The title with what it is of, such as `Valence, CCC`."""
        return f"{self.of[0].upper()}{self.of[1:]}, {self.title}" if self.of else self.title


MEASURES = {
    "accuracy": Measure("Accuracy", percent=True),
    "balanced_accuracy": Measure("Balanced accuracy", percent=True),
    "macro_f1": Measure("Macro F1"),
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
    """How well one class is recognised; each share is 0 where its denominator is."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclasses.dataclass(frozen=True)
class Bin:
    """The examples whose confidence lies in one of the equal-width bins: how many, mean confidence, accuracy."""

    examples: int
    confidence: float
    accuracy: float


@dataclasses.dataclass(frozen=True)
class Scores:
    """The result of an evaluation over n examples of c classes, in plain Python numbers.

    mse and r2 compare the (n, c) softmax with the one-hot labels, as scikit-learn's `mean_squared_error` and
    `r2_score` do with their uniform average over columns. macro_f1 averages over all c classes (0 for one that
    neither occurs nor is predicted), balanced_accuracy over the classes that occur.

    ece is the expected calibration error, sum over bins of (n_bin / n) |accuracy_bin - confidence_bin|, of Guo et
    al., "On Calibration of Modern Neural Networks", ICML 2017, over the bins of `calibration`.
    """

    examples: int
    loss: float
    """The training objective: cross entropy as trained (smoothed, weighted) and what is added to it."""
    cross_entropy: float
    """In nats; not clipped, so that it is infinite where a label's probability is 0."""
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    mse: float
    r2: float
    ece: float
    per_class: dict[str, ClassScores]
    calibration: list[Bin]
    confusion_matrix: list[list[int]]
    """Examples by actual (row) and predicted (column) class."""
    class_names: list[str]
    tasks: dict[str, float] = dataclasses.field(default_factory=dict)
    """The scores of further tasks, such as `valence_ccc`; nothing of one that the data says nothing about."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and what `tasks` holds as JSON has them; NaN and infinity, which it lacks, become None."""
        fields = dataclasses.asdict(self)
        tasks = fields.pop("tasks")
        return as_json(fields | tasks)


def as_json(value: Any) -> Any:
    """Return dicts and lists of numbers as JSON has them; NaN and infinity, which JSON lacks, become None."""
    if isinstance(value, dict):
        return {name: as_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
