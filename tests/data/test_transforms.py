from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from jaxfer.config import AugmentConfig
from jaxfer.data import transforms
from jaxfer.data.transforms import augment
from jaxfer.errors import UserError

CONFIGS = {
    "flip": AugmentConfig(flip=True),
    "shift": AugmentConfig(shift=0.2),
    "rotate": AugmentConfig(rotate=30),
    "scale": AugmentConfig(scale=0.3),
    "brightness": AugmentConfig(brightness=0.4),
    "contrast": AugmentConfig(contrast=0.9),
    "erase": AugmentConfig(erase=1.0),
    "erase to the mean": AugmentConfig(erase=1.0, erase_area=0.6, erase_fill="mean"),
    "half moved": AugmentConfig(rotate=10, scale=0.15, geometric_probability=0.5),
    "half changed": AugmentConfig(brightness=0.3, contrast=0.3, photometric_probability=0.5),
    "colour": AugmentConfig(saturation=0.5, hue=40),
    "trivial": AugmentConfig(trivial=1.0),
    "resized crop": AugmentConfig(resized_crop=0.4),
    "all": AugmentConfig(flip=True, shift=0.1, rotate=15, scale=0.1, brightness=0.2, contrast=0.2, erase=0.5),
}
every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)

KEY = jax.random.key(7)
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 32, 40, 3)).astype(np.uint8)
jitted = jax.jit(augment, static_argnames="config")
move = jax.jit(transforms.move, static_argnames=("shift", "rotate", "scale"))


@partial(jax.jit, static_argnums=1)
def resampled(images, steps):
    return transforms.resample(images, *steps)


def copies(image, count):
    return np.broadcast_to(image, (count, *image.shape))


def distinct(images):
    return len({np.asarray(image).tobytes() for image in images})


# What holds for each


@every_config
def test_shape_and_range_stay(config):
    out = jitted(KEY, IMAGES, config)
    assert (out.shape, out.dtype) == (IMAGES.shape, jnp.float32)
    assert 0 <= out.min() < out.max() <= 1


@every_config
def test_the_key_decides(config):
    out = jitted(KEY, IMAGES, config)
    np.testing.assert_array_equal(jitted(KEY, IMAGES, config), out)
    assert not np.allclose(jitted(jax.random.key(8), IMAGES, config), out, atol=1e-3)


@every_config
def test_equal_images_of_a_batch_come_out_different(config):
    out = jitted(KEY, copies(IMAGES[0], 12), config)
    if 0.5 in (config.geometric_probability, config.photometric_probability) or config.trivial:
        assert 3 < distinct(out) < 12  # those that are left alone are one
    else:
        assert distinct(out) == (2 if config == CONFIGS["flip"] else 12)


@every_config
def test_an_image_does_not_depend_on_the_others_of_its_batch(config):
    others = IMAGES.copy()
    others[1:] = 255 - others[1:]
    np.testing.assert_array_equal(jitted(KEY, others, config)[0], jitted(KEY, IMAGES, config)[0])


@pytest.mark.parametrize("name", ["flip", "shift", "rotate", "scale", "contrast", "colour", "trivial", "resized crop"])
def test_a_constant_image_stays_constant(name):
    gray = np.full_like(IMAGES, 77)
    np.testing.assert_allclose(jitted(KEY, gray, CONFIGS[name]), gray / 255, atol=1e-6)


def test_float_images_are_changed_as_uint8_ones_are():
    out = jitted(KEY, IMAGES.astype(np.float32) / 255, CONFIGS["all"])
    np.testing.assert_allclose(out, jitted(KEY, IMAGES, CONFIGS["all"]), atol=1e-5)


def test_nothing_asked_for_changes_nothing():
    out = augment(KEY, jnp.asarray(IMAGES), AugmentConfig())
    np.testing.assert_allclose(out, IMAGES.astype(np.float32) / 255, rtol=1e-6)
    images = jnp.asarray(IMAGES, jnp.float32) / 255
    np.testing.assert_array_equal(augment(KEY, images, AugmentConfig()), images)


