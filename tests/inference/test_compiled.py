"""A network compiled to predict answers as the network itself, for any number of images."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import Convolutional, Linear, drawn

from jaxfer.config import ModelConfig, Views
from jaxfer.inference.compiled import Compiled
from jaxfer.inference.compiled import _compiled as programs
from jaxfer.models.kernels import XLA, Kernels
from jaxfer.models.kernels.convolution import convolve_prepared
from jaxfer.models.views import over_views
from jaxfer.tasks import make_network

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 40, 36, 3)).astype(np.uint8)


def outputs(network, variables, images, views: Views = "one"):
    """Return what the network says by XLA's own convolutions, with its normalisation."""

    def predict(seen):
        return network.apply(variables, seen, train=False, mask=None)

    return jax.jit(lambda images: over_views(predict, images, views))(images)


def assert_alike(found, expected):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert (found[name].shape, found[name].dtype) == (values.shape, values.dtype)
        np.testing.assert_allclose(found[name], values, rtol=0, atol=3e-5 * float(np.abs(values).max(initial=0)))


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("variant", "options"),
    [
        ("published", {"heads": ("affect", "votes")}),
        ("small", {"gray": True, "standardize": True, "heads": ("votes",)}),
        ("resnet50", {"squeeze": 4}),
    ],
)
def test_networks_of_jaxfer_answer_as_themselves(variant, options):
    network = make_network(ModelConfig(variant=variant, **options), 7).clone(width=4, stage_sizes=(1, 1))
    variables = drawn(network, IMAGES)
    assert_alike(Compiled(network, variables, "cpu")(IMAGES, "one"), outputs(network, variables, IMAGES))


class Tiny(nn.Module):
    """A network of one's own that lets jaxfer choose its kernels."""

    kernels: Kernels = XLA

    @nn.compact
    def __call__(self, images, *, train=False, mask=None):
        x = nn.Conv(4, (3, 3), conv_general_dilated=self.kernels.convolution)(images / 255)
        return {"logits": nn.Dense(7)(jnp.square(x).mean((1, 2)))}


@pytest.fixture(scope="module")
def tiny() -> tuple[Any, Any]:
    return Tiny(), drawn(Tiny(), IMAGES)


@pytest.fixture(scope="module")
def compiled(tiny: tuple[Any, Any]) -> Any:
    return Compiled(*tiny, "cpu")


@pytest.mark.parametrize("count", [0, 1, 2, 5, 10, 32, 43, 67])
def test_any_number_of_images_is_answered(tiny: tuple[Any, Any], compiled, count):
    rows = np.arange(count) % len(IMAGES)
    expected = {name: values[rows] for name, values in outputs(*tiny, IMAGES).items()}
    assert_alike(compiled(IMAGES[rows], "one"), expected)


@pytest.mark.few(1)
@pytest.mark.parametrize("views", ["flip", "five", "ten"])
def test_views_are_averaged(tiny: tuple[Any, Any], compiled, views):
    assert_alike(compiled(IMAGES, views), outputs(*tiny, IMAGES, views))


def test_images_of_other_sides_and_types_are_answered(tiny: tuple[Any, Any], compiled):
    for images in (IMAGES[:3, 2:36, 2:35], IMAGES[:3].astype(np.float32)):
        assert_alike(compiled(images, "one"), outputs(*tiny, images))


def test_few_programs_are_compiled_for_many_numbers_of_images_and_served_to_all_variables(tiny: tuple[Any, Any]):
    programs.cache_clear()
    network, variables = tiny
    for own in (variables, jax.tree.map(lambda array: array + 1, variables)):
        compiled: Any = Compiled(network, own, "cpu")
        for count in (1, 2, 3, 4, 6, 7, 9, 10):
            compiled(IMAGES[:count], "one")
    assert compiled._outputs._cache_size() == 3  # of one, four and eight images


@pytest.mark.parametrize("network", [Linear(), Convolutional()], ids=["linear", "convolutional"])
def test_networks_of_ones_own_run_as_they_are(network):
    variables = drawn(network, IMAGES)
    assert_alike(Compiled(network, variables, "cpu")(IMAGES, "one"), outputs(network, variables, IMAGES))


def test_a_program_for_a_gpu_holds_xlas_convolutions():
    network = make_network(ModelConfig(variant="small"), 7).clone(width=4, stage_sizes=(1, 1))
    compiled = Compiled(network, drawn(network, IMAGES), "cuda")
    program = compiled._outputs.trace(compiled._variables, IMAGES, "one").lower(lowering_platforms=("cuda",)).as_text()
    assert program.count("stablehlo.convolution") == 6


@pytest.mark.parametrize("images", [1, 16, 64])
def test_maps_of_two_rows_are_products_however_many_images_have_them(images):
    x, kernel = np.zeros((images, 2, 2, 8), np.float32), np.zeros((3, 3, 8, 8), np.float32)
    program = jax.jit(lambda x, kernel: convolve_prepared(x, kernel, (1, 1), "SAME")).lower(x, kernel)
    assert "stablehlo.convolution" not in program.as_text()
