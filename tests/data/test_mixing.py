"""mixup, CutMix and crop: pixels, labels and all else that is known of the examples, and who is mixed with whom."""

import dataclasses
import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import betainc

from jaxfer.config import AugmentConfig
from jaxfer.data.transforms import augment, compose, crop, cutmix, mixing, mixup, transforms_of
from jaxfer.errors import UserError

KEY = jax.random.key(3)
CLASSES = 7


MIXUP, CUTMIX = (jax.jit(partial(mix, alpha=0.7, num_classes=CLASSES)) for mix in (mixup, cutmix))
both = pytest.mark.parametrize("mix", [MIXUP, CUTMIX], ids=["mixup", "cutmix"])


def batch_of(count=24, padding=0, side=20, **columns):
    """Return a batch whose image i is of one colour, i / 255 in all channels, and of class i modulo 7."""
    rows = np.arange(count)
    images = np.broadcast_to(rows[:, None, None, None], (count, side, side + 4, 3)).astype(np.uint8)
    mask = rows < count - padding
    return {"image": images, "label": (rows % CLASSES).astype(np.int32), "mask": mask} | columns


def numbered(count):
    """Return soft labels by which each row can be told: its number is the class that has all."""
    return np.eye(count, dtype=np.float32)


def shares_of(soft):
    """Return from mixed `numbered` labels each row's partner, and the share that the row itself has."""
    soft = np.asarray(soft)
    own = np.diagonal(soft)
    others = soft - np.diag(own)
    return np.where(others.any(axis=1), others.argmax(axis=1), np.arange(len(soft))), own


@both
def test_shapes_range_and_dtypes(mix):
    batch = batch_of(valence=np.zeros(24, np.float32))
    mixed = jax.device_get(mix(KEY, batch))
    kinds = {name: (values.shape, values.dtype) for name, values in mixed.items()}
    assert kinds == {
        "image": ((24, 20, 24, 3), np.float32),
        "label": ((24,), np.int32),
        "mask": ((24,), bool),
        "valence": ((24,), np.float32),
        "soft_label": ((24, CLASSES), np.float32),
    }
    assert 0 <= mixed["image"].min() < mixed["image"].max() <= 1


@both
def test_images_that_are_numbers_already_stay_what_they_are(mix):
    batch = batch_of()
    scaled = batch | {"image": batch["image"].astype(np.float32) / 255}
    np.testing.assert_allclose(mix(KEY, scaled)["image"], mix(KEY, batch)["image"], atol=1e-7)


def test_mixup_mixes_pixels_and_labels_by_the_same_share():
    mixed = MIXUP(KEY, batch_of(soft_label=numbered(24)))
    partner, share = shares_of(mixed["soft_label"])
    rows = np.arange(24)
    assert (partner != rows).all()
    expected = (share * rows + (1 - share) * partner) / 255
    np.testing.assert_allclose(
        mixed["image"], np.broadcast_to(expected[:, None, None, None], (24, 20, 24, 3)), atol=1e-6
    )


def test_cutmix_replaces_one_rectangle_whose_pixels_are_the_partner_s_share():
    mixed = jax.device_get(CUTMIX(KEY, batch_of(soft_label=numbered(24))))
    partner, share = shares_of(mixed["soft_label"])
    assert ((share > 0) & (share < 1)).sum() > 12
    for row in range(24):
        image = np.round(mixed["image"][row, :, :, 0] * 255).astype(int)
        replaced = image != row
        assert set(np.unique(image[replaced])) <= {partner[row]}
        assert 1 - replaced.mean() == pytest.approx(share[row], abs=1e-6)
        # A rectangle: whatever rows and columns it has, it has all of their places.
        np.testing.assert_array_equal(replaced, replaced.any(1)[:, None] & replaced.any(0)[None, :])
        for line in (replaced.any(1), replaced.any(0)):
            assert (np.diff(np.flatnonzero(line)) == 1).all()


def test_the_rectangles_of_cutmix_have_the_areas_that_its_shares_say():
    """Of the whole image where it lies inside: a side is the root of a share from Beta(1, 1) less than one."""
    rows, count = np.arange(4000) % 256, 4000
    images = np.broadcast_to(rows[:, None, None, None], (count, 32, 32, 1)).astype(np.uint8)
    batch = {"image": images, "label": np.zeros(count, np.int32), "mask": np.ones(count, bool)}
    mixed = np.asarray(cutmix(KEY, batch, alpha=1.0, num_classes=1)["image"])
    own = np.abs(mixed * 255 - rows[:, None, None, None]) < 0.5
    # E[area] with side s = sqrt(1 - share), centre uniform: each axis keeps E[min(c + s/2, 1) - max(c - s/2, 0)].
    random = np.random.default_rng(0)
    side, centre = np.sqrt(random.uniform(size=(200_000, 1))), random.uniform(size=(200_000, 2))
    spans = np.minimum(centre + side / 2, 1) - np.maximum(centre - side / 2, 0)
    assert 1 - own.mean() == pytest.approx(spans.prod(1).mean(), abs=0.01)