def test_what_is_said_of_the_examples_and_what_is_padding_stay():
    batch = {"image": IMAGES, "label": np.arange(12, dtype=np.int32), "mask": np.arange(12) < 7}
    (transform,) = transforms.transforms_of(CONFIGS["all"], 12)
    out = jax.jit(transform)(KEY, batch)
    np.testing.assert_array_equal(out["label"], batch["label"])
    np.testing.assert_array_equal(out["mask"], batch["mask"])
    dirty = batch | {"image": np.where(batch["mask"][:, None, None, None], IMAGES, 255).astype(np.uint8)}
    np.testing.assert_array_equal(jax.jit(transform)(KEY, dirty)["image"][:7], out["image"][:7])


@pytest.mark.parametrize("field", ["saturation", "resized_crop", "trivial", "brightness", "erase"])
def test_each_field_by_itself_is_a_transform(field):
    assert len(transforms.transforms_of(AugmentConfig(**{field: 0.5}), 7)) == 1


def test_what_is_added_leaves_the_others_their_numbers():
    """Chosen so that the added change is none: what is drawn for it must not be what the others would draw."""
    images, old = IMAGES.astype(np.float32) / 255, {"rotate": 15, "scale": 0.1, "brightness": 0.2, "erase": 0.5}
    new = {"hue": 1e-6, "saturation": 1e-7, "resized_crop": 1e-7, "trivial": 1e-7}
    out = jitted(KEY, images, AugmentConfig(**old, **new))
    np.testing.assert_allclose(out, jitted(KEY, images, AugmentConfig(**old)), atol=1e-3)


# Flip


def test_flip_mirrors_about_half_of_the_images_and_leaves_the_rest():
    image = IMAGES[0].astype(np.float32) / 255
    out = np.asarray(transforms.flip(KEY, jnp.asarray(copies(image, 400))))
    mirrored, kept = (out == image[:, ::-1]).all((1, 2, 3)), (out == image).all((1, 2, 3))
    assert (mirrored ^ kept).all()
    assert 140 < mirrored.sum() < 260  # six standard deviations


def test_flipping_twice_gives_the_images_back():
    images = jnp.asarray(IMAGES, jnp.float32)
    np.testing.assert_array_equal(transforms.flip(KEY, transforms.flip(KEY, images)), images)


def test_alternate_flip_mirrors_those_whose_turn_it_is():
    turns, images = np.arange(12) % 3 == 0, IMAGES.astype(np.float32) / 255
    for config in (AugmentConfig(alternate_flip=True), AugmentConfig(alternate_flip=True, flip=True)):
        out = np.asarray(jitted(KEY, images, config, turns))
        np.testing.assert_array_equal(out[turns], images[turns, :, ::-1])
        np.testing.assert_array_equal(out[~turns], images[~turns])
        (transform,) = transforms.transforms_of(config, 7)
        np.testing.assert_array_equal(transform(KEY, {"image": images, "mirrored": turns})["image"], out)
        with pytest.raises(UserError, match=r"no column 'mirrored': make its batches with Batches\(\.\.\., alternate"):
            transform(KEY, {"image": images})


# Who is changed


@pytest.mark.parametrize(
    ("amounts", "name"),
    [
        ({"shift": 0.2, "rotate": 20, "scale": 0.2}, "geometric_probability"),
        ({"brightness": 0.3, "contrast": 0.3}, "photometric_probability"),
    ],
)
def test_a_probability_says_who_is_changed_and_the_others_keep_every_bit(amounts, name):
    images = np.random.default_rng(3).uniform(0.2, 0.8, (300, 12, 12, 1)).astype(np.float32)
    whole, half, none = (
        np.asarray(jitted(KEY, images, AugmentConfig(**amounts, **{name: probability})))
        for probability in (1.0, 0.4, 0.0)
    )
    kept = (half == images).all((1, 2, 3))
    assert 0.6 - 4 * np.sqrt(0.24 / 300) < kept.mean() < 0.6 + 4 * np.sqrt(0.24 / 300)
    # Whoever is changed is changed as without a choice: its numbers are the same.
    np.testing.assert_allclose(half[~kept], whole[~kept], atol=1e-5)
    np.testing.assert_array_equal(none, images)


