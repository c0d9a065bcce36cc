"""The grid of views: its pixels by hand, who draws which view, and what teachers say of that very view."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxfer.config import AugmentConfig
from jaxfer.data.transforms import ViewGrid, compose, show_views, transforms_of
from jaxfer.errors import UserError

KEY = jax.random.key(5)
CROP = AugmentConfig(crop=4, flip=True)
GRID = ViewGrid.of(CROP, 3)


def batch_of(views, count=20, classes=7, **columns):
    """Return random images, and for each of their views numbers by which it can be told."""
    images = np.random.default_rng(0).integers(0, 256, (count, 12, 10, 3), np.uint8)
    told = np.arange(count * views.count * classes).reshape(count, views.count, classes).astype(np.float16)
    return {
        "image": images,
        "label": (np.arange(count) % classes).astype(np.int32),
        "mask": np.arange(count) < count - 3,
        "teacher_logits": told,
        "teacher_votes": -told[..., :2],
    } | columns


def by_hand(image, pad, top, left, mirrored):
    """Return a view of an image [h, w, c]: padded by NumPy, cut, and mirrored."""
    height, width, _ = image.shape
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="reflect")
    found = padded[top : top + height, left : left + width]
    return found[:, ::-1] if mirrored else found


@pytest.mark.parametrize(
    ("config", "places", "corners", "mirrors", "count"),
    [
        (CROP, 3, (0, 4, 8), True, 18),
        (AugmentConfig(crop=4), 3, (0, 4, 8), False, 9),
        (AugmentConfig(crop=4, alternate_flip=True), 2, (0, 8), True, 8),
        (AugmentConfig(crop=4), 1, (4,), False, 1),
        (AugmentConfig(crop=2, flip=True), 5, (0, 1, 2, 3, 4), True, 50),
        (AugmentConfig(crop=1), 99, (0, 1, 2), False, 9),
        (AugmentConfig(flip=True), 3, (0,), True, 2),
        (AugmentConfig(rotate=10), 3, (0,), False, 1),
    ],
)
def test_the_grid_stands_for_the_crop_and_the_flips_of_a_config(config, places, corners, mirrors, count):
    views = ViewGrid.of(config, places)
    assert (views.pad, views.corners, views.mirrors) == (config.crop, corners, mirrors)
    assert views.count == count


def test_view_k_is_the_crop_by_hand():
    images = batch_of(GRID)["image"]
    expected = [
        [by_hand(image, 4, top, left, mirrored) for image in images]
        for top in (0, 4, 8)
        for left in (0, 4, 8)
        for mirrored in (False, True)
    ]
    for number, view in enumerate(expected):
        found = GRID.show(jnp.asarray(images), jnp.full(len(images), number))
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, view)
    middle = GRID.show(jnp.asarray(images), jnp.full(len(images), 8))
    np.testing.assert_array_equal(middle, images)


def test_each_example_has_a_view_and_what_teachers_say_of_that_view():
    batch = batch_of(GRID)
    shown = jax.device_get(show_views(KEY, batch, GRID))
    assert shown["teacher_logits"].shape == (20, 7)
    assert shown["teacher_votes"].shape == (20, 2)
    assert {shown[name].dtype for name in ("teacher_logits", "teacher_votes")} == {np.dtype(np.float32)}
    drawn = []
    for row in range(20):
        (view,) = np.flatnonzero((batch["teacher_logits"][row] == shown["teacher_logits"][row]).all(axis=-1))
        np.testing.assert_array_equal(shown["teacher_votes"][row], batch["teacher_votes"][row, view])
        place, mirrored = divmod(int(view), 2)
        top, left = (GRID.corners[index] for index in divmod(place, 3))
        np.testing.assert_array_equal(shown["image"][row], by_hand(batch["image"][row], 4, top, left, mirrored))
        drawn.append(int(view))
    assert len(set(drawn)) > 5
    again = jax.device_get(show_views(KEY, batch, GRID))
    np.testing.assert_array_equal(again["image"], shown["image"])
    assert set(shown) == set(batch)


def test_all_views_are_equally_probable():
    counts = np.bincount(GRID.draw(KEY, 18_000), minlength=18)
    assert len(counts) == 18
    # Five deviations of a binomial distribution: 31 each.
    assert abs(counts - 1000).max() < 5 * np.sqrt(18_000 * (1 / 18) * (17 / 18))


def test_turns_decide_who_is_mirrored_and_chance_where():
    turns = np.arange(20) % 3 == 0
    views = ViewGrid.of(AugmentConfig(crop=4, alternate_flip=True), 3)
    number = np.asarray(views.draw(KEY, 20, turns))
    np.testing.assert_array_equal(number % 2 == 1, turns)
    assert len(set(number // 2)) > 3
    with pytest.raises(UserError, match="alternate_flip needs to know whose turn it is"):
        compose(*transforms_of(AugmentConfig(alternate_flip=True), 7, views))(KEY, batch_of(views))


def test_with_views_nothing_else_crops_or_flips_and_all_else_comes_after():
    batch = batch_of(GRID)
    (only,) = transforms_of(CROP, 7, GRID)
    np.testing.assert_array_equal(only(KEY, batch)["image"], show_views(KEY, batch, GRID)["image"])
    darker = transforms_of(AugmentConfig(crop=4, flip=True, brightness=0.2), 7, GRID)
    changed = jax.device_get(compose(*darker)(KEY, batch))
    view = np.asarray(show_views(KEY, batch, GRID)["image"]) / np.float32(255)
    shift = (changed["image"] - view).reshape(20, -1)
    inside = (changed["image"].reshape(20, -1) > 0) & (changed["image"].reshape(20, -1) < 1)
    for row in range(20):  # one number for all pixels of an image, whichever view it is
        assert np.ptp(shift[row][inside[row]]) < 1e-6
    np.testing.assert_array_equal(changed["teacher_logits"], show_views(KEY, batch, GRID)["teacher_logits"])


def test_mixup_mixes_what_teachers_say_as_any_other_column():
    batch = batch_of(GRID, soft_label=np.eye(20, dtype=np.float32))
    views, mix = transforms_of(AugmentConfig(crop=4, flip=True, mixup=0.5), 20, GRID)
    shown = jax.device_get(views(KEY, batch))
    mixed = jax.device_get(mix(KEY, shown))
    share = mixed["soft_label"]  # [b, b]: how much of each example there is in each
    np.testing.assert_allclose(mixed["teacher_logits"], share @ shown["teacher_logits"], rtol=1e-5)
