from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import networks
import numpy as np
import pytest

from jaxfer.config import ModelConfig
from jaxfer.errors import UserError
from jaxfer.models import (
    BasicBlock,
    BottleneckBlock,
    ResNetFER,
    ResNetFER18,
    ResNetFER34,
    ResNetFER50,
    ResNetFERSmall,
    ResNetFERStrong,
    SqueezeExcite,
    Stem,
    luma,
    make_model,
    standardized,
    unit_range,
)

KEY = jax.random.key(0, impl="rbg")  # compiles in a sixth of the default's time
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
SMALL = ResNetFER(width=8, stage_sizes=(1, 1))
SEEING = ResNetFERSmall(width=8, stage_sizes=(1, 1), gray=True, standardize=True, squeeze=4)


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


@pytest.fixture(scope="module", params=[SMALL, SEEING], ids=["plain", "gray, standardised, excited"])
def network(request):
    """A network and its variables, drawn: what starts as zero or one hides what goes through it."""
    return request.param, networks.drawn(request.param, IMAGES)


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


def test_the_strong_network_is_resnet_18_with_a_stem_of_three_by_three():
    # 64 x 3 x (49 - 9) weights of the stem less, and a head of 7 classes: see the counts of the standard networks.
    assert count(shapes(ResNetFERStrong())["params"]) == count(shapes(ResNetFER18())["params"]) - 64 * 3 * 40
    assert ResNetFERStrong().stem == Stem(3, 1, pool=False)


