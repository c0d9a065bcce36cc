"""Networks to export, and what their files have to answer."""

from functools import partial

import jax
import numpy as np
from networks import drawn

from jaxfer.config import ModelConfig
from jaxfer.emotions import AFFECTNET_7
from jaxfer.inference import FaceModel
from jaxfer.tasks import make_network


def faces(count, size):
    return np.random.default_rng(count).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


def model_of(variant, size=44, *, width=8, answer="expression", **fields):
    """Return a named network, narrow unless `width` is None, as if it had been trained, with logits of about one."""
    config = ModelConfig(variant=variant, **fields)
    network = make_network(config, 7)
    network = network if width is None else network.clone(width=width)
    variables = drawn(network, faces(1, size))
    for head, layer in {"logits": "head", **{name: f"{name}_head" for name in config.heads}}.items():
        spread = np.std(outputs(network, variables, faces(5, size))[head])
        variables["params"][layer] = jax.tree.map(lambda leaf, spread=spread: leaf / spread, variables["params"][layer])
    return FaceModel(network, variables, AFFECTNET_7, size, 1.5, config, {}, answer)


@partial(jax.jit, static_argnums=0)
def outputs(network, variables, images):
    """Return what a network says, by a program that compiles in less time than that of the model's own kernels."""
    return network.apply(variables, images, train=False, mask=None)


def expected(model, said):
    """Return what a file has to answer where a network says this."""
    answers = {answer: model.shares(said, answer) for answer in model.answers}
    return answers | {name: np.asarray(values) for name, values in said.items() if name not in ("logits", *answers)}


def check_answers(found, wanted, atol):
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        assert np.asarray(found[name]).dtype == np.float32
        np.testing.assert_allclose(found[name], values, rtol=0, atol=atol, err_msg=name)
