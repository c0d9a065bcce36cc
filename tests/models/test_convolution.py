"""Each way to convolve is XLA's convolution, in its value and in both gradients."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.test_util import check_grads

from jaxfer.models import ResNetFER, ResNetFER18, ResNetFER50, compiled_for
from jaxfer.models.kernels import SIDE_BY_SIDE
from jaxfer.models.kernels.convolution import (
    convolve,
    convolve_directly,
    convolve_each,
    multiply_patches,
    multiply_places,
)
from jaxfer.models.kernels.winograd import winograd

LAYOUT = ("NHWC", "HWIO", "NHWC")


def xlas(x, kernel, stride):
    precision = lax.Precision.HIGHEST
    return lax.conv_general_dilated(x, kernel, (stride,) * 2, "SAME", dimension_numbers=LAYOUT, precision=precision)


def ours(x, kernel, stride):
    return convolve(x, kernel, (stride,) * 2, "SAME", dimension_numbers=LAYOUT)


def patched(x, kernel, stride):
    return multiply_patches(x, kernel, (stride,) * 2)


def placed(x, kernel, stride):
    return multiply_places(x, kernel, (stride,) * 2)


def direct(x, kernel, stride):
    return convolve_directly(x, kernel, (stride,) * 2)


def tiled(x, kernel, _):
    return winograd(x, kernel)


def value_and_gradients(function, x, kernel, cotangent, stride):
    out, pull = jax.vjp(lambda x, kernel: function(x, kernel, stride), x, kernel)
    return out, *pull(cotangent)


def arrays(side, kernel, stride, channels=(5, 7), batch=3, dtype=jnp.float32):
    random = np.random.default_rng(0)
    out = [-(-n // stride) for n in side]
    shapes = (batch, *side, channels[0]), (kernel, kernel, *channels), (batch, *out, channels[1])
    return [jnp.asarray(random.normal(size=shape), dtype) for shape in shapes]


def assert_close(found, expected, tolerance):
    """Compare with the largest value: a sum of hundreds of products can be near zero by chance."""
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * float(jnp.abs(b).max()))


CASES = [
    *(
        (function, side, kernel, stride)
        for function in (patched, placed)
        for side in [(1, 1), (2, 2), (4, 4), (7, 5)]
        for kernel in (1, 2, 3)
        for stride in (1, 2)
    ),
    *((direct, side, kernel, stride) for side in [(3, 2), (9, 12)] for kernel in (4, 5, 7) for stride in (1, 2, 3)),
    *((tiled, side, 3, 1) for side in [(1, 1), (2, 3), (4, 4), (5, 8), (9, 16), (15, 14)]),
    *((ours, side, kernel, stride) for side in [(2, 2), (8, 8), (17, 9)] for kernel in (1, 3, 7) for stride in (1, 2)),
]


def name(value):
    """Return what stands for a parameter in a test's name."""
    return getattr(value, "__name__", str(value))


@pytest.mark.parametrize(("function", "side", "kernel", "stride"), CASES, ids=name)
def test_values_and_gradients_are_xlas(function, side, kernel, stride):
    case = arrays(side, kernel, stride)
    run = jax.jit(partial(value_and_gradients, function, stride=stride))
    expected = jax.jit(partial(value_and_gradients, xlas, stride=stride))(*case)
    assert_close(run(*case), expected, 2e-5)


@pytest.mark.parametrize(
    ("function", "side", "stride"),
    [(direct, (5, 4), 2), (patched, (5, 4), 2), (placed, (3, 2), 2), (tiled, (9, 8), 1)],
    ids=name,
)
def test_they_are_the_same_under_vmap_and_scan(function, side, stride):
    x, kernel, cotangent = (jnp.stack([a, 2 * a]) for a in arrays(side, 3, stride))
    run = partial(value_and_gradients, function, stride=stride)
    apart = [jax.jit(run)(*case) for case in zip(x, kernel, cotangent, strict=True)]
    expected = jax.tree.map(lambda *leaves: jnp.stack(leaves), *apart)
    assert_close(jax.jit(jax.vmap(run))(x, kernel, cotangent), expected, 1e-6)
    scanned = jax.jit(lambda *all_: lax.scan(lambda _, case: (None, run(*case)), None, all_)[1])
    assert_close(scanned(x, kernel, cotangent), expected, 1e-6)