NAMED = {
    "published": ResNetFER,
    "small": ResNetFERSmall,
    "strong": ResNetFERStrong,
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


@pytest.mark.parametrize(
    "model",
    [ResNetFER(), ResNetFERSmall(gray=True), ResNetFER18(num_classes=8)],
    ids=["published", "small", "resnet18"],
)
@pytest.mark.parametrize(
    "side", [32, 33, 48, 112, *(pytest.param(side, marks=pytest.mark.long) for side in (40, 44, 64, 96))]
)
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
    with pytest.raises(UserError, match=f"images are {height}x{width}: pass at least 32x32 pixels"):
        jax.eval_shape(ResNetFER().init, KEY, jnp.zeros((1, height, width, 3)))


# Blocks


@pytest.mark.few(2)
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


def test_squeeze_and_excitation_is_the_papers():
    x = np.random.default_rng(0).normal(1, 2, (3, 5, 4, 12)).astype(np.float32)
    model = SqueezeExcite(ratio=4)
    variables = networks.drawn(model, x)
    reduce, expand = (
        {name: np.float64(leaf) for name, leaf in variables["params"][layer].items()} for layer in ("reduce", "expand")
    )
    assert reduce["kernel"].shape == (12, 3)
    z = np.float64(x).mean((1, 2))  # equation 2, and below 3 and 4
    s = np.maximum(z @ reduce["kernel"] + reduce["bias"], 0) @ expand["kernel"] + expand["bias"]
    expected = x / (1 + np.exp(-s))[:, None, None]
    assert np.ptp(1 / (1 + np.exp(-s))) > 0.3, "factors that are all alike compare nothing"
    np.testing.assert_allclose(jax.jit(model.apply)(variables, x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("block", "channels"), [(BasicBlock, 8), (BottleneckBlock, 32)])
def test_a_block_excites_what_it_adds_and_not_its_shortcut(block, channels):
    x = jnp.asarray(np.random.default_rng(0).random((2, 6, 6, channels)), jnp.float32)
    fields = {"filters": 8, "stride": 1, "conv": nn.Conv, "norm": partial(nn.BatchNorm, use_running_average=False)}
    model = block(last_scale_init=nn.initializers.ones, squeeze=4, **fields)
    variables = networks.drawn(model, x)

    @partial(jax.jit, static_argnames="model")
    def output(model, bias):
        params = jax.tree.map(lambda leaf: leaf, variables["params"])
        expand = params["excitation"]["expand"]
        params["excitation"]["expand"] = {"kernel": expand["kernel"] * 0, "bias": expand["bias"] * 0 + bias}
        return model.apply({**variables, "params": params}, x, mutable=["batch_stats"])[0]

    # The sigmoid of -200 is 0, and that of 200 is 1.
    np.testing.assert_array_equal(output(model, -200.0), x)
    plain = output(block(last_scale_init=nn.initializers.ones, **fields), 0.0)
    np.testing.assert_allclose(output(model, 200.0), plain, rtol=1e-6, atol=1e-6)
    assert np.abs(plain - x).max() > 0.1


# What a network sees


def test_luma_is_that_of_bt_601_and_of_gray_images_the_gray():
    floats = IMAGES.astype(np.float32) / 255
    found = np.asarray(jax.jit(luma)(floats))
    assert (found.shape, found.dtype) == ((4, 32, 32, 1), np.float32)
    np.testing.assert_allclose(found[..., 0], np.float64(floats) @ [0.299, 0.587, 0.114], rtol=0, atol=2e-7)
    gray = np.repeat(floats[..., :1], 3, axis=-1)
    np.testing.assert_allclose(luma(gray), gray[..., :1], rtol=0, atol=1e-7)


@pytest.mark.few(1)
@pytest.mark.parametrize("standardize", [False, True])
def test_a_gray_network_sees_the_luma_of_colours_and_one_channel_as_it_is(standardize):
    model = SMALL.clone(gray=True, standardize=standardize)
    variables = networks.drawn(model, IMAGES)
    assert variables["params"]["stem_conv"]["kernel"].shape == (7, 7, 1, 8)
    colours, _ = run(model, variables, IMAGES, train=False)
    one_channel = (IMAGES @ np.array([0.299, 0.587, 0.114]) / 255)[..., None].astype(np.float32)
    np.testing.assert_allclose(colours, run(model, variables, one_channel, train=False)[0], rtol=1e-5, atol=1e-5)
    # Bytes of one channel, and the same three times.
    one, three = IMAGES[..., :1], np.repeat(IMAGES[..., :1], 3, axis=-1)
    logits, _ = run(model, variables, one, train=False)
    np.testing.assert_allclose(logits, run(model, variables, three, train=False)[0], rtol=1e-5, atol=1e-5)
    assert not np.allclose(logits, colours, atol=1e-3)


@pytest.mark.parametrize(
    ("gray", "channels", "words"),
    [
        (False, 1, "images have 1 channel: pass 3, or let the network be gray"),
        (False, 4, r"(?m)images have 4 channels: pass 3$"),
        (True, 2, r"(?m)images have 2 channels: pass 3, or 1$"),
        (True, 4, r"(?m)images have 4 channels: pass 3, or 1$"),
    ],
)
def test_images_of_other_channels_are_refused(gray, channels, words):
    with pytest.raises(UserError, match=words):
        jax.eval_shape(ResNetFER(gray=gray).init, KEY, jnp.zeros((1, 32, 32, channels)))


def test_a_standardised_image_has_mean_0_and_deviation_1_and_a_flat_one_is_zero():
    images = IMAGES.astype(np.float32) / 255
    images[1] = 0.3
    images[2] = 0
    found = np.float64(jax.jit(standardized)(images))
    for index in (0, 3):
        image = np.float64(images[index])
        np.testing.assert_allclose(found[index], (image - image.mean()) / image.std(), rtol=0, atol=1e-5)
    np.testing.assert_allclose(found[1], 0, atol=1e-2)  # 0.3 is not a sum's mean to the last bit
    np.testing.assert_array_equal(found[2], 0)


def test_one_pixel_that_is_one_level_off_is_standardised_like_any_other_image():
    image = np.full((1, 48, 48, 1), 100, np.float32)
    image[0, 5, 7] = 101
    found = np.float64(jax.jit(standardized)(image / 255))
    assert found.std() == pytest.approx(1, abs=1e-3)
    assert found[0, 5, 7, 0] == pytest.approx(48, rel=1e-3)  # sqrt(n)


@pytest.mark.parametrize("gray", [False, True])
def test_standardising_takes_out_brightness_and_contrast_and_nothing_else_does(gray):
    dark, light = IMAGES // 4, IMAGES // 4 * 3 + np.uint8(60)  # up to 63, and 60 to 249
    differences = []
    for standardize in (True, False):
        model = SMALL.clone(gray=gray, standardize=standardize)
        variables = networks.drawn(model, IMAGES)
        logits = [run(model, variables, images, train=False)[0] for images in (dark, light)]
        differences.append(np.abs(logits[0] - logits[1]).max() / np.abs(logits[0]).max())
    assert differences[0] < 1e-4
    assert differences[1] > 0.05


@pytest.mark.few(1)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
def test_flat_images_and_padding_leave_everything_finite(dtype):
    model = SEEING.clone(dtype=dtype)
    variables = networks.drawn(model, IMAGES)
    images = IMAGES.astype(np.float32) / 255
    images[1], images[2], images[3] = 0, 1, 0.3
    mask = np.array([True, False, True, True])

    @jax.jit
    def gradients(params, images):
        def loss(params, images):
            outputs, updates = model.apply(
                {**variables, "params": params}, images, train=True, mask=mask, mutable=["batch_stats"]
            )
            return (jnp.square(outputs["logits"]).sum(1) * mask).sum(), (outputs, updates)

        return jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(params, images)

    found = gradients(variables["params"], images)
    for leaf in jax.tree.leaves(found):
        assert np.isfinite(leaf).all()
    assert np.abs(found[1][1][0]).max() > 0
    np.testing.assert_array_equal(found[1][1][1], 0)  # a row of padding moves nothing


# Training and evaluation


def test_statistics_move_in_training_and_not_in_evaluation(small):
    _, moved = run(SMALL, small, IMAGES)
    for before, after in zip(jax.tree.leaves(small["batch_stats"]), jax.tree.leaves(moved), strict=True):
        assert (before != after).any()
    _, kept = run(SMALL, small, IMAGES, train=False)
    jax.tree.map(np.testing.assert_array_equal, kept, small["batch_stats"])


def test_an_image_is_judged_by_itself_in_evaluation(network):
    model, variables = network
    together, _ = run(model, variables, IMAGES, train=False)
    alone, _ = run(model, variables, IMAGES[:1], train=False)
    np.testing.assert_allclose(together[:1], alone, atol=1e-5)


@pytest.mark.parametrize("padding", [0, 255])
def test_padding_changes_neither_logits_nor_statistics_in_training(network, padding):
    model, variables = network
    mask = np.array([True, False, True, True])
    padded = np.where(mask[:, None, None, None], IMAGES, padding).astype(np.uint8)
    logits, statistics = run(model, variables, padded, mask=mask)
    reference, expected = run(model, variables, IMAGES[mask])
    np.testing.assert_allclose(logits[mask], reference, atol=1e-4)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), statistics, expected)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
