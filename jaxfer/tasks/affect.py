"""Valence and arousal, each from -1 to 1, learnt by squared error from the faces annotated with them.

The measures of each are those of Mollahosseini et al. for AffectNet, https://arxiv.org/abs/1708.03985, section 5.2:

- RMSE, the root mean squared error;
- CCC, the concordance correlation coefficient: Lin, "A Concordance Correlation Coefficient to Evaluate
  Reproducibility", Biometrics 45 (1989);
- Pearson's correlation coefficient;
- the sign agreement: Nicolaou et al., "Continuous Prediction of Spontaneous Affect", IEEE Transactions on Affective
  Computing 2 (2011).

ICC is the intraclass correlation ICC(3,1) of prediction and annotation (Shrout and Fleiss 1979), which challenges of
facial behaviour report. The formulas are `ccc`, `pearson` and `icc` in `jaxfer.metrics.formulas`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxfer.metrics import formulas
from jaxfer.metrics.scores import Measure
from jaxfer.models import Head
from jaxfer.tasks.task import Arrays, Task

if TYPE_CHECKING:
    from jaxtyping import Array, Float

_BOTH = ("valence", "arousal")


def _from_minus_1_to_1(x: jax.Array) -> jax.Array:
    # A function of this module, and not JAX's own, which cannot be pickled: networks hold it.
    return jnp.tanh(x)


class Affect(Task):
    """The head `affect`, float32 [b, 2] in [-1, 1]: valence and arousal.

    A batch has `valence` and `arousal`, float32 [b], or one of the two; NaN where unknown.

    >>> outputs = {"affect": np.array([[0.5, 0.5], [-0.5, 0.5]])}
    >>> batch = {"valence": np.array([0.5, -0.5]), "arousal": np.array([np.nan, -0.5])}
    >>> found = Affect().scores(Affect().terms(outputs, batch).sum(axis=0))
    >>> [float(found[name]) for name in ("valence_ccc", "arousal_rmse", "arousal_sign_agreement", "arousal_examples")]
    [1.0, 1.0, 0.0, 1.0]
    """

    name = "affect"
    head = Head("affect", 2, _from_minus_1_to_1)
    columns = _BOTH
    measures = {
        f"{of}_{name}": Measure(title, of=of, noun=noun, leading=name == "ccc")
        for of in _BOTH
        for name, title, noun in (
            ("ccc", "CCC", "concordance"),
            ("rmse", "RMSE", ""),
            ("sign_agreement", "sign agreement", ""),
            ("pearson", "Pearson correlation", ""),
            ("icc", "ICC(3,1)", ""),
        )
    }

    def loss(self, outputs: Arrays, batch: Arrays) -> Float[Array, " b"]:
        """Return the sum of both squared errors, float32 [b]; unknown values add 0."""
        predicted, actual = outputs["affect"], _actual(batch)
        chex.assert_equal_shape([predicted, actual])
        known = ~jnp.isnan(actual)
        # Selected before squaring: the gradient of what is selected after it would be 0 times NaN, which is NaN.
        errors = jnp.where(known, predicted - jnp.where(known, actual, 0), 0)
        return jnp.square(errors).sum(axis=-1)

    def terms(self, outputs: Arrays, batch: Arrays) -> Float[Array, "b 2 terms"] | Float[np.ndarray, "b 2 terms"]:
        """Return the terms of the measures, for prediction x and annotation y.

        Returns:
            1, x, y, x^2, y^2, x y and whether the signs agree, for valence and arousal, [b, 2, 7]; zeros where y is
            unknown.
        """
        predicted, actual = outputs["affect"], _actual(batch)
        xp = actual.__array_namespace__()
        known = ~xp.isnan(actual)
        x, y = xp.where(known, predicted, 0), xp.where(known, actual, 0)
        agree = known & (xp.sign(x) == xp.sign(y))
        return xp.stack([known.astype(x.dtype), x, y, x * x, y * y, x * y, agree.astype(x.dtype)], axis=-1)

    def scores(self, sums: Float[np.ndarray, "... 2 terms"]) -> dict[str, Float[np.ndarray, " ..."]]:
        """Return the measures, and the numbers of examples.

        Args:
            sums: Sums of the terms over examples, float64 [..., 2, 7].

        Returns:
            `valence_ccc` and the like, [...]; NaN without an annotated face, and `valence_pearson` where a prediction
            or an annotation never varies. `valence_examples` and `arousal_examples`, [...].
        """
        n, x, y, xx, yy, xy, agree = np.moveaxis(np.asarray(sums), -1, 0)  # [..., 2] each
        squared_error = np.maximum(xx - 2 * xy + yy, 0)
        values = {
            "examples": n,
            "ccc": formulas.ccc(n, x, y, xx, yy, xy),
            "rmse": np.sqrt(formulas.divide(squared_error, n, empty=np.nan)),
            "sign_agreement": formulas.divide(agree, n, empty=np.nan),
            "pearson": formulas.pearson(n, x, y, xx, yy, xy),
            "icc": formulas.icc(n, x, y, xx, yy, xy),
        }
        return {f"{one}_{key}": value[..., column] for column, one in enumerate(_BOTH) for key, value in values.items()}

    def pairs(self, outputs: Arrays, batch: Arrays) -> dict[str, tuple[Any, Any]]:
        """Return `valence` and `arousal`, each predicted and actual, float32 [b]; NaN where unknown."""
        actual = _actual(batch).T if self.known(batch) else [None, None]
        return dict(zip(_BOTH, zip(outputs["affect"].T, actual, strict=True), strict=True))


def _actual(batch: Arrays) -> Any:
    """Return the annotated valence and arousal, [b, 2]; NaN where unknown."""
    known = [batch[name] for name in _BOTH if name in batch]
    xp = known[0].__array_namespace__()
    unknown = xp.full(known[0].shape, xp.nan, known[0].dtype)
    return xp.stack([batch.get(name, unknown) for name in _BOTH], axis=-1)
