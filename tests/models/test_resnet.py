from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxfer.config import ModelConfig
from jaxfer.models import (
    BasicBlock,
    BottleneckBlock,
    ResNetFER,
    ResNetFER18,
    ResNetFER34,
    ResNetFER50,
    ResNetFERSmall,
    make_model,
)

KEY = jax.random.key(0, impl="rbg")  # compiles in a sixth of the default's time
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
SMALL = ResNetFER(width=8, stage_sizes=(1, 1))


def shapes(model, *, side=64):
    """Return the shapes of a network's variables, computing nothing."""
    return jax.eval_shape(model.init, KEY, jnp.zeros((1, side, side, 3)))


def start(model):
    return jax.jit(model.init)(KEY, jnp.zeros((1, 32, 32, 3)))


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@partial(jax.jit, static_argnames=("model", "train"))
def run(model, variables, images, *, train=True, mask=None, dropout_key=None):
    """Return the logits and the statistics after a call."""
    rngs = None if dropout_key is None else {"dropout": dropout_key}
    outputs, updates = model.apply(variables, images, train=train, mask=mask, mutable=["batch_stats"], rngs=rngs)
    return outputs["logits"], updates["batch_stats"]


@pytest.fixture(scope="module")
def published():
    return start(ResNetFER())


@pytest.fixture(scope="module")
def small():
    return start(SMALL)


# Sizes


def test_the_published_network_has_158_919_values():
    variables = shapes(ResNetFER())
    assert (count(variables["params"]), count(variables["batch_stats"])) == (158_279, 640)


@pytest.mark.parametrize(
    ("variant", "parameters"), [(ResNetFER18, 11_689_512), (ResNetFER34, 21_797_672), (ResNetFER50, 25_557_032)]
)
def test_the_standard_networks_have_the_published_parameter_counts(variant, parameters):
    assert count(shapes(variant(num_classes=1000))["params"]) == parameters


@pytest.mark.parametrize(
    ("fields", "parameters"),
    # A gray stem has 2 x 9 x 64 weights less; SE has for c channels 2 c (c / 8) weights and c + c / 8 biases a block.
    [({}, 1_596_231), ({"gray": True}, 1_595_079), ({"squeeze": 8}, 1_623_575), ({"squeeze": 1000}, 1_598_156)],
    ids=str,
)
def test_the_small_network_has_1_6_million_values(fields, parameters):
    variables = shapes(ResNetFERSmall(**fields))
    assert (count(variables["params"]), count(variables["batch_stats"])) == (parameters, 3456)


NAMED = {
    "published": ResNetFER,
    "small": ResNetFERSmall,
    "resnet18": ResNetFER18,
    "resnet34": ResNetFER34,
    "resnet50": ResNetFER50,
}


@pytest.mark.parametrize("variant", NAMED)
def test_a_config_makes_the_network_that_it_names(variant):
    same = {"gray": True, "standardize": True, "squeeze": 8, "dropout": 0.25}
    model = make_model(ModelConfig(variant=variant, dtype="bfloat16", **same), 8)
    assert model == NAMED[variant](num_classes=8, dtype=jnp.dtype("bfloat16"), **same)
    assert make_model(ModelConfig(variant=variant), 7) == NAMED[variant]()


@pytest.mark.parametrize("model", [ResNetFER(), ResNetFER18(num_classes=8)], ids=["published", "resnet18"])
@pytest.mark.parametrize("side", [32, 33, 48, 64, 96, 112])
def test_images_of_any_side_from_32_give_one_logit_per_class(model, side):
    logits = jax.eval_shape(model.apply, shapes(model), jnp.zeros((5, side, side, 3), jnp.uint8))["logits"]
    assert (logits.shape, logits.dtype) == ((5, model.num_classes), jnp.float32)


@pytest.mark.parametrize("side", [(32, 32), (48, 48), (33, 40)], ids=str)
def test_the_published_networks_logits_are_finite_and_tell_images_apart(published, side):
    images = np.random.default_rng(1).integers(0, 256, (2, *side, 3)).astype(np.uint8)
    logits = np.asarray(run(ResNetFER(), published, images, train=False)[0])
    assert (logits.shape, logits.dtype) == ((2, 7), np.float32)
    assert np.isfinite(logits).all()
    assert not np.allclose(logits[0], logits[1], atol=1e-4)


@pytest.mark.parametrize("side", [(31, 31), (31, 64), (64, 16)])
def test_images_below_32_pixels_are_refused_with_their_size(side):
    height, width = side
    with pytest.raises(ValueError, match=f"images are {height}x{width}: pass at least 32x32 pixels"):
        jax.eval_shape(ResNetFER().init, KEY, jnp.zeros((1, height, width, 3)))


# Blocks