@both
def test_labels_are_shares_and_the_label_is_the_larger(mix):
    batch = batch_of()
    mixed = jax.device_get(mix(KEY, batch))
    told = jax.device_get(mix(KEY, batch | {"soft_label": numbered(24)}))
    partner, share = shares_of(told["soft_label"])
    one_hot = np.eye(CLASSES, dtype=np.float32)[batch["label"]]
    np.testing.assert_allclose(mixed["soft_label"].sum(1), 1, atol=1e-6)
    expected = share[:, None] * one_hot + (1 - share)[:, None] * one_hot[partner]
    np.testing.assert_allclose(mixed["soft_label"], expected, atol=1e-6)
    np.testing.assert_array_equal(mixed["label"], np.where(share >= 0.5, batch["label"], batch["label"][partner]))
    assert (share < 0.5).any()


@both
def test_soft_labels_are_mixed_themselves(mix):
    soft = np.random.default_rng(0).dirichlet(np.ones(CLASSES), 24).astype(np.float32)
    partner, share = shares_of(mix(KEY, batch_of(soft_label=numbered(24)))["soft_label"])
    mixed = mix(KEY, batch_of(soft_label=soft))["soft_label"]
    np.testing.assert_allclose(mixed, share[:, None] * soft + (1 - share)[:, None] * soft[partner], atol=1e-6)
    np.testing.assert_allclose(mixed.sum(1), 1, atol=1e-6)


@both
def test_padding_is_neither_mixed_nor_mixed_in(mix):
    batch = batch_of(padding=9, soft_label=numbered(24))
    mixed = jax.device_get(mix(KEY, batch))
    partner, _ = shares_of(mixed["soft_label"])
    assert (partner[:15] < 15).all()
    assert (partner[:15] != np.arange(15)).all()
    np.testing.assert_array_equal(mixed["mask"], batch["mask"])
    np.testing.assert_allclose(mixed["image"][15:] * 255, batch["image"][15:], atol=1e-4)
    np.testing.assert_allclose(mixed["soft_label"][15:], batch["soft_label"][15:], atol=1e-6)
    np.testing.assert_array_equal(mixed["label"][15:], batch["label"][15:])
    # What lies in the padding changes nothing of the examples.
    dirty = batch | {"image": np.where(batch["mask"][:, None, None, None], batch["image"], 255).astype(np.uint8)}
    np.testing.assert_array_equal(mix(KEY, dirty)["image"][:15], mixed["image"][:15])


@both
def test_all_else_that_is_known_follows(mix):
    random = np.random.default_rng(1)
    valence = random.uniform(-1, 1, 24).astype(np.float32)
    valence[::4] = np.nan
    votes = random.integers(0, 10, (24, 10)).astype(np.float32)
    votes[3] = np.nan
    columns = {
        "valence": valence,
        "votes": votes,
        "age": np.arange(24, dtype=np.int32),
        "posed": np.arange(24) % 2 == 0,
    }
    batch = batch_of(**columns)
    partner, share = shares_of(mix(KEY, batch | {"soft_label": numbered(24)})["soft_label"])
    mixed = jax.device_get(mix(KEY, batch))
    expected = share * valence + (1 - share) * valence[partner]
    np.testing.assert_allclose(mixed["valence"], expected, atol=1e-6)
    assert np.isnan(mixed["valence"])[::4].all()
    expected = share[:, None] * votes + (1 - share)[:, None] * votes[partner]
    np.testing.assert_allclose(mixed["votes"], expected, atol=1e-5)
    # What cannot be mixed is that of the larger share.
    larger = np.where(share >= 0.5, np.arange(24), partner)
    for name in ("age", "posed"):
        assert mixed[name].dtype == columns[name].dtype
        np.testing.assert_array_equal(mixed[name], columns[name][larger])


@both
def test_an_example_that_is_alone_stays_what_it_is(mix):
    for batch in (batch_of(24, padding=23), batch_of(1)):
        mixed = jax.device_get(mix(KEY, batch))
        np.testing.assert_allclose(mixed["image"] * 255, batch["image"], atol=1e-4)
        np.testing.assert_array_equal(mixed["label"], batch["label"])
        np.testing.assert_allclose(mixed["soft_label"], np.eye(CLASSES)[batch["label"]], atol=1e-6)


