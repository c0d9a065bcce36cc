"""Honest numbers about a model: metrics that cover every example once, their intervals, and what they compare."""

from jaxfer.metrics.metrics import Metrics
from jaxfer.metrics.scores import Bin, ClassScores, Scores

__all__ = ["Bin", "ClassScores", "Metrics", "Scores"]