def test_who_is_moved_and_whose_light_is_changed_are_two_questions():
    images = np.random.default_rng(3).uniform(0.2, 0.8, (400, 8, 8, 1)).astype(np.float32)
    moved = AugmentConfig(rotate=20, geometric_probability=0.5)
    lit = AugmentConfig(brightness=0.3, photometric_probability=0.5)
    one, other = ((np.asarray(jitted(KEY, images, config)) != images).any((1, 2, 3)) for config in (moved, lit))
    assert 140 < (one == other).sum() < 260  # six standard deviations


# Move


def drawn(key, count, *, shift, rotate, scale):
    """Return the shift, as a share [n, 2], the angle in radians [n] and the factor [n] that `move` draws."""
    keys = jax.random.split(key, 3)
    shifts = jax.random.uniform(keys[0], (count, 2), minval=-shift, maxval=shift)
    angles = jax.random.uniform(keys[1], (count,), minval=-rotate, maxval=rotate)
    factors = jax.random.uniform(keys[2], (count,), minval=1 - scale, maxval=1 + scale)
    return np.asarray(shifts), np.deg2rad(angles), np.asarray(factors)


def test_moving_by_nothing_is_the_identity():
    images = IMAGES.astype(np.float32) / 255
    np.testing.assert_allclose(move(KEY, images, shift=0.0, rotate=0.0, scale=0.0), images, atol=1e-5)


@pytest.mark.few(4)
@pytest.mark.parametrize(
    "amounts",
    [
        {"shift": 0.4, "rotate": 0.0, "scale": 0.0},
        {"shift": 0.0, "rotate": 180.0, "scale": 0.0},
        {"shift": 0.0, "rotate": 0.0, "scale": 0.5},
        {"shift": 0.1, "rotate": 30.0, "scale": 0.2},
    ],
    ids=["shift", "rotate", "scale", "all"],
)
@pytest.mark.parametrize("side", [(16, 16), (12, 17)], ids=str)
def test_move_is_scipys_affine_transform_of_the_numbers_it_draws(amounts, side):
    images = np.random.default_rng(1).random((5, *side, 3)).astype(np.float32)
    centre = (np.array(side) - 1) / 2
    for out, image, share, angle, factor in zip(
        move(KEY, images, **amounts), images, *drawn(KEY, 5, **amounts), strict=True
    ):
        # Rows are y, columns x; the matrix takes a place in the output to its source.
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / factor
        offset = centre - turn @ (centre + share * side)
        for channel in range(3):
            reference = scipy.ndimage.affine_transform(
                image[..., channel], turn, offset, order=1, mode="nearest", output=np.float64
            )
            np.testing.assert_allclose(out[..., channel], reference, atol=1e-4)


def test_shift_moves_a_dot_by_the_drawn_number_of_pixels_of_each_axis():
    image = np.zeros((20, 40, 3), np.float32)
    image[9, 21] = 1
    amounts = {"shift": 0.3, "rotate": 0.0, "scale": 0.0}
    out = move(KEY, copies(image, 8), **amounts)
    shifts, _, _ = drawn(KEY, 8, **amounts)
    centres = [scipy.ndimage.center_of_mass(np.asarray(moved)[..., 0]) for moved in out]
    np.testing.assert_allclose(centres, [9, 21] + shifts * [20, 40], atol=1e-3)


# One way each, and rectangles enlarged


def matrices(step, count, height, width):
    """Return what a step makes of the places of images, as scipy has it: source = matrix @ place + offset."""
    y, x = np.meshgrid(np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2, indexing="ij")
    places = [jnp.broadcast_to(jnp.asarray(at, jnp.float32), (count, height, width)) for at in (y, x)]
    source = np.stack([np.asarray(at, np.float64).reshape(count, -1) for at in step(tuple(places))], axis=-1)
    known = np.stack([y.ravel(), x.ravel(), np.ones(y.size)], axis=-1)
    fits = [np.linalg.lstsq(known, each, rcond=None)[0] for each in source]
    assert all(np.abs(known @ fit - each).max() < 1e-3 for fit, each in zip(fits, source, strict=True)), "affine"
    return np.stack([fit[:2].T for fit in fits]), np.stack([fit[2] for fit in fits])


