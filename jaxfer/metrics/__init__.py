"""Sums over batches, the formulas of scores, and their results; it knows no network, no run and no data folder."""

from jaxfer.metrics.metrics import Metrics
from jaxfer.metrics.scores import Bin, ClassScores, Measure, Scores
from jaxfer.metrics.temperature import Temperature, fit_temperature

__all__ = ["Bin", "ClassScores", "Measure", "Metrics", "Scores", "Temperature", "fit_temperature"]
