import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxfer.config import DataConfig
from jaxfer.data.synthetic import draw_faces, drawn_dataset
from jaxfer.data.synthetic.expressions import (
    ACTION_UNITS,
    MOVES,
    PROTOTYPES,
    displacements,
    sample_intensities,
)
from jaxfer.data.synthetic.shapes import Pen, box, ellipse
from jaxfer.emotions import AFFECTNET_8
from jaxfer.errors import UserError

SIDE = 32


def faces(labels, seed=0, image_size=SIDE):
    return draw_faces(seed, np.array(labels, np.int32), image_size=image_size)


def expressions(label):
    """Return intensities [200, 2, units] and moves [200, 2] of 200 people with one emotion."""
    with jax.enable_x64(True):  # as faces are drawn
        return jax.tree.map(np.asarray, _expressions(label))


@jax.jit
def _expressions(label):
    sampled = jax.vmap(sample_intensities, (0, None))(jax.random.split(jax.random.key(0), 200), label)
    return sampled, jax.vmap(displacements)(sampled)


def intensities(name):
    return np.asarray(expressions(AFFECTNET_8.index(name))[0])


def mean_move(name, move):
    return expressions(AFFECTNET_8.index(name))[1][move].mean()


# A program each, of which other tests need these two.
@pytest.mark.parametrize("image_size", [SIDE, 64, *(pytest.param(size, marks=pytest.mark.slow) for size in (48, 96))])
def test_every_class_draws_at_every_size(image_size):
    drawn = faces(range(8), image_size=image_size)
    assert drawn.shape == (8, image_size, image_size, 3)
    assert drawn.dtype == np.uint8
    assert drawn.std(axis=(1, 2, 3)).min() > 15
    assert np.percentile(drawn, 1) < 60
    assert np.percentile(drawn, 99) > 195


def test_a_face_is_the_same_person_at_another_size():
    small, large = faces(range(8)), faces(range(8), image_size=64)
    reduced = large.reshape(8, SIDE, 2, SIDE, 2, 3).mean(axis=(2, 4))
    assert np.abs(reduced - small).mean() < 12
    assert np.abs(reduced - small[::-1]).mean() > 30


def test_no_labels_draw_no_faces():
    assert faces([]).shape == (0, SIDE, SIDE, 3)


@pytest.mark.parametrize("label", [-1, 8])
def test_a_label_that_names_no_emotion_is_refused(label):
    with pytest.raises(UserError, match="from 0 to 7"):
        faces([0, label])


def test_the_same_seed_draws_the_same_bits():
    np.testing.assert_array_equal(faces([0, 3, 7], seed=5), faces([0, 3, 7], seed=5))


def test_a_face_depends_on_its_own_position_and_label_only():
    labels = np.arange(40, dtype=np.int32) % 7
    drawn = faces(labels)
    np.testing.assert_array_equal(faces(labels[:1]), drawn[:1])
    np.testing.assert_array_equal(faces(labels[:19]), drawn[:19])
    others = np.full_like(labels, 4)
    others[[9, 36]] = labels[[9, 36]]
    np.testing.assert_array_equal(faces(others)[[9, 36]], drawn[[9, 36]])


def test_seeds_and_positions_draw_different_people():
    first, second = faces([0] * 20, seed=1), faces([0] * 20, seed=2)
    people = np.concatenate([first, second]).reshape(40, -1).astype(int)
    distances = np.abs(people[:, None] - people[None]).mean(axis=2)
    assert distances[~np.eye(40, dtype=bool)].min() > 10


def test_another_label_changes_the_expression_and_not_the_picture():
    happy, sad = faces([1] * 16).astype(int), faces([2] * 16).astype(int)
    changed = (np.abs(happy - sad) > 8).any(axis=-1).mean(axis=(1, 2))
    assert changed.min() > 0.01
    assert changed.max() < 0.4


def test_pixels_have_not_drifted():
    drawn = faces(range(8))
    # Exactly these on every processor and under every version of JAX, or runs could not go on elsewhere.
    assert hashlib.sha256(drawn.tobytes()).hexdigest()[:16] == "5ea759fc365b3974"
    drawn = drawn.astype(float)
    np.testing.assert_allclose(
        drawn.mean(axis=(1, 2, 3)), [104.3, 160.5, 93.7, 125.0, 151.6, 146.7, 174.4, 118.2], atol=2
    )
    np.testing.assert_allclose(drawn.mean(axis=(0, 1, 2)), [147.9, 132.5, 122.4], atol=2)