def way_of(matrix, offset):
    """Return which change a matrix and an offset are, and its amount, in the units of TrivialAugment's strength."""
    (a, b), (c, d) = matrix
    if np.abs(offset).max() > 1e-4:
        (axis,) = np.flatnonzero(np.abs(offset) > 1e-4)
        np.testing.assert_allclose(matrix, np.eye(2), atol=1e-5)
        return f"shift {axis}", -offset[axis] / (0.3 * (20, 30)[axis])
    if abs(b) > 1e-5 and abs(c) > 1e-5:
        assert (a, b) == pytest.approx((d, -c), abs=1e-5)
        assert a**2 + b**2 == pytest.approx(1, abs=1e-5)
        return "turn", np.rad2deg(np.arctan2(c, a)) / 30
    np.testing.assert_allclose([a, d], 1, atol=1e-5)
    return ("shear y", -b / 0.3) if abs(b) > 1e-5 else ("shear x", -c / 0.3) if abs(c) > 1e-5 else ("none", 0.0)


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_every_image_is_changed_in_one_of_six_ways_by_an_amount_of_its_own(strength):
    ways = {}
    step = partial(transforms.changed_in_one_way, KEY, strength=strength)
    for matrix, offset in zip(*matrices(step, 600, 20, 30), strict=True):
        way, amount = way_of(matrix, offset)
        ways.setdefault(way, []).append(amount / strength)
    assert set(ways) == {"none", "shear x", "shear y", "shift 0", "shift 1", "turn"}
    for way, amounts in ways.items():
        assert 60 < len(amounts) < 140  # four standard deviations
        if way != "none":
            assert -1 <= min(amounts) < -0.85
            assert 0.85 < max(amounts) <= 1.0001
            assert abs(np.mean(amounts)) < 0.25


@pytest.mark.parametrize("largest", [0.1, 0.4, 0.9])
def test_enlarged_rectangles_lie_inside_and_have_their_area_and_aspect(largest):
    step = partial(transforms.cut_and_enlarged, KEY, largest=largest)
    matrix, offset = matrices(step, 600, 20, 30)
    np.testing.assert_allclose(matrix[:, [0, 1], [1, 0]], 0, atol=1e-5)
    sides = matrix[:, [0, 1], [0, 1]]
    area, aspect = sides.prod(1), sides[:, 0] / sides[:, 1]
    assert 1 - largest - 1e-4 <= area.min() < 1 - 0.97 * largest
    assert 1 - 0.03 * largest < area.max() <= 1.0001
    assert area.mean() == pytest.approx(1 - largest / 2, abs=0.06 * largest)
    assert aspect.min() >= 3 / 4 - 1e-4
    assert aspect.max() <= 4 / 3 + 1e-4
    assert aspect.min() < 0.95
    assert aspect.max() > 1.05
    room = (1 - sides) / 2 * [20, 30]
    assert (np.abs(offset) <= room + 1e-3).all()
    assert np.abs(offset / np.maximum(room, 1e-3)).max(0).min() > 0.9


STEPS = {
    "one way": partial(transforms.changed_in_one_way, KEY, strength=1.0),
    "enlarged": partial(transforms.cut_and_enlarged, KEY, largest=0.5),
    "moved": partial(transforms.moved, KEY, shift=0.1, rotate=20.0, scale=0.2),
}