@pytest.mark.parametrize(("block", "channels"), [(BasicBlock, 8), (BottleneckBlock, 32)])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_a_block_is_the_identity_exactly_where_its_last_scale_is_zero(block, channels, training):
    # A ReLU follows the sum, so the identity shows on maps of at least 0.
    x = jnp.asarray(np.random.default_rng(0).random((2, 6, 6, channels)), jnp.float32)
    norm = partial(nn.BatchNorm, use_running_average=not training)
    fields = {"filters": 8, "stride": 1, "conv": nn.Conv, "norm": norm}

    def output(last_scale_init):
        return jax.jit(block(last_scale_init=last_scale_init, **fields).init_with_output)(KEY, x)[0]

    np.testing.assert_array_equal(output(nn.initializers.zeros), x)
    assert np.abs(output(nn.initializers.ones) - x).max() > 0.1


@pytest.mark.parametrize(("variant", "projections"), [(ResNetFER18, 3), (ResNetFER34, 3), (ResNetFER50, 4)])
def test_only_blocks_that_change_the_shape_project_their_shortcut(variant, projections):
    blocks = {name: block for name, block in shapes(variant())["params"].items() if name.startswith("stage")}
    assert sum("shortcut_conv" in block for block in blocks.values()) == projections
    assert not any("shortcut_conv" in block for name, block in blocks.items() if not name.endswith("block1"))


def test_the_standard_networks_start_with_zero_last_scales_and_the_published_one_with_ones(published):
    standard = start(ResNetFER18(width=8, stage_sizes=(2, 1)))["params"]
    assert not any(block["norm2"]["scale"].any() for name, block in standard.items() if name.startswith("stage"))
    assert (published["params"]["stage1_block1"]["norm2"]["scale"] == 1).all()


# Training and evaluation


def test_statistics_move_in_training_and_not_in_evaluation(small):
    _, moved = run(SMALL, small, IMAGES)
    for before, after in zip(jax.tree.leaves(small["batch_stats"]), jax.tree.leaves(moved), strict=True):
        assert (before != after).any()
    _, kept = run(SMALL, small, IMAGES, train=False)
    jax.tree.map(np.testing.assert_array_equal, kept, small["batch_stats"])


def test_an_image_is_judged_by_itself_in_evaluation(small):
    together, _ = run(SMALL, small, IMAGES, train=False)
    alone, _ = run(SMALL, small, IMAGES[:1], train=False)
    np.testing.assert_allclose(together[:1], alone, atol=1e-5)


@pytest.mark.parametrize("padding", [0, 255])
def test_padding_changes_neither_logits_nor_statistics_in_training(small, padding):
    mask = np.array([True, False, True, True])
    padded = np.where(mask[:, None, None, None], IMAGES, padding).astype(np.uint8)
    logits, statistics = run(SMALL, small, padded, mask=mask)
    reference, expected = run(SMALL, small, IMAGES[mask])
    np.testing.assert_allclose(logits[mask], reference, atol=1e-4)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), statistics, expected)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
def test_uint8_and_float_images_give_the_same_logits(small, dtype):
    model = SMALL.clone(dtype=dtype)
    bytes_, _ = run(model, small, IMAGES, train=False)
    floats, _ = run(model, small, IMAGES.astype(np.float32) / 255, train=False)
    np.testing.assert_allclose(bytes_, floats, atol=1e-5 if dtype == jnp.float32 else 1e-2)


def test_bfloat16_computes_close_to_float32_and_keeps_float32_values(published):
    model = ResNetFER(dtype=jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes(model))} == {jnp.dtype("float32")}
    reference, expected = run(ResNetFER(), published, IMAGES)
    logits, statistics = run(model, published, IMAGES)
    assert {leaf.dtype for leaf in jax.tree.leaves((logits, statistics))} == {jnp.dtype("float32")}
    assert (logits != reference).any()
    np.testing.assert_allclose(logits, reference, atol=0.03 * np.abs(reference).max())
    jax.tree.map(partial(np.testing.assert_allclose, rtol=0.02, atol=0.002), statistics, expected)


def test_dropout_follows_its_key_in_training_and_is_off_in_evaluation(small):
    model = SMALL.clone(dropout=0.5)
    logits, _ = run(model, small, IMAGES, dropout_key=jax.random.key(1))
    again, _ = run(model, small, IMAGES, dropout_key=jax.random.key(1))
    other, _ = run(model, small, IMAGES, dropout_key=jax.random.key(2))
    without, _ = run(SMALL, small, IMAGES)
    np.testing.assert_array_equal(logits, again)
    for different in (other, without):
        assert not np.allclose(logits, different, atol=1e-3)
    evaluated, expected = (run(network, small, IMAGES, train=False)[0] for network in (model, SMALL))
    np.testing.assert_array_equal(evaluated, expected)
