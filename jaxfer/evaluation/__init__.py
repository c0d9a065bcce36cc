"""Honest numbers about a network: predictions of a split, their scores and intervals, comparisons, explanations."""

from jaxfer.evaluation.compare import McNemar, mcnemar, over_runs
from jaxfer.evaluation.evaluate import Evaluation, compare, evaluate
from jaxfer.evaluation.explain import grad_cam
from jaxfer.evaluation.intervals import f1_interval, intervals, wilson_interval
from jaxfer.evaluation.predict import Predictions, predict_split
from jaxfer.evaluation.summary import summarize

__all__ = [
    "Evaluation",
    "McNemar",
    "Predictions",
    "compare",
    "evaluate",
    "f1_interval",
    "grad_cam",
    "intervals",
    "mcnemar",
    "over_runs",
    "predict_split",
    "summarize",
    "wilson_interval",
]