@pytest.mark.parametrize(
    ("function", "side", "stride"),
    [(direct, (4, 5), 2), (patched, (4, 5), 2), (placed, (2, 3), 1), (tiled, (6, 5), 1)],
    ids=name,
)
def test_gradients_are_those_of_finite_differences(function, side, stride):
    x, kernel, _ = arrays(side, 3, stride, channels=(2, 3), batch=2)
    # Linear in each argument, so that a large step costs no accuracy.
    check_grads(lambda x: function(x, kernel, stride), (x,), order=1, modes=["rev"], eps=1.0, rtol=1e-4, atol=1e-4)
    check_grads(
        lambda kernel: function(x, kernel, stride), (kernel,), order=1, modes=["rev"], eps=1.0, rtol=1e-4, atol=1e-4
    )


def test_whatever_is_not_a_plain_float32_convolution_is_xlas_bit_for_bit():
    x, kernel, _ = arrays((8, 8), 3, 1, channels=(4, 4))
    short = [array.astype(jnp.bfloat16) for array in (x, kernel)]
    others = [
        ([convolve], *short, "SAME", {}),
        ([convolve, convolve_each], x, kernel, "VALID", {}),
        ([convolve, convolve_each], x, kernel, "SAME", {"rhs_dilation": (2, 2)}),
        ([convolve, convolve_each], x, kernel[:, :, :2], "SAME", {"feature_group_count": 2}),
    ]
    for functions, x_, kernel_, padding, options in others:
        options["dimension_numbers"] = LAYOUT
        expected = lax.conv_general_dilated(x_, kernel_, (1, 1), padding, **options)
        for function in functions:
            np.testing.assert_array_equal(function(x_, kernel_, (1, 1), padding, **options), expected)


def test_a_program_made_on_a_cpu_for_a_gpu_holds_xlas_convolutions_and_one_for_a_cpu_ours():
    model, images = ResNetFER(width=8), jax.ShapeDtypeStruct((2, 32, 32, 3), np.uint8)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)

    def convolutions(platform):
        exported = jax.export.export(jax.jit(compiled_for(model, platform).apply), platforms=(platform,))
        return exported(variables, images).mlir_module().count("stablehlo.convolution")

    assert convolutions("cuda") == 5
    assert convolutions("cpu") == 1


def test_a_network_without_kernels_or_an_axis_is_compiled_as_it_is():
    assert compiled_for(nn.Dense(7), "cpu", axis_name="batch") == nn.Dense(7)
    assert compiled_for(ResNetFER(), "cuda", axis_name="batch").axis_name == "batch"


def test_networks_side_by_side_are_those_alone_and_have_no_grouped_convolution():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32, 3), np.uint8)
    one, each = ResNetFER(width=8), ResNetFER(width=8, kernels=SIDE_BY_SIDE)
    variables = jax.vmap(one.init, in_axes=(0, None))(jax.random.split(jax.random.key(0)), images[0])

    def gradients(model, variables, images):
        loss = lambda params: model.apply(variables | {"params": params}, images)["logits"].var()  # noqa: E731
        return jax.grad(loss)(variables["params"])

    together = jax.vmap(partial(gradients, each))
    found = jax.jit(together)(variables, images)
    for index in range(2):
        own = jax.tree.map(lambda leaf, index=index: leaf[index], variables)
        expected = jax.jit(partial(gradients, one))(own, images[index])
        assert_close(jax.tree.map(lambda leaf, index=index: leaf[index], found), expected, 1e-4)
    assert "conv_general_dilated" not in str(jax.make_jaxpr(together)(variables, images))


# One block a stage, where the others convolve alike: the whole networks compile for minutes.
@pytest.mark.parametrize(
    "model",
    [
        ResNetFER(width=8),
        ResNetFER18(width=8, stage_sizes=(1, 1, 1, 1)),
        ResNetFER50(width=8, stage_sizes=(1, 1, 1, 1)),
        pytest.param(ResNetFER18(width=8), marks=pytest.mark.slow),
        pytest.param(ResNetFER50(width=8), marks=pytest.mark.slow),
    ],
    ids=["published", "resnet18, a block a stage", "resnet50, a block a stage", "resnet18", "resnet50"],
)
def test_networks_give_the_logits_and_gradients_that_they_give_with_xlas_convolution(model):
    images = np.random.default_rng(0).integers(0, 256, (4, 48, 48, 3), np.uint8)
    variables = jax.jit(model.init)(jax.random.key(0), images)

    def run(model):
        def loss(params):
            outputs, _ = model.apply({**variables, "params": params}, images, train=True, mutable=["batch_stats"])
            return jnp.square(outputs["logits"]).sum(), outputs["logits"]

        return jax.jit(jax.value_and_grad(loss, has_aux=True))(variables["params"])

    found = run(compiled_for(model, "cpu"))
    (loss, logits), gradients = run(model)
    assert_close(found[0], (loss, logits), 1e-4)
    largest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradients))
    for a, b in zip(jax.tree.leaves(found[1]), jax.tree.leaves(gradients), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-3 * largest)
