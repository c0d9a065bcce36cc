"""How good predicted valence and arousal are, by the measures of the field.

Those that Mollahosseini et al. report beside AffectNet, https://arxiv.org/abs/1708.03985, section 5.2, for each of the
two: the root mean squared error; the concordance correlation coefficient of Lin, "A Concordance Correlation
Coefficient to Evaluate Reproducibility", Biometrics 45 (1989); and the sign agreement of Nicolaou et al., "Continuous
Prediction of Spontaneous Affect", IEEE Transactions on Affective Computing 2 (2011).
"""

import numpy as np

from jaxfer.evaluation import measures
from jaxfer.evaluation.predictions import Predictions

AFFECTS = ("valence", "arousal")
"""The columns of `Predictions.affect`."""

AFFECT_MEASURES = tuple(f"{affect}_{measure}" for affect in AFFECTS for measure in ("ccc", "rmse", "sign_agreement"))
"""The names of all measures, such as `valence_ccc`."""


def affect_scores(predictions: Predictions) -> dict[str, float]:
    """Return `AFFECT_MEASURES`, and as `valence_examples` and `arousal_examples` how many faces they are of.

    NaN where no face's data says it; nothing where the network predicts neither, or the data says neither.

    >>> guess, truth = np.array([[0.5, 0.5], [-0.5, 0.5]], np.float32), np.array([[0.5, np.nan], [-0.5, -0.5]])
    >>> found = affect_scores(Predictions(np.zeros((2, 7)), np.zeros(2, int), guess, truth))
    >>> found["valence_ccc"], found["arousal_rmse"], found["arousal_sign_agreement"], found["arousal_examples"]
    (1.0, 1.0, 0.0, 1)
    """
    terms = affect_terms(predictions)
    if terms is None:
        return {}
    counts = {f"{affect}_examples": int(count) for affect, count in zip(AFFECTS, terms[..., 0].sum(0), strict=True)}
    return counts | {name: float(value) for name, value in measured(terms.sum(0)).items()}


def affect_terms(predictions: Predictions) -> np.ndarray | None:
    """Return what each example adds to the sums that `measured` takes, float64 [n, 2, 7].

    None where the network predicts neither, or the data says neither.
    """
    if predictions.affect is None or predictions.actual_affect is None:
        return None
    known = ~np.isnan(predictions.actual_affect)
    x = np.where(known, predictions.affect, 0).astype(np.float64)
    y = np.where(known, predictions.actual_affect, 0).astype(np.float64)
    agree = known & (np.sign(x) == np.sign(y))
    return np.stack([known, x, y, x * x, y * y, x * y, agree], axis=-1)


def measured(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Return `AFFECT_MEASURES`, each [...], from sums [..., 2, 7] over `affect_terms`."""
    n, x, y, xx, yy, xy, agree = np.moveaxis(sums, -1, 0)  # [..., 2] each
    squared_error = np.maximum(xx - 2 * xy + yy, 0)
    values = {
        "ccc": measures.ccc(n, x, y, xx, yy, xy),
        "rmse": np.sqrt(measures.divide(squared_error, n, empty=np.nan)),
        "sign_agreement": measures.divide(agree, n, empty=np.nan),
    }
    each = ((affect, column, name) for column, affect in enumerate(AFFECTS) for name in values)
    return {f"{affect}_{name}": values[name][..., column] for affect, column, name in each}