@pytest.mark.few(1)
@pytest.mark.parametrize("names", [["one way"], ["enlarged"], ["enlarged", "moved", "one way"]], ids=str)
def test_one_sampling_is_scipys_affine_transform_of_all_steps_together(names):
    images = np.random.default_rng(1).random((8, 20, 30, 2)).astype(np.float32)
    out = resampled(images, tuple(STEPS[name] for name in names))
    whole, shift = np.eye(2), np.zeros(2)
    for name in names:
        matrix, offset = matrices(STEPS[name], 8, 20, 30)
        whole, shift = matrix @ whole, (matrix @ shift[..., None])[..., 0] + offset
    centre = np.array([9.5, 14.5])
    for one, image, matrix, offset in zip(out, images, whole, shift, strict=True):
        for channel in range(2):
            start = centre + offset - matrix @ centre
            reference = scipy.ndimage.affine_transform(
                image[..., channel], matrix, start, order=1, mode="nearest", output=np.float64
            )
            np.testing.assert_allclose(one[..., channel], reference, atol=1e-4)


def test_steps_of_no_strength_are_the_identity():
    images = IMAGES.astype(np.float32) / 255
    steps = (
        partial(transforms.changed_in_one_way, KEY, strength=0.0),
        partial(transforms.cut_and_enlarged, KEY, largest=0.0),
        partial(transforms.moved, KEY, shift=0.0, rotate=0.0, scale=0.0),
    )
    np.testing.assert_allclose(resampled(images, steps), images, atol=1e-5)
    np.testing.assert_array_equal(transforms.resample(images), images)


# Brightness and contrast


def test_brightness_adds_one_number_to_an_image_and_clips():
    images = jnp.asarray(IMAGES, jnp.float32) / 255
    change = np.asarray(jax.random.uniform(KEY, (12, 1, 1, 1), minval=-0.4, maxval=0.4))
    reference = np.clip(images + change, 0, 1)
    np.testing.assert_allclose(transforms.change_brightness(KEY, images, 0.4), reference, atol=1e-6)
    assert change.min() < -0.1
    assert change.max() > 0.1


def test_contrast_stretches_an_image_about_its_mean_and_clips():
    images = jnp.asarray(IMAGES, jnp.float32) / 255
    factor = np.asarray(jax.random.uniform(KEY, (12, 1, 1, 1), minval=0.1, maxval=1.9))
    mean = images.mean((1, 2, 3), keepdims=True)
    reference = np.clip(mean + factor * (images - mean), 0, 1)
    np.testing.assert_allclose(transforms.change_contrast(KEY, images, 0.9), reference, atol=1e-5)
    assert factor.min() < 0.9
    assert factor.max() > 1.1


# Colour

change_colour = jax.jit(transforms.change_colour, static_argnames=("saturation", "hue"))


def test_colours_are_stretched_and_turned_about_gray_in_yiq_and_clipped():
    images = np.random.default_rng(2).uniform(0.3, 0.7, (40, 6, 5, 3)).astype(np.float32)
    keys = jax.random.split(KEY)
    factors = np.asarray(jax.random.uniform(keys[0], (40,), minval=0.2, maxval=1.8), np.float64)
    angles = np.deg2rad(np.asarray(jax.random.uniform(keys[1], (40,), minval=-90, maxval=90), np.float64))
    out = np.asarray(change_colour(KEY, images, saturation=0.8, hue=90.0))
    for one, image, factor, angle in zip(out, images, factors, angles, strict=True):
        luma = image @ [0.299, 0.587, 0.114]
        # Red's and blue's distance from the luma tell the colour; I and Q are NTSC's names for turned ones.
        red, blue = image[..., 0] - luma, image[..., 2] - luma
        in_phase, quadrature = 0.7358 * red - 0.2684 * blue, 0.4777 * red + 0.4133 * blue
        colour = factor * np.exp(1j * angle) * (in_phase + 1j * quadrature)
        back = np.linalg.solve([[0.7358, -0.2684], [0.4777, 0.4133]], [colour.real.ravel(), colour.imag.ravel()])
        red, blue = (part.reshape(luma.shape) + luma for part in back)
        green = (luma - 0.299 * red - 0.114 * blue) / 0.587
        np.testing.assert_allclose(one, np.clip(np.stack([red, green, blue], -1), 0, 1), atol=2e-3)
    assert ((out == 0) | (out == 1)).any(), "some are clipped"


