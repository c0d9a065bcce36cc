"""Validation at chance while training is not: why that is so, and what to do, in words for the log and the page."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jaxfer.config import VARIANTS

LEARNT, AT_CHANCE = 0.15, 0.05
"""How much of what chance leaves of the accuracy training has at least, and validation at most."""

CHANCE = "always answering the commonest class"


def lags(row: Mapping[str, Any], chance: tuple[float, float]) -> bool:
    """Return whether validation is at chance after an epoch in which training was well above it.

    Args:
        row: Of the epoch, as in `metrics.jsonl`.
        chance: The accuracy of always answering the commonest class in training, and that in validation.
    """
    above = (_above(row[name], of) for name, of in zip(("accuracy", "val_accuracy"), chance, strict=True))
    training, validation = above
    return training >= LEARNT and validation <= AT_CHANCE


def averages(config: Mapping[str, Any]) -> bool:
    """Return whether validation normalises by running averages: the network is of jaxfer, and nothing else was asked.

    Args:
        config: The fields of a `Config`, as JSON has them.
    """
    images = config.get("optimizer", {}).get("statistics_images", 0)
    return config.get("model", {}).get("variant") in VARIANTS and not images


def note(row: Mapping[str, Any], chance: tuple[float, float]) -> str:
    """Return the line of a log for an epoch that `lags`."""
    return (
        f"validation is at chance ({row['val_accuracy']:.4f}; {CHANCE}: {chance[1]:.4f}) while training has "
        f"{row['accuracy']:.4f}. {WHY} {WHAT}"
    )


def explained(history: Sequence[Mapping[str, Any]], config: Mapping[str, Any], chance: tuple[float, float]) -> str:
    """Return what a page says below the curves; nothing where no epoch lags.

    Args:
        history: The epochs of a run.
        config: Its `config.json`.
        chance: As for `lags`.
    """
    found = [row["epoch"] for row in history if lags(row, chance)] if averages(config) else []
    if not found:
        return ""
    epochs = f"epoch {found[0]}" if len(found) == 1 else f"{len(found)} epochs, up to epoch {found[-1]},"
    return f"After {epochs} validation was at chance ({CHANCE}: {chance[1]:.1%}) while training was not. {WHY} {WHAT}"


WHY = (
    "Validation normalises by running averages of the batches' statistics, which follow the parameters late: by some "
    "hundred steps at first, and for as long as the learning rate is high."
)
WHAT = (
    "Go on, let the rate fall (--schedule cosine), or begin anew with --statistics-images 4096, which measures the "
    "statistics before each validation; of a run that has ended, jaxfer evaluate --statistics-images 4096 does. If "
    "it stays so, look at the validation labels."
)


def _above(accuracy: float | None, chance: float) -> float:
    """Return how far an accuracy exceeds chance, as a share of how far it could; NaN where it is not known."""
    return math.nan if accuracy is None or chance >= 1 else (accuracy - chance) / (1 - chance)
