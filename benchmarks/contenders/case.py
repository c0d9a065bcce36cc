"""What all contenders do: one network, one batch size, one number format, trained or applied."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CLASSES, SIDE = 7, 64
SIDES = {"small": 48, "shipped": 48}
"""Side of the images of networks that are made for another."""
COMPARED = 4
"""Images whose answers are compared, where contenders have the same weights."""
IMAGES = 20_000
"""Images that batches are gathered from, where only that is timed."""
LEARNING_RATE, EPSILON, L2 = 1e-3, 1e-7, 0.01
"""Adam's, and the factor of the published penalty on the first and the last kernel; the standard ResNets have none."""

BLOCKS = {
    "published": (2,),
    "resnet18": (2, 2, 2, 2),
    "resnet50": (3, 4, 6, 3),
    "small": (2, 2, 1),
    "shipped": (2, 2, 1),
}
"""Residual blocks in each stage of the networks. All begin with 64 filters of 7x7 pixels and a pool, both of stride 2;
`small` with 64 filters of 3x3 of stride 2 and no pool. `shipped` is `small` as it comes with jaxfer: of standardised
gray images, with a layer of ten votes beside that of the classes."""

WEIGHTS = Path(__file__).parents[2] / "jaxfer" / "inference" / "weights" / "small"
"""The folder of the shipped network."""


@dataclass(frozen=True)
class Case:
    """One thing to time.

    work: `train`, a whole step with its update and its metrics; `infer`, from images to logits on the host; or `load`,
        gathering a shuffled batch of images and labels, for which network and dtype do not matter.
    network: a key of `BLOCKS`.
    batch: images a step.
    dtype: `float32`, or `bfloat16` for the computation alone.
    """

    work: str
    network: str
    batch: int
    dtype: str = "float32"

    @property
    def side(self) -> int:
        """Side of the images, in pixels."""
        return SIDES.get(self.network, SIDE)

    @property
    def l2(self) -> float:
        """Factor of the penalty."""
        return L2 if self.network == "published" else 0.0

    def batches(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return two batches in the host's memory: uint8 [b, side, side, 3] and int32 [b].

        Noise with a brightness that tells the class, so that something can be learnt.
        """
        random = np.random.default_rng(0)
        labels = random.integers(0, CLASSES, (2, self.batch), np.int32)
        noise = random.integers(0, 128, (2, self.batch, self.side, self.side, 3), np.uint8)
        images = noise + (18 * labels).astype(np.uint8)[..., None, None, None]
        return list(zip(images, labels, strict=True))


@dataclass(frozen=True)
class Contender:
    """A framework that is ready to work on a case.

    run: does so many steps over the batches in turn, waits for them, and returns the mean loss and the accuracy of
        those steps. Inference gives the mean absolute logit and 0, loading the mean size of a batch and 0.
    parameters: how many values are trained.
    device: what computes.
    packages: whose versions matter.
    answers: the probabilities that the shipped network says of the first images, where its weights are used.
    """

    run: Callable[[int], tuple[float, float]]
    parameters: int
    device: str
    packages: tuple[str, ...]
    answers: list[list[float]] | None = None