def test_luma_stays_and_so_does_all_that_is_gray():
    images = np.random.default_rng(2).uniform(0.45, 0.55, (40, 6, 5, 3)).astype(np.float32)
    out = np.asarray(change_colour(KEY, images, saturation=0.9, hue=180.0))
    assert np.abs(out - images).max() > 0.05
    luma = [0.299, 0.587, 0.114]
    np.testing.assert_allclose(out @ luma, images @ luma, atol=1e-5)
    gray = np.repeat(images[..., :1], 3, axis=-1)
    np.testing.assert_allclose(change_colour(KEY, gray, saturation=0.9, hue=180.0), gray, atol=1e-6)
    one_channel = images[..., :1]
    np.testing.assert_array_equal(change_colour(KEY, one_channel, saturation=0.9, hue=180.0), one_channel)


def test_no_change_of_colour_is_the_identity():
    images = IMAGES.astype(np.float32) / 255
    np.testing.assert_allclose(change_colour(KEY, images, saturation=0.0, hue=0.0), images, atol=1e-6)


# Erase

GRAY = jnp.full((200, 64, 64, 3), 0.5)
erase = jax.jit(transforms.erase, static_argnames=("fill",))


def erased(probability, largest=0.2):
    """Return where each of 200 gray images of 64x64 was erased, bool [200, 64, 64]."""
    return np.asarray((erase(KEY, GRAY, probability, largest=largest) != GRAY).any(3))


@pytest.mark.few(1)
@pytest.mark.parametrize("largest", [0.02, 0.1, 0.2, 0.25])
def test_erase_replaces_one_rectangle_of_2_percent_to_its_largest_area(largest):
    areas = []
    for hole in erased(1.0, largest):
        rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert hole.sum() == height * width
        assert (height - 0.5) / (width + 0.5) < 3.3
        assert (width - 0.5) / (height + 0.5) < 1 / 0.3
        areas.append(height * width)
    # Each side is rounded by up to half a pixel, which at the longest sides is 11 of 82 pixels and 39 of 1024.
    assert 0.02 * 64**2 - 11 <= min(areas) < 0.03 * 64**2
    assert 0.93 * largest * 64**2 < max(areas) <= largest * 64**2 + (11 if largest == 0.02 else 39)
    assert np.mean(areas) == pytest.approx((0.02 + largest) / 2 * 64**2, rel=0.08)


def test_erase_may_take_the_whole_image_and_never_more():
    shares = erased(1.0, 1.0).mean((1, 2))
    assert 0.8 < shares.max() <= 1
    assert shares.min() < 0.1


def test_what_is_erased_to_the_mean_becomes_the_mean_of_each_channel():
    images = jnp.asarray(IMAGES, jnp.float32) / 255
    out = np.asarray(erase(KEY, images, 1.0, largest=0.4, fill="mean"))
    noisy = np.asarray(erase(KEY, images, 1.0, largest=0.4))
    hole = (noisy != images).any(-1)  # the same rectangle
    assert hole.any((1, 2)).all()
    for image, one, where in zip(np.asarray(images), out, hole, strict=True):
        np.testing.assert_array_equal(one[~where], image[~where])
        np.testing.assert_allclose(one[where], np.broadcast_to(image.mean((0, 1)), one[where].shape), atol=1e-5)


def test_what_is_erased_becomes_uniform_noise():
    noise = np.asarray(erase(KEY, GRAY, 1.0))[erased(1.0)]
    shares, _ = np.histogram(noise, bins=10, range=(0, 1))
    np.testing.assert_allclose(shares / noise.size, 0.1, atol=0.005)


def test_erase_reaches_every_edge():
    holes = erased(1.0)
    assert all(edge.any() for edge in (holes[:, 0], holes[:, -1], holes[:, :, 0], holes[:, :, -1]))


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_erase_happens_with_its_probability(probability):
    happened = erased(probability).any((1, 2)).mean()
    assert abs(happened - probability) <= 4 * np.sqrt(probability * (1 - probability) / 200)
