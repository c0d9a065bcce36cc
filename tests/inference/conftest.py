"""The model that tests of prediction ask: untrained, and so fast to make."""

import numpy as np
import pytest
from networks import drawn

from jaxfer.config import ModelConfig
from jaxfer.emotions import AFFECTNET_7
from jaxfer.inference import FaceModel, Framing
from jaxfer.tasks import make_network

WHOLE = Framing((0.0, 0.0, 1.0, 1.0), (), 20, 20, {"centre": 0.0, "side": 0.0, "roll": 0.0})


@pytest.fixture(scope="module")
def model():
    """Return one that says valence and arousal, too, and whose faces fill their boxes."""
    config = ModelConfig(variant="published", heads=("affect",))
    network = make_network(config, 7)
    variables = drawn(network, np.zeros((1, 32, 32, 3), np.uint8))
    return FaceModel(network, variables, AFFECTNET_7, 32, 1.0, config, {}, framing=WHOLE)