@both
def test_a_batch_of_nothing_but_padding_stays_what_it_is(mix):
    batch = batch_of(24, padding=24)
    np.testing.assert_allclose(mix(KEY, batch)["image"] * 255, batch["image"], atol=1e-4)


@both
def test_the_key_decides_who_is_mixed_with_whom(mix):
    batch = batch_of(soft_label=numbered(24))
    first, again, other = (jax.device_get(mix(jax.random.key(k), batch)) for k in (0, 0, 1))
    np.testing.assert_array_equal(first["image"], again["image"])
    partners = [shares_of(one["soft_label"])[0] for one in (first, other)]
    assert (partners[0] != partners[1]).sum() > 12


def test_rows_have_partners_of_their_own():
    partner, _ = shares_of(MIXUP(KEY, batch_of(soft_label=numbered(24)))["soft_label"])
    # A ring: everybody gives to one and takes from another, and it closes after all of them.
    assert sorted(partner) == list(range(24))
    at, steps = partner[0], 1
    while at != 0:
        at, steps = partner[at], steps + 1
    assert steps == 24


@pytest.mark.parametrize("alpha", [1e-4, 0.2, 1.0, 4.0, 1000.0])
def test_shares_are_drawn_from_beta(alpha):
    shares = np.asarray(jax.jit(partial(mixing._shares, alpha=alpha, count=20_000))(KEY))
    assert shares.dtype == np.float32
    assert 0 <= shares.min() < shares.max() <= 1
    places = np.linspace(0.01, 0.99, 99)  # next to 1 float32 has too few numbers for a small alpha
    below = np.searchsorted(np.sort(shares), places) / len(shares)
    # Kolmogorov: one sample in a hundred differs by more.
    np.testing.assert_allclose(below, betainc(alpha, alpha, places), atol=1.63 / len(shares) ** 0.5)
    assert shares.mean() == pytest.approx(0.5, abs=0.02)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.03)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_the_shares_that_are_drawn_are_those_that_are_mixed(alpha):
    count = 4000
    image = np.arange(count, dtype=np.float32)[:, None, None, None]  # by which the partner can be told
    batch = {"image": image, "label": np.zeros(count, np.int32), "mask": np.ones(count, bool)}
    batch["valence"] = np.square(np.arange(count) / count).astype(np.float32)
    mixed = jax.device_get(mixup(KEY, batch, alpha=alpha, num_classes=1))
    share = np.asarray(mixing._shares(jax.random.split(KEY)[1], alpha, count))
    # With them, each partner is a whole number, and the valence follows.
    partner = (mixed["image"][:, 0, 0, 0] - share * np.arange(count)) / np.maximum(1 - share, 1e-6)
    clear = share < 0.9
    np.testing.assert_allclose(partner[clear], np.round(partner[clear]), atol=0.05)
    known = batch["valence"]
    expected = share[clear] * known[clear] + (1 - share[clear]) * known[np.round(partner[clear]).astype(int)]
    np.testing.assert_allclose(mixed["valence"][clear], expected, atol=1e-5)


@pytest.mark.parametrize("mix", [mixup, cutmix])
@pytest.mark.parametrize("alpha", [0, -1, np.nan, np.inf])
def test_what_is_no_distribution_is_refused(mix, alpha):
    with pytest.raises(UserError, match="pass an alpha above 0"):
        mix(KEY, batch_of(), alpha=alpha, num_classes=CLASSES)


def test_devices_exchange_nothing_in_a_loop():
    """XLA orders what they exchange, but for what they do so in a loop: two of a CPU could wait there for ever."""
    changes = AugmentConfig(shift=0.1, trivial=0.5, hue=20, erase=0.5, flip=True, crop=2, mixup=0.2, cutmix=0.5)
    mesh = jax.sharding.Mesh(jax.devices()[:2], ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    whole, cut = (jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes)) for axes in ((), ("batch",)))
    transform = jax.jit(compose(*transforms_of(changes, CLASSES)), in_shardings=(whole, cut), out_shardings=cut)
    text = transform.lower(KEY, batch_of()).compile().as_text()
    exchanges = re.compile(r" (all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter)(-start)?\(")
    inside, main = text.split("\nENTRY ")
    assert exchanges.search(main)
    assert not exchanges.search(inside)


# Crop


def coordinates(count, height, width):
    """Return images whose pixel tells its place: y and x in the first channels."""
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    image = np.stack([y, x, np.zeros_like(y)], axis=-1).astype(np.float32)
    return np.broadcast_to(image, (count, height, width, 3))


