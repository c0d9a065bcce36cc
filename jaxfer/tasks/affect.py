"""Valence and arousal, each from -1 to 1, learnt by their squared errors from the faces whose data says them.

The measures are those that Mollahosseini et al. report beside AffectNet, https://arxiv.org/abs/1708.03985, section 5.2,
for each of the two: the root mean squared error; the concordance correlation coefficient of Lin, "A Concordance
Correlation Coefficient to Evaluate Reproducibility", Biometrics 45 (1989); and the sign agreement of Nicolaou et al.,
"Continuous Prediction of Spontaneous Affect", IEEE Transactions on Affective Computing 2 (2011).
"""

from typing import Any

import chex
import jax.numpy as jnp
import numpy as np

from jaxfer.metrics import formulas
from jaxfer.metrics.scores import Measure
from jaxfer.models import Head
from jaxfer.tasks.task import Arrays, Task

_BOTH = ("valence", "arousal")


class Affect(Task):
    """The head `affect`, float32 [b, 2]: valence and arousal.

    >>> outputs = {"affect": np.array([[0.5, 0.5], [-0.5, 0.5]])}
    >>> batch = {"valence": np.array([0.5, -0.5]), "arousal": np.array([np.nan, -0.5])}
    >>> found = Affect().scores(Affect().terms(outputs, batch).sum(axis=0))
    >>> [float(found[name]) for name in ("valence_ccc", "arousal_rmse", "arousal_sign_agreement", "arousal_examples")]
    [1.0, 1.0, 0.0, 1.0]
    """

    name = "affect"
    head = Head("affect", 2, jnp.tanh)
    columns = _BOTH
    measures = {
        f"{of}_{name}": Measure(title, of=of, noun=noun, leading=name == "ccc")
        for of in _BOTH
        for name, title, noun in (
            ("ccc", "CCC", "concordance"),
            ("rmse", "RMSE", ""),
            ("sign_agreement", "sign agreement", ""),
        )
    }

    def loss(self, outputs: Arrays, batch: Arrays) -> Any:
        """Return the sum of both squared errors, float32 [b]; what the data does not say adds nothing."""
        predicted, actual = outputs["affect"], _actual(batch)
        chex.assert_equal_shape([predicted, actual])
        known = ~jnp.isnan(actual)
        # Selected before squaring: the gradient of what is selected after it would be 0 times NaN, which is NaN.
        errors = jnp.where(known, predicted - jnp.where(known, actual, 0), 0)
        return jnp.square(errors).sum(axis=-1)

    def terms(self, outputs: Arrays, batch: Arrays) -> Any:
        """Return number, sums and products of what is predicted (x) and known (y), [b, 2, 7]."""
        predicted, actual = outputs["affect"], _actual(batch)
        xp = actual.__array_namespace__()
        known = ~xp.isnan(actual)
        x, y = xp.where(known, predicted, 0), xp.where(known, actual, 0)
        agree = known & (xp.sign(x) == xp.sign(y))
        return xp.stack([known.astype(x.dtype), x, y, x * x, y * y, x * y, agree.astype(x.dtype)], axis=-1)

    def scores(self, sums: Any) -> dict[str, Any]:
        """Return such as `valence_ccc`, NaN where no face's data says it, and `valence_examples`, from [..., 2, 7]."""
        n, x, y, xx, yy, xy, agree = np.moveaxis(np.asarray(sums), -1, 0)  # [..., 2] each
        squared_error = np.maximum(xx - 2 * xy + yy, 0)
        values = {
            "examples": n,
            "ccc": formulas.ccc(n, x, y, xx, yy, xy),
            "rmse": np.sqrt(formulas.divide(squared_error, n, empty=np.nan)),
            "sign_agreement": formulas.divide(agree, n, empty=np.nan),
        }
        return {f"{one}_{key}": value[..., column] for column, one in enumerate(_BOTH) for key, value in values.items()}

    def pairs(self, outputs: Arrays, batch: Arrays) -> dict[str, tuple[Any, Any]]:
        """Return valence and arousal, predicted and actual, [b] each."""
        return dict(zip(_BOTH, zip(outputs["affect"].T, _actual(batch).T, strict=True), strict=True))


def _actual(batch: Arrays) -> Any:
    """Return what the data says, [b, 2], NaN where it does not."""
    known = [batch[name] for name in _BOTH if name in batch]
    xp = known[0].__array_namespace__()
    unknown = xp.full(known[0].shape, xp.nan, known[0].dtype)
    return xp.stack([batch.get(name, unknown) for name in _BOTH], axis=-1)
