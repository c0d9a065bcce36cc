"""Honest numbers about a network: predictions of a split, their scores and intervals, comparisons, explanations."""

from jaxfer.evaluation.compare import McNemar, mcnemar, over_runs
from jaxfer.evaluation.ensemble import Ensemble, ensemble
from jaxfer.evaluation.evaluate import Evaluation, compare, evaluate, with_measured_statistics
from jaxfer.evaluation.explain import grad_cam
from jaxfer.evaluation.intervals import ece_by_chance, f1_interval, intervals, wilson_interval
from jaxfer.evaluation.predict import Predictions, predict_split
from jaxfer.evaluation.summary import fitted_temperature, summarize

__all__ = [
    "Ensemble",
    "Evaluation",
    "McNemar",
    "Predictions",
    "compare",
    "ece_by_chance",
    "ensemble",
    "evaluate",
    "f1_interval",
    "fitted_temperature",
    "grad_cam",
    "intervals",
    "mcnemar",
    "over_runs",
    "predict_split",
    "summarize",
    "wilson_interval",
    "with_measured_statistics",
]
