"""Each way to convolve is XLA's convolution, in its value and in both gradients."""

import itertools
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import networks
import numpy as np
import pytest
from jax import lax
from jax.test_util import check_grads

from jaxfer.models import ResNetFER, ResNetFER18, ResNetFER50, ResNetFERSmall, compiled_for
from jaxfer.models.kernels import PREPARED, SIDE_BY_SIDE
from jaxfer.models.kernels.convolution import (
    convolve,
    convolve_directly,
    convolve_each,
    convolve_plainly,
    convolve_prepared,
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


def plain(x, kernel, stride):
    return convolve_plainly(x, kernel, (stride,) * 2)


def tiled(x, kernel, stride):
    assert stride == 1
    return winograd(x, kernel)


def value_and_gradients(function, x, kernel, cotangent, stride):
    out, pull = jax.vjp(lambda x, kernel: function(x, kernel, stride), x, kernel)
    return out, *pull(cotangent)


def arrays(side, kernel, stride, channels=(5, 7), batch=3, dtype=jnp.float32):
    random = np.random.default_rng(0)
    out = [-(-n // stride) for n in side]
    shapes = (batch, *side, channels[0]), (kernel, kernel, *channels), (batch, *out, channels[1])
    return [jnp.asarray(random.normal(size=shape), dtype) for shape in shapes]


def assert_close(found, expected, tolerance, case=""):
    """Compare with the largest value: a sum of hundreds of products can be near zero by chance."""
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * float(np.abs(b).max()), err_msg=str(case))


SMALL = [
    (side, kernel, stride) for side in [(1, 1), (2, 2), (4, 4), (7, 5)] for kernel in (1, 2, 3) for stride in (1, 2)
]
ALL = {
    patched: SMALL,
    placed: SMALL,
    direct: list(itertools.product([(3, 2), (9, 12)], (4, 5, 7), (1, 2, 3))),
    plain: [((1, 1), 3, 1), ((2, 3), 1, 1), ((9, 16), 3, 1), ((7, 5), 5, 1)],
    tiled: [(side, 3, 1) for side in [(1, 1), (2, 3), (4, 4), (5, 8), (9, 16), (15, 14)]],
    ours: list(itertools.product([(2, 2), (8, 8), (17, 9)], (1, 3, 7), (1, 2))),
}
"""The sides of a map, of a kernel and the stride, for each way."""

FEW_SMALL = [
    *[((1, 1), 2, 2), ((1, 1), 3, 1), ((2, 2), 1, 2), ((2, 2), 3, 2)],
    *[((4, 4), 3, 1), ((7, 5), 1, 1), ((7, 5), 2, 2), ((7, 5), 3, 2)],
]
FEW = ALL | {
    patched: FEW_SMALL,
    placed: FEW_SMALL,
    direct: [((3, 2), 4, 1), ((3, 2), 7, 3), ((9, 12), 4, 3), ((9, 12), 5, 1), ((9, 12), 7, 2)],
    ours: [((2, 2), 3, 1), ((8, 8), 1, 2), ((8, 8), 3, 1), ((17, 9), 3, 2), ((17, 9), 7, 1)],
}
"""Every kernel, stride and kind of map once, since each case compiles for long."""


def name(value):
    """Return what stands for a parameter in a test's name."""
    return getattr(value, "__name__", str(value))


@pytest.mark.parametrize(
    ("function", "cases"),
    [
        *FEW.items(),
        *(pytest.param(*every, marks=pytest.mark.slow) for every in ALL.items() if FEW[every[0]] != every[1]),
    ],
    ids=lambda value: f"{len(value)} cases" if isinstance(value, list) else value.__name__,
)
def test_values_and_gradients_are_xlas(function, cases):
    drawn, strides = [arrays(*case) for case in cases], [stride for _, _, stride in cases]

    def run_all(function, drawn):
        return [value_and_gradients(function, *case, stride) for case, stride in zip(drawn, strides, strict=True)]

    # One program for all cases: starting the compiler for each would take longer than compiling it.
    found, expected = (jax.jit(partial(run_all, way))(drawn) for way in (function, xlas))
    for case, mine, theirs in zip(cases, found, expected, strict=True):
        assert_close(mine, theirs, 2e-5, case)


@pytest.mark.parametrize("way", [convolve, convolve_each, convolve_prepared], ids=name)
def test_strided_layers_may_be_padded_alike_on_both_sides(way):
    cases = [((8, 8), 3), ((7, 5), 3), ((12, 9), 7)]

    def run_all(way, drawn):
        pads = [((kernel // 2,) * 2,) * 2 for _, kernel in cases]
        return [
            value_and_gradients(lambda x, k, s, p=p: way(x, k, (s, s), p, dimension_numbers=LAYOUT), *case, 2)
            for p, case in zip(pads, drawn, strict=True)
        ]

    drawn = [arrays(*case, 2) for case in cases]
    found, expected = (jax.jit(partial(run_all, one))(drawn) for one in (way, lax.conv_general_dilated))
    assert_close(found, expected, 2e-5)


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
    convolve = jax.jit(partial(function, stride=stride))
    # Linear in each argument, so that a large step costs no accuracy.
    options = {"order": 1, "modes": ["rev"], "eps": 1.0, "rtol": 1e-4, "atol": 1e-4}
    check_grads(lambda x: convolve(x, kernel), (x,), **options)
    check_grads(lambda kernel: convolve(x, kernel), (kernel,), **options)


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
    one = ResNetFER(width=8, stage_sizes=(1,))
    each = one.clone(kernels=SIDE_BY_SIDE)
    variables = jax.tree.map(lambda *leaves: np.stack(leaves), *(networks.drawn(one, images[0], n) for n in (0, 1)))

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


# A block a stage, where the others convolve alike: the whole networks compile for minutes.
@pytest.mark.parametrize(
    "model",
    [
        ResNetFER(width=8, stage_sizes=(1,)),
        ResNetFER18(width=8, stage_sizes=(1, 1)),
        ResNetFER50(width=8, stage_sizes=(1, 1)),
        ResNetFERSmall(width=8, stage_sizes=(1, 1, 1), gray=True, standardize=True, squeeze=4),
        *(
            pytest.param(model, marks=pytest.mark.slow)
            for model in (
                ResNetFER(width=8),
                ResNetFER18(width=8, stage_sizes=(1, 1, 1)),
                ResNetFER18(width=8, stage_sizes=(1, 1, 1, 1)),
                ResNetFER50(width=8, stage_sizes=(1, 1, 1, 1)),
                ResNetFERSmall(width=8),
                ResNetFER18(width=8),
                ResNetFER50(width=8),
            )
        ),
    ],
    ids=lambda model: f"{model.block.__name__} {model.stage_sizes}",
)
# Slow: the gradient of each network is compiled with every kernel and with XLA's convolution.
@pytest.mark.few(1)
def test_networks_give_the_logits_and_gradients_that_they_give_with_xlas_convolution(model):
    images = np.random.default_rng(0).integers(0, 256, (4, 48, 48, 3), np.uint8)
    variables = networks.drawn(model, images)

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


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("side", "kernel", "stride"), [((8, 8), 3, 1), ((9, 7), 3, 2), ((8, 8), 1, 2), ((9, 12), 7, 2)]
)
def test_bfloat16_adds_up_in_float32(side, kernel, stride):
    """A kernel's gradient adds up hundreds of outputs, which in bfloat16 would be right to a tenth.

    What adds up the rounded gradients of nine places is right to a few of bfloat16's roundings, of 2^-9 each.
    """
    drawn = arrays(side, kernel, stride, channels=(16, 8), batch=16, dtype=jnp.bfloat16)
    exact = value_and_gradients(xlas, *(array.astype(jnp.float32) for array in drawn), stride)
    found = jax.jit(partial(value_and_gradients, ours, stride=stride))(*drawn)
    for mine, theirs in zip(found, exact, strict=True):
        assert mine.dtype == jnp.bfloat16
        atol = 2**-7 * float(jnp.abs(theirs).max())
        np.testing.assert_allclose(mine.astype(jnp.float32), theirs, rtol=0, atol=atol)


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "batch"),
    [
        ((8, 8), 3, 1, 1),
        ((5, 14), 3, 1, 3),
        ((4, 4), 3, 1, 1),
        ((2, 3), 3, 1, 20),
        ((9, 16), 3, 2, 2),
        ((8, 8), 1, 2, 1),
        ((32, 32), 7, 2, 1),
        ((9, 9), 7, 2, 1),
    ],
)
def test_with_prepared_kernels_a_layer_is_xlas(side, kernel, stride, batch):
    x, weights, _ = arrays(side, kernel, stride, batch=batch)
    layer = nn.Conv(7, (kernel,) * 2, strides=stride, use_bias=False, conv_general_dilated=convolve_prepared)
    variables = {"params": {"kernel": weights}}
    prepared = jax.jit(lambda x: layer.apply(variables, x, mutable=PREPARED)[1])(x)
    tiles = jax.tree.leaves(prepared)
    assert [tile.shape for tile in tiles] == ([(36, 5, 7)] if side in ((8, 8), (5, 14)) and stride == 1 else [])
    found = jax.jit(layer.apply)(variables | prepared, x)
    assert_close(found, xlas(x, weights, stride), 2e-5)


def test_with_prepared_kernels_other_convolutions_are_computed_as_without():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 9, 9, 4)), jnp.float32)
    for options in ({"padding": "VALID"}, {"kernel_dilation": 2}, {"feature_group_count": 2}, {"dtype": jnp.bfloat16}):
        plain, ours = (
            nn.Conv(4, (3, 3), conv_general_dilated=way, **options)
            for way in (lax.conv_general_dilated, convolve_prepared)
        )
        variables = networks.drawn(plain, x)
        assert_close(jax.jit(ours.apply)(variables, x), jax.jit(plain.apply)(variables, x), 1e-2)
