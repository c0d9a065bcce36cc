"""Honest numbers about a model: metrics that cover every example once, their intervals, and what they compare."""

from jaxfer.evaluation.metrics import Metrics
from jaxfer.evaluation.scores import Bin, ClassScores, Scores

__all__ = ["Bin", "ClassScores", "Metrics", "Scores"]