@pytest.mark.parametrize("pad", [1, 4, 12])
def test_a_crop_is_a_window_of_the_image_and_its_mirrored_borders(pad):
    images = coordinates(200, 16, 24)
    cropped = np.asarray(crop(KEY, images, pad))
    assert cropped.shape == images.shape
    place = np.arange(-pad, 16 + pad), np.arange(-pad, 24 + pad)
    mirrored = [np.abs(np.where(p > size - 1, 2 * (size - 1) - p, p)) for p, size in zip(place, (16, 24), strict=True)]
    corners = set()
    for one in cropped:
        tops = [t for t in range(2 * pad + 1) if (mirrored[0][t : t + 16] == one[:, 0, 0]).all()]
        lefts = [t for t in range(2 * pad + 1) if (mirrored[1][t : t + 24] == one[0, :, 1]).all()]
        assert len(tops) == len(lefts) == 1
        np.testing.assert_array_equal(one[..., 0], np.broadcast_to(one[:, :1, 0], (16, 24)))
        np.testing.assert_array_equal(one[..., 1], np.broadcast_to(one[:1, :, 1], (16, 24)))
        corners.add((tops[0], lefts[0]))
    if pad == 1:
        assert len(corners) == 9  # every place is met
    assert len(corners) > 8


def test_no_padding_is_the_image_itself():
    images = coordinates(4, 16, 24)
    np.testing.assert_array_equal(crop(KEY, images, 0), images)


# What a config asks for


def test_a_config_that_asks_for_nothing_has_no_transforms():
    assert transforms_of(AugmentConfig(), CLASSES) == []
    assert compose() is None


@pytest.mark.parametrize(
    ("config", "number"),
    [
        (AugmentConfig(flip=True, erase=0.5), 1),
        (AugmentConfig(crop=2), 1),
        (AugmentConfig(mixup=0.2), 1),
        (AugmentConfig(flip=True, mixup=0.2, cutmix=1.0), 3),
    ],
)
def test_a_config_has_a_transform_for_images_and_one_for_each_kind_of_pairs(config, number):
    assert len(transforms_of(config, CLASSES)) == number


GOLDEN = [756.8686079014276, 754.608483474379, 573.2214067704613, 1813.3669450188063]


def test_old_augmentations_have_the_random_numbers_that_they_always_had():
    """Sums of squares over each of four images, as the code before there were transforms gave them."""
    config = AugmentConfig(flip=True, shift=0.1, rotate=15, scale=0.1, brightness=0.2, contrast=0.2, erase=0.5)
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 40, 3)).astype(np.uint8)
    transform = jax.jit(compose(*transforms_of(config, CLASSES)))
    out = np.asarray(transform(jax.random.key(7), {"image": images})["image"], np.float64)
    np.testing.assert_allclose(np.square(out).sum((1, 2, 3)), GOLDEN, rtol=1e-5)
    # Cropping first has numbers of its own and leaves the others theirs.
    flipped = AugmentConfig(flip=True)
    both = np.asarray(augment(jax.random.key(7), images, dataclasses.replace(flipped, crop=1)))
    moved = np.asarray(crop(jax.random.fold_in(jax.random.key(7), 5), images / np.float32(255), 1))
    mirrored = np.asarray(augment(jax.random.key(7), moved, flipped))
    np.testing.assert_allclose(both, mirrored, atol=1e-6)


def test_transforms_one_after_another_share_no_random_numbers():
    seen = []

    def record(key, batch):
        seen.append(jax.random.key_data(key))
        return batch

    compose(record, record, record)(KEY, {})
    first, *others = (tuple(np.asarray(data)) for data in seen)
    assert first == tuple(np.asarray(jax.random.key_data(KEY)))
    # Nor with what the first makes of its key: of which it takes five, and a transform of one's own perhaps more.
    made = {tuple(np.asarray(data)) for data in jax.random.key_data(jax.random.split(KEY, 1000))}
    assert len({first, *others}) == 3
    assert not made & set(others)


def test_mixing_goes_through_a_composition_with_augmentation():
    config = AugmentConfig(flip=True, crop=2, mixup=0.4, cutmix=0.4)
    batch = batch_of(padding=5)
    mixed = jax.device_get(compose(*transforms_of(config, CLASSES))(KEY, batch))
    np.testing.assert_allclose(mixed["soft_label"].sum(1), 1, atol=1e-6)
    assert (mixed["soft_label"][:19] > 0).sum(1).max() >= 3  # mixed twice
    assert jnp.isfinite(mixed["image"]).all()
