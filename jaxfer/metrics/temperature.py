"""Temperature scaling: one number that makes a network as sure as it is right."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxfer.errors import UserError
from jaxfer.metrics.labels import check_labels

if TYPE_CHECKING:
    from jaxtyping import Float, Int

LOWEST, HIGHEST = 0.05, 20.0
"""The range in which a temperature is sought. Where every label has the largest logit, none is low enough."""


def fit_temperature(logits: Float[np.ndarray, "n c"], labels: Int[np.ndarray, " n"]) -> float:
    """Return the temperature T with which softmax(logits / T) has the least cross entropy.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2, https://arxiv.org/abs/1706.04599.
    The cross entropy is convex in 1 / T, and so has one minimum over log T too. Computed in float64.

    Args:
        logits: Finite logits of n examples, floating point [n, c].
        labels: Their labels, int [n] in [0, c).

    Returns:
        T, in [0.05, 20]; 1 where no other is better.

    Raises:
        UserError: There is no label, one is none of the classes, or a logit is infinite or not a number.

    >>> sure = np.array([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [4.0, 0.0]])
    >>> round(fit_temperature(sure, np.array([0, 0, 0, 1])), 3)  # right in three of four: the odds e^(4 / T) are 3
    3.641
    """
    if len(labels) == 0:
        raise UserError("a temperature cannot be fitted to no labels: pass the predictions of at least one image")
    if not np.isfinite(logits).all():
        raise UserError(
            "a temperature cannot be fitted to logits that are infinite or not numbers: "
            "the network has diverged, train it with a lower learning rate"
        )
    check_labels(np.asarray(labels), logits.shape[1], "one of the examples")
    from scipy.optimize import minimize_scalar  # takes long to import

    above = np.asarray(logits, np.float64)
    above = above - np.take_along_axis(above, np.asarray(labels)[:, None], axis=1)  # [n, c], above that of the label
    largest = above.max(axis=1, keepdims=True)
    below = above - largest

    def cross_entropy(log_temperature: float) -> float:
        inverse = math.exp(-log_temperature)
        return float(np.mean(largest[:, 0] * inverse + np.log(np.exp(below * inverse).sum(axis=1))))

    bounds = (math.log(LOWEST), math.log(HIGHEST))
    found = minimize_scalar(cross_entropy, bounds=bounds, method="bounded", options={"xatol": 1e-7})
    return math.exp(found.x) if cross_entropy(found.x) < cross_entropy(0.0) else 1.0


@dataclasses.dataclass(frozen=True)
class Temperature:
    """A temperature that was fitted, and what it does to the predictions that it was fitted to.

    Attributes:
        value: The temperature.
        split: The name of the split.
        examples: The number of its examples.
        before: `cross_entropy` and `ece` of the split without it, as `Scores` has them.
        after: The same with it.
    """

    value: float
    split: str
    examples: int
    before: Mapping[str, float | None]
    after: Mapping[str, float | None]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Temperature:
        """Return the temperature of which these are the fields, as `to_dict` returns them.

        Raises:
            ValueError: One is missing, or the temperature is no number above 0.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if missing := [name for name in names if name not in fields]:
            raise ValueError(f"it lacks {', '.join(missing)}")
        value = fields["value"]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise ValueError(f"its value is {value!r}")
        return cls(**{name: fields[name] for name in names})
