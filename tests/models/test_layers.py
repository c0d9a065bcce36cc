from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxfer.models import BatchNorm
from jaxfer.models.kernels import max_pool

# Max-pool

SIDES = [(8, 8), (7, 9), (6, 5), (1, 1), (1, 5)]
WINDOWS = [(3, 2), (2, 2), (3, 1)]
random = np.random.default_rng(0)


def maps(kind, side):
    """Return x [3, h, w, 5] with no ties, with many ties, or below zero, where zero padding would show."""
    x = random.normal(size=(3, *side, 5))
    return {"distinct": x, "relu": np.maximum(x, 0), "whole": np.round(x), "negative": -1 - np.abs(np.round(x))}[kind]


def value_and_gradient(pool, x, weights, window, stride):
    out, pull = jax.vjp(lambda x: pool(x, window, stride), x)
    return out, pull(weights)[0]


def flax_max_pool(x, window, stride):
    return nn.max_pool(x, (window, window), (stride, stride), "SAME")


@partial(jax.jit, static_argnums=(1, 2, 3))
def of_each(cases, window, stride, pools=(max_pool, flax_max_pool)):
    """Return each pool's values and gradients of every x with its weights, in one program."""
    return [[value_and_gradient(pool, *case, window, stride) for case in cases] for pool in pools]