@pytest.mark.parametrize("name", AFFECTNET_8)
def test_an_emotion_shows_its_prototype(name):
    drawn = intensities(name).max(axis=1)
    often = dict(zip(ACTION_UNITS, (drawn > 0.5).mean(axis=0), strict=True))
    for unit, share in often.items():
        assert share == pytest.approx(PROTOTYPES[name].get(unit, 0), abs=0.12), unit
    assert drawn.max() <= 1
    assert drawn.min() >= 0


def test_contempt_shows_on_one_side_and_other_emotions_on_both():
    dimpler = list(ACTION_UNITS).index(14)
    left, right = intensities("contempt")[:, :, dimpler].T
    assert ((left > 0.5) != (right > 0.5)).all()
    assert 0.35 < (left > 0.5).mean() < 0.65
    left, right = intensities("happy").swapaxes(0, 1)
    np.testing.assert_array_equal(left, right)


def test_faces_move_as_the_emotions_do():
    assert mean_move("happy", "corner_y") < -0.1 < 0.1 < mean_move("sad", "corner_y")
    assert mean_move("surprise", "drop") > mean_move("fear", "drop") > mean_move("neutral", "drop") + 0.03
    assert mean_move("surprise", "brow_outer") < -0.08 < mean_move("anger", "brow_outer")
    assert mean_move("anger", "brow_inner") > 0.1 > 0 > mean_move("sad", "brow_inner")
    assert mean_move("disgust", "wrinkle") > 0.6 > mean_move("anger", "wrinkle")
    assert all(abs(mean_move("neutral", move)) < 0.05 for move in MOVES)


def test_masks_have_the_area_of_their_shapes():
    axis = jnp.linspace(-1, 1, 400)
    x, y = jnp.meshgrid(axis, axis)
    pen = Pen(jnp.float32(0.01))
    share = pen.fill(ellipse(x, y, 0.8, 0.3)).mean()
    assert share == pytest.approx(np.pi * 0.8 * 0.3 / 4, rel=0.02)
    assert pen.fill(box(x, y, 0.6, 0.4, 0.1)).mean() == pytest.approx((0.96 - (4 - np.pi) * 0.01) / 4, rel=0.02)
    assert pen.line(y, 0.05).mean() == pytest.approx(0.05, rel=0.02)
    assert pen.between(y, -0.2 + 0 * x, 0.1 + 0 * x).mean() == pytest.approx(0.15, rel=0.02)
    assert pen.between(y, 0.1 + 0 * x, -0.2 + 0 * x).max() == 0


@pytest.mark.long
def test_raw_pixels_do_not_give_the_emotion_away():
    from sklearn.linear_model import LogisticRegression  # takes long to import

    labels = np.arange(1500, dtype=np.int32) % 7
    pixels = faces(labels).reshape(len(labels), -1).astype(np.float32) / 255
    pixels -= pixels[:1000].mean(axis=0)
    model = LogisticRegression(C=0.03, max_iter=500, tol=1e-3).fit(pixels[:1000], labels[:1000])
    assert 0.2 < model.score(pixels[1000:], labels[1000:]) < 0.5


@pytest.mark.few(1)
@pytest.mark.parametrize("num_classes", [7, 8])
def test_the_drawn_dataset_is_balanced_mixed_and_disjoint(num_classes):
    config = DataConfig(image_size=SIDE, num_classes=num_classes, drawn_train=101, drawn_val=51)
    dataset = drawn_dataset(config)
    assert dataset.class_names == AFFECTNET_8[:num_classes]
    assert (dataset.train.name, dataset.val.name, dataset.source) == ("train", "val", "drawn faces")
    assert dataset.left_out == {}
    for split, count in ((dataset.train, 101), (dataset.val, 51)):
        assert split.images.shape == (count, SIDE, SIDE, 3)
        assert split.labels.dtype == np.int32
        counts = np.bincount(split.labels, minlength=num_classes)
        assert len(counts) == num_classes
        assert np.ptp(counts) <= 1
        assert (np.diff(split.labels) < 0).sum() > count // 4
    train = {image.tobytes() for image in dataset.train.images}
    assert len(train) == 101
    assert train.isdisjoint(image.tobytes() for image in dataset.val.images)


def test_the_drawn_dataset_is_the_same_every_time():
    config = DataConfig(image_size=SIDE, drawn_train=30, drawn_val=10)
    first, second = drawn_dataset(config), drawn_dataset(config)
    for one, other in ((first.train, second.train), (first.val, second.val)):
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.labels, other.labels)