def test_uint8_and_float_images_give_the_same_logits(network, dtype):
    model, variables = network[0].clone(dtype=dtype), network[1]
    bytes_, _ = run(model, variables, IMAGES, train=False)
    floats, _ = run(model, variables, IMAGES.astype(np.float32) / 255, train=False)
    np.testing.assert_allclose(bytes_, floats, atol=1e-5 if dtype == jnp.float32 else 1e-2)


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int64, np.uint32])
def test_integers_of_every_type_are_pixels_from_0_to_255(kind):
    found = jax.jit(unit_range)(IMAGES.astype(kind))
    np.testing.assert_array_equal(found, jax.jit(unit_range)(IMAGES))
    with pytest.raises(UserError, match=r"16 bits go from 0 to 65,535: divide them by 257"):
        jax.jit(unit_range)(IMAGES.astype(np.uint16) * 257)


def test_bfloat16_computes_close_to_float32_and_keeps_float32_values(published):
    model = ResNetFER(dtype=jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes(model))} == {jnp.dtype("float32")}
    reference, expected = run(ResNetFER(), published, IMAGES)
    logits, statistics = run(model, published, IMAGES)
    assert {leaf.dtype for leaf in jax.tree.leaves((logits, statistics))} == {jnp.dtype("float32")}
    assert (logits != reference).any()
    np.testing.assert_allclose(logits, reference, atol=0.03 * np.abs(reference).max())
    jax.tree.map(partial(np.testing.assert_allclose, rtol=0.02, atol=0.002), statistics, expected)


def test_bfloat16_sees_and_excites_close_to_float32():
    variables = networks.drawn(SEEING, IMAGES)
    reference, _ = run(SEEING, variables, IMAGES)
    logits, _ = run(SEEING.clone(dtype=jnp.bfloat16), variables, IMAGES)
    assert logits.dtype == jnp.float32
    assert (logits != reference).any()
    np.testing.assert_allclose(logits, reference, atol=0.03 * np.abs(reference).max())


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