@pytest.mark.few(4)
@pytest.mark.parametrize(("window", "stride"), WINDOWS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
def test_max_pool_is_flaxs_bit_for_bit_in_its_value_and_its_gradient(window, stride, dtype):
    for kind in ("distinct", "relu", "whole", "negative"):
        cases = []
        for side in SIDES:
            # Small whole numbers add up exactly in any order, even in bfloat16.
            weights = random.integers(-8, 9, (3, -(-side[0] // stride), -(-side[1] // stride), 5))
            cases.append((jnp.asarray(maps(kind, side), dtype), jnp.asarray(weights, dtype)))
        for side, *pair in zip(SIDES, *of_each(cases, window, stride), strict=True):
            for ours, theirs in zip(*pair, strict=True):
                assert ours.dtype == jnp.dtype(dtype)
                np.testing.assert_array_equal(ours, theirs, err_msg=f"{kind} {side}")


def test_symmetric_padding_is_that_of_a_window_with_as_much_on_both_sides():
    def flaxs(x, window, stride):
        return nn.max_pool(x, (window,) * 2, (stride,) * 2, ((window // 2,) * 2,) * 2)

    sides, cases = [(8, 8), (7, 9), (6, 5)], []
    for side in sides:
        weights = random.integers(-8, 9, (3, -(-side[0] // 2), -(-side[1] // 2), 5))
        cases.append((jnp.asarray(maps("negative", side), jnp.float32), jnp.asarray(weights, jnp.float32)))
    pools = partial(max_pool, padding="symmetric"), flaxs
    for side, *pair in zip(sides, *of_each(cases, 3, 2, pools), strict=True):
        for ours, theirs in zip(*pair, strict=True):
            np.testing.assert_array_equal(ours, theirs, err_msg=str(side))


@pytest.mark.parametrize(("window", "stride"), WINDOWS)
def test_max_pool_is_the_same_under_vmap(window, stride):
    x = jnp.asarray(np.stack([maps("relu", (7, 6)) for _ in range(2)]), jnp.float32)
    weights = jnp.asarray(random.normal(size=(2, 3, -(-7 // stride), -(-6 // stride), 5)), jnp.float32)
    pooled = jax.jit(partial(value_and_gradient, max_pool, window=window, stride=stride))
    mapped = jax.vmap(pooled)(x, weights)
    apart = [pooled(*pair) for pair in zip(x, weights, strict=True)]
    jax.tree.map(np.testing.assert_array_equal, mapped, jax.tree.map(lambda *leaves: jnp.stack(leaves), *apart))


# Batch normalisation

SHAPE = (8, 4, 3, 5)  # [b, h, w, c]
X = jnp.asarray(2 * random.normal(size=SHAPE) + np.arange(5), jnp.float32)
COTANGENT = jnp.asarray(random.normal(size=SHAPE), jnp.float32)
MASKS = {
    "last rows": np.array([1, 1, 1, 1, 1, 0, 0, 0], bool),
    "some rows": np.array([0, 1, 1, 0, 1, 1, 1, 0], bool),
    "one row": np.array([0, 0, 0, 1, 0, 0, 0, 0], bool),
}
every_mask = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
VARIABLES = {
    "params": {"scale": jnp.linspace(0.5, 2, 5), "bias": jnp.linspace(-1, 1, 5)},
    "batch_stats": {"mean": jnp.linspace(0, 4, 5), "var": jnp.linspace(0.5, 3, 5)},
}


@partial(jax.jit, static_argnames=("layer", "axis_name", "train"))
def normalise(layer, x, cotangent, axis_name=None, **call):
    """Return the output, the new statistics, and the gradients for the parameters and for x."""

    def apply(params, x):
        variables = {**VARIABLES, "params": params}
        out, updates = layer.apply(variables, x, mutable=["batch_stats"], **call)
        return out, updates["batch_stats"]

    out, pull, statistics = jax.vjp(apply, VARIABLES["params"], x, has_aux=True)
    params_gradient, x_gradient = pull(cotangent)
    if axis_name is not None:
        params_gradient = jax.lax.psum(params_gradient, axis_name)
    return out, statistics, params_gradient, x_gradient


def assert_close(ours, theirs):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), ours, theirs)


@pytest.mark.parametrize("train", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("fields", [{}, {"momentum": 0.9, "epsilon": 1e-5}], ids=["published", "standard"])
def test_batch_norm_without_padding_is_flaxs(train, fields):
    ours = normalise(BatchNorm(**fields), X, COTANGENT, train=train)
    reference = nn.BatchNorm(use_running_average=not train, **{"momentum": 0.99, "epsilon": 1e-3, **fields})
    assert_close(ours, normalise(reference, X, COTANGENT))
    assert_close(normalise(BatchNorm(**fields), X, COTANGENT, train=train, mask=np.ones(8, bool)), ours)


def test_batch_norm_starts_as_flaxs():
    ours = jax.jit(partial(BatchNorm().init, train=True))(jax.random.key(0), X)
    reference = jax.jit(nn.BatchNorm(use_running_average=False).init)(jax.random.key(0), X)
    jax.tree.map(np.testing.assert_array_equal, ours, reference)


def test_running_statistics_move_in_training_only():
    before = VARIABLES["batch_stats"]
    _, after, _, _ = normalise(BatchNorm(momentum=0.75), X, COTANGENT, train=True)
    moments = {"mean": X.mean((0, 1, 2)), "var": X.var((0, 1, 2))}
    assert_close(after, jax.tree.map(lambda old, new: 0.75 * old + 0.25 * new, before, moments))
    _, after, _, _ = normalise(BatchNorm(momentum=0.75), X, COTANGENT, train=False)
    jax.tree.map(np.testing.assert_array_equal, after, before)


@every_mask
@pytest.mark.parametrize("padding", [0.0, -300.0, 1e6])
def test_masked_rows_change_nothing_whatever_they_hold(mask, padding):
    rows = mask[:, None, None, None]
    x, cotangent = jnp.where(rows, X, padding), jnp.where(rows, COTANGENT, 0)
    out, statistics, params_gradient, x_gradient = normalise(BatchNorm(), x, cotangent, train=True, mask=mask)
    assert_close(
        (out[mask], statistics, params_gradient, x_gradient[mask]),
        normalise(BatchNorm(), X[mask], COTANGENT[mask], train=True),
    )
    assert not x_gradient[~mask].any()


@every_mask
def test_four_devices_with_unequal_padding_are_one_device_with_the_whole_batch(mask):
    cotangent = jnp.where(mask[:, None, None, None], COTANGENT, 0)
    whole = normalise(BatchNorm(), X, cotangent, train=True, mask=mask)

    mapped = jax.pmap(
        lambda x, cotangent, mask: normalise(
            BatchNorm(axis_name="batch"), x, cotangent, axis_name="batch", train=True, mask=mask
        ),
        axis_name="batch",
    )
    out, statistics, params_gradient, x_gradient = mapped(
        *(a.reshape(4, 2, *a.shape[1:]) for a in (X, cotangent, mask))
    )
    for device in range(4):
        own = jax.tree.map(lambda leaf, d=device: leaf[d], (statistics, params_gradient))
        assert_close(own, (whole[1], whole[2]))
    assert_close((out.reshape(SHAPE), x_gradient.reshape(SHAPE)), (whole[0], whole[3]))


def test_bfloat16_maps_keep_float32_statistics_and_parameters():
    x = X.astype(jnp.bfloat16)
    out, updates, *_ = normalise(BatchNorm(), x, x, train=True)
    reference, expected, *_ = normalise(BatchNorm(), x.astype(jnp.float32), X, train=True)
    assert out.dtype == jnp.bfloat16
    jax.tree.map(np.testing.assert_array_equal, updates, expected)
    np.testing.assert_allclose(out.astype(jnp.float32), reference, rtol=2**-8)
    out, *_ = normalise(BatchNorm(dtype=jnp.float32), x, X, train=False)
    assert out.dtype == jnp.float32
    variables = jax.eval_shape(partial(BatchNorm(dtype=jnp.bfloat16).init, train=True), jax.random.key(0), x)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
