"""How good predicted valence and arousal are, by the measures of the field.

Those that Mollahosseini et al. report beside AffectNet, https://arxiv.org/abs/1708.03985, section 5.2, for each of the
two: the root mean squared error; the concordance correlation coefficient of Lin, "A Concordance Correlation
Coefficient to Evaluate Reproducibility", Biometrics 45 (1989); and the sign agreement of Nicolaou et al., "Continuous
Prediction of Spontaneous Affect", IEEE Transactions on Affective Computing 2 (2011).
"""

from typing import Any

import numpy as np

from jaxfer.metrics import formulas

AFFECTS = ("valence", "arousal")
"""What predictions [..., 2] are of, column by column."""

AFFECT_MEASURES = tuple(f"{affect}_{measure}" for affect in AFFECTS for measure in ("ccc", "rmse", "sign_agreement"))
"""The names of all measures, such as `valence_ccc`."""


def affect_terms(predicted: Any, actual: Any) -> Any:
    """Return what each example adds to the sums that the measures are made from, [n, 2, 7], in the library of `actual`.

    predicted, actual: floating point [n, 2] of NumPy or JAX; `actual` is NaN where the data does not say.
    """
    xp = actual.__array_namespace__()
    known = ~xp.isnan(actual)
    x, y = xp.where(known, predicted, 0), xp.where(known, actual, 0)
    agree = known & (xp.sign(x) == xp.sign(y))
    return xp.stack([known.astype(x.dtype), x, y, x * x, y * y, x * y, agree.astype(x.dtype)], axis=-1)


def affect_scores(sums: np.ndarray) -> dict[str, float]:
    """Return `AFFECT_MEASURES`, and as `valence_examples` and `arousal_examples` how many faces they are of.

    sums: those of `affect_terms`, float64 [2, 7]. NaN where no face's data says it.

    >>> terms = affect_terms(np.array([[0.5, 0.5], [-0.5, 0.5]]), np.array([[0.5, np.nan], [-0.5, -0.5]]))
    >>> found = affect_scores(terms.sum(axis=0))
    >>> found["valence_ccc"], found["arousal_rmse"], found["arousal_sign_agreement"], found["arousal_examples"]
    (1.0, 1.0, 0.0, 1)
    """
    counts = {f"{affect}_examples": int(count) for affect, count in zip(AFFECTS, sums[:, 0], strict=True)}
    return counts | {name: float(value) for name, value in measured(sums).items()}


def measured(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Return `AFFECT_MEASURES`, each [...], from sums [..., 2, 7] over `affect_terms`."""
    n, x, y, xx, yy, xy, agree = np.moveaxis(sums, -1, 0)  # [..., 2] each
    squared_error = np.maximum(xx - 2 * xy + yy, 0)
    values = {
        "ccc": formulas.ccc(n, x, y, xx, yy, xy),
        "rmse": np.sqrt(formulas.divide(squared_error, n, empty=np.nan)),
        "sign_agreement": formulas.divide(agree, n, empty=np.nan),
    }
    each = ((affect, column, name) for column, affect in enumerate(AFFECTS) for name in values)
    return {f"{affect}_{name}": values[name][..., column] for affect, column, name in each}
